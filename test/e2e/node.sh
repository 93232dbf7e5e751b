#!/bin/bash
# node.sh: a node of Kubernetes, made up in namespaces of its own: the directories that a kubelet and containerd
# have there, containers with cgroups, mount and process namespaces of their own, one of them on an overlay file
# system alone. In them real clients download, as root and as another user; progressd runs as its DaemonSet has it,
# with the shipped configuration, the host's processes and one capability. Needs root, cgroup2, overlay file
# systems, and python3 with venv and PyPI the first time.
set -euo pipefail
if [[ ${1-} != --in ]]; then
	cd "$(dirname "$0")/../.."
	tools=$(mktemp -d)
	trap 'rm -rf "$tools"' EXIT
	CGO_ENABLED=0 ${GO:-go} build -trimpath -buildvcs=false -o "$tools/hub" ./test/e2e/hub
	# shellcheck source=test/e2e/release.sh
	. test/e2e/release.sh
	hf=$(client "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')")
	unshare --mount --pid --fork --kill-child=KILL -- /bin/bash test/e2e/node.sh --in "$tools" "$hf"
	exit
fi
tools=$2 hf=$3

# shellcheck source=test/e2e/lib.sh
. test/e2e/lib.sh
die() {
	echo "FAILED - $*"
	tail -n 40 "$work"/lines "$work"/said "$work"/*.log
	exit 1
}

mount --make-rshared / # as systemd has it on a node: what is mounted later shows in the daemon's own namespace
mount -t proc proc /proc
mount -t tmpfs -o mode=1777 tmpfs /mnt
work=/mnt/work
mkdir -p $work
chmod 755 $work
mkdir $work/cgroup && mount -t cgroup2 cgroup2 $work/cgroup

# Where kubelet and containerd keep things.
readonly pods=/var/lib/kubelet/pods tasks=/run/containerd/io.containerd.runtime.v2.task/k8s.io
for directory in /var/lib/kubelet /var/log/pods /run/containerd /srv /var/lib/progressd /var/log/progressd /run/progressd; do
	mkdir -p $directory
	mount -t tmpfs -o mode=755 tmpfs $directory
done
mkdir -p $pods $tasks /srv/models

# pod NAME: its uid, which no other such node has, and what the kubelet makes for it.
declare -A uid=()
pod() {
	uid[$1]=$(cat /proc/sys/kernel/random/uuid)
	mkdir -p "/var/log/pods/models_$1_${uid[$1]}"
}
volume() { # POD PLUGIN/NAME OWNER
	local path=$pods/${uid[$1]}/volumes/kubernetes.io~$2
	mkdir -p "$path"
	chown "$3:$3" "$path"
	echo "$path"
}

# container POD USER VOLUME COMMAND...: runs a command as a container of the pod does: in its cgroup, on an overlay
# file system of its own over this machine's files, with processes of its own, the volume at /cache. No VOLUME: none.
containers=0
container() {
	local pod=$1 user=$2 volume=$3 id cgroup root
	shift 3
	containers=$((containers + 1))
	id=$(printf '%060x' $RANDOM$RANDOM$RANDOM)$(printf '%04x' $containers)
	cgroup=$work/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid[$pod]//-/_}.slice/cri-containerd-$id.scope
	root=$tasks/$id/rootfs
	mkdir -p "$cgroup" "$root" $work/layers/$id/{upper,work}
	mount -t overlay -o "lowerdir=/,upperdir=$work/layers/$id/upper,workdir=$work/layers/$id/work" overlay "$root"
	mkdir -p "$root"/{cache,hf,proc}
	mount --bind "$hf" "$root/hf"
	[[ -z $volume ]] || mount --bind "$volume" "$root/cache"
	printf '%s\n' "$(dirname "$cgroup")" "$cgroup" >>$work/cgroups
	(
		echo $BASHPID >"$cgroup/cgroup.procs"
		exec unshare --mount --pid --fork --kill-child=KILL -- /bin/sh -c 'mount -t proc proc "$1/proc" && shift && exec chroot "$@"' - \
			"$root" --userspec="$user:$user" "$root" /usr/bin/env -i PATH=/usr/bin:/bin HF_ENDPOINT="$endpoint" HF_HUB_DISABLE_XET=1 \
			HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DOWNLOAD_TIMEOUT=300 PYTHONPATH=/hf PYTHONDONTWRITEBYTECODE=1 "$@"
	) >"$work/$pod.log" 2>&1 &
}
clean() {
	set +e
	jobs -p | xargs --no-run-if-empty kill 2>/dev/null
	wait
	# A cgroup stays until the last of its processes is gone, and another such node may be there.
	eventually 5 sh -c "tac $work/cgroups | xargs --no-run-if-empty rmdir 2>/dev/null; xargs --no-run-if-empty -n1 test ! -d <$work/cgroups"
	rmdir $work/cgroup/kubepods.slice/kubepods-burstable.slice $work/cgroup/kubepods.slice 2>/dev/null
	true
}
trap clean EXIT
: >$work/cgroups

coproc HUB { exec "$tools/hub" org/volume org/claim org/image org/early; }
hub_commands=${HUB[1]}
read -r endpoint <&"${HUB[0]}"

# As base/daemonset.yaml has it: a file system that is read only, the host's processes, one capability.
daemon() {
	mkdir -p $work/etc
	cp deploy/kubernetes/container-filesystems/config.toml $work/etc
	unshare --mount --propagation slave -- /bin/sh -c '
		for at in /var/lib/kubelet /var/log/pods /srv /run/containerd; do mount -o remount,bind,ro "$at" || exit; done
		LOGS_DIRECTORY=/var/log/progressd STATE_DIRECTORY=/var/lib/progressd RUNTIME_DIRECTORY=/run/progressd exec setpriv --no-new-privs --inh-caps=-all,+dac_read_search \
			--bounding-set=-all,+dac_read_search --ambient-caps=-all -- "$@"' - \
		"$PWD/bin/progressd" --config $work/etc/config.toml >>$work/lines 2>>$work/said &
	daemon=$!
	eventually 20 grep -q 'msg=watching' $work/said || die "progressd does not start"
}

# told POD EVENT KEY=VALUE...: a line says so, of a pod by its name.
told() {
	python3 - "$work/lines" "$@" <<-'END'
		import json, sys
		lines, pod, event, *wanted = sys.argv[1:]
		for line in open(lines):
		    record = json.loads(line)
		    if record["event"] == event and record.get("pod") == pod and record.get("namespace") == "models" and \
		            all(str(record.get(key)).startswith(value) for key, value in (w.split("=", 1) for w in wanted)):
		        sys.exit(0)
		sys.exit(1)
	END
}

download='python3 /hf/bin/hf download'

# One is at it when the daemon starts.
pod early
at=$(volume early empty-dir/cache 0)
container early 0 "$at" HF_HUB_CACHE=/cache/hub HOME=/ $download org/early
eventually 60 sh -c "ls $at/hub/models--org--early/blobs/*.incomplete" || die "the client does not begin"
daemon
eventually 60 told early preparing model=org/early root="$at/hub" command=hf || die "what is under way is not told of"
ok "a download that was under way is the pod's that the cgroup names"

pod volume && pod claim && pod image
at=$(volume volume empty-dir/home 1000)
claim=$(volume claim csi/pvc-1/mount 1000)
container volume 1000 "$at" HOME=/cache $download org/volume
container claim 1000 "$claim" HOME=/tmp $download org/claim --local-dir /cache
container image 0 '' HOME=/root $download org/image
eventually 60 told volume started model=org/volume root="$at/.cache/huggingface/hub" command=hf || die "nothing of a volume"
eventually 60 told claim started model=org/claim root="$claim" command=hf || die "nothing of a claim"
eventually 60 told image started model=org/image root=$tasks/ command=hf || die "nothing of a container's own file system"
ok "volumes (a home; --local-dir) and a container's own file system, by users of their own: each is told of, with its pod"

# As the component metrics has it: a user of its own in the daemon's group, who sees nothing but its socket.
install -m 755 bin/progressctl $work/progressctl
install -d -o 65532 $work/http.d
setpriv --reuid=65532 --regid=0 --clear-groups --bounding-set=-all --inh-caps=-all -- $work/progressctl serve --listen $work/http.d/http >$work/serve.log 2>&1 &
metrics() { python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n"); print(s.makefile().read())' $work/http.d/http; }
eventually 10 metrics || die "no metrics"
metrics >$work/metrics
for series in "progressd_download_size_bytes{model=\"org/claim\",repo_type=\"model\",root=\"$claim\"} 1.300037e+08" "progressd_root_up{root=\"$claim\"} 1" progressd_process_resident_memory_bytes; do
	grep -q "^$series" $work/metrics || { cat $work/metrics; die "no series $series"; }
done
progress=$(bin/progressctl status) && [[ $progress == *org/image* ]] || die "the liveness probe fails: $progress"
ok "numbers by the container of metrics; the liveness probe"

for model in early volume claim image; do echo "open org/$model" >&"$hub_commands"; done
for pod in early volume claim image; do
	eventually 120 told $pod completed || die "$pod: not completed"
done
ok "each is completed"
! grep -q '"level":"error"\|"event":"stalled"\|"event":"interrupted"' $work/lines || die "something else is told"
n=$(wc -l <$work/lines)
kill $daemon && wait $daemon || die "it ends with $?"
daemon
sleep 20
(($(wc -l <$work/lines) == n)) || die "a restart repeats lines"
ok "a new version repeats nothing"
