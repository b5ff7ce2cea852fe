#!/bin/sh
# All checks that must pass before a change lands. The README names this as the test command.
set -eu
cd "$(dirname "$0")/.."
sh ci/setup.sh
sh ci/check.sh
cargo build --quiet --release --workspace
python3 ci/bench.py --gates
cargo test --workspace
# The parts that exist only in a build with pictures.
cargo test --features pictures --lib picture
cargo test --features pictures --test main previews::

# The binary for the boards, without containers, and a board in QEMU that runs it.
CROSS=zig sh ci/cross.sh
python3 ci/board/run.py --built

# The binary from a container, and the packages made from it.
sh ci/cross.sh
sh ci/arm.sh
sh ci/package.sh dist
