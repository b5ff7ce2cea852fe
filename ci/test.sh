#!/bin/sh
# Everything that must hold before a change lands. The README names this as the test command.
set -eu
cd "$(dirname "$0")/.."
sh ci/setup.sh
sh ci/check.sh
cargo build --quiet --release --workspace
cargo test --workspace
