#!/bin/bash
# packages.sh: what an administrator does with the Debian package, from the first installation to "purge", in a
# real systemd that may be thrown away afterwards. Run by run.sh; never run it on a machine of yours.
# /packages/old and /packages/new have a package each, of which the second is the newer one.
set -u # not pipefail: "grep -q" leaves early

# shellcheck source=test/e2e/lib.sh
. /src/test/e2e/lib.sh
export DEBIAN_FRONTEND=noninteractive

old=(/packages/old/*.deb) new=(/packages/new/*.deb)
install_package() { dpkg --install "$1" >/var/tmp/dpkg.log 2>&1 || { cat /var/tmp/dpkg.log; die "dpkg --install $1"; }; }
version_of() { dpkg-deb --field "$1" Version; }

# How often the system's daemon has begun.
began_as_system() { journalctl --sync; journalctl --quiet --no-pager --output=cat _SYSTEMD_UNIT=progressd.service | grep -c 'msg=watching'; }

is_users_other_than() { [[ $(users_property ActiveState) == active && $(users_property MainPID) != "$1" ]]; }

# What --check says of a configuration with roots of its own, as root beside the service.
tells_what_it_cannot_see() {
	local out
	mkdir -p /tmp/hf/hub /var/lib/private/served/hub /srv/models/hub
	useradd --create-home --home-dir /srv/erin erin
	mkdir -p /srv/erin/.cache/huggingface/hub
	echo 'roots = ["/tmp/hf/hub", "/var/lib/private/served/hub", "/srv/models/hub"]' >/etc/progressd/tried.toml
	out=$(progressd --config /etc/progressd/tried.toml --check) || die "--check: $out"
	[[ $out == *"/tmp/hf/hub is not seen by the packaged service"*tmp-caches.conf* ]] || die "nothing said of PrivateTmp=: $out"
	[[ $out == *"/var/lib/private/served/hub is not seen by the running service (pid $(property MainPID))"* ]] || die "nothing said of what the unit keeps: $out"
	[[ $out == *"/srv/erin/.cache/huggingface/hub is a cache, and no root covers it"* ]] || die "nothing said of a home elsewhere: $out"
	[[ $out != *"/srv/models/hub is"* ]] || die "said of a root that is seen: $out"
	rm -r /tmp/hf /var/lib/private/served /srv/models /etc/progressd/tried.toml
	userdel --remove erin 2>/dev/null
	ok "progressd --check: what the service does not see, and which caches no root covers"
}

is_users_gone() { ! as_alice systemctl --user is-active --quiet progressd; }

makes_a_service() {
	install_package "${old[0]}"
	getent passwd progressd >/dev/null || die "no user progressd"
	[[ $(systemctl is-enabled progressd),$(property ActiveState) == enabled,active ]] || die "not enabled, or not active"
	[[ $(property FragmentPath) == /usr/lib/systemd/system/progressd.service || $(property FragmentPath) == /lib/systemd/system/progressd.service ]] ||
		die "another unit: $(property FragmentPath)"
	grep -q '^CapPrm:.0*4$' "/proc/$(property MainPID)/status" || die "other capabilities than wanted"
	[[ $(stat --format=%a /run/progressd/progressd.sock) == 666 ]] || die "no socket for everybody"
	journalctl --list-catalog | grep -q 'progressd: .* is complete' || die "no message catalog"
	systemctl --global is-enabled progressd.service >/dev/null 2>&1 && die "every user would have a daemon as well"
	[[ -z $(dpkg --verify progressd | grep -v /usr/share/) ]] || die "dpkg --verify: $(dpkg --verify progressd)"
	ok "dpkg --install: user, unit, socket, catalog; enabled and active"
}

is_upgraded_in_the_middle() {
	local pid users_pid began
	loginctl enable-linger alice
	loginctl enable-linger bob
	eventually 20 as_alice systemctl --user show-environment || die "alice has no service manager"
	eventually 20 as bob systemctl --user show-environment || die "bob has no service manager"
	as_alice systemctl --user enable --quiet --now progressd || die "systemctl --user enable --now"
	echo '# mine' >>/etc/progressd/config.toml
	start_download alice org/upgraded
	pid=$(property MainPID) users_pid=$(users_property MainPID)
	began=$(began_as_system)
	install_package "${new[0]}"
	[[ $(property ActiveState) == active && $(property MainPID) != "$pid" ]] || die "not restarted"
	(($(began_as_system) == began + 1)) || die "restarted $(($(began_as_system) - began)) times"
	as bob systemctl --user is-active --quiet progressd && die "a user who has not asked for it has a daemon"
	[[ $("/proc/$(property MainPID)/exe" --version) == "$(progressd --version)" ]] || die "the old version goes on"
	eventually 10 is_users_other_than "$users_pid" ||
		die "the daemon of a user goes on with the old version, or is gone"
	finish_download
	once org/upgraded
	entry EVENT=completed MODEL=org/upgraded PROOF=listing || die "no success in the journal"
	log=/home/alice/.local/state/progressd/log once org/upgraded
	grep -qx '# mine' /etc/progressd/config.toml || die "the configuration was not kept"
	[[ -z $(find /etc -name '*.dpkg-*') ]] || die "left behind: $(find /etc -name '*.dpkg-*')"
	ok "an upgrade from $(version_of "${old[0]}") to $(version_of "${new[0]}") in the middle of a download: restarted, no line twice, configuration kept"
}

# A download that ends while the new version isn't there yet.
is_upgraded_over_an_end() {
	start_download bob org/meanwhile
	systemctl stop progressd
	finish_download
	install_package "${old[0]}" # dpkg restarts what is enabled
	[[ $(property ActiveState) == active ]] || die "not started by the installation"
	once org/meanwhile
	once org/upgraded
	ok "back to $(version_of "${old[0]}"), over the end of a download: told once"
}

keeps_what_was_decided() {
	systemctl disable --quiet --now progressd
	install_package "${new[0]}"
	[[ $(systemctl is-enabled progressd),$(property ActiveState) == disabled,inactive ]] || die "enabled or started against the administrator's will"
	systemctl enable --quiet --now progressd || die "enable --now"
	ok "an upgrade leaves a disabled service disabled and stopped"
}

is_removed() {
	dpkg --remove progressd >/dev/null || die "dpkg --remove"
	systemctl is-active --quiet progressd && die "still running"
	eventually 10 is_users_gone || die "the daemon of a user goes on"
	[[ ! -e /run/progressd/progressd.sock && ! -e /usr/bin/progressd && ! -e /usr/bin/progressctl ]] || die "left behind"
	systemctl --quiet list-unit-files progressd.service | grep -q progressd && die "systemd still knows the unit"
	grep -qx '# mine' /etc/progressd/config.toml || die "the configuration was taken away"
	[[ -s $(logfile org/upgraded) && -d /var/lib/progressd/roots ]] || die "logs or state were taken away"
	install_package "${new[0]}"
	[[ $(property ActiveState) == active ]] || die "not active after it was installed once more"
	start_download alice org/later
	finish_download
	once org/later
	once org/upgraded
	once org/meanwhile
	ok "dpkg --remove: stopped and gone, configuration, logs and state kept; nothing told twice when it comes back"
}

is_purged() {
	local left
	dpkg --purge progressd >/dev/null || die "dpkg --purge"
	left=$(find / -xdev -name '*progress[dc]*' -not -path '/src/*' -not -path '/packages/*' -not -path '/proc/*' -not -path '/var/log/journal/*' -not -path '/run/*' -not -path '/home/*')
	[[ -z $left ]] || die "left behind: $left"
	systemctl is-failed --quiet 'progress*' && die "failed units: $(systemctl --failed --no-legend)"
	getent passwd progressd >/dev/null || die "the user was taken away, and files of its may be left"
	ok "dpkg --purge: nothing left but the user"
}

systemctl --version | head -1
mount -t tmpfs -o mode=755 tmpfs /home || die "mount"
useradd --create-home --shell /bin/bash alice && chmod 700 /home/alice
useradd --create-home --shell /bin/bash bob
start_hub org/{upgraded,meanwhile,later}
makes_a_service
tells_what_it_cannot_see
is_upgraded_in_the_middle
is_upgraded_over_an_end
keeps_what_was_decided
is_removed
is_purged
echo "all $cases cases passed in $SECONDS s"
