#!/bin/sh
# Builds the board's kernel from Debian's source, once, and prints where it is. Kept under the cache by
# what it is made from.
set -eu
cd "$(dirname "$0")"
source=/usr/src/linux-source-6.1.tar.xz
[ -f "$source" ] || {
	echo "$source is missing: ci/setup.sh board installs it" >&2
	exit 1
}
version=$(dpkg-query -W -f '${Version}' linux-source-6.1)
key=$( (
	echo "$version"
	cat kernel.config kernel.sh
) | sha256sum | cut -c 1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr/kernel/$key
if [ ! -f "$cache/zImage" ]; then
	echo "building the kernel (once; 6 minutes on 2 cores)" >&2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	tar -C "$work" --strip-components=1 -xJf "$source"
	kernel() {
		make -s -C "$work" ARCH=arm CROSS_COMPILE=arm-linux-gnueabi- "$@" >&2
	}
	kernel tinyconfig
	(cd "$work" && ARCH=arm CROSS_COMPILE=arm-linux-gnueabi- \
		scripts/kconfig/merge_config.sh -m .config "$OLDPWD/kernel.config" >/dev/null 2>&1)
	kernel olddefconfig
	# A missing option would otherwise be noticed much later.
	grep '=[y"]' kernel.config | grep -vxFf "$work/.config" >"$work/missing" || true
	[ ! -s "$work/missing" ] || {
		echo "the kernel's configuration did not take:" >&2
		cat "$work/missing" >&2
		exit 1
	}
	kernel -j"$(nproc)" zImage
	mkdir -p "$cache"
	cp "$work/.config" "$cache/config"
	cp "$work/arch/arm/boot/zImage" "$cache/zImage.new"
	mv "$cache/zImage.new" "$cache/zImage"
fi
echo "$cache/zImage"
