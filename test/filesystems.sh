#!/bin/bash
# filesystems.sh [NAME]...: mounts file systems of many kinds, has real clients of three generations download
# into each by test/clients, at the packaged configuration, and prints the table of docs/filesystems.md. Each
# file system has a daemon and a journal of its own; all of them are tried at once, so that the waiting (ten
# minutes for a stall) is done but once. A quarter of an hour.
#
# Needs root, bin/progressd, Go, python3 with venv and PyPI, 40 GB of disk, and of Debian what is to be tried:
# xfsprogs btrfs-progs bindfs mergerfs fuse-overlayfs gocryptfs sshfs openssh-sftp-server rclone ntfs-3g exfatprogs
# exfat-fuse fuse2fs s3fs. What can't be mounted is left out, and said so. KEEP=DIR keeps what each run has said. s3fs is
# tried by name alone, with a server from the module proxy: it shows no file before it is whole, so what is
# played there waits in vain, for an hour.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly progressd=${PROGRESSD:-$PWD/bin/progressd}
readonly all=(ext4 xfs btrfs tmpfs overlay bindfs mergerfs fuse-overlayfs gocryptfs sshfs rclone ntfs-3g exfat fuse2fs)
readonly clients=(2.4.0 0.26.5 0.21.4)
# Verdict by verdict: completed, interrupted and completed, the same by --local-dir, ended, removed, stalled.
readonly scenes=(whole sigkill local local-sigkill patterns removed paused)
readonly s3=github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0

dir=$(mktemp -d)
mkdir "$dir"/{mnt,out,pids,run}
chmod 755 "$dir"

clear_up() {
	local name
	for name in "$dir"/mnt/*; do umount -l "$name" 2>/dev/null || true; done
	for name in "$dir"/pids/*; do [[ ! -e $name ]] || kill -KILL "${name##*/}" 2>/dev/null || true; done
	rm -rf --one-file-system "$dir" # nothing that could not be unmounted
}
trap clear_up EXIT
trap "exit 1" INT TERM

say() { printf '%s\n' "$*" >&2; }

# image NAME MKFS...: a file system of its own in a file, not mounted yet.
image() {
	local file=$dir/$1.img
	shift
	truncate -s 4G "$file"
	"$@" "$file" >&2
}

# loop NAME MKFS...: likewise, mounted by the kernel.
loop() {
	image "$@"
	mount -o loop "$dir/$1.img" "$dir/mnt/$1"
}

# server NAME ADDRESS CMD...: starts one, and waits until it has said where it listens; that is $said.
server() {
	local out=$dir/out/$1.server address=$2
	shift 2
	"$@" >"$out" 2>&1 &
	touch "$dir/pids/$!"
	for _ in $(seq 600); do
		! said=$(grep -Eo "$address" "$out") || return 0
		sleep 0.1
	done
	return 1
}

# try NAME: mounts it at $dir/mnt/NAME; no success if that can't be done here. What it lies on is in $dir/NAME.
try() {
	local at=$dir/mnt/$1 below=$dir/$1
	mkdir -p "$at" "$below"
	case $1 in
	ext4) loop ext4 mkfs.ext4 -q ;;
	xfs) loop xfs mkfs.xfs -q ;;
	btrfs) loop btrfs mkfs.btrfs -q ;;
	tmpfs) mount -t tmpfs -o size=3G tmpfs "$at" ;;
	overlay)
		mkdir -p "$below"/{lower,upper,work}
		mount -t overlay -o "lowerdir=$below/lower,upperdir=$below/upper,workdir=$below/work" overlay "$at"
		;;
	bindfs) bindfs "$below" "$at" ;;
	mergerfs) mkdir -p "$below"/{one,two} && mergerfs "$below/one:$below/two" "$at" ;;
	fuse-overlayfs)
		mkdir -p "$below"/{lower,upper,work}
		fuse-overlayfs -o "lowerdir=$below/lower,upperdir=$below/upper,workdir=$below/work" "$at"
		;;
	gocryptfs)
		echo nobody >"$dir/gocryptfs.pass"
		gocryptfs -q -init -scryptn 10 -passfile "$dir/gocryptfs.pass" "$below"
		gocryptfs -q -nosyslog -passfile "$dir/gocryptfs.pass" "$below" "$at"
		;;
	sshfs) # the real server, without the network; some versions refuse the links of a cache unless told not to
		local plain_links=
		[[ $(sshfs --help 2>&1) != *no_contain_symlinks* ]] || plain_links=1
		printf '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n' >"$dir/ssh" && chmod 755 "$dir/ssh"
		sshfs -o "ssh_command=$dir/ssh${plain_links:+,no_contain_symlinks}" "here:$below" "$at"
		;;
	s3fs)
		echo ID:SECRET >"$dir/s3.pass" && chmod 600 "$dir/s3.pass"
		GOBIN=$dir ${GO:-go} install "$s3" && server s3fs '[0-9]+$' "$dir/gofakes3" -backend memory -host 127.0.0.1:0 -initialbucket cache
		s3fs cache "$at" -o "url=http://127.0.0.1:$said,use_path_request_style,passwd_file=$dir/s3.pass"
		;;
	rclone)
		printf '[here]\ntype = local\n' >"$dir/rclone.conf"
		rclone --config "$dir/rclone.conf" --cache-dir "$dir/rclone.cache" mount --daemon --vfs-cache-mode writes "here:$below" "$at"
		;;
	ntfs-3g) image ntfs-3g mkfs.ntfs -F -Q -q && ntfs-3g "$dir/ntfs-3g.img" "$at" ;;
	fuse2fs) image fuse2fs mkfs.ext4 -q && fuse2fs "$dir/fuse2fs.img" "$at" -o fakeroot ;;
	exfat)
		image exfat mkfs.exfat
		local device
		device=$(losetup --find --show "$dir/exfat.img")
		mount.exfat-fuse "$device" "$at" >&2 || { losetup --detach "$device" && return 1; }
		losetup --detach "$device" # when it is unmounted
		;;
	*) say "no such file system: $1" && return 1 ;;
	esac
	mountpoint -q "$at"
}

