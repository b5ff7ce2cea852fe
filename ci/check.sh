#!/bin/sh
# Formatting, lints, layers, shell scripts: what needs no run of the program.
set -eu
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
sh ci/layers.sh
scripts=$(git ls-files '*.sh' .ci/run)
# shellcheck disable=SC2086 # a list of names
shellcheck $scripts
echo "check: ok"
