#!/bin/bash
# check.sh DIST AGAIN: what must hold of packages. Called by "make packages-check", which has built them
# twice, into DIST and AGAIN. Needs lintian, rpmlint, rpm and cpio (Debian's packages of these names).
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD dist=$1 again=$2

die() { echo "packages-check: $*" >&2; exit 1; }
sums() { (cd "$1" && sha256sum -- *.deb *.rpm); }

# What "make install" lays down, as the package has it: compressed, and the license in its own place.
staged() { (cd "$1/stage" && find usr etc doc -type f) | sed -e 's|^doc/|usr/share/|' -e 's|^|/|' | LC_ALL=C sort; }
# What one kind of package has beside that.
only_deb='^/usr/share/(doc/progressd/(changelog(\.Debian)?\.gz|copyright)|lintian/overrides/progressd|zsh/vendor-completions/_progressctl)$'
only_rpm='^/usr/share/(doc/progressd/CHANGELOG.md|licenses/progressd/LICENSE)$'

for tool in lintian rpmlint rpm cpio; do
	command -v "$tool" >/dev/null || die "$tool is missing (Debian: $tool)"
done
shopt -s nullglob
debs=("$dist"/*.deb) rpms=("$dist"/*.rpm)
((${#debs[@]} && ${#debs[@]} == ${#rpms[@]})) || die "no packages in $dist"

diff <(sums "$dist") <(sums "$again") || die "two builds differ"
echo "two builds are the same to the byte:"
sums "$dist"

for deb in "${debs[@]}"; do
	arch=${deb##*_} arch=${arch%.deb}
	diff <(staged "$dist/build/$arch") \
		<(dpkg-deb --fsys-tarfile "$deb" | tar --list | sed -e 's|^\.||' | grep -v '/$' | grep -Ev "$only_deb" | LC_ALL=C sort) ||
		die "$deb: not what make install lays down"
	[[ $(dpkg-deb --info "$deb" conffiles | LC_ALL=C sort) == $(cd "$dist/build/$arch/stage" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) ]] ||
		die "$deb: not everything in /etc is a conffile"
done
for rpm in "${rpms[@]}"; do
	case $rpm in *.x86_64.rpm) arch=amd64 ;; *.aarch64.rpm) arch=arm64 ;; *) die "$rpm: of what processor is it?" ;; esac
	diff <(staged "$dist/build/$arch") \
		<(rpm --query --package --queryformat '[%{FILEMODES:perms} %{FILENAMES}\n]' "$rpm" | sed -n 's/^-[^ ]* //p' | grep -Ev "$only_rpm" | LC_ALL=C sort) ||
		die "$rpm: not what make install lays down"
	[[ $(rpm --query --package --configfiles "$rpm" | LC_ALL=C sort) == $(cd "$dist/build/$arch/stage" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) ]] ||
		die "$rpm: not everything in /etc is a configuration file"
done
echo "what is in them is what make install lays down"

as_root=()
((EUID != 0)) || as_root=(--allow-root)
lintian "${as_root[@]}" --fail-on error "${debs[@]}" || die "lintian"

# The names in the payload are absolute. rpmlint unpacks it by cpio, which as root would write them
# over this machine's own files: it gets a cpio that doesn't.
shims=$(mktemp -d)
trap 'rm -rf "$shims"' EXIT
printf '#!/bin/sh\nexec %s --no-absolute-filenames "$@"\n' "$(command -v cpio)" >"$shims/cpio"
chmod 755 "$shims/cpio"
PATH=$shims:$PATH rpmlint --config "$here/rpmlint.toml" "${rpms[@]}" || die "rpmlint"
