#!/bin/bash
# filesystems.sh [NAME]...: mounts file systems of many kinds, has real clients download into each, and prints
# what progressd tells of that as the table of docs/filesystems.md. One download comes to its end, one is
# killed in the middle; a third goes into a directory of its own.
#
# Needs root, bin/progressd, Go, python3 with venv and PyPI, and of Debian what is to be tried: xfsprogs,
# btrfs-progs, bindfs, rclone, exfatprogs, exfat-fuse. What is missing is left out, and said so. Some 5 min.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly progressd=${PROGRESSD:-$PWD/bin/progressd}
readonly venvs=${XDG_CACHE_HOME:-$HOME/.cache}/progressd-e2e
readonly clients=(2.4.0 0.26.5)
readonly all=(ext4 xfs btrfs tmpfs overlay bindfs rclone exfat)

dir=$(mktemp -d)
declare -A mounted=()
children=()

clear_up() {
	local pid name
	for pid in "${children[@]}"; do { kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true; done
	for name in "${!mounted[@]}"; do umount -l "$dir/mnt/$name" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap clear_up EXIT

say() { printf '%s\n' "$*" >&2; }

# client VERSION: installs huggingface_hub where the tests with the real clients look for it.
client() {
	local at=$venvs/hh-$1
	if [[ ! -e $at/.complete ]]; then
		python3 -m venv --clear "$at" && "$at/bin/pip" install --quiet "huggingface_hub==$1" && touch "$at/.complete"
	fi
}

# image NAME MKFS...: a file system of its own in a file.
image() {
	local name=$1 file=$dir/$1.img
	shift
	truncate -s 2G "$file"
	"$@" "$file" >&2
	mount -o loop "$file" "$dir/mnt/$name"
}

# try NAME: mounts it at $dir/mnt/NAME; no success if that can't be done here.
try() {
	local at=$dir/mnt/$1
	mkdir -p "$at"
	case $1 in
	ext4) image ext4 mkfs.ext4 -q ;;
	xfs) image xfs mkfs.xfs -q ;;
	btrfs) image btrfs mkfs.btrfs -q ;;
	tmpfs) mount -t tmpfs -o size=2G tmpfs "$at" ;;
	overlay)
		mkdir -p "$dir"/overlay/{lower/hub,upper,work}
		mount -t overlay -o "lowerdir=$dir/overlay/lower,upperdir=$dir/overlay/upper,workdir=$dir/overlay/work" overlay "$at"
		;;
	bindfs) mkdir -p "$dir/bindfs" && bindfs "$dir/bindfs" "$at" ;;
	rclone)
		mkdir -p "$dir/rclone" && printf '[here]\ntype = local\n' >"$dir/rclone.conf"
		rclone --config "$dir/rclone.conf" --cache-dir "$dir/rclone.cache" mount --daemon --vfs-cache-mode writes "here:$dir/rclone" "$at"
		;;
	exfat)
		truncate -s 2G "$dir/exfat.img" && mkfs.exfat "$dir/exfat.img" >&2
		local device
		device=$(losetup --find --show "$dir/exfat.img")
		mount.exfat-fuse "$device" "$at" >&2 || { losetup --detach "$device" && return 1; }
		losetup --detach "$device" # when it is unmounted
		;;
	*) say "no such file system: $1" && return 1 ;;
	esac
}

# download FS VERSION HOW: starts a client at the model of that name.
download() {
	local at=$dir/mnt/$1 hf=$venvs/hh-$2/bin/hf
	[[ -x $hf ]] || hf=$venvs/hh-$2/bin/huggingface-cli
	local more=()
	[[ $3 != local ]] || more=(--local-dir "$at/local/$1-$2")
	(
		export HF_ENDPOINT=$url HF_HOME=$at HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_UPDATE_CHECK=1
		export HF_HUB_DISABLE_XET=1 DO_NOT_TRACK=1 HF_HUB_DOWNLOAD_TIMEOUT=120
		exec "$hf" download "$3/$1-$2" "${more[@]}"
	) >"$dir/out/$3-$1-$2" 2>&1 &
	pids[$3-$2]=$!
	children+=($!)
}

# log FS VERSION HOW: the lines about it.
log() {
	if [[ $3 == local ]]; then
		cat "$dir/log/$1-$2@local.log" 2>/dev/null
	else
		cat "$dir/log/$3--$1-$2.log" 2>/dev/null
	fi || true
}

# The gate of the hub is at 110 MB; clients write in steps of 10 MiB.
readonly middle='(Downloaded|progress:) 1(0[0-9]|10)MB'

# await SECONDS TEXT FS VERSION HOW: waits for a text in that log.
await() {
	local left=$1 text=$2
	shift 2
	until log "$@" | grep -qE "$text"; do
		((left-- > 0)) || return 1
		sleep 1
	done
}

