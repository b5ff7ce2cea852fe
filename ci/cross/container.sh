#!/bin/sh
# `cross build` for the target $1. In cross's public image where rustup brings what that needs:
#
#   rustup target add armv7-unknown-linux-musleabi && rustup component add rust-src
#
# and otherwise, or where that image cannot be had, in an image made here of Debian's packages, with
# Debian's compiler. The engine is the one that runs, or one of this script's own that ends with it.
set -eu
target=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr
tools=$cache/cross-0.2.5
own=$cache/docker # our own engine's images
work=
engine=

main() {
	work=$(mktemp -d)
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' HUP TERM
	[ -x "$tools/bin/cross" ] || cargo install --quiet --locked --root "$tools" cross@0.2.5
	start_engine
	if has_target; then
		status=0
		"$tools/bin/cross" build --quiet --release --locked --target "$target" \
			--features "${FEATURES:-}" || status=$?
		# Docker's own failure means that there is no such image.
		[ "$status" = 125 ] || exit "$status"
	fi
	make_image
	make_toolchain
	fetch
	name=$(echo "$target" | tr 'a-z-' 'A-Z_')
	export "CROSS_TARGET_${name}_IMAGE=$image" RUSTUP_HOME="$work/rustup" RUSTUP_TOOLCHAIN=active
	export CROSS_CUSTOM_TOOLCHAIN=1 CARGO_NET_OFFLINE=true
	"$tools/bin/cross" +debian build --quiet --release --locked --target "$target" --features "${FEATURES:-}"
}

finish() {
	if [ -n "$engine" ]; then
		kill "$engine" 2>/dev/null || true
		wait "$engine" || true
		umount "$work"/exec/netns/* 2>/dev/null || true
	fi
	rm -rf "$work"
}

has_target() {
	rustup target list --installed 2>/dev/null | grep -qx "$target" &&
		[ -e "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]
}

start_engine() {
	docker info >/dev/null 2>&1 && return
	if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null 2>&1; then
		echo "cross: no container engine runs; make cross CROSS=zig needs none" >&2
		exit 1
	fi
	export DOCKER_HOST="unix://$work/docker.sock"
	# No network of its own: the build uses this machine's, the compiler needs none.
	dockerd --host "$DOCKER_HOST" --data-root "$own" --exec-root "$work/exec" --pidfile "$work/pid" \
		--bridge none --iptables=false >"$work/dockerd.log" 2>&1 &
	engine=$!
	until docker info >/dev/null 2>&1; do
		kill -0 "$engine" 2>/dev/null || {
			tail -n 3 "$work/dockerd.log" >&2
			exit 1
		}
		sleep 0.2
	done
}

# The image is named after a hash of what makes it.
make_image() {
	image=smolnvr-cross:$(cksum <ci/cross/Dockerfile | cut -d' ' -f1)
	docker image inspect "$image" >/dev/null 2>&1 && return
	echo "cross: making an image of Debian's packages (a few minutes)"
	mmdebstrap --quiet --variant=minbase bookworm "$work/base.tar"
	docker import "$work/base.tar" smolnvr-bookworm >/dev/null
	docker build --quiet --network host --tag "$image" ci/cross >/dev/null
}

# What cross takes for rustup's: it is mounted into the container, where Debian's compiler is. cross
# 0.2.5 does not find the one in rustup's list that is marked as active, so another is.
make_toolchain() {
	folder=$work/rustup/toolchains/debian
	mkdir -p "$folder/bin"
	ln -s /usr/lib "$folder/lib"
	cat >"$folder/bin/rustc" <<-'END'
		#!/bin/sh
		exec /usr/bin/rustc --sysroot "$(cd "$(dirname "$0")/.." && pwd)" "$@"
	END
	cat >"$folder/bin/cargo" <<-'END'
		#!/bin/sh
		exec /usr/bin/cargo "$@"
	END
	chmod +x "$folder/bin/rustc" "$folder/bin/cargo"
	ln -s debian "$work/rustup/toolchains/active"
}

# Our crates and those of std: the container has no network.
fetch() {
	cargo fetch --quiet --locked
	RUSTC_BOOTSTRAP=1 /usr/bin/cargo fetch --quiet --locked --manifest-path /usr/lib/rustlib/src/rust/library/Cargo.toml
}

main
