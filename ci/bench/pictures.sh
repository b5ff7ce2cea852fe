#!/bin/sh
# Measures the cost of making a picture from a key frame, by smolnvr itself and by FFmpeg: one table, in
# ci/bench/pictures.txt. Wants /usr/bin/time, and for the column of the boards the binary of
# `make cross FEATURES=pictures`, which is run by qemu-arm. $HOST_BINARY and $BINARY name others.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -n "${HOST_BINARY:-}" ] || cargo build --quiet --release --features pictures
here=${HOST_BINARY:-target/release/smolnvr}
board=${BINARY:-target/armv7-unknown-linux-musleabi/release/smolnvr}
scale='scale=min(640\,iw):min(360\,ih):force_original_aspect_ratio=decrease:flags=area'

# measured COMMAND...: CPU seconds and peak KB of the best of five, standard input from $work/in.
measured() {
	for _ in 1 2 3 4 5; do
		/usr/bin/time -f '%U %S %M' -o "$work/time" "$@" <"$work/in" >"$work/out" 2>"$work/said" ||
			{ cat "$work/said" >&2; exit 1; }
		awk '{ print $1 + $2, $3 }' "$work/time"
	done | sort -n | head -n 1
}

row() {
	codec=$1 size=$2 slices=$3
	case $codec in
	h264) encoder=libx264 options="-x264-params slices=$slices" format=h264 ;;
	h265) encoder=libx265 options="-x265-params log-level=error:slices=$slices" format=hevc ;;
	esac
	# shellcheck disable=SC2086 # two words
	ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=$size,noise=alls=10:all_seed=7" -frames:v 1 \
		-pix_fmt yuv420p -c:v "$encoder" $options -crf 26 -f "$format" -y "$work/in"
	own=$(measured "$here" picture "$codec")
	cp "$work/out" "$work/own.jpg"
	ffmpeg=$(measured ffmpeg -v error -threads 1 -f "$format" -i pipe:0 -frames:v 1 -vf "$scale" \
		-c:v mjpeg -q:v 7 -f mjpeg pipe:1)
	cp "$work/out" "$work/ffmpeg.jpg"
	arm=$(measured qemu-arm-static "$board" picture "$codec")
	cmp -s "$work/out" "$work/own.jpg" || { echo "the board's picture differs" >&2; exit 1; }
	likeness=$(ffmpeg -nostdin -hide_banner -i "$work/own.jpg" -i "$work/ffmpeg.jpg" -lavfi psnr -f null - 2>&1 |
		sed -n 's/.*average:\([0-9.]*\).*/\1/p')
	# shellcheck disable=SC2086 # two words each
	printf '%-5s %9s %6s %7.2f %8d %7.2f %8d %9.2f %8d %7d %7d %8.1f\n' "$codec" "$size" "$slices" $own \
		$ffmpeg $arm "$(wc -c <"$work/own.jpg")" "$(wc -c <"$work/ffmpeg.jpg")" "$likeness"
}

{
	date +%F
	echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(ffmpeg -version | sed -n '1s/ Copyright.*//p')"
	echo "program for the boards: $(wc -c <"$board") bytes with pictures"
	echo
	echo "                           smolnvr           FFmpeg     smolnvr, qemu-arm     JPEG, bytes  alike,"
	echo "video      size slices   CPU s       KB   CPU s       KB     CPU s       KB    own  FFmpeg      dB"
	for size in 320x180 640x360 1280x720 1920x1080; do
		row h264 "$size" 1
		row h264 "$size" 8
		row h265 "$size" 1
	done
} >"$work/table"
mv "$work/table" ci/bench/pictures.txt
cat ci/bench/pictures.txt
