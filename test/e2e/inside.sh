#!/bin/bash
# inside.sh: what an administrator does with progressd, from "make install" to "make uninstall", in a
# real systemd that may be thrown away afterwards. Run by run.sh; never run it on a machine of yours.
# Unit and configuration are the packaged ones, with every wait that users have.
set -u # not pipefail: "grep -q" leaves early

# shellcheck source=test/e2e/lib.sh
. /src/test/e2e/lib.sh

installs() {
	make --silent -C /src install || die "make install"
	getent passwd progressd >/dev/null || die "no user progressd"
	[[ $(progressd --version) == *[0-9a-z]* ]] || die "progressd --version says nothing"
	systemd-analyze verify --man=no progressd.service || die "the installed unit does not verify"
	journalctl --list-catalog | grep -q 'progressd: .* is complete' || die "no message catalog"
	progressd --config /etc/progressd/config.toml --check || die "the packaged configuration is refused"
	ok "make install: user, unit, catalog, configuration"
}

is_confined() {
	local measured
	# "security" counts tenths: 10 is an exposure of 1.0.
	measured=$(systemd-analyze security --no-pager --threshold=10 progressd.service) || die "exposed: $(tail -1 <<<"$measured")"
	ok "systemd-analyze security: $(tail -1 <<<"$measured" | grep -o '[0-9]\.[0-9]')"
}

# is_kept_from_secrets looks with the eyes of the running service, through its own mounts, and with all that
# root may: what isn't there for root isn't there for the daemon, were it taken over.
is_kept_from_secrets() {
	local eyes path seen=0
	eyes=/proc/$(property MainPID)/root
	for path in /etc/shadow /etc/gshadow /etc/ssh/ssh_host_secret_key /root/.ssh/id_secret /root/.cache/huggingface/token /run/log/journal /run/dbus /run/systemd/private; do
		[[ -e $path ]] || continue
		seen=$((seen + 1))
		if [[ -d $path ]]; then
			[[ -z $(ls -A "$eyes$path" 2>/dev/null) ]] || die "the service sees into $path"
		else
			[[ -z $(head -c 1 "$eyes$path" 2>/dev/null | tr -d '\0') ]] || die "the service can read $path"
		fi
	done
	((seen >= 5)) || die "only $seen secrets are there to be kept"
	[[ $(head -c 4 "$eyes/etc/progressd/config.toml") ]] || die "nothing is seen at all"
	touch "$eyes/home/alice/written" 2>/dev/null && die "the service can write into a home"
	ok "secrets that the service has no use for are not there for it: $seen of $seen"
}

# is_kept_from_reading has the threads of the running daemon try it themselves: what Landlock keeps from
# them no other process can tell.
is_kept_from_reading() {
	local pid opener path out secrets wrong
	[[ $(uname -m) == x86_64 ]] || { say "skipped: system calls are put into a process of x86-64 only"; return; }
	pid=$(property MainPID)
	journalctl --quiet --no-pager --output=cat --unit=progressd _PID="$pid" | grep -q 'msg="confined:' || { say "skipped: no Landlock in this kernel"; return; }
	opener=$(pgrep -f -- 'progressd --opener ') || die "no opener"
	install -d -m 700 -o alice /home/alice/.ssh
	# They may look into what is another's, raised, and open what everybody may: that shows that it can be seen at all.
	secrets=(/home/alice/.ssh/id_secret /home/alice/.cache/huggingface/token /home/alice/.cache/huggingface/hub/mine /root/.bashrc
		/etc/shadow /root/.ssh/id_secret /root/.cache/huggingface/token /etc/machine-id /etc/progressd/config.toml
		"/proc/$opener/mem" "/proc/$opener/root/home/alice/.cache/huggingface/token" "/proc/self/root/home/alice/.cache/huggingface/token")
	for path in "${secrets[@]:0:3}"; do
		echo secret >"$path" && chown alice "$path" && chmod 600 "$path"
	done
	out=$(python3 /src/test/e2e/taken.py "$pid" /proc/locks /home/alice/.ssh "${secrets[@]}" /run/log/journal/*/system.journal) || die "taken.py: $out"
	[[ $out == "/proc/locks opened raised opened"$'\n'"/home/alice/.ssh EACCES raised opened"$'\n'* ]] || die "what shows that it is seen: $out"
	wrong=$(tail -n +3 <<<"$out" | grep opened) && die "what the daemon's threads can open: $wrong"
	# It goes on as if nothing had been.
	kill -0 "$pid" && [[ $(property MainPID) == "$pid" ]] || die "it hasn't survived that"
	rm /home/alice/.cache/huggingface/hub/mine
	only_looks_with_it "$pid"
	only_looks_with_it "$opener"
	ok "a daemon that was taken over lists names, if it raises its capability, which no thread keeps, and reads no key, no token, no journal: $((${#secrets[@]} + 1)) tried by each of its threads"
}

# only_looks_with_it PID: of the threads of a process none has the capability in force for long, while it looks and is asked.
only_looks_with_it() {
	local task seen samples=60
	seen=$(for ((i = 0; i < samples; i++)); do
		((i % 20)) || as alice progressctl status org/demo >/dev/null
		awk '/^Pid:/ { id = $2 }
			/^Cap(Inh|Amb):/ && $2 !~ /^0+$/ || /^CapPrm:/ && $2 !~ /^0+4$/ || /^CapEff:/ && $2 !~ /^0+4?$/ { print "wrong", id, $0 }
			/^CapEff:/ && $2 ~ /4$/ { print "looks", id }' "/proc/$1"/task/*/status
		sleep 0.1
	done 2>/dev/null)
	[[ $seen != *wrong* ]] || die "threads of $(tr '\0' ' ' <"/proc/$1/cmdline"): $seen"
	for task in "/proc/$1"/task/*; do
		(($(grep -c "looks ${task##*/}$" <<<"$seen") < samples / 10)) || die "thread ${task##*/} of $(tr '\0' ' ' <"/proc/$1/cmdline") keeps the capability: $seen"
	done
}

