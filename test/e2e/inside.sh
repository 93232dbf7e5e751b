#!/bin/bash
# inside.sh: what an administrator does with progressd, from "make install" to "make uninstall", in a
# real systemd that may be thrown away afterwards. Run by run.sh; never run it on a machine of yours.
set -uo pipefail

log=/var/log/progressd
cases=0

say() { printf '    %s\n' "$*"; }
ok() { cases=$((cases + 1)); echo "ok $cases - $*"; }
die() {
	echo "FAILED - $*"
	systemctl status progressd --no-pager --lines=0
	journalctl --no-pager --lines=40 --unit=progressd
	exit 1
}

# eventually SECONDS CMD...: waits until CMD succeeds.
eventually() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS <= end)) || return 1
		sleep 0.1
	done
}

property() { systemctl show --property="$1" --value progressd; }
has() { grep -q -- "$2" "$1"; }
# Over rotations, too.
count() { cat "$1" "$1".[0-9]* 2>/dev/null | grep -c -- "$2"; }
in_journal() { journalctl --sync; journalctl --quiet --no-pager --output=json --unit=progressd "$@" | grep -q .; }

# start_download USER ORG/NAME [CACHE]: returns in the middle; finish_download lets it go on to its end.
start_download() {
	local home cache
	home=$(getent passwd "$1" | cut -d: -f6)
	cache=${3:-$home/.cache/huggingface/hub}
	coproc WRITER { runuser -u "$1" -- /tools/writer "$cache" "$2"; }
	writer=$WRITER_PID stdin=${WRITER[1]}
	read -r _ <&"${WRITER[0]}" || die "the writer of $2 did not get to the middle"
}
finish_download() {
	exec {stdin}>&-
	wait "$writer" || die "the writer failed"
}

installs() {
	make --silent -C /src install || die "make install"
	getent passwd progressd >/dev/null || die "no user progressd"
	[[ $(progressd --version) == *[0-9a-z]* ]] || die "progressd --version says nothing"
	systemd-analyze verify --man=no progressd.service || die "the installed unit does not verify"
	journalctl --list-catalog | grep -q 'progressd: .* is complete' || die "no message catalog"
	progressd --config /etc/progressd/config.toml --check || die "the packaged configuration is refused"
	ok "make install: user, unit, catalog, configuration"
}

starts() {
	useradd --create-home --shell /bin/bash alice && chmod 700 /home/alice
	useradd --create-home --shell /bin/bash bob
	systemctl enable --quiet --now progressd || die "systemctl enable --now"
	[[ $(property ActiveState) == active ]] || die "not active"
	[[ -n $(property StatusText) ]] || die "no STATUS"
	# CAP_DAC_READ_SEARCH is bit 2, and nothing else.
	grep -q '^CapEff:.0*4$' "/proc/$(property MainPID)/status" || die "other capabilities than wanted"
	ok "systemctl enable --now: active, \"$(property StatusText)\""
}

tells() {
	start_download alice org/demo
	eventually 10 has $log/org--demo.log 'Preparing to download model: org/demo' || die "no preparing line"
	eventually 10 has $log/org--demo.log 'Download progress: 1..MB/130MB' || die "no progress line"
	eventually 10 systemctl status progressd || die "no status"
	[[ $(property StatusText) == *org/demo* ]] || die "STATUS does not name the download: $(property StatusText)"
	finish_download
	eventually 20 has $log/org--demo.log '\[SUCCESS\] Model downloaded successfully$' || die "no completed line"
	eventually 10 in_journal PROGRESSD_MODEL=org/demo PROGRESSD_EVENT=completed PRIORITY=5 PROGRESSD_PROOF=listing PROGRESSD_BYTES=130000000 ||
		die "completed is not in the journal, or not with its fields"
	journalctl --no-pager --catalog --unit=progressd | grep -q 'org/demo is complete' || die "journalctl -x does not explain it"
	ok "a download in a home of mode 0700: model log, journal, catalog"
	sed 's/^/    /' $log/org--demo.log
}

keeps_private() {
	runuser -u bob -- cat $log/org--demo.log >/dev/null || die "a user cannot read the log"
	runuser -u bob -- ls /var/lib/progressd 2>/dev/null && die "a user can read the state"
	[[ $(stat --format=%U:%a $log /var/lib/progressd | tr '\n' ' ') == 'progressd:755 progressd:700 ' ]] || die "modes of the directories"
	ok "everyone may follow the logs, nobody read the state"
}

one_at_a_time() {
	local status=0
	runuser -u progressd -- env STATE_DIRECTORY=/var/lib/progressd LOGS_DIRECTORY=$log \
		timeout 10 progressd --config /etc/progressd/config.toml || status=$?
	((status == 3)) || die "a second daemon on the same state: exit status $status, not 3"
	[[ $(property ActiveState) == active ]] || die "the second daemon harmed the first"
	ok "a second daemon is refused with status 3"
}

reloads() {
	local pid
	pid=$(property MainPID)
	echo 'poll_interval = "soon"' >/etc/progressd/config.toml
	systemctl reload progressd || die "reload of a bad file"
	eventually 10 in_journal _PID="$pid" --grep='config.toml' || die "nothing said about the bad file"
	cp /src/packaging/systemd/config.toml /etc/progressd/config.toml
	systemctl reload progressd || die "reload"
	eventually 5 test "$(property ActiveState)" = active || die "not active after the reload"
	[[ $(property MainPID) == "$pid" ]] || die "a reload changed the process"
	ok "reload: a bad file keeps the old configuration"
}

