#!/bin/sh
# Runs the binary for the boards, or for TARGET, under qemu-user: version, configuration, a date
# beyond 2038, and 30 s of recording the test camera, with its system calls counted. Before that,
# runs the unit tests of std and of waiting, built for that target.
set -eu
cd "$(dirname "$0")/.."
export TARGET="${TARGET:-armv7-unknown-linux-musleabi}"
case $TARGET in
aarch64-*) qemu='qemu-aarch64-static' ;;
*) qemu='qemu-arm-static' ;;
esac
arm="$qemu ${BINARY:-target/$TARGET/release/smolnvr}"
seconds=30
work=$(mktemp -d)
camera=
recorder=

finish() {
	for child in $recorder $camera; do
		kill "$child" 2>/dev/null || true
		wait "$child" || true
	done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

die() {
	echo "arm: $*" >&2
	exit 1
}

sh ci/cross.sh --test sys:: runtime::
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "$($arm --version)" = "smolnvr $version" ] || die "--version is not $version"
$arm check -c overlay/etc/smolnvr.toml >"$work/said"
grep -q ': ok$' "$work/said" || die "check: $(cat "$work/said")"

# A recording of the old system is dated by its file: time_t has 64 bits in std as in our code.
mkdir "$work/old"
ffmpeg -hide_banner -loglevel error -f lavfi -i testsrc=duration=2:size=64x64 -movflags frag_keyframe+empty_moov "$work/old/000.mp4"
touch -d '2100-02-28 12:00:00 UTC' "$work/old/000.mp4"
printf '[storage]\npath = "%s"\nrequire_mount = false\n[[camera]]\nname = "camera"\nurl = "rtsp://127.0.0.1/"\n' "$work/old" >"$work/old.toml"
$arm list -c "$work/old.toml" >"$work/said"
grep -q 2100-02-28 "$work/said" || die "no 2100: $(cat "$work/said")"

cargo build --quiet --release -p camera
target/release/camera --port 0 >"$work/camera" &
camera=$!
until url=$(sed -n 's/^listening on //p' "$work/camera") && [ -n "$url" ]; do
	kill -0 "$camera"
	sleep 0.1
done
printf '[storage]\npath = "%s"\nrequire_mount = false\nsegment_seconds = 10\n[[camera]]\nname = "camera"\nurl = "%s"\n[web]\nlisten = "127.0.0.1:0"\n' \
	"$work/new" "$url" >"$work/new.toml"
mkdir "$work/new"
# shellcheck disable=SC2086 # two words
${arm% *} -strace -D "$work/calls" "${arm#* }" run -c "$work/new.toml" --socket "$work/smolnvr.sock" 2>"$work/log" &
recorder=$!
sleep "$seconds"
kill "$recorder"
wait "$recorder" || die "$(cat "$work/log")"
recorder=
$arm verify "$work/new" >"$work/said" || die "$(cat "$work/said" "$work/log")"
frames=$(ffprobe -loglevel error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0 \
	-f concat -safe 0 "$(for file in "$work"/new/*.mp4; do echo "file '$file'"; done >"$work/new.txt" && echo "$work/new.txt")")
# 25 frames a second, except at the start.
[ "$frames" -ge $((25 * (seconds - 3))) ] || die "only $frames frames: $(cat "$work/log")"
# A board reads the clock without a system call. Waits that end too early would show here, as
# thousands of calls a second.
calls=$(grep '^[0-9]* [a-z]' "$work/calls" | grep -vc ' clock_gettime')
[ "$calls" -le $((4 * frames)) ] || die "$calls system calls for $frames frames"
echo "arm: $TARGET: ok, $frames frames in $seconds s, $calls system calls"
