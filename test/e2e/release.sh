# shellcheck shell=bash
# release.sh: the real client for those scripts that play it, from PyPI the first time. It is read outside of the
# machines under test.

readonly clients=${XDG_CACHE_HOME:-$HOME/.cache}/progressd-e2e

# The newest release that the tests with the real clients know.
release() { sed -n 's/.*{name: "\([0-9.]*\)", kit: hh(.*/\1/p;T;q' test/clients/releases.go; }

# client VERSION: prints where huggingface_hub for that version of python is.
client() {
	local pip=$clients/pip dir
	dir=$clients/hub-$(release)-python$1
	if [[ ! -e $dir ]]; then
		[[ -x $pip/bin/pip ]] || python3 -m venv --clear "$pip" >&2
		rm -rf "$dir.new"
		"$pip/bin/pip" install --quiet --disable-pip-version-check --no-compile --target "$dir.new" \
			--python-version "$1" --only-binary=:all: "huggingface_hub==$(release)" >&2
		chmod 755 "$dir.new" # users in there run it
		mv "$dir.new" "$dir"
	fi
	echo "$dir"
}
