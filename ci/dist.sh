#!/bin/sh
# Builds smolnvr for every processor, lets qemu-user record with what no board here runs, and packs all of it
# into target/dist.
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
