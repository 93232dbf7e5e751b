#!/bin/sh
# fuzz.sh TIME: runs every fuzz test of the module for TIME each ("10s", or "1000x": inputs), one after the other ("go test
# -fuzz" takes one at a time). What it finds lies in that package's testdata/fuzz: commit it.
set -eu
go=${GO:-go}
list=$(mktemp)
trap 'rm -f "$list"' EXIT

# "go test -list" prints the names of a package's tests, then "ok <package> ...".
$go test -list '^Fuzz' ./... >"$list"
names=
while read -r first second _; do
	case $first in
	Fuzz*) names="$names $first" ;;
	ok)
		for name in $names; do
			echo "--- $second $name"
			$go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$second"
		done
		names=
		;;
	esac
done <"$list"
