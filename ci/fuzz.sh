#!/bin/sh
# fuzz.sh SECONDS [TARGET…]: runs the named fuzz targets, or all, for that long each with libFuzzer,
# on stable.
#
# An input that fails is added to the target's corpus, so that `cargo test` runs it from then on;
# then the next target begins. Inputs that a run finds stay in target/fuzz for the next one. A run
# over all targets writes its table to ci/bench/fuzz.txt, and adds the fewest inputs that cover new
# edges to corpus/*.learned.
set -eu
cd "$(dirname "$0")/.."
sh ci/setup.sh
seconds=$1
shift
work=target/fuzz
corpus=fuzz/corpus
targets=$(sed -n 's/^    Target::of("\([a-z0-9_]*\)".*/\1/p' fuzz/src/targets.rs)

# LLVM's coverage pass and libFuzzer's loop: what cargo-fuzz does, without nightly's options. With a
# target the flags do not reach build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$flags" cargo build --quiet --profile fuzz --package fuzz --bin libfuzzer --features libfuzzer \
	--target "$host" --target-dir "$work"
fuzzer=$work/$host/fuzz/libfuzzer
packed=$work/packed
rm -rf "$packed"
cargo run --quiet --package fuzz --bin corpus -- unpack "$packed"

# One row of the table.
row() {
	printf '%-16s %12s %8s %8s %8s %12s %9s\n' "$@"
}

# Processor seconds of this shell's children, from the output of `times`.
processor_seconds() {
	sed 1d "$1" | tr 'ms' '  ' | awk '{ printf "%d\n", $1 * 60 + $2 + $3 * 60 + $4 }'
}

# Runs one target; its output goes to a log, from which its row is read.
run() {
	learned=$work/learned/$1
	log=$work/$1.log
	mkdir -p "$learned" "$work/found"
	before=$(find "$work/found" -name "$1-*" | wc -l)
	times >"$work/begun"
	FUZZ_TARGET=$1 "$fuzzer" "$learned" "$corpus/$1" "$packed/$1" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=512 -malloc_limit_mb=64 -max_len="$(bytes_max "$1")" -print_final_stats=1 \
		-artifact_prefix="$work/found/$1-" >"$log" 2>&1 || echo "$1: see $log" >&2
	times >"$work/ended"
	took=$(($(processor_seconds "$work/ended") - $(processor_seconds "$work/begun")))
	after=$(find "$work/found" -name "$1-*" | wc -l)
	row "$1" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
		"$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)" \
		"$(find "$corpus/$1" "$packed/$1" -type f | wc -l)" "$seconds" "$took" "$((after - before))"
	find "$work/found" -name "$1-*" -exec cp {} "$corpus/$1/" \;
}

# Keeps inputs of at most 700 bytes that cover edges which the corpus does not.
merge() {
	cp "$corpus/$1"/* "$packed/$1/"
	FUZZ_TARGET=$1 "$fuzzer" -merge=1 -use_counters=0 -use_cmp=0 -max_len=700 \
		"$packed/$1" "$work/learned/$1" >>"$work/$1.log" 2>&1
	(cd "$corpus/$1" && find . -type f) | (cd "$packed/$1" && xargs rm)
}

# The longest input of a target, from its line in targets.rs, in KiB there.
bytes_max() {
	kib=$(sed -n "s/^    Target::of(\"$1\", [^,]*, \([0-9]*\),.*/\1/p" fuzz/src/targets.rs)
	echo $((kib * 1024))
}

table() {
	row target executions edges corpus seconds of-processor findings
	for target; do
		run "$target"
	done
}

if [ $# -gt 0 ]; then
	table "$@"
	exit
fi
# shellcheck disable=SC2086 # a list of names
{
	date -u +%F
	table $targets
} | tee ci/bench/fuzz.txt
for target in $targets; do
	merge "$target"
done
cargo run --quiet --package fuzz --bin corpus -- pack "$packed"
