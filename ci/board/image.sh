#!/bin/sh
# Makes the board's root file system: BusyBox, OpenIPC's way of starting, and perhaps smolnvr as the
# package installs it.
#
# usage: image.sh OUT.squashfs [FOLDER]    FOLDER: installed over the root, as smolnvr.mk does
set -eu
out=$(realpath "$1")
installed=${2:+$(realpath "$2")}
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr/board
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# BusyBox for the board's instruction set, from Debian's package.
busybox() {
	[ -x "$cache/busybox" ] && return
	(cd "$work" && apt-get download -qq busybox-static:armel 2>/dev/null) || {
		dpkg --add-architecture armel
		apt-get update -qq
		(cd "$work" && apt-get download -qq busybox-static:armel)
	}
	dpkg-deb --fsys-tarfile "$work"/busybox-static_*.deb | tar -C "$work" -xf - ./bin/busybox
	mv "$work/bin/busybox" "$cache/busybox.new"
	mv "$cache/busybox.new" "$cache/busybox"
}

# What ./kernel49.c is: linked by zig, which brings a musl for ARM.
launcher() {
	key=$(cksum <kernel49.c | cut -d ' ' -f 1)
	launcher=$cache/kernel49-$key
	[ -x "$launcher" ] && return
	zig=$(sh ../cross.sh --zig)
	ZIG_GLOBAL_CACHE_DIR=${cache%/*}/zig-cache "$zig" cc -target arm-linux-musleabi -mcpu=generic+v7a+soft_float \
		-Os -s -static -o "$launcher.new" kernel49.c
	mv "$launcher.new" "$launcher"
}

busybox
launcher
root=$work/root
mkdir -p "$root"
cp -R root/. "$root"
(cd "$root" && mkdir -p bin dev etc lib mnt overlay proc rom root run sbin sys tmp usr/bin usr/sbin var/lib)
ln -s ../run "$root/var/run"
ln -s ../tmp "$root/var/log"
cp "$cache/busybox" "$root/bin/busybox"
cp "$launcher" "$root/usr/bin/kernel49"
# Exactly the applets of OpenIPC's BusyBox: a script that needs another one fails here as there.
applets='[ ash awk basename cat chmod chown clear cmp cp crond cut date dd df dirname dmesg du echo
	egrep env expr false fgrep find flock free fuser grep gzip gunzip halt head hexdump hostname
	httpd id ifconfig init install kill killall ln logger login logread ls lsof md5sum mdev mkdir
	mkfs.vfat mknod mktemp modprobe mount mountpoint mv nc netstat nohup ntpd passwd pgrep pidof
	ping pivot_root poweroff printf ps pwd readlink realpath reboot rm rmdir route sed seq setsid
	sh sha256sum sleep sort start-stop-daemon stat stty sync sysctl syslogd tail tar tee test
	time timeout top touch tr true tty umount uname uniq unxz unzip uptime usleep vi wc wget which
	whoami xargs xz yes zcat fdisk chroot'
for applet in $applets; do
	case $applet in
	init | mdev | syslogd | halt | reboot | poweroff | pivot_root | start-stop-daemon) folder=sbin ;;
	*) folder=bin ;;
	esac
	ln -sf /bin/busybox "$root/$folder/$applet"
done
cat >"$root/etc/fstab" <<'END'
tmpfs /tmp tmpfs size=8m,mode=1777 0 0
tmpfs /run tmpfs size=1m,mode=0755 0 0
END
echo 'root::0:0:root:/root:/bin/sh' >"$root/etc/passwd"
[ -z "$installed" ] || cp -R "$installed/." "$root"
mksquashfs "$root" "$work/image" -comp xz -all-root -no-progress -quiet -noappend >/dev/null
mv "$work/image" "$out.new"
mv "$out.new" "$out"
