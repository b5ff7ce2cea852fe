#!/bin/sh
# As OpenIPC's: mounts a card at /mnt/mmcblk0p1, or /mnt/mmcblk0 where it has no partitions, then runs
# autoconfig.sh (once) and autostart.sh from it. Called by mdev.
# A card that returns gets another letter here: the board's names are derived from the number.
device=$1
case $device in
vd?[0-9]) place=/mnt/mmcblk0p${device#vd?} ;;
*)
	# A disk with partitions is not mounted itself; its partitions are.
	ls /sys/block/"$device"/"$device"* >/dev/null 2>&1 && exit
	place=/mnt/mmcblk0
	;;
esac
exec >>/tmp/automount 2>&1 </dev/null
case $ACTION in
remove) umount -l "$place" ;;
*)
	mkdir -p "$place"
	mount -t auto "/dev/$device" "$place" || exit
	if [ -f "$place/autoconfig.sh" ]; then
		sh "$place/autoconfig.sh" 2>&1 | logger -p daemon.info -t autoconfig
		rm "$place/autoconfig.sh"
	fi
	if [ -f "$place/autostart.sh" ]; then
		sh "$place/autostart.sh" 2>&1 | logger -p daemon.info -t autostart
	fi
	;;
esac
