#!/bin/bash
# version.sh VERSION: prints a version as git describes it in the form that dpkg and rpm order rightly.
# v1.2.3 is 1.2.3; v1.2.3-rc1 comes before it, as 1.2.3~rc1; five commits later is 1.2.3+5.gabc. Without any
# tag it is older than every release, and is ordered by the day of SOURCE_DATE_EPOCH.
set -euo pipefail

version=${1#v} later=
if [[ $version == *-dirty ]]; then later=.dirty version=${version%-dirty}; fi
if [[ $version =~ ^([0-9].*)-([0-9]+)-(g[0-9a-f]+)$ ]]; then
	version=${BASH_REMATCH[1]} later=.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}$later
fi
if [[ $version != [0-9]*.* ]]; then
	version=0~$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y%m%d).${version//[^A-Za-z0-9]/.}
fi
echo "${version//-/\~}${later/#./+}"
