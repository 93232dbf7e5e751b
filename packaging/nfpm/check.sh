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

# tries_rpm RPM: installed below a root of its own, its configuration changed, upgraded, erased. Without the
# scripts, which need an rpm-based system around them; what they are is looked at instead.
tries_rpm() {
	local rpm=$1 root=$work/root
	rpm=$(realpath "$rpm")
	mkdir "$root"
	in_root() { rpm --root "$root" --nodeps "$@" 2> >(grep -v 'use Alien\|know what you are doing' >&2); }
	rpm --root "$root" --initdb
	in_root --install --noscripts "$rpm" || die "$rpm: cannot be installed"
	in_root --verify progressd || die "$rpm: installed, it is not what it says"
	echo '# mine' >>"$root/etc/progressd/config.toml"
	in_root --upgrade --replacepkgs --noscripts "$rpm" || die "$rpm: cannot be upgraded"
	grep -qx '# mine' "$root/etc/progressd/config.toml" || die "$rpm: an upgrade takes the configuration away"
	in_root --erase --noscripts progressd || die "$rpm: cannot be erased"
	[[ $(find "$root" -name '*progress[dc]*') == "$root/etc/progressd" ]] ||
		die "$rpm: left behind: $(find "$root" -name '*progress[dc]*')"
	grep -qx '# mine' "$root/etc/progressd/config.toml.rpmsave" || die "$rpm: the changed configuration is lost"
	for script in prein postin preun postun; do
		rpm --query --package --queryformat "%{$script}" "$rpm" 2>/dev/null | sed '/^(none)$/d' | sh -n || die "$rpm: $script"
	done
	echo "rpm: installed, upgraded with its configuration kept, erased"
}

for tool in lintian rpmlint rpm cpio; do
	command -v "$tool" >/dev/null || die "$tool is missing (Debian: $tool)"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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

if ((EUID == 0)); then tries_rpm "$dist"/*."$(uname -m)".rpm; else echo 'SKIPPED: rpm --root needs root'; fi

as_root=()
((EUID != 0)) || as_root=(--allow-root)
lintian "${as_root[@]}" --fail-on error "${debs[@]}" || die "lintian"

# The names in the payload are absolute. rpmlint unpacks it by cpio, which as root would write them
# over this machine's own files: it gets a cpio that doesn't.
shims=$work/shims
mkdir "$shims"
printf '#!/bin/sh\nexec %s --no-absolute-filenames "$@"\n' "$(command -v cpio)" >"$shims/cpio"
chmod 755 "$shims/cpio"
PATH=$shims:$PATH rpmlint --config "$here/rpmlint.toml" "${rpms[@]}" || die "rpmlint"
