#!/bin/bash
# run.sh [--packages DIR] [SUITE]...: boots a real systemd, of every suite at a time (trixie has 257, bookworm
# 252), and runs inside.sh in it, with this tree bound read-only. With --packages it is packages.sh, and DIR has
# an older and a newer package in old/ and new/. There is no Go in there: what it installs was built
# before. Needs root and Debian (harness), and python3 with venv and PyPI the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The python of each suite: the downloader is installed from out here, for that one.
declare -Ar python=([trixie]=3.13 [bookworm]=3.11)
# shellcheck source=test/e2e/release.sh
. test/e2e/release.sh

tools=$(mktemp -d)
declare -A running=() hf=()
trap '((${#running[@]} == 0)) || kill "${running[@]}" 2>/dev/null; wait; rm -rf "$tools"' EXIT
trap 'exit 130' INT TERM
CGO_ENABLED=0 ${GO:-go} build -trimpath -buildvcs=false -o "$tools/hub" ./test/e2e/hub

script=inside.sh binds=()
if [[ ${1-} == --packages ]]; then
	script=packages.sh binds=(-r "$(realpath "$2"):/packages")
	shift 2
fi
(($#)) || set -- trixie bookworm
for suite; do
	[[ -n ${python[$suite]-} ]] || { echo "no such suite: $suite (there are ${!python[*]})" >&2; exit 2; }
	hf[$suite]=$(client "${python[$suite]}")
done
# What is waited for costs nothing: all suites wait at the same time.
for suite; do
	test/harness/boot-systemd.sh -s "$suite" -r "$PWD:/src" -r "$tools:/tools" -r "${hf[$suite]}:/hf" "${binds[@]}" -t 600 \
		-- "/src/test/e2e/$script" >"$tools/$suite.log" 2>&1 &
	running[$suite]=$!
done
failed=0
for suite; do
	printf '\n--- %s, huggingface_hub %s\n' "$suite" "$(release)"
	wait "${running[$suite]}" || failed=$?
	unset "running[$suite]"
	cat "$tools/$suite.log"
done
exit "$failed"
