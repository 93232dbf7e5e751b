# shellcheck shell=bash
# lib.sh: what the scripts that are run in a real systemd have in common: to wait, to look at log and
# journal, and the real client that downloads from a hub which holds it in the middle.

log=/var/log/progressd
cases=0

say() { printf '    %s\n' "$*"; }
ok() { cases=$((cases + 1)); echo "ok $cases - $*"; }
die() {
	echo "FAILED - $*"
	journalctl --sync
	systemctl status progressd --no-pager --lines=0
	journalctl --no-pager --lines=60 SYSLOG_IDENTIFIER=progressd
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

# reload: until the new configuration rules. "systemctl reload" has returned as soon as the signal is sent.
reload() {
	local before
	before=$(greetings)
	systemctl reload progressd || die "reload"
	eventually 10 greeted_since "$before" || die "the reload is not carried out"
}
greetings() { journalctl --sync; journalctl --quiet --no-pager --output=cat --unit=progressd | grep -c 'msg=watching'; }
greeted_since() { (($(greetings) > $1)); }

property() { systemctl show --property="$1" --value progressd; }
has() { grep -q -- "$2" "$1"; }
# Over rotations, too.
count() { cat "$1" "$1".[0-9]* 2>/dev/null | grep -c -- "$2"; }
in_journal() { journalctl --sync; journalctl --quiet --no-pager --output=json --unit=progressd "$@" | grep -q .; }

# entry EVENT=... MODEL=... FIELD=PATTERN...: the journal has one entry of that event and model, with
# these fields. Only ours are named without their prefix.
entry() {
	local field fields=()
	for field; do
		case $field in MESSAGE*=* | PRIORITY=* | SYSLOG_* | _*) ;; *) field=PROGRESSD_$field ;; esac
		fields+=("$field")
	done
	in_journal "${fields[@]:0:2}" || return 1
	journalctl --quiet --no-pager --output=json --unit=progressd "${fields[@]:0:2}" | python3 /src/test/e2e/fields.py "${fields[@]}"
}

# as USER CMD...
as() {
	local user=$1 home
	shift
	home=$(getent passwd "$user" | cut -d: -f6)
	runuser -u "$user" -- env HOME="$home" XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" "$@"
}

# start_hub ORG/NAME...: what there is to download.
start_hub() {
	coproc HUB { exec /tools/hub "$@"; }
	hub_commands=${HUB[1]}
	read -r endpoint <&"${HUB[0]}" || die "the hub does not start"
	install -d -m 1777 /var/tmp/python
}

logfile() { echo "$log/${1/\//--}.log"; }

# What the line of the step says: a look may fall into the write of 10 MiB that passes 100 MB.
middle='10[0-5]MB/130MB ~ \(7[6-9]\|80\)\.[0-9]%'

# start_client USER ORG/NAME FILE...: the real client. start_download is that, of all files, to the
# middle, where the hub holds it; finish_download lets it go on to its end.
start_client() {
	model=$2
	as "$1" HF_ENDPOINT="$endpoint" HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DOWNLOAD_TIMEOUT=300 \
		PYTHONPATH=/hf PYTHONPYCACHEPREFIX=/var/tmp/python python3 /hf/bin/hf download "${@:2}" >/var/tmp/client.log 2>&1 </dev/null &
	client=$!
}
start_download() {
	start_client "$1" "$2"
	eventually 90 has "$(logfile "$model")" "Download progress: $middle$" || { ls -laR --time-style=full-iso /home/*/.cache/huggingface/hub; date --iso=ns; cat /var/tmp/client.log; die "no progress line of $model"; }
}
finish_download() {
	echo "open $model" >&"$hub_commands"
	wait "$client" || { cat /var/tmp/client.log; die "the client failed"; }
}
is_completed() { (($(count "$(logfile "$1")" '\[SUCCESS\] Model downloaded successfully$') > 0)); }

# once ORG/NAME: completed, and whatever was done to the daemon meanwhile, no line twice.
once() {
	local line
	eventually 90 is_completed "$1" || die "no completed line of $1"
	for line in 'Preparing to download model: ' 'Download progress: ' 'Model downloaded successfully'; do
		[[ $(count "$(logfile "$1")" "$line") == 1 ]] || { cat "$(logfile "$1")"; die "not once: $line"; }
	done
}

as_alice() { as alice "$@"; }
users_property() { as_alice systemctl --user show --property="$1" --value progressd; }