# end FS VERSION HOW: the last line that is true.
end() {
	if [[ $3 == killed || ${failed[$1-$2-$3]-} ]]; then echo 'interrupted at'; else echo 'downloaded successfully'; fi
}

# verdict FS VERSION HOW: what was told, in a word.
verdict() {
	local lines end
	lines=$(log "$@")
	end=$(end "$@")
	local wrong=()
	[[ $(grep -c 'Preparing' <<<"$lines") == 1 ]] || wrong+=("began $(grep -c 'Preparing' <<<"$lines") times")
	grep -qE "$middle" <<<"$lines" || wrong+=('no progress')
	[[ $(grep -c "$end" <<<"$lines") == 1 ]] || wrong+=("no end: $(tail -n 1 <<<"$lines" | cut -c 15-)")
	! grep -qE 'removed|began again|differs|stalled' <<<"$lines" || wrong+=('a false line')
	if ((${#wrong[@]})); then
		local IFS=';'
		echo "**${wrong[*]}**"
	elif [[ ${failed[$1-$2-$3]-} ]]; then
		echo 'ok: the client fails here, and that is told'
	else
		echo ok
	fi
}

(($#)) || set -- "${all[@]}"
[[ -x $progressd ]] || { say "no $progressd: make first"; exit 1; }
for version in "${clients[@]}"; do client "$version"; done
mkdir -p "$dir"/{mnt,log,state,out}
chmod 755 "$dir"
models=() names=()
for name; do
	if (try "$name") 2>"$dir/out/$name"; then
		mounted[$name]=1 names+=("$name")
		mkdir -p "$dir/mnt/$name"/{hub,local}
		for version in "${clients[@]}"; do models+=({whole,killed,local}/"$name-$version"); done
	else
		say "left out: $name: $(tail -n 1 "$dir/out/$name")"
	fi
done

${GO:-go} build -o "$dir/serve" ./test/e2e/hub
mkfifo "$dir/commands"
"$dir/serve" "${models[@]}" <"$dir/commands" >"$dir/url" &
children+=($!)
exec 3>"$dir/commands"
until url=$(head -n 1 "$dir/url") && [[ $url ]]; do sleep 0.1; done

# The verdicts that wait do so for seconds: what is tried here is what can be seen.
cat >"$dir/config.toml" <<END
roots = ["$dir/mnt/*/hub", "$dir/mnt/*/local"]
step = "10MB"
[log]
dir = "$dir/log"
[state]
dir = "$dir/state"
[download]
interrupt_after = "10s"
quiet_after = "5s"
stall_after = "60s"
END
"$progressd" --config "$dir/config.toml" >"$dir/out/lines" 2>"$dir/out/diagnostics" &
children+=($!)
until grep -q 'msg=watching' "$dir/out/diagnostics"; do sleep 0.1; done

declare -A results=() failed=() pids=()
for name in "${names[@]}"; do
	say "trying $name"
	for version in "${clients[@]}"; do
		for how in whole killed local; do
			download "$name" "$version" "$how"
		done
	done
	for version in "${clients[@]}"; do
		for how in whole killed local; do await 60 "$middle" "$name" "$version" "$how" || true; done
		{ kill -9 "${pids[killed-$version]}" && wait "${pids[killed-$version]}"; } 2>/dev/null || true
		for how in whole local; do echo "open $how/$name-$version" >&3; done
	done
	for version in "${clients[@]}"; do
		for how in whole local; do
			wait "${pids[$how-$version]}" || failed[$name-$version-$how]=1
			await 60 "$(end "$name" "$version" "$how")" "$name" "$version" "$how" || true
		done
		await 90 "$(end "$name" "$version" killed)" "$name" "$version" killed || true
		for how in whole killed local; do results[$name-$version-$how]=$(verdict "$name" "$version" "$how"); done
	done
done

printf '| file system | seen as |'
for version in "${clients[@]}"; do printf ' %s | %s, killed | %s, --local-dir |' "$version" "$version" "$version"; done
printf '\n| --- | --- |'
for version in "${clients[@]}"; do printf ' --- | --- | --- |'; done
printf '\n'
for name in "${names[@]}"; do
	watched=$(grep "root=$dir/mnt/$name/hub " "$dir/out/diagnostics" | grep -o 'watched_by=.*' | tr -d '"' | cut -d= -f2)
	printf '| %s | %s |' "$name" "$watched"
	for version in "${clients[@]}"; do
		for how in whole killed local; do printf ' %s |' "${results[$name-$version-$how]}"; done
	done
	printf '\n'
done
if [[ ${KEEP-} ]]; then
	cp -r "$dir/log" "$dir/out" "$KEEP"
fi
