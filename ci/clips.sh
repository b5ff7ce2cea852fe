#!/bin/sh
# Makes the clips that the test camera plays: raw H.264 or H.265, and beside each a list of
# presentation times (ticks of 90 kHz, one a line, one an access unit, in decode order).
#
#   ci/clips.sh                    makes what is missing: ci/clips/*, and the large ones in the cache
#   ci/clips.sh -f                 makes all of them again
#   ci/clips.sh VIDEO OUT.h264     makes a clip (and OUT.h264.pts) of a video of yours, without encoding;
#                                  OUT.h265 where the video is H.265
set -eu

here=$(cd "$(dirname "$0")" && pwd)
small=$here/clips
large=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr/clips
force=no
work=

main() {
    if [ "${1:-}" = -f ]; then force=yes; shift; fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    case $# in
        0) all ;;
        2) split "$1" "$2" ;;
        *) sed -n 's/^# \{0,1\}//; 2,/^set/p' "$0" | grep -v '^set' >&2; exit 2 ;;
    esac
}

# One thread everywhere: the same encoder then makes the same bytes.
all() {
    mkdir -p "$small" "$large"
    gop=keyint=25:min-keyint=25:scenecut=0
    x265=$gop:pools=none:frame-threads=1:wpp=0:info=0:log-level=error

    # No B-frames, a key frame a second.
    clip "$small/plain.h264" small libx264 -x264-params "$gop:bframes=0"
    # B-frames that serve as references for others.
    clip "$small/bframes.h264" small libx264 -x264-params "$gop:bframes=3:b-adapt=0:b-pyramid=normal"
    # Four slices a frame, access unit delimiters, and times that follow no frame rate.
    clip "$small/slices.h264" uneven libx264 -x264-params "$gop:bframes=0:slices=4:aud=1" \
        -bsf:v filter_units=remove_types=6 # x264 puts its note in front of the delimiter
    clip "$small/plain.h265" small libx265 -x265-params "$x265:bframes=0:open-gop=0"
    # Closed groups: each key frame an IDR.
    clip "$small/bframes.h265" small libx265 -x265-params "$x265:bframes=4:b-adapt=0:b-pyramid=1:open-gop=0"
    # Open groups: an IDR, then CRA pictures followed by RASL pictures.
    clip "$small/opengop.h265" small libx265 -x265-params "$x265:bframes=4:b-adapt=0:b-pyramid=1:open-gop=1"
    # Sound: AAC LC, 16 kHz, mono, no two frames alike.
    sound "$small/noise.aac" anoisesrc=amplitude=0.4:seed=7:sample_rate=16000:duration=3.3 -b:a 24k
    # The stream of a camera at 4 Mbit/s: 1080p25, a key frame every two seconds.
    clip "$large/bench.h264" large libx264 -b:v 4M -maxrate 4M -bufsize 4M \
        -x264-params keyint=50:min-keyint=50:scenecut=0:bframes=0
    # The same at 8 and at 1 Mbit/s.
    clip "$large/heavy.h264" large libx264 -b:v 8M -maxrate 8M -bufsize 8M \
        -x264-params keyint=50:min-keyint=50:scenecut=0:bframes=0
    clip "$large/modest.h264" large libx264 -b:v 1M -maxrate 1M -bufsize 1M \
        -x264-params keyint=50:min-keyint=50:scenecut=0:bframes=0
    # Each of the 250 pictures shows its number: eight blocks along the top, white for 1, from the
    # lowest bit on.
    clip "$large/numbered.h264" numbered libx264 -crf 33 -x264-params "$gop:bframes=0"
}

# clip OUT PICTURES ENCODER OPTION...
clip() {
    out=$1 pictures=$2 encoder=$3
    shift 3
    if [ $force = no ] && [ -s "$out" ] && [ -s "$out.pts" ]; then return; fi
    echo "making $out"
    case $pictures in
        small) graph=testsrc2=size=480x272:rate=25:duration=4 ;;
        uneven) graph="testsrc2=size=480x272:rate=25:duration=4,settb=1/90000,setpts=N*3600+mod(N*N*37\,997)*lt(N\,98)" ;;
        numbered)
            graph="testsrc2=size=960x540:rate=25:duration=10,drawbox=w=iw:h=40:color=black:t=fill"
            for bit in 0 1 2 3 4 5 6 7; do
                graph="$graph,drawbox=x=$((120 * bit)):w=120:h=40:color=white:t=fill"
                graph="$graph:enable='mod(floor(n/$((1 << bit))),2)'"
            done ;;
        large) graph=testsrc2=size=1920x1080:rate=25:duration=10,noise=alls=14:allf=t:all_seed=7 ;;
    esac
    case $pictures in
        large) set -- -preset veryfast "$@" ;;
        *) set -- -crf 33 "$@" ;;
    esac
    ffmpeg -hide_banner -loglevel error -nostdin -y -filter_complex_threads 1 \
        -f lavfi -i "$graph" -fps_mode passthrough -enc_time_base 1:90000 -pix_fmt yuv420p \
        -c:v "$encoder" "$@" -threads 1 -fflags +bitexact -flags:v +bitexact \
        -video_track_timescale 90000 "$work/clip.mp4"
    split "$work/clip.mp4" "$out"
}

# sound OUT SOURCE OPTION...: raw AAC with ADTS headers.
sound() {
    out=$1 source=$2
    shift 2
    if [ $force = no ] && [ -s "$out" ]; then return; fi
    echo "making $out"
    ffmpeg -hide_banner -loglevel error -nostdin -y -f lavfi -i "$source" -ac 1 -c:a aac "$@" \
        -threads 1 -fflags +bitexact -flags:a +bitexact -f adts "$out"
}

# split VIDEO OUT: the access units of a video's first video track, and their times.
split() {
    case $2 in
        *.h264) filter=h264_mp4toannexb format=h264 ;;
        *.h265) filter=hevc_mp4toannexb format=hevc ;;
        *) echo "$2: ends in neither .h264 nor .h265" >&2; exit 2 ;;
    esac
    # Not into a pipe: ash would not notice that ffmpeg failed.
    ffmpeg -hide_banner -loglevel error -nostdin -y -i "$1" -map 0:v:0 -c copy \
        -video_track_timescale 90000 "$work/timed.mp4"
    ffprobe -loglevel error -select_streams v:0 -show_entries packet=pts \
        -of default=noprint_wrappers=1:nokey=1 "$work/timed.mp4" > "$work/out.pts"
    ffmpeg -hide_banner -loglevel error -nostdin -y -i "$work/timed.mp4" -map 0:v:0 -c copy \
        -bsf:v "$filter" -f "$format" "$work/out.raw"
    mv "$work/out.pts" "$2.pts"
    mv "$work/out.raw" "$2"
}

main "$@"
