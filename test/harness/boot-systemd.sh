#!/bin/bash
# boot-systemd.sh: boots a real systemd (PID 1) with journald in a throw-away container and runs
# one command in it. Needs root, and at its first run Debian's packages: it installs
# systemd-container and mmdebstrap on the host and builds a root file system of some 150 MB
# (about 40 s), which is kept in $SYSTEMD_ROOTFS_CACHE. After that it needs no network and about
# a second; a run writes only to a tmpfs laid over the kept root.
#
#   boot-systemd.sh [-s trixie|bookworm] [-b SRC:DST[:opts]]... [-r SRC:DST]... [-e K=V]... [-t SECS] [-n] [-c] -- CMD [ARG...]
#     -s  Debian suite of the root (trixie = systemd 257, bookworm = systemd 252)
#     -b  bind mount, read-write;  -r  bind mount, read-only
#     -e  environment for CMD      -t  time limit for CMD (default 120 s)
#     -n  share the host's network (default: private, loopback only)
#     -c  keep every capability and pass /dev/fuse (FUSE mounts inside)
#   exit status: CMD's own; 124 time limit; 125 harness failure
#
# In force inside: namespaces, seccomp, capabilities, the watchdog, reload. Not in force:
# MemoryMax=, TasksMax=, CPUQuota=.
set -Eeuo pipefail
die() { echo "boot-systemd: $*" >&2; exit 125; }

if [[ ${1-} == --stage2 ]]; then                # ---- PID 1 of our own pid ns, own mount ns
  shift; trap 'exit 125' TERM INT
  # No mount made here is seen outside (unshare --mount makes everything rprivate).
  umount -R /sys/fs/cgroup                      # v1/hybrid tree -> pure cgroup2 view
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs /run         # nspawn wants /run to be a tmpfs
  mount -t proc proc /proc                      # of our pid namespace
  CG=/sys/fs/cgroup/$BS_CGNAME; mkdir "$CG"; echo 0 >"$CG/cgroup.procs"
  LOG=/run/console.log
  IFS=$'\x1f' read -ra NSARGS <<<"$BS_NSARGS" || true
  IFS=$'\x1f' read -ra ENVARGS <<<"$BS_ENVS" || true
  env -i PATH="$PATH" SYSTEMD_LOG_LEVEL=warning SYSTEMD_NSPAWN_LOCK=0 \
  systemd-nspawn --quiet -D "$BS_ROOT" --boot --volatile=overlay --register=no --keep-unit \
      --machine="${BS_SUITE}" --console=read-only --link-journal=no --resolv-conf=off --timezone=off \
      --system-call-filter=bpf --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON `# IPAddressDeny=, DevicePolicy=, SocketBindDeny=` \
      --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self ptrace' \
      "${NSARGS[@]}" systemd.mask=apt-daily.timer systemd.mask=apt-daily-upgrade.timer \
      systemd.mask=dpkg-db-backup.timer systemd.mask=systemd-modules-load.service \
      systemd.mask=console-getty.service </dev/null >"$LOG" 2>&1 &
  NS=$!; LEADER=; ST=
  ct() { nsenter -t "$LEADER" -a -- "$@"; }
  fail() { echo "boot-systemd: $*" >&2; tail -50 "$LOG" >&2
           [[ -z $LEADER ]] || timeout 5 nsenter -t "$LEADER" -a -- journalctl -b --no-pager -n 60 >&2 || true; exit 125; }
  for ((i = 0; i < 600; i++)); do               # 30 s
    kill -0 $NS 2>/dev/null || fail "systemd-nspawn exited early"
    # Anew each time: the first child that nspawn has is only on the way to the container's PID 1.
    read -r LEADER _ </proc/$NS/task/$NS/children || true
    if [[ -n $LEADER ]] && ct test -S /run/dbus/system_bus_socket 2>/dev/null; then
      ST=$(ct systemctl is-system-running 2>/dev/null) || true
      [[ $ST == running || $ST == degraded ]] && break
    fi
    sleep 0.05
  done
  [[ $ST == running || $ST == degraded ]] || fail "no boot within 30 s (state '$ST')"
  [[ $ST == running ]] || { echo "boot-systemd: system is degraded:" >&2; ct systemctl --failed --no-pager --plain >&2 || true; }
  rc=0
  timeout -k 2 "$BS_LIMIT" nsenter -t "$LEADER" -a -- systemd-run --quiet --pipe --wait --collect \
      --service-type=exec --property=WorkingDirectory=/root "${ENVARGS[@]}" -- "$@" || rc=$?
  if ((rc == 124 || rc == 137)); then
    echo "boot-systemd: killed after $BS_LIMIT s; journal:" >&2; timeout 5 nsenter -t "$LEADER" -a -- journalctl -b --no-pager -n 60 >&2 || true
    rc=124
  fi
  kill -TERM $NS                                # = SIGRTMIN+3 to its PID 1: clean poweroff
  for ((i = 0; i < 300; i++)); do kill -0 $NS 2>/dev/null || break; sleep 0.05; done
  exit $rc                                      # we are PID 1: whatever is left is killed
