#!/bin/sh
# The long runs at full length; what they measured is kept in ci/bench/soak.txt.
set -eu
cd "$(dirname "$0")/.."
sh ci/setup.sh
out=ci/bench/soak.txt
date -u +%F >"$out"
SMOLNVR_SOAK=1 cargo test --quiet --release --test hour -- --nocapture | grep ' min: ' | tee -a "$out"