# refuses_what_it_gave_up: where it may not write, it says so, and goes on as it was.
refuses_what_it_gave_up() {
	in_journal --grep='msg="confined:' || return 0
	{ echo; echo 'dir = "/var/log/elsewhere"'; } >>/etc/progressd/config.toml
	systemctl reload progressd || die "reload"
	eventually 10 in_journal --grep='cannot reload, the old configuration stays.*log.dir.*systemctl restart progressd' || die "nothing said about another log directory"
	cp /src/packaging/systemd/config.toml /etc/progressd/config.toml
	reload
	ok "a reload to another log directory is refused, and says to restart"
}

starts() {
	# What is_kept_from_secrets looks for: it has to be there when the service starts.
	mkdir -p /etc/ssh /root/.ssh /root/.cache/huggingface
	echo secret | tee /etc/ssh/ssh_host_secret_key /root/.ssh/id_secret >/root/.cache/huggingface/token
	# Homes are seldom on the overlay that this container has for its root.
	mount -t tmpfs -o mode=755 tmpfs /home || die "mount"
	useradd --create-home --shell /bin/bash alice && chmod 700 /home/alice
	useradd --create-home --shell /bin/bash bob
	systemctl enable --quiet --now progressd || die "systemctl enable --now"
	[[ $(property ActiveState) == active ]] || die "not active"
	[[ -n $(property StatusText) ]] || die "no STATUS"
	# CAP_DAC_READ_SEARCH is bit 2, and nothing else: it may be had, by who looks.
	grep -q '^CapPrm:.0*4$' "/proc/$(property MainPID)/status" || die "other capabilities than wanted"
	ok "systemctl enable --now: active, \"$(property StatusText)\""
}

# shows_status ORG/NAME SYSTEMCTL...: in the middle of its download.
shows_status() { "${@:2}" status progressd | grep -q "Status: .*$1 80.7%"; }

tells() {
	start_download alice org/demo
	eventually 5 shows_status org/demo systemctl || die "systemctl status does not show the download"
	entry EVENT=progress MODEL=org/demo PRIORITY=6 BYTES='10[0-4][0-9]{6}' PERCENT='(7[6-9]|80)\.[0-9]' || die "the progress line in the journal"
	finish_download
	once org/demo
	diff <(sed -e 's/^\[[01][0-9]:[0-5][0-9]:[0-5][0-9] [AP]M\] //' -e "s#$middle#the middle#" "$(logfile org/demo)") - <<-END || die "the log is not as it should be"
		[INFO] Preparing to download model: org/demo
		[INFO] Downloading model: 130MB in 3 files
		[INFO] Download progress: the middle
		[SUCCESS] Model downloaded successfully
	END
	entry EVENT=completed MODEL=org/demo PRIORITY=5 MESSAGE='org/demo: Model downloaded successfully' \
		MESSAGE_ID=5fc7bc65bb124d4a80aa36d0d0de47aa SYSLOG_IDENTIFIER=progressd _SYSTEMD_UNIT=progressd.service \
		REPO_TYPE=model ROOT=/home/alice/.cache/huggingface/hub REVISION='[0-9a-f]{40}' EVENT_ID='.+' \
		BYTES=130003700 TOTAL=130003700 TOTAL_SOURCE=listing PERCENT=100.0 FILES_DONE=3 FILES=3 \
		PID='[1-9][0-9]*' COMMAND=hf PROOF=listing || die "the completed line in the journal"
	journalctl --no-pager --catalog --unit=progressd | grep -q 'org/demo is complete' || die "journalctl -x does not explain it"
	ok "hf download into a home of mode 0700: status, model log, journal, catalog"
	sed 's/^/    /' "$(logfile org/demo)"
}