# play NAME: all clients and scenes on one file system, with a journal of its own.
play() {
	mkdir -p "$dir/mnt/$1/caches" "$dir/run/$1"
	local only
	only="^($(IFS='|'; echo "${scenes[*]}"))/($(IFS='|'; echo "${clients[*]//./\\.}"))\$"
	TMPDIR=$dir/run/$1 test/harness/journald-alone.sh "$dir/clients" --progressd "$progressd" --at "$dir/mnt/$1/caches" \
		--jobs "${JOBS:-1}" --only "$only" --keep >"$dir/out/$1.table" 2>"$dir/out/$1.said" &
	touch "$dir/pids/$!"
}

# row NAME: its row of the table, from the table of its run, which has a row for each scene and a column for
# each release. A cell has one word if all clients agree.
row() {
	local watched
	watched=$(cat "$dir/run/$1"/*/daemon.stderr | grep -o 'watched_by=.*' | tr -d '"' | cut -d= -f2 | sort -u | paste -sd/)
	awk -F ' *[|] *' -v name="$1" -v watched="$watched" -v heading="${heading:-}" '
		!releases { releases = NF; for (i = 3; i < NF; i++) release[i] = $i; next }
		NF < releases { exit }
		/^[|] ---/ { next }
		{
			all = ""; each = ""; same = 1
			for (i = 3; i < NF; i++) if ($i != "-") {
				if (all != "" && $i != all) same = 0
				all = $i
				each = each (each == "" ? "" : ", ") release[i] ": " $i
			}
			if (all == "") next
			titles = titles " " $2 " |"; lines = lines " --- |"
			cells = cells " " (same ? all : each) " |"
		}
		END {
			if (heading) printf "| file system | seen as |%s\n| --- | --- |%s\n", titles, lines
			printf "| %s | %s |%s\n", name, watched, cells
		}' "$dir/out/$1.table"
}

(($#)) || set -- "${all[@]}"
[[ -x $progressd ]] || { say "no $progressd: make first"; exit 1; }
${GO:-go} build -o "$dir/clients" ./test/clients
names=()
for name; do
	if (try "$name") >"$dir/out/$name.mount" 2>&1; then
		names+=("$name")
		play "$name"
	else
		say "left out: $name: $(tail -n 1 "$dir/out/$name.mount")"
	fi
done
wait
heading=1
for name in "${names[@]}"; do
	row "$name"
	heading=
done
status=0
for name in "${names[@]}"; do
	grep -q ' 0 failed$' "$dir/out/$name.table" || { say "$name:"; grep -v '^played' "$dir/out/$name.said" >&2 || true; status=1; }
done
if [[ ${KEEP-} ]]; then
	mkdir -p "$KEEP" && cp -r "$dir/out" "$KEEP"
	for name in "${names[@]}"; do mkdir -p "$KEEP/$name" && cp -r "$dir/run/$name"/*/{log,output,daemon.stderr} "$KEEP/$name"; done
fi
exit $status
