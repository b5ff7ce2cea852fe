#!/bin/sh
# Puts smolnvr into a tree of OpenIPC's firmware, or takes it out again without a trace.
#
#   integrate.sh FIRMWARE_DIR [BOARD...]   the package, and what the boards' defconfigs need; again: brings
#                                          it up to date. BOARD: gk7205v200_ultimate, gk7205v200_original
#   integrate.sh --remove FIRMWARE_DIR
#   integrate.sh --size FIRMWARE_DIR       after a build: does the image fit the board's flash?
#
# Archives come from `make dist` beside this folder, or from $SMOLNVR_DIST.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dist=${SMOLNVR_DIST:-$here/../target/dist}
# shellcheck disable=SC2016 # make's variable
source_line='source "$BR2_EXTERNAL_GENERAL_PATH/package/smolnvr/Config.in"'

main() {
	command=add
	case ${1:-} in
	--remove | --size)
		command=${1#--}
		shift
		;;
	-*) set -- ;;
	esac
	if [ $# = 0 ]; then
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 2
	fi
	firmware=$1
	shift
	packages=$firmware/general/package
	[ -f "$packages/Config.in" ] || die "$firmware is no tree of OpenIPC's firmware: no general/package/Config.in"
	"$command" "$@"
}

die() {
	echo "integrate: $*" >&2
	exit 1
}

add() {
	version=$(sed -n 's/^SMOLNVR_VERSION = //p' "$here/smolnvr/smolnvr.mk")
	archive=$dist/smolnvr-$version-armv7.tar.gz
	[ -f "$archive" ] || die "no $archive: make dist first"
	for board; do
		fragment=$here/fragments/$board.fragment
		[ -f "$fragment" ] || die "no $fragment"
		defconfig "$board" >/dev/null
	done
	rm -rf "$packages/smolnvr"
	cp -R "$here/smolnvr" "$packages/smolnvr"
	for archive in "$dist/smolnvr-$version-armv7.tar.gz" "$dist/smolnvr-$version-vendored.tar.gz"; do
		[ -f "$archive" ] || continue
		cp "$archive" "$packages/smolnvr"
		sum=$(sha256sum "$archive")
		echo "sha256  ${sum%% *}  ${archive##*/}" >>"$packages/smolnvr/smolnvr.hash"
	done
	grep -qxF "$source_line" "$packages/Config.in" || echo "$source_line" >>"$packages/Config.in"
	for board; do
		file=$(defconfig "$board")
		while read -r line; do
			grep -qxF "$line" "$file" || echo "$line" >>"$file"
		done <"$here/fragments/$board.fragment"
	done
	echo "smolnvr $version is in $firmware"
	[ $# = 0 ] || echo "next: make -C $firmware BOARD=$1"
}

# That of a board.
defconfig() {
	set -- "$firmware"/br-ext-chip-*/configs/"$1"_defconfig
	[ -f "$1" ] || die "$firmware has no board of that name: $1"
	echo "$1"
}

remove() {
	rm -rf "$packages/smolnvr"
	without "$packages/Config.in" "$source_line"
	for fragment in "$here"/fragments/*.fragment; do
		board=${fragment##*/}
		for file in "$firmware"/br-ext-chip-*/configs/"${board%.fragment}"_defconfig; do
			[ -f "$file" ] || continue
			while read -r line; do
				without "$file" "$line"
			done <"$fragment"
		done
	done
	echo "smolnvr is out of $firmware"
}

# The file $1 without the line $2; its mode stays.
without() {
	if grep -qxF "$2" "$1"; then
		rest=$(grep -vxF "$2" "$1"; echo .)
		printf '%s' "${rest%.}" >"$1"
	fi
}

# The limits are those of the firmware's own Makefile: 8 MB and 16 MB of NOR flash.
size() {
	config=$firmware/output/.config
	[ -f "$config" ] || die "nothing is built: no $config"
	limit=8192
	! grep -q '^BR2_OPENIPC_FLASH_SIZE="8"' "$config" || limit=5120
	for image in "$firmware"/output/images/rootfs.squashfs*; do
		case $image in *.md5sum) continue ;; esac
		[ -f "$image" ] || die "no $image"
		kilobytes=$(($(wc -c <"$image") / 1024))
		echo "$image: $kilobytes KB of $limit"
		[ "$kilobytes" -le "$limit" ] || die "larger than the flash has room for"
	done
}

main "$@"
