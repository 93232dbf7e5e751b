#!/bin/sh
# host.sh installed LIBDIR | stop | removed: what "make install" and "make uninstall" do to a living
# system beside laying down and removing files. Called without DESTDIR only. Each step says
# what is left to do by hand where it can't be done, and fails nothing: the files are in place.
set -u

# running: systemd is this machine's init (in a chroot or a container it may not be).
running() { [ -d /run/systemd/system ]; }

# try WHY CMD...: run it if it is there.
try() {
	why=$1
	shift
	if ! command -v "$1" >/dev/null 2>&1; then
		echo "no $1 here: $why yourself" >&2
	elif ! "$@"; then
		echo "cannot $why: \"$*\" failed" >&2
	fi
}

case ${1-} in
installed)
	try 'make the user progressd' systemd-sysusers "$2/sysusers.d/progressd.conf"
	try 'update the message catalog' journalctl --update-catalog
	if ! running; then
		echo 'systemd does not run here: start progressd where it does'
	elif try 'reload systemd' systemctl daemon-reload && systemctl is-active --quiet progressd; then
		echo 'to use the new version: systemctl restart progressd'
	else
		echo 'to start it now and at every boot: systemctl enable --now progressd'
	fi
	echo 'downloads over HTTP, while somebody looks: systemctl enable --now progressd-http.socket'
	echo 'for one user, without root: systemctl --user daemon-reload; systemctl --user enable --now progressd'
	;;
stop)
	if command -v systemctl >/dev/null 2>&1 && systemctl cat progressd-http.socket >/dev/null 2>&1; then
		if running; then systemctl disable --now progressd-http.socket progressd-http.service; else systemctl disable progressd-http.socket; fi
	fi || exit
	# Here a failure counts: the files of a running service are not taken away.
	if command -v systemctl >/dev/null 2>&1 && systemctl cat progressd.service >/dev/null 2>&1; then
		if running; then systemctl disable --now progressd.service; else systemctl disable progressd.service; fi
	fi
	;;
removed)
	try 'update the message catalog' journalctl --update-catalog
	! running || try 'reload systemd' systemctl daemon-reload
	echo 'who runs it as a user ends it with: systemctl --user disable --now progressd'
	;;
*)
	echo "usage: host.sh installed LIBDIR | stop | removed" >&2
	exit 2
	;;
esac
