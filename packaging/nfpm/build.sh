#!/bin/bash
# build.sh ARCH STAGE LICENSES OUT: packs what "make install" has laid down in STAGE (usr and etc) into OUT, as
# deb and rpm for ARCH (Go's name of it), with the file LICENSES, those of the libraries, among the documents. The same tree, version and SOURCE_DATE_EPOCH make the same bytes.
# Called by "make packages", which sets NFPM (the binary), VERSION and SOURCE_DATE_EPOCH. Paths are absolute.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly here=packaging/nfpm arch=$1 stage=$2 licenses=$3 out=$4
: "${NFPM:?}" "${VERSION:?}" "${SOURCE_DATE_EPOCH:?}"
export SOURCE_DATE_EPOCH

# The one unit that an installation enables and starts. Every other one that is installed is the
# administrator's choice; an upgrade restarts those that run.
readonly started=progressd.service
# What rpm calls the processors.
declare -Ar rpmarch=([amd64]=x86_64 [arm64]=aarch64)

# units DIRECTORY: the units that are installed there, templates left out: they have no state of their own.
units() { (cd "$stage/usr/lib/systemd/$1" && printf '%s\n' *.service *.socket *.timer | grep -v '[*@]'); }

# enabled_by_hand: those that can be enabled, less the one that is by itself.
enabled_by_hand() {
	local unit
	for unit in $(units system); do
		if [[ $unit != "$started" ]] && grep -q '^\[Install\]' "$stage/usr/lib/systemd/system/$unit"; then echo "$unit"; fi
	done
}

# The maintainer scripts, with the names of the units that this tree has.
scripts() {
	local script by_hand system user
	by_hand=$(enabled_by_hand | paste -sd' ') system=$(units system | paste -sd' ') user=$(units user | paste -sd' ')
	for script in deb.postinst deb.prerm deb.postrm rpm.post rpm.preun rpm.postun; do
		sed -e "s|@STARTED@|$started|g" -e "s|@BY_HAND@|$by_hand|g" -e "s|@SYSTEM@|$system|g" -e "s|@USER@|$user|g" "$here/$script" >"$stage/$script"
	done
}

# documents sorts manual pages and documents out, compressed as each kind of package wants them.
documents() {
	local date
	date=$(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')
	mkdir -p "$stage/doc" "$stage/deb"
	mv "$stage/usr/share/man" "$stage/usr/share/doc" "$stage/doc"
	find "$stage/doc/man" -type f -exec gzip -9n {} +
	rm "$stage/doc/doc/progressd/LICENSE" # each kind of package has a place of its own for it
	install -m 644 "$licenses" "$stage/doc/doc/progressd/third-party-licenses"
	install -m 644 LICENSE CHANGELOG.md "$here/lintian-overrides" "$here/nfpm.yaml" "$stage"
	install -m 644 "$here/copyright" "$stage/deb"
	gzip -9nc CHANGELOG.md >"$stage/deb/changelog.gz"
	gzip -9nc >"$stage/deb/changelog.Debian.gz" <<-END
		progressd ($PACKAGE_VERSION-1) unstable; urgency=medium

		  * As it came from its authors: see changelog.gz.

		 -- $MAINTAINER  $date
	END
	chmod 644 "$stage/deb"/*
	(cd "$stage/doc" && find . -type f -printf '%P\n' | LC_ALL=C sort) |
		sed 's|.*|  - {src: "doc/&", dst: "/usr/share/&", packager: rpm, type: doc}|' >>"$stage/nfpm.yaml"
}

PACKAGE_VERSION=$("$here/version.sh" "$VERSION")
# Whose packages these are. Who distributes them says so; HOMEPAGE may be empty.
MAINTAINER=${MAINTAINER:-The progressd authors <noreply@example.com>}
export HOMEPAGE=${HOMEPAGE-}
export ARCH=$arch PACKAGE_VERSION MAINTAINER HOMEPAGE
documents
scripts
find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
rm -f "$out/progressd_"*"_$arch.deb" "$out/progressd-"*".${rpmarch[$arch]-$arch}.rpm" # of another version
cd "$stage"
for packager in deb rpm; do
	"$NFPM" package --packager "$packager" --target "$out"
done