fi

SUITE=trixie LIMIT=120 NSA=() NET=(--private-network) ENVS=()
CACHE=${SYSTEMD_ROOTFS_CACHE:-/var/cache/systemd-rootfs}
while getopts s:b:r:e:t:nc o; do case $o in
  s) SUITE=$OPTARG;;  b) NSA+=("--bind=$OPTARG");;  r) NSA+=("--bind-ro=$OPTARG");;
  e) ENVS+=("--setenv=$OPTARG");;  t) LIMIT=$OPTARG;;  n) NET=();;
  c) NSA+=(--capability=all --bind=/dev/fuse);;
  *) die "usage";; esac; done
shift $((OPTIND - 1)); (($#)) || die "no command"
((EUID == 0)) || die "must be root"
# What the tests use inside beside systemd itself: make and logrotate, python3 for the downloaders,
# libpam-systemd for the service managers of users.
INCLUDE=systemd,systemd-sysv,dbus,libnss-systemd,procps,iproute2,make,logrotate,python3,libpam-systemd
# The name holds the list of packages, so that another list makes another root.
mkdir -p "$CACHE"; ROOT=$CACHE/$SUITE-$(cksum <<<"$INCLUDE" | cut -d' ' -f1)

exec 9>"$CACHE/.lock"; flock 9                  # one builder at a time
if ! command -v systemd-nspawn >/dev/null || ! command -v mmdebstrap >/dev/null; then
  for try in 1 2 3; do
    if { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
         install -yq --no-install-recommends systemd-container mmdebstrap; } >"$CACHE/apt.log" 2>&1; then break; fi
    ((try < 3)) || { tail -20 "$CACHE/apt.log" >&2; die "apt-get failed"; }; sleep 10
  done
fi
if [[ ! -e $ROOT/.complete ]]; then
  rm -rf --one-file-system "$ROOT" "$ROOT.new"
  mmdebstrap --quiet --variant=minbase --include="$INCLUDE" \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$SUITE" "$ROOT.new" >&2 || die "mmdebstrap failed"
  rm -f "$ROOT.new/etc/hostname" "$ROOT.new/etc/resolv.conf"
  : >"$ROOT.new/etc/machine-id"; : >"$ROOT.new/.complete"; mv "$ROOT.new" "$ROOT"
fi
exec 9>&-

j() { local IFS=$'\x1f'; echo "$*"; }
export BS_ROOT=$ROOT BS_SUITE=$SUITE BS_LIMIT=$LIMIT BS_CGNAME=bootsd-$$-$RANDOM
BS_NSARGS=$(j "${NET[@]}" "${NSA[@]}"); BS_ENVS=$(j "${ENVS[@]}"); export BS_NSARGS BS_ENVS
CGROOT=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
for d in "$CGROOT"/bootsd-*-*; do               # empty leftovers of runs killed with -9
  [[ -d $d ]] || continue; p=${d##*/bootsd-}; [[ -d /proc/${p%-*} ]] || find "$d" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
cleanup() {                                     # only our own, by now empty, cgroup
  local i; for ((i = 0; i < 50; i++)); do
    [[ -d $CGROOT/$BS_CGNAME ]] || return 0
    find "$CGROOT/$BS_CGNAME" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
  done; return 0; }
trap cleanup EXIT
trap 'kill -KILL $CHILD 2>/dev/null; exit 143' TERM INT HUP
# Die with us: script killed -> unshare killed (pdeathsig) -> pid ns init killed -> everything in it.
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL -- \
  /bin/bash "$0" --stage2 "$@" <&0 &
CHILD=$!; rc=0; wait $CHILD || rc=$?
exit $rc
