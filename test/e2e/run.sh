#!/bin/bash
# run.sh [--packages DIR] [SUITE]...: boots a real systemd, of every suite at a time (trixie has 257, bookworm
# 252), and runs inside.sh in it, with this tree bound read-only. With --packages it is packages.sh, and DIR has
# an older and a newer package in old/ and new/. There is no Go in there: what it installs was built
# before. Needs root and Debian (harness), and python3 with venv and PyPI the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The python of each suite: the downloader is installed from out here, for that one.
declare -Ar python=([trixie]=3.13 [bookworm]=3.11)
readonly clients=${XDG_CACHE_HOME:-$HOME/.cache}/progressd-e2e

# The newest release that the tests with the real clients know.
release() { sed -n 's/.*{name: "\([0-9.]*\)", kit: hh(.*/\1/p;T;q' test/clients/releases.go; }

# client SUITE: prints where huggingface_hub for the suite's python is.
client() {
	local pip=$clients/pip dir
	dir=$clients/hub-$(release)-python${python[$1]}
	if [[ ! -e $dir ]]; then
		[[ -x $pip/bin/pip ]] || python3 -m venv --clear "$pip" >&2
		rm -rf "$dir.new"
		"$pip/bin/pip" install --quiet --disable-pip-version-check --no-compile --target "$dir.new" \
			--python-version "${python[$1]}" --only-binary=:all: "huggingface_hub==$(release)" >&2
		chmod 755 "$dir.new" # users in there run it
		mv "$dir.new" "$dir"
	fi
	echo "$dir"
}

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
	hf[$suite]=$(client "$suite")
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
