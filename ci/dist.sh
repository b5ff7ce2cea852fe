#!/bin/sh
# Builds smolnvr for every processor, records under qemu-user with the binaries that no emulated
# board runs, and packs everything into target/dist.
set -eu
cd "$(dirname "$0")/.."
others="armv7-unknown-linux-musleabihf aarch64-unknown-linux-musl"
sh ci/setup.sh
sh ci/cross.sh
for target in $others; do
	CROSS=zig TARGET=$target sh ci/cross.sh
	TARGET=$target sh ci/arm.sh
done
ALSO=$others sh ci/package.sh dist
