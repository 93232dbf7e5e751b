#!/bin/bash
# licenses.sh: prints the licenses of what is linked into the programs beside progressd itself, as they ask for
# it: Go's own and those of all libraries. GO is the go command.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

echo 'progressd is under the Apache License, Version 2.0. Its programs contain the following, each under its own license.'
{
	printf 'Go\t%s\t%s\n' "$($go env GOVERSION)" "$($go env GOROOT)"
	GOOS=linux $go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{"\t"}}{{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}' ./cmd/... | sed '/^$/d' | LC_ALL=C sort -u
} | while IFS=$'\t' read -r name version dir; do
	found=0
	for file in "$dir"/{LICENSE,COPYING,NOTICE}*; do
		[[ -f $file ]] || continue
		found=1
		printf '\n=== %s %s: %s\n\n' "$name" "$version" "${file##*/}"
		cat "$file"
	done
	((found)) || { echo "licenses.sh: no license in $dir ($name)" >&2; exit 1; }
done
