#!/bin/sh
# Installs what the tests need and this machine lacks; quick and silent when it is all there.
# A Debian 12 machine with cargo, gcc, python3, make and git is expected, and root for apt-get.
set -eu
cd "$(dirname "$0")/.."

# Command or file that must be there, and the Debian package that brings it.
needs='
ffmpeg ffmpeg
ffprobe ffmpeg
chromium chromium
shellcheck shellcheck
busybox busybox
strace strace
/usr/lib/python3/dist-packages/gi/__init__.py python3-gi
/usr/lib/x86_64-linux-gnu/girepository-1.0/GstRtspServer-1.0.typelib gir1.2-gst-rtsp-server-1.0
/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstrtp.so gstreamer1.0-plugins-good
/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstvideoparsersbad.so gstreamer1.0-plugins-bad
/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgsttypefindfunctions.so gstreamer1.0-plugins-base
'
missing=$(echo "$needs" | while read -r need package; do
	case $need in
	'') ;;
	/*) [ -e "$need" ] || echo "$package" ;;
	*) command -v "$need" >/dev/null 2>&1 || echo "$package" ;;
	esac
done | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
	echo "setup: installing $missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of names
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# Clips that are too large to be committed.
sh ci/clips.sh 
