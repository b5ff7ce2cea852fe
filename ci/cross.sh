#!/bin/sh
# Builds smolnvr for the boards: static, for any ARMv7 that runs Linux, whatever its libc.
#
#   ci/cross.sh             by `cross`: in its public image, or, where none is to be had, in one made
#                           here from ci/cross/Dockerfile
#   CROSS=zig ci/cross.sh   without containers, linked by zig
#   TARGET=…                armv7-unknown-linux-musleabihf or aarch64-unknown-linux-musl instead
#   FEATURES=pictures       with pictures without FFmpeg (docs/configuration.md, "Previews")
#   ci/cross.sh --zig       prints where zig is
#   ci/cross.sh --size      builds it with its symbols, by zig, and prints a table by section and crate
#   ci/cross.sh --test …    runs those unit tests as that processor would (qemu-user), by zig
set -eu
cd "$(dirname "$0")/.."
target=${TARGET:-armv7-unknown-linux-musleabi}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr

main() {
	if [ "${1:-}" = --zig ]; then
		zig
		return
	fi
	method=${CROSS:-cross}
	case ${1:-} in
	--size | --test) method=zig ;;
	esac
	mkdir -p "$cache" "${BUILD_DIR:-$cache}"
	# std and crates, which are the same for every clone, are built once; $BUILD_DIR builds them elsewhere.
	export CARGO_TARGET_DIR="${BUILD_DIR:-$cache/build-$method}${1:-}"
	# The build date, with which src/clock.rs compares the board's clock.
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
	export SOURCE_DATE_EPOCH
	exec 9>"$CARGO_TARGET_DIR.lock"
	flock 9
	case $method in
	cross) sh ci/cross/container.sh "$target" ;;
	zig) with_zig "$@" ;;
	*)
		echo "CROSS is cross or zig" >&2
		exit 2
		;;
	esac
	case ${1:-} in
	--test) return ;;
	--size)
		python3 ci/size.py "$CARGO_TARGET_DIR/$target/release/smolnvr"
		return
		;;
	esac
	mkdir -p "target/$target/release"
	cp "$CARGO_TARGET_DIR/$target/release/smolnvr" "target/$target/release"
	# The budget applies to the boards' binary without features.
	[ -n "${FEATURES:-}" ] || [ "$target" != armv7-unknown-linux-musleabi ] || budget=--budget
	python3 ci/size.py "${budget:---no-budget}" "target/$target/release/smolnvr"
}

with_zig() {
	# thumb: musl too is Thumb-2 code (.cargo/config.toml).
	case $target in
	armv7-unknown-linux-musleabi) SMOLNVR_ZIG_TARGET="-target thumb-linux-musleabi -mcpu=generic+v7a+soft_float+thumb2" ;;
	armv7-unknown-linux-musleabihf) SMOLNVR_ZIG_TARGET="-target thumb-linux-musleabihf -mcpu=generic+v7a+vfp3d16+thumb2" ;;
	aarch64-unknown-linux-musl) SMOLNVR_ZIG_TARGET="-target aarch64-linux-musl" qemu=qemu-aarch64-static ;;
	*)
		echo "cross: no zig target for $target" >&2
		exit 2
		;;
	esac
	SMOLNVR_ZIG=$(zig)
	export SMOLNVR_ZIG SMOLNVR_ZIG_TARGET ZIG_GLOBAL_CACHE_DIR="$cache/zig-cache"
	toolchain
	# The settings that Cross.toml gives to the container.
	eval "$(sed -n 's/^ *"\([A-Z0-9_]*=[^"]*\)",$/export \1/p' Cross.toml)"
	name=$(echo "$target" | tr 'a-z-' 'A-Z_')
	# Cargo rebuilds everything when the linker's path changes, so the path depends on zig and not on the clone.
	linker=${SMOLNVR_ZIG%/ziglang/zig}/cc
	cp ci/cross/zig-cc "$linker"
	export "CARGO_TARGET_${name}_LINKER=$linker"
	# zig brings the start files and libraries of its own musl.
	export "CARGO_TARGET_${name}_RUSTFLAGS=-Clink-self-contained=no"
	case ${1:-} in
	--size) export CARGO_PROFILE_RELEASE_STRIP=none ;;
	--test)
		shift
		# Failing tests must unwind.
		export SMOLNVR_UNWINDS=yes
		export "CARGO_TARGET_${name}_RUSTFLAGS=-Clink-self-contained=no -Cforce-unwind-tables=yes"
		export CARGO_UNSTABLE_BUILD_STD=std,panic_unwind CARGO_UNSTABLE_BUILD_STD_FEATURES=panic-unwind
		export "CARGO_TARGET_${name}_RUNNER=${qemu:-qemu-arm-static}"
		"$cargo" test --quiet --locked --target "$target" --lib -- "$@"
		return
		;;
	esac
	"$cargo" build --quiet --release --locked --target "$target" --features "${FEATURES:-}"
}

# Prints zig's path; fetches zig the first time.
zig() {
	folder=$cache/zig-$(cksum <ci/cross/zig.txt | cut -d' ' -f1)
	if [ ! -x "$folder/ziglang/zig" ]; then
		rm -rf "$folder.new"
		python3 -m pip install --quiet --no-deps --require-hashes --root-user-action ignore \
			--target "$folder.new" -r ci/cross/zig.txt >&2
		mv -T "$folder.new" "$folder" 2>/dev/null || rm -rf "$folder.new"
	fi
	echo "$folder/ziglang/zig"
}

# A cargo and rustc whose std comes with its source: rustup's with rust-src, else Debian's rustc-web,
# cargo-web and rust-web-src.
toolchain() {
	for bin in "" /usr/bin/; do
		sysroot=$("${bin}rustc" --print sysroot 2>/dev/null) || continue
		if [ -e "$sysroot/lib/rustlib/src/rust/library/Cargo.lock" ]; then
			cargo=${bin}cargo
			export RUSTC="${bin}rustc"
			return
		fi
	done
	echo "cross: std's source is missing: rustup component add rust-src" >&2
	exit 1
}

main "$@"
