#!/bin/bash
# journald-alone.sh CMD [ARG...]: runs CMD with a real systemd-journald listening, and no systemd as
# PID 1: a tenth of a second instead of a boot, for what only needs the journal's socket.
# Needs root and the package systemd. Read what came with journalctl -D "$JOURNAL_DIR".
# Everything is in mount and pid namespaces of its own; _SYSTEMD_UNIT is not set here.
set -euo pipefail
if [[ ${1-} != --in ]]; then exec unshare --mount --pid --fork --kill-child=KILL -- /bin/bash "$0" --in "$@"; fi
shift
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
# journald names its directory after the machine; a bare container may have no name yet.
[[ -s /etc/machine-id ]] || systemd-machine-id-setup >&2
JOURNAL_DIR=/run/log/journal/$(cat /etc/machine-id); export JOURNAL_DIR
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d "$JOURNAL_DIR"
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nRateLimitIntervalSec=0\n' >/run/systemd/journald.conf.d/ci.conf
/lib/systemd/systemd-journald & J=$!
for _ in $(seq 200); do [[ -S /run/systemd/journal/socket ]] && break; sleep .02; done
[[ -S /run/systemd/journal/socket ]] || { echo "journald-alone: journald did not come up" >&2; kill $J; exit 125; }
rc=0; "$@" || rc=$?
kill $J; wait $J || true; exit $rc
