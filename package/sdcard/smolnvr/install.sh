#!/bin/sh
# Puts smolnvr onto the camera's SD card, or takes it off.
#
#   sh install.sh [CARD]               installs, or upgrades: settings and recordings stay
#   sh install.sh --uninstall [CARD]   removes all but recordings
#   sh install.sh --format [DEVICE]    makes a FAT32 card first, all on it is lost (asks)
#
# CARD is where the card is mounted (/mnt/mmcblk0p1), DEVICE its partition (/dev/mmcblk0p1). May be run
# again at any time, also where it was interrupted.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2016 # for the script that holds it
hook='[ -f "$(dirname "$0")/smolnvr/autostart.sh" ] && sh "$(dirname "$0")/smolnvr/autostart.sh" # smolnvr'

main() {
	case ${1:-} in
	--uninstall)
		find_card "${2:-}"
		uninstall
		;;
	--format)
		check_cpu
		check_files
		format "${2:-/dev/mmcblk0p1}"
		find_card ""
		install
		;;
	-*)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 2
		;;
	*)
		check_cpu
		check_files
		find_card "${1:-}"
		install
		;;
	esac
}

die() {
	echo "install: $*" >&2
	exit 1
}

# The binary is for ARMv7 and later; that it says its version is the proof.
check_cpu() {
	case $(uname -m) in
	armv7* | armv8* | aarch64) ;;
	*) die "this machine is $(uname -m): smolnvr is for ARMv7" ;;
	esac
	version=$("$here/smolnvr" --version) || die "smolnvr does not run on this machine"
}

# Copied without a fault?
check_files() {
	(cd "$here" && sha256sum -c SHA256SUMS >/dev/null 2>&1) ||
		die "files in $here are missing or damaged: copy them anew"
}

# A mounted, writable card: $1, or that on which this lies, or the camera's.
find_card() {
	for card in "$1" "${here%/smolnvr}" /mnt/mmcblk0p1 /mnt/mmcblk0; do
		[ -n "$card" ] && on_card=$(mount_of "$card") && break
		[ -z "$1" ] || die "$1 is not a mounted card"
	done
	if [ -z "$on_card" ]; then
		[ ! -e /dev/mmcblk0 ] || die "there is a card, but it is not mounted (exFAT?): see --format"
		die "no card is mounted"
	fi
	# A card that turned read-only says so only when it is written to.
	(: >"$card/.smolnvr" && rm "$card/.smolnvr") 2>/dev/null || die "$card cannot be written: read-only or full"
}

# The type of the file system mounted at $1, if that is a card's.
mount_of() {
	awk -v path="$1" '$2 == path && $3 !~ /^(rootfs|overlay|squashfs|jffs2|ubifs|tmpfs|ramfs)$/ { print $3; found = 1 }
		END { exit !found }' /proc/mounts
}

install() {
	target=$card/smolnvr
	mkdir -p "$target/webserver" || die "$target cannot be made"
	if [ "$here" != "$target" ]; then
		copy
	fi
	start_at_boot || die "$card/autostart.sh cannot be written"
	sync
	if runs; then
		service stop
	fi
	service start || die "smolnvr is installed but does not start"
	echo "$version is on $card and runs: open http://$(address):8080/"
}

# All files under other names first, and only when all are there and right under their own.
copy() {
	clear_copies
	needed=$(cd "$here" && du -k smolnvr | awk '{ print 2 * $1 + 256 }')
	room=$(df -k "$card" | awk 'END { print $(NF - 2) }')
	[ "$room" -ge "$needed" ] || die "$card has $room KB left, $needed are needed"
	files=$(awk '{ print $2 }' "$here/SHA256SUMS")
	for file in $files SHA256SUMS; do
		cp "$here/$file" "$target/$file.new" || { clear_copies && die "$target/$file cannot be written"; }
	done
	sync
	awk '{ print $1 "  " $2 ".new" }' "$here/SHA256SUMS" | (cd "$target" && sha256sum -c >/dev/null 2>&1) ||
		{ clear_copies && die "the card does not hold what was written to it: it is worn out or a fake"; }
	for file in $files SHA256SUMS; do
		mv "$target/$file.new" "$target/$file" || die "$target/$file cannot be replaced"
	done
}

clear_copies() {
	rm -f "$target"/*.new "$target"/webserver/*.new
}

# A line in the card's autostart.sh, beside whatever else it does.
start_at_boot() {
	start=$card/autostart.sh
	grep -qF "$hook" "$start" 2>/dev/null && return
	{
		echo "#!/bin/sh"
		echo "$hook"
		[ ! -e "$start" ] || sed -e '1{/^#!/d;}' -e '/ # smolnvr$/d' "$start"
	} >"$start.new" && mv "$start.new" "$start"
}

uninstall() {
	target=$card/smolnvr
	if [ -e "$target/SHA256SUMS" ] && runs; then
		service stop
	fi
	rm -rf "${SMOLNVR_RAM:-/tmp/smolnvr}" /etc/init.d/S98smolnvr
	for file in $(awk '{ print $2 }' "$here/SHA256SUMS" "$target/SHA256SUMS" 2>/dev/null) SHA256SUMS \
		smolnvr.toml smolnvr.toml.old smolnvr.passwd; do
		rm -f "$target/$file" "$target/$file.new"
	done
	rmdir "$target/webserver" "$target" 2>/dev/null
	if grep -q ' # smolnvr$' "$card/autostart.sh" 2>/dev/null; then
		sed '/ # smolnvr$/d' "$card/autostart.sh" >"$card/autostart.sh.new"
		if grep -qv '^#!' "$card/autostart.sh.new"; then
			mv "$card/autostart.sh.new" "$card/autostart.sh"
		else
			rm -f "$card/autostart.sh.new" "$card/autostart.sh"
		fi
	fi
	sync
	[ ! -e "$target" ] || echo "what is left in $target is not by this script"
	echo "smolnvr is gone from $card; recordings are still there"
}

# In a shell of its own each: they set what is set here, too.
service() {
	# shellcheck source=package/sdcard/smolnvr/common.sh
	(here=$target && . "$target/common.sh" && service "$@")
}

runs() {
	[ -x "${SMOLNVR_RAM:-/tmp/smolnvr}/S97smolnvr" ] &&
		sh "${SMOLNVR_RAM:-/tmp/smolnvr}/S97smolnvr" status >/dev/null
}

format() {
	device=$1
	[ -b "$device" ] || die "there is no $device"
	printf 'All on %s will be lost. Type "yes" to format it: ' "$device"
	read -r answer
	[ "$answer" = yes ] || die "nothing was changed"
	mounted=$(awk -v device="$device" '$1 == device { print $2 }' /proc/mounts)
	[ -z "$mounted" ] || umount "$mounted" || die "$mounted is in use"
	mkfs.vfat -n SMOLNVR "$device" >/dev/null || die "$device could not be formatted"
	point=/mnt/${device##*/}
	if ! mkdir -p "$point" || ! mount -t vfat "$device" "$point"; then
		die "$device is FAT32 now, but could not be mounted: start the camera anew"
	fi
}

# Under which a browser may find this machine.
address() {
	ip -4 addr show scope global 2>/dev/null | awk '$1 == "inet" { sub("/.*", "", $2); print $2; exit }' | grep . ||
		echo "the camera's address"
}

main "$@"
