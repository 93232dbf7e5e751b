#!/bin/bash
# run.sh [SUITE]: boots a real systemd and runs inside.sh in it, with this tree bound read-only.
# There is no Go in there: what it installs was built before. Needs root and Debian (harness).
set -euo pipefail
cd "$(dirname "$0")/../.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp" # users in there run the writer
CGO_ENABLED=0 ${GO:-go} build -trimpath -buildvcs=false -o "$tmp/writer" ./test/e2e/writer

test/harness/boot-systemd.sh -s "${1:-trixie}" -r "$PWD:/src" -r "$tmp:/tools" -t 180 -- /src/test/e2e/inside.sh