# waits: the verdicts that have to, of a client without a listing and of one that was killed.
waits() {
	local single killed
	start_client alice org/single model.safetensors
	single=$client
	start_download bob org/cut
	pkill -KILL -u bob -f 'hf download org/cut' || die "nobody to kill"
	killed=$SECONDS
	wait "$client"
	eventually 90 has "$(logfile org/single)" ' 10[0-5]MB' || die "no progress line of org/single"
	echo "open org/single" >&"$hub_commands"
	wait "$single" || { cat /var/tmp/client.log; die "the client failed"; }
	eventually 60 is_completed org/single || { cat "$(logfile org/single)"; die "no completed line of org/single"; }
	entry EVENT=unlisted MODEL=org/single BYTES=130000000 || die "nothing said about the listing that isn't there"
	eventually 90 has "$(logfile org/cut)" "Download interrupted at $middle: downloader (pid [0-9]*, hf) is gone$" ||
		{ cat "$(logfile org/cut)"; die "no interrupted line of org/cut"; }
	((SECONDS - killed >= 58)) || die "interrupted after $((SECONDS - killed)) s, not 60"
	entry EVENT=interrupted MODEL=org/cut PRIORITY=4 PID='[1-9][0-9]*' COMMAND=hf || die "the interrupted line in the journal"
	ok "without a listing: completed after 30 s of quiet; killed: interrupted after 60 s"
}

keeps_private() {
	runuser -u alice -- cat $log/org--demo.log >/dev/null || die "the owner cannot read her log"
	runuser -u bob -- cat $log/org--demo.log 2>/dev/null && die "another user can read the log"
	runuser -u bob -- ls $log 2>/dev/null && die "a user can list the logs"
	runuser -u bob -- ls /var/lib/progressd 2>/dev/null && die "a user can read the state"
	useradd --groups progressd olga
	runuser -u olga -- cat $log/org--demo.log >/dev/null || die "an operator cannot read the log"
	runuser -u olga -- ls $log >/dev/null || die "an operator cannot list the logs"
	[[ $(stat --format=%U:%a $log /var/lib/progressd | tr '\n' ' ') == 'progressd:751 progressd:700 ' ]] || die "modes of the directories"
	ok "the owner and the group follow a log, nobody else, and nobody reads the state"
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
	start_download alice org/reloaded
	echo 'poll_interval = "soon"' >/etc/progressd/config.toml
	systemctl reload progressd || die "reload of a bad file"
	eventually 10 in_journal _PID="$pid" --grep='config.toml' || die "nothing said about the bad file"
	cp /src/packaging/systemd/config.toml /etc/progressd/config.toml
	systemctl reload progressd || die "reload"
	systemctl is-active --quiet progressd || die "not active after the reload"
	finish_download
	once org/reloaded
	[[ $(property MainPID) == "$pid" ]] || die "a reload changed the process"
	ok "reload in the middle of a download: a bad file keeps the old configuration, no line twice"
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
	logrotate --force /etc/logrotate.d/progressd || die "logrotate"
	finish_download
	once org/rotated
	has "$(logfile org/rotated).1" 'Download progress' || die "the old log is not whole"
	has "$(logfile org/rotated).1" 'successfully' && die "written into the rotated log"
	ok "logrotate in the middle: goes on in the new file, nothing lost"
}

survives_kills() {
	local old
	start_download alice org/killed
	old=$(property MainPID)
	kill -KILL "$old"
	finish_download # while the daemon is down
	once org/killed
	[[ $(property MainPID) != "$old" ]] || die "not restarted"
	start_download bob org/after
	systemctl restart progressd || die "restart"
	finish_download
	once org/after
	once org/killed
	once org/demo
	ok "kill -9 and restart in the middle: no line twice, no verdict lost"
}