reloads_and_waits() {
	(($(systemctl --version | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p') >= 253)) || { say "skipped: notify-reload needs systemd 253"; return; }
	install -D /usr/local/share/doc/progressd/examples/notify-reload.conf /etc/systemd/system/progressd.service.d/notify-reload.conf
	systemctl daemon-reload && systemctl restart progressd || die "restart with notify-reload"
	timeout 10 systemctl reload progressd || die "the reload was not confirmed"
	[[ $(property ActiveState) == active ]] || die "not active after the reload"
	rm -r /etc/systemd/system/progressd.service.d
	systemctl daemon-reload && systemctl restart progressd || die "restart"
	ok "the drop-in notify-reload.conf: the reload is confirmed"
}

rotates() {
	start_download alice org/rotated
	eventually 10 has $log/org--rotated.log 'Download progress' || die "no progress line"
	logrotate --force /etc/logrotate.d/progressd || die "logrotate"
	finish_download
	eventually 20 has $log/org--rotated.log 'downloaded successfully' || die "no line in the new log"
	has $log/org--rotated.log.1 'Preparing' || die "the old log is not whole"
	has $log/org--rotated.log.1 'successfully' && die "written into the rotated log"
	ok "logrotate: goes on in the new file, nothing lost"
}

survives_kills() {
	local old
	start_download alice org/killed
	eventually 10 has $log/org--killed.log 'Download progress' || die "no progress line"
	old=$(property MainPID)
	kill -KILL "$old"
	finish_download # while the daemon is down
	eventually 20 has $log/org--killed.log 'downloaded successfully' || die "the verdict is lost"
	[[ $(property MainPID) != "$old" ]] || die "not restarted"
	[[ $(count $log/org--killed.log 'Preparing') == 1 ]] || die "said twice"
	systemctl restart progressd || die "restart"
	start_download bob org/after && finish_download
	eventually 20 has $log/org--after.log 'downloaded successfully' || die "the next download is not told"
	[[ $(count $log/org--killed.log 'downloaded successfully') == 1 ]] || die "the verdict came twice"
	[[ $(count $log/org--demo.log 'downloaded successfully') == 1 ]] || die "an old verdict came again"
	ok "kill -9 in the middle, restart: every verdict once"
}

is_watched_over() {
	local pid
	mkdir -p /run/systemd/system/progressd.service.d
	printf '[Service]\nWatchdogSec=2s\nRestartSec=100ms\n' >/run/systemd/system/progressd.service.d/watchdog.conf
	systemctl daemon-reload && systemctl restart progressd || die "restart"
	pid=$(property MainPID)
	kill -STOP "$pid"
	eventually 15 test ! -e "/proc/$pid" || die "the watchdog did not end a process that stands still"
	eventually 15 test "$(property ActiveState)" = active || eventually 15 systemctl is-active progressd || die "not active again"
	rm -r /run/systemd/system/progressd.service.d
	systemctl daemon-reload && systemctl restart progressd || die "restart"
	ok "the watchdog restarts a daemon that stands still"
}

sees_mounts() {
	useradd --no-create-home --home-dir /home/carol carol && mkdir /home/carol
	mount -t tmpfs -o mode=700,uid=carol tmpfs /home/carol || die "mount"
	start_download carol org/late
	eventually 15 has $log/org--late.log 'Preparing' || die "a cache on a disk mounted later is not seen"
	finish_download
	eventually 20 has $log/org--late.log 'downloaded successfully' || die "no completed line"
	eventually 10 umount /home/carol || die "the disk cannot be unmounted"
	ok "a disk mounted later is seen, and can be unmounted"
}

refuses_bad_configuration() {
	systemctl stop progressd
	echo 'step = 0' >/etc/progressd/config.toml
	systemctl start progressd 2>/dev/null && die "started with a bad configuration"
	[[ $(property ExecMainStatus) == 2 ]] || die "exit status $(property ExecMainStatus), not 2"
	[[ $(property ActiveState) == failed ]] || die "tried again"
	cp /src/packaging/systemd/config.toml /etc/progressd/config.toml
	systemctl reset-failed progressd
	systemctl start progressd || die "start"
	ok "a bad configuration: exit status 2, not tried again"
}

stops() {
	local began=$SECONDS
	systemctl stop progressd
	((SECONDS - began <= 3)) || die "took $((SECONDS - began)) s to stop"
	[[ $(property Result) == success && $(property ExecMainStatus) == 0 ]] || die "did not stop cleanly"
	ok "systemctl stop: in time, with status 0"
}

uninstalls() {
	systemctl start progressd
	make --silent -C /src uninstall || die "make uninstall"
	systemctl is-active --quiet progressd && die "still running"
	[[ -z $(find /usr/local -name '*progressd*' -print) ]] || die "left behind: $(find /usr/local -name '*progressd*')"
	[[ -e /etc/progressd/config.toml && -d $log && -d /var/lib/progressd ]] || die "took away what is the administrator's"
	systemctl --quiet list-unit-files progressd.service | grep -q progressd && die "systemd still knows the unit"
	ok "make uninstall: nothing of ours left, configuration and logs kept"
}

systemctl --version | head -1
installs
starts
tells
keeps_private
one_at_a_time
reloads
reloads_and_waits
rotates
survives_kills
is_watched_over
sees_mounts
refuses_bad_configuration
stops
uninstalls
echo "all $cases cases passed in $SECONDS s"
