#!/bin/sh
# Runs the long tests at full length; writes their figures to ci/bench/soak.txt, and the comparison
# of the two engines to ci/bench/engines.txt.
set -eu
cd "$(dirname "$0")/.."
sh ci/setup.sh
out=ci/bench/soak.txt
date -u +%F >"$out"
soak() {
	SMOLNVR_SOAK=1 cargo test --quiet --release --test "$1" "$2" -- --nocapture | grep "$3" | tee -a "$out"
}
inside() {
	SMOLNVR_SOAK=1 cargo test --quiet --release --lib "$1" -- --nocapture | grep "$2" | tee -a "$out"
}
soak main hour:: ' min: '
soak main of_five_minutes '1 % lost'
soak day bad_days 'bad days: '
soak main crowd:: 'crowd: '
soak main rclone_has_an_hour 'rclone: '
inside tests::cuts 'cuts: '
inside tests::year 'year: '
out=ci/bench/engines.txt
date -u +%F >"$out"
soak main engines:: 'engines: '
