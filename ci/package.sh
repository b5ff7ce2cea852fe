#!/bin/sh
# Packs the binaries of `make cross` into target/dist: the same commit gives the same bytes.
#
#   ci/package.sh tarball   smolnvr-VERSION-armv7.tar.gz, which package/smolnvr installs into a firmware
#   ci/package.sh vendored  smolnvr-VERSION-vendored.tar.gz, with all crates: what Buildroot can build
#   ci/package.sh ipk       .ipk of both kinds: gzipped tar, and ar
#   ci/package.sh sdcard    a folder, and a zip of it, to copy onto an SD card
#   ci/package.sh dist      all of these, with checksums and a list of components (SBOM)
#   TARGET=…                armv7-unknown-linux-musleabihf or aarch64-unknown-linux-musl instead: tarball, ipk
#   ALSO="TARGET…"          their tarball and ipk in dist as well
set -eu
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC
target=${TARGET:-armv7-unknown-linux-musleabi}
case $target in
armv7-unknown-linux-musleabi) processor=armv7 ;;
armv7-unknown-linux-musleabihf) processor=armv7hf ;;
aarch64-unknown-linux-musl) processor=aarch64 ;;
*)
	echo "package: no package for $target" >&2
	exit 2
	;;
esac
binary=${BINARY:-target/$target/release/smolnvr}
dist=${DIST:-target/dist}
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# Every file gets the commit's date.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

main() {
	[ -x "$binary" ] || {
		echo "package: no $binary: make cross first" >&2
		exit 1
	}
	mkdir -p "$dist"
	case ${1:-} in
	tarball | vendored | ipk | sdcard) "$1" ;;
	dist)
		rm -rf "$dist"
		mkdir -p "$dist"
		tarball
		vendored
		ipk
		sdcard
		for other in ${ALSO:-}; do
			for what in tarball ipk; do
				BINARY='' DIST=$dist TARGET=$other sh ci/package.sh "$what"
			done
		done
		python3 ci/sbom.py "$version" >"$dist/smolnvr-$version.cdx.json"
		cp CHANGELOG.md "$dist"
		(cd "$dist" && sha256sum ./*.* | sed 's|\./||' >"$work/sums" && mv "$work/sums" SHA256SUMS)
		cat "$dist/SHA256SUMS"
		;;
	*)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 2
		;;
	esac
}

# The target root as a package installs it, in $1.
root() {
	mkdir -p "$1/usr/bin"
	cp -R overlay/. "$1"
	cp "$binary" "$1/usr/bin/smolnvr"
	find "$1" -type d -exec chmod 755 {} +
	find "$1" -type f -exec chmod 644 {} +
	chmod 755 "$1/usr/bin/smolnvr" "$1/etc/init.d/S97smolnvr"
	# It holds cameras' passwords.
	chmod 600 "$1/etc/smolnvr.toml"
}

# archive OPTION... -C FOLDER NAME...: a reproducible tar, to standard output.
archive() {
	tar --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$@"
}

tarball() {
	name=smolnvr-$version-$processor
	root "$work/$name"
	cp LICENSE "$work/$name"
	archive -C "$work" "$name" | gzip -9n >"$dist/$name.tar.gz"
	echo "$dist/$name.tar.gz"
}

vendored() {
	name=smolnvr-$version
	git archive --prefix="$name/" HEAD | tar -xf - -C "$work" --no-same-permissions
	# With --quiet it would not print the lines for the configuration.
	(cd "$work/$name" && cargo vendor --locked VENDOR >>.cargo/config.toml 2>"$work/said") || {
		cat "$work/said" >&2
		exit 1
	}
	(cd "$work/$name" && CARGO_HOME=$work/home cargo metadata --quiet --offline --locked --format-version 1 >/dev/null)
	archive -C "$work" "$name" | gzip -9n >"$dist/$name-vendored.tar.gz"
	echo "$dist/$name-vendored.tar.gz"
}

ipk() {
	mkdir "$work/ipk"
	root "$work/ipk/data"
	cp -R package/ipk "$work/ipk/control"
	chmod 755 "$work/ipk/control" "$work/ipk/control/postinst" "$work/ipk/control/prerm"
	chmod 644 "$work/ipk/control/control" "$work/ipk/control/conffiles"
	size=$(cd "$work/ipk/data" && find . -type f -exec cat {} + | wc -c)
	# The architecture is `all`: firmwares name theirs differently, and opkg accepts only its own name.
	sed -i -e "s/@VERSION@/$version/" -e "s/@SIZE@/$size/" -e "s/@PROCESSOR@/$processor/" "$work/ipk/control/control"
	cd "$work/ipk"
	archive -C data . | gzip -9n >data.tar.gz
	archive -C control . | gzip -9n >control.tar.gz
	echo 2.0 >debian-binary
	cd "$OLDPWD"
	name=smolnvr_$version
	# OpenWrt's format, which a camera's own tools can unpack.
	archive -C "$work/ipk" ./debian-binary ./control.tar.gz ./data.tar.gz | gzip -9n >"$dist/${name}_$processor.ipk"
	# Yocto's and Buildroot's format, which prescribes the order.
	rm -f "$dist/${name}_$processor-ar.ipk"
	(cd "$work/ipk" && ar rcDS archive.ipk debian-binary control.tar.gz data.tar.gz)
	mv "$work/ipk/archive.ipk" "$dist/${name}_$processor-ar.ipk"
	echo "$dist/${name}_$processor.ipk"
	echo "$dist/${name}_$processor-ar.ipk"
}

sdcard() {
	folder=$dist/sdcard
	rm -rf "$folder"
	mkdir -p "$folder"
	cp -R package/sdcard/. "$folder"
	cp "$binary" overlay/etc/init.d/S97smolnvr LICENSE "$folder/smolnvr"
	# A card without a partition table has another mount point.
	sed 's|^path = "/mnt/mmcblk0p1/recordings"|path = ["/mnt/mmcblk0p1/recordings", "/mnt/mmcblk0/recordings"]|' \
		overlay/etc/smolnvr.toml >"$folder/smolnvr/default.toml"
	(cd "$folder/smolnvr" && find . -type f | sed 's|^\./||' | sort | xargs sha256sum >"$work/sums" && mv "$work/sums" SHA256SUMS)
	find "$folder" -type d -exec chmod 755 {} +
	find "$folder" -type f -exec chmod 755 {} + # as FAT shows them
	find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	zip=$(cd "$dist" && pwd)/smolnvr-$version-sdcard.zip
	rm -f "$zip"
	(cd "$folder" && find . -type f | sed 's|^\./||' | sort | zip -qX9 "$zip" -@)
	echo "$dist/sdcard"
	echo "$dist/smolnvr-$version-sdcard.zip"
}

main "$@"
