#!/bin/sh
# Checks that need no run of the program: formatting, lints, layers, shell scripts, the page's
# types, crates.
set -eu
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
cargo clippy --quiet --features pictures --lib --test main -- -D warnings
sh ci/layers.sh
scripts=$(git ls-files '*.sh' .ci/run && git grep -l '^#!/bin/sh' -- overlay package ci/cross)
# shellcheck disable=SC2086 # a list of names
shellcheck -x $scripts
# The page's modules are checked against their JSDoc and the API's description of its answers.
mkdir -p target
python3 ci/api_types.py >target/api.d.ts
sh ci/node.sh tsc --project ci/page
python3 ci/boards.py
python3 ci/crates.py
echo "check: ok"