stops() {
	local began took
	start_download alice org/stopped
	began=$(date +%s%3N)
	systemctl stop progressd
	took=$(($(date +%s%3N) - began))
	((took <= 2000)) || die "took $took ms to stop"
	[[ $(property Result) == success && $(property ExecMainStatus) == 0 ]] || die "did not stop cleanly"
	systemctl start progressd || die "start"
	finish_download
	once org/stopped
	ok "systemctl stop in the middle: status 0 in $took ms; goes on after the start"
}

is_watched_over() {
	local pid
	pid=$(property MainPID)
	start_download alice org/watched
	kill -STOP "$pid"
	# 30 s until it is missed, 10 s in which it doesn't die by itself, 5 s until the next one starts.
	eventually 60 test ! -e "/proc/$pid" || die "the watchdog did not end a process that stands still"
	eventually 20 systemctl is-active progressd || die "not active again"
	finish_download
	once org/watched
	ok "the watchdog restarts a daemon that stands still in the middle: no line twice"
}

sees_mounts() {
	useradd --no-create-home --home-dir /home/carol carol && mkdir /home/carol
	mount -t tmpfs -o mode=700,uid=carol tmpfs /home/carol || die "mount"
	start_download carol org/late
	finish_download
	once org/late
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

# A single file leaves no listing in the cache.
# is_kept_from_etc: names and certificates are found without it, also when somebody puts another file in the place of one.
is_kept_from_etc() {
	local pid out
	pid=$(property MainPID)
	[[ $(uname -m) == x86_64 ]] && in_journal --grep='msg="confined:' || return 0
	echo secret >/etc/e2e_secret && chmod 600 /etc/e2e_secret
	out=$(python3 /src/test/e2e/taken.py "$pid" /proc/locks /etc/e2e_secret /etc/shadow /etc/machine-id /etc/resolv.conf /etc/hosts /etc/ssl/openssl.cnf \
		/etc/ssh/ssh_host_secret_key /etc/progressd/config.toml /run/credentials/progressd.service/hf_token) || die "taken.py: $out"
	[[ $out == "/proc/locks opened raised opened"$'\n'* ]] || die "nothing can be opened at all: $out"
	[[ $(tail -n +2 <<<"$out") != *opened* ]] || die "with the hub on the daemon's threads can open: $out"
	rm /etc/e2e_secret
	pgrep -f -- 'progressd --dialer$' >/dev/null || die "no dialer"
	grep -q '^CapPrm:.0*$' "/proc/$(pgrep -f -- 'progressd --dialer$')/status" || die "the dialer has a capability"
}

asks_the_hub() {
	local dropin=/etc/systemd/system/progressd.service.d/hub-lookup.conf
	install -D /usr/local/share/doc/progressd/examples/hub-lookup.conf $dropin
	sed -i 's/^#LoadCredential=/LoadCredential=/' $dropin
	install -m 600 <(echo hf_of_the_tests) /etc/progressd/hf_token
	cat >>/etc/progressd/config.toml <<-END
		[hub]
		enabled = true
		endpoint = "$endpoint"
		token_file = "\$CREDENTIALS_DIRECTORY/hf_token"
	END
	systemctl daemon-reload && systemctl restart progressd || die "restart with hub-lookup.conf"
	systemd-analyze security --no-pager --threshold=19 progressd.service >/dev/null || die "more exposed than it says"
	start_client alice org/asked model.safetensors
	eventually 90 has "$(logfile org/asked)" ' 10[0-5]MB' || die "no progress line of org/asked"
	finish_download
	eventually 90 is_completed org/asked || die "no completed line of org/asked"
	entry EVENT=completed MODEL=org/asked TOTAL=130000000 TOTAL_SOURCE=hub FILES=1 PROOF=request || die "the hub was not asked"
	is_kept_from_etc
	rm -r ${dropin%/*} /etc/progressd/hf_token
	cp /src/packaging/systemd/config.toml /etc/progressd/config.toml
	systemctl daemon-reload && systemctl restart progressd || die "restart"
	ok "the drop-in hub-lookup.conf: total and proof of a file without a listing, by a token of systemd's, and nothing in /etc can be opened"
}

# The user's journal: what alice herself can see.
in_users_journal() { journalctl --sync; as_alice journalctl --user --quiet --no-pager --unit=progressd "$@" | grep -q .; }

serves_users() {
	local log=/home/alice/.local/state/progressd/log settings=/home/alice/.config/progressd/config.toml pid began took
	as_alice env XDG_RUNTIME_DIR=/tmp systemd-analyze --user verify --man=no /usr/local/lib/systemd/user/progressd.service ||
		die "the user unit does not verify"
	loginctl enable-linger alice
	eventually 20 as_alice systemctl --user show-environment || die "alice has no service manager"
	as_alice systemctl --user enable --quiet --now progressd || die "systemctl --user enable --now"
	pid=$(users_property MainPID)
	[[ $(users_property ActiveState),$(users_property WatchdogUSec) == active,30s ]] || die "not active, or without watchdog"
	[[ $(stat --format=%U "/proc/$pid") == alice ]] || die "runs as somebody else"
	grep -q '^CapEff:.0*$' "/proc/$pid/status" && grep -q '^NoNewPrivs:.1$' "/proc/$pid/status" && grep -q '^Seccomp:.2$' "/proc/$pid/status" ||
		die "not confined: $(grep -E 'Cap|NoNew|Seccomp' "/proc/$pid/status")"
	start_download alice org/mine
	eventually 5 shows_status org/mine as_alice systemctl --user || die "systemctl --user status does not show the download"
	mkdir -p "${settings%/*}" && echo 'step = "much"' >$settings && chown -R alice: /home/alice/.config
	as_alice systemctl --user reload progressd || die "reload of a bad file"
	eventually 10 in_users_journal --grep='config.toml' || die "nothing said about the bad file"
	echo 'step = "auto"' >$settings
	as_alice systemctl --user reload progressd || die "reload"
	finish_download
	once org/mine
	eventually 10 in_users_journal PROGRESSD_MODEL=org/mine PROGRESSD_EVENT=completed || die "completed is not in the user's journal"
	log=/var/log/progressd once org/mine # what the system's daemon wrote, which watches this cache too
	[[ $(users_property MainPID) == "$pid" ]] || die "a reload changed the process"
	[[ $(cd /home/alice/.local/state/progressd && stat --format=%n:%U:%a log log/* state | tr '\n' ' ') == \
		'log:alice:700 log/org--mine.log:alice:600 state:alice:700 ' ]] || die "not where, or not as private as it should be: $(ls -lR /home/alice/.local/state)"
	[[ -e /home/alice/.config/log ]] && die "logs beneath .config"
	began=$(date +%s%3N)
	as_alice systemctl --user disable --quiet --now progressd
	took=$(($(date +%s%3N) - began))
	((took <= 2000)) || die "took $took ms to stop"
	[[ $(users_property Result) == success ]] || die "did not stop cleanly"
	ok "systemctl --user: a daemon of the user's own, beside the system's"
}

# of_service ORG/NAME FIELD=VALUE...: the journal of that model's download service has such an entry.
of_service() {
	local fields=("${@:2}")
	journalctl --sync
	journalctl --quiet --no-pager --output=json --unit="hf-download@$(systemd-escape "$1").service" "${fields[@]/#/PROGRESSD_}" | grep -q .
}

# installs_the_service: hf-download@.service, as its comments say.
installs_the_service() {
	cp /usr/local/share/doc/progressd/examples/hf-download@.service /etc/systemd/system/ || die "no example"
	systemd-sysusers --inline 'u hf-download - "Downloads of Hugging Face models" -' || die "systemd-sysusers"
	printf '#!/bin/sh\nexec python3 /hf/bin/hf "$@"\n' >/usr/local/bin/hf && chmod 755 /usr/local/bin/hf
	printf '%s\n' "HF_ENDPOINT=$endpoint" HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1 PYTHONPATH=/hf PYTHONDONTWRITEBYTECODE=1 >/etc/progressd/hf-download.env
	systemctl daemon-reload
}

downloads_as_a_service() {
	local unit=hf-download@ file
	unit+=$(systemd-escape org/served).service
	systemctl start --no-block "$unit"
	file=/var/log/hf-download/org--served.log
	eventually 90 has "$file" "Download progress: $middle$" || { systemctl status "$unit" --no-pager; die "no progress line of the service"; }
	echo "open org/served" >&"$hub_commands"
	eventually 90 has "$file" '\[SUCCESS\] Model downloaded successfully$' || { cat "$file"; die "no success of the service"; }
	of_service org/served EVENT=completed PROOF=listing || die "no success in the journal of the unit"
	eventually 20 eval '[[ $(systemctl show --property=ActiveState --value "$unit") == inactive ]]' || die "the service goes on"
	systemctl start "$unit" || die "cached, and it fails"
	(($(count "$file" 'Model downloaded successfully$') == 2)) || { cat "$file"; die "cached, and no success"; }
	[[ $(stat -c %U /var/cache/hf-download/hub/models--org--served) == hf-download ]] || die "not by a user of its own"
	unit=hf-download@$(systemd-escape org/none).service
	systemctl start --no-block "$unit"
	eventually 90 of_service org/none EVENT=failed CAUSE=repo-not-found || die "the cause is not told"
	eventually 10 eval '[[ $(systemctl show --property=SubState --value "$unit") == auto-restart* ]]' || die "systemd does not try again: $(systemctl show --property=SubState --value "$unit")"
	systemctl stop "$unit"
	ok "hf-download@.service: a model by a user of its own, its failure named, tried again"
}

# says_itself ORG/NAME PATTERN: the journal of that model's download service has such a line, printed by it.
says_itself() {
	journalctl --sync
	journalctl --quiet --no-pager --output=cat --unit="hf-download@$(systemd-escape "$1").service" | grep -q -- "$2"
}

# Its cache is watched now, and isn't there yet: the daemon tells, once.
reports_to_the_daemon() {
	local unit told n
	[[ $(stat --format=%a /run/progressd/progressd.sock) == 666 ]] || die "the socket is not for everybody"
	rm -rf /var/cache/hf-download /var/log/hf-download
	sed -i 's|^roots = \[|&"/var/cache/hf-download/hub",|' /etc/progressd/config.toml
	reload
	unit=hf-download@$(systemd-escape org/told).service
	systemctl start --no-block "$unit"
	eventually 90 has "$(logfile org/told)" "Download progress: $middle$" || { systemctl status "$unit" --no-pager; die "the daemon does not tell of the service's model"; }
	systemctl restart progressd || die "restart"
	echo "open org/told" >&"$hub_commands"
	once org/told
	eventually 10 says_itself org/told '\[SUCCESS\] org/told: Model downloaded successfully$' || die "the service does not show the daemon's lines"
	entry EVENT=completed MODEL=org/told ROOT=/var/cache/hf-download/hub PROOF=listing COMMAND=hf PID='[1-9][0-9]*' || die "no success in the journal of the daemon"
	of_service org/told MODEL=org/told && die "both have told"
	eventually 20 eval '[[ $(systemctl show --property=ActiveState --value "$unit") == inactive ]]' || die "the service goes on"
	systemctl start "$unit" || die "cached, and it fails"
	eventually 10 eval '(($(count "$(logfile org/told)" "Model downloaded successfully$") == 2))' || { cat "$(logfile org/told)"; die "cached, and no success"; }
	unit=hf-download@$(systemd-escape org/nothing).service
	systemctl start --no-block "$unit"
	eventually 90 entry EVENT=failed MODEL=org/nothing CAUSE=repo-not-found || die "the cause is not told by the daemon"
	eventually 5 says_itself org/nothing 'Model download failed: org/nothing was not found' || die "the service does not show the failure"
	systemctl stop "$unit"
	[[ -z $(ls /var/log/hf-download) ]] || die "two logs: $(ls /var/log/hf-download)"
	# Another user can say nothing about that cache.
	n=$(count "$(logfile org/told)" .)
	as bob HF_HUB_CACHE=/var/cache/hf-download/hub progressctl exec --model org/told -- sh -c 'sleep 0.3; echo "Error: Access denied. requires approval" >&2; exit 1' 2>/var/tmp/bob.err
	has /var/tmp/bob.err '\[ERROR\] org/told: Model download failed: access to org/told is gated' || { cat /var/tmp/bob.err; die "another user's exec does not tell by itself"; }
	has /home/bob/.local/state/progressd/log/org--told.log 'is gated' || die "another user's exec has no log"
	(($(count "$(logfile org/told)" .) == n)) || { cat "$(logfile org/told)"; die "another user has forged a line"; }
	told=$(journalctl --quiet --no-pager --output=cat --unit=progressd PROGRESSD_MODEL=org/told PROGRESSD_EVENT=failed)
	[[ -z $told ]] || die "another user has forged a verdict: $told"
	cp /src/packaging/systemd/config.toml /etc/progressd/config.toml
	reload
	# A daemon that was stopped stays stopped, and nobody waits for it.
	systemctl stop progressd
	as bob progressctl exec --model org/other -- false 2>/dev/null
	systemctl is-active --quiet progressd && die "a stopped daemon was started by exec"
	systemctl start progressd
	rm -f /etc/systemd/system/hf-download@.service /usr/local/bin/hf
	systemctl daemon-reload
	ok "progressctl exec beside the daemon: told once, by the daemon, over its restart; nobody speaks for others"
}

# A start takes as long as bytes come, and no longer.
extends_start_timeouts() {
	local grows
	mkdir -p /usr/local/lib/e2e
	cat >/usr/local/lib/e2e/fetch <<'END'
#!/bin/bash
commit=$(printf 'a%.0s' {1..40}) etag=$(printf 'b%.0s' {1..64}) repo=$HF_HUB_CACHE/models--org--slow
mkdir -p "$repo"/blobs "$repo/snapshots/$commit"
: >"$repo/blobs/$etag.incomplete"
for _ in {1..8}; do (($1)) && head -c 100000 /dev/zero >>"$repo/blobs/$etag.incomplete"; sleep 1; done
mv "$repo/blobs/$etag.incomplete" "$repo/blobs/$etag"
ln -s "../../blobs/$etag" "$repo/snapshots/$commit/model.safetensors"
END
	chmod 755 /usr/local/lib/e2e/fetch
	for grows in 0 1; do
		cat >/run/systemd/system/fetches-$grows.service <<-END
			[Service]
			Type=oneshot
			NotifyAccess=exec
			TimeoutStartSec=4
			Environment=HF_HUB_CACHE=/var/tmp/fetches-$grows HOME=/root
			ExecStartPre=/usr/local/bin/progressctl exec --model org/slow -- /usr/local/lib/e2e/fetch $grows
			ExecStart=/bin/true
		END
	done
	systemctl daemon-reload
	systemctl start --no-block fetches-0
	systemctl start --no-block fetches-1
	eventually 6 eval '[[ $(systemctl show --property=StatusText --value fetches-1) == "Downloading org/slow: "* ]]' || die "no STATUS of exec"
	eventually 20 eval '[[ $(systemctl show --property=Result --value fetches-0) == timeout ]]' || die "what hangs is not given up"
	eventually 20 eval '[[ $(systemctl show --property=ActiveState,Result --value fetches-1 | sort | tr "\n" " ") == "inactive success " ]]' || die "bytes came, and the start was given up"
	rm -r /usr/local/lib/e2e /run/systemd/system/fetches-*.service
	systemctl daemon-reload
	ok "progressctl exec: a start timeout follows the bytes"
}

# What users ask, and what they are not told.
shows_downloads() {
	local out dropin=/etc/systemd/system/progressd.service.d/public-logs.conf
	out=$(as alice progressctl status --json org/demo) || die "alice does not see her own: $out"
	[[ $out == *'"state":"completed"'* && $out == *'"root":"/home/alice'* ]] || die "alice sees: $out"
	as alice progressctl wait org/demo --timeout 5s >/dev/null || die "alice waits for what is there"
	as bob progressctl status org/demo 2>/dev/null && die "bob sees a model of alice's"
	out=$(as bob progressctl status --json --all; as bob progressctl events --json --no-follow) || die "bob has no status"
	[[ -z $out ]] || die "bob sees what is private: $out"
	usermod --append --groups systemd-journal bob
	out=$(as bob progressctl status --json --all) && [[ $out == *'"root":"/home/alice'* ]] || die "a reader of the journal sees: $out"
	gpasswd --delete bob systemd-journal >/dev/null
	install -D /usr/local/share/doc/progressd/examples/public-logs.conf $dropin
	systemctl daemon-reload && systemctl restart progressd || die "restart with public-logs.conf"
	out=$(as bob progressctl status --json --all) || die "bob has no status"
	[[ $out == *'"model":"org/demo"'* ]] || die "bob sees less than the public logs show: $out"
	[[ $out != *alice* ]] || die "bob sees whose it is: $out"
	rm -r ${dropin%/*}
	systemctl daemon-reload && systemctl restart progressd || die "restart"
	ok "progressctl: everybody sees the own downloads, others by the journal or public logs alone"
}

# get USER PATH [PORT]: what progressd-http answers, its status first.
get() {
	as "$1" python3 - "${@:2}" <<-'END'
		import http.client, socket, sys
		class Connection(http.client.HTTPConnection):
		    def connect(self):
		        self.sock = socket.socket(socket.AF_UNIX)
		        self.sock.connect("/run/progressd/http.sock")
		c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2])) if len(sys.argv) > 2 else Connection("localhost")
		c.request("GET", sys.argv[1])
		answer = c.getresponse()
		print(answer.status, answer.read().decode())
	END
}
http_is() { [[ $(systemctl show --property=ActiveState --value progressd-http.service) == "$1" ]]; }

# processor_time COMMAND...: what twenty runs of a command cost a run, in ms: the command itself, and
# systemd and the journal for it.
processor_time() {
	local before after used pids
	pids=(1 "$(systemctl show --property=MainPID --value systemd-journald)")
	ticks() { local pid sum=0; for pid in "${pids[@]}"; do sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat"))); done; echo $sum; }
	before=$(ticks)
	used=$( { local TIMEFORMAT='%U %S'; time for _ in {1..20}; do "$@" >/dev/null; done; } 2>&1)
	after=$(ticks)
	awk -v used="$used" -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" \
		'BEGIN { split(used, s, " "); printf "%.0f ms and %.1f ms of systemd\n", (s[1] + s[2]) * 50, ticks * 50 / hz }'
}

# No bound, since the machine may be busy: what bench/results.md says comes from here.
tells_what_a_look_costs() {
	ok "a look costs: systemctl status $(processor_time systemctl status --no-pager progressd), progressctl status $(processor_time progressctl status)"
}

# It is there while somebody looks, sees what it may, and can do nothing else.
serves_http() {
	local out pid dropin=/etc/systemd/system/progressd-http.socket.d
	systemd-analyze verify --man=no progressd-http.service progressd-http.socket || die "the units of HTTP do not verify"
	systemctl enable --now progressd-http.socket || die "enable progressd-http.socket"
	http_is inactive || die "it runs, and nobody looks"
	out=$(get root /v1/downloads) && [[ $out == '200 {"version":'*'"downloads":'* ]] || die "root is answered: $out"
	http_is active || die "somebody looks, and it does not run"
	out=$(get bob /healthz 2>&1) && die "bob is answered: $out"
	[[ $out == *PermissionError* ]] || die "bob is told: $out"
	usermod --append --groups progressd bob
	out=$(get bob /metrics) && [[ $out == 200*'progressd_process_cpu_seconds_total '*'progressd_root_up{root="/home/alice/'*'} 1'* && $out != *'/root/'* ]] || die "who is in the group is answered: $out"
	gpasswd --delete bob progressd >/dev/null
	pid=$(systemctl show --property=MainPID --value progressd-http)
	[[ $(readlink "/proc/$pid/ns/net") != "$(readlink /proc/1/ns/net)" ]] || die "it has the machine's network"
	grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status" || die "it has a capability"
	# A port, which systemd listens at: the service has no network all the same.
	install -D /usr/local/share/doc/progressd/examples/http-port.conf $dropin/http-port.conf
	systemctl daemon-reload
	get root /healthz >/dev/null || die "no answer"
	systemctl restart progressd-http.socket || die "a restart while it serves"
	out=$(get bob / 7764) && [[ $out == 200*'<title>Downloads</title>'* ]] || die "at the port: $out"
	# Without the daemon it says so, and goes on when that is back.
	systemctl stop progressd
	out=$(get root /healthz 7764) && [[ $out == 503*'systemctl start progressd'* ]] || die "without a daemon: $out"
	systemctl start progressd
	eventually 10 eval '[[ $(get root /healthz 7764) == 200* ]]' || die "the daemon is back, and it is not heard"
	rm -r $dropin
	systemctl daemon-reload
	eventually 75 http_is inactive || die "nobody looks, and it goes on"
	out=$(get root /v1/downloads) && [[ $out == 200* ]] || die "it does not come again: $out"
	ok "progressd-http.socket: starts what serves when somebody looks, without privilege and network, and it ends by itself"
}

uninstalls() {
	systemctl start progressd
	make --silent -C /src uninstall || die "make uninstall"
	systemctl is-active --quiet progressd && die "still running"
	[[ -z $(find /usr/local -name '*progress[dc]*' -print) ]] || die "left behind: $(find /usr/local -name '*progress[dc]*')"
	[[ ! -e /run/progressd/progressd.sock && ! -e /run/progressd/http.sock ]] || die "a socket is left behind"
	[[ -e /etc/progressd/config.toml && -d $log && -d /var/lib/progressd ]] || die "took away what is the administrator's"
	systemctl --quiet list-unit-files progressd.service | grep -q progressd && die "systemd still knows the unit"
	ok "make uninstall: nothing of ours left, configuration and logs kept"
}

systemctl --version | head -1
start_hub org/{demo,single,cut,reloaded,rotated,killed,after,stopped,watched,late,asked,mine,served,told}
installs
is_confined
starts
tells
shows_downloads
tells_what_a_look_costs
waits
is_kept_from_secrets
is_kept_from_reading
keeps_private
one_at_a_time
reloads
refuses_what_it_gave_up
reloads_and_waits
rotates
survives_kills
stops
is_watched_over
sees_mounts
asks_the_hub
serves_users
refuses_bad_configuration
installs_the_service
downloads_as_a_service
reports_to_the_daemon
extends_start_timeouts
serves_http
uninstalls
echo "all $cases cases passed in $SECONDS s"
