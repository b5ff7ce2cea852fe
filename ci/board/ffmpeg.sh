#!/bin/sh
# Builds a static FFmpeg for the board, of Debian's source: RTSP in, MP4 out, and nothing else; prints where
# it is. Kept under the cache by what it is made from. For comparison only.
set -eu
cd "$(dirname "$0")"
key=$(cat ffmpeg.sh ../cross/zig.txt | cksum | cut -d ' ' -f 1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr
ffmpeg=$cache/board/ffmpeg-$key
if [ ! -x "$ffmpeg" ]; then
	echo "building FFmpeg (once; 2 minutes on 2 cores)" >&2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$cache/board" "$work/sources" "$work/lists/partial" "$work/archives/partial"
	# Where this machine's packages come from, their source does.
	grep -l debian /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | while read -r file; do
		sed -e 's/^Types: deb$/Types: deb-src/' -e 's/^deb /deb-src /' "$file" >"$work/sources/${file##*/}"
	done
	apt() {
		apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" \
			-o Dir::State::Lists="$work/lists" -o Dir::Cache::Archives="$work/archives" "$@" >&2
	}
	apt update
	(cd "$work" && apt source --download-only ffmpeg)
	mkdir "$work/ffmpeg"
	tar -C "$work/ffmpeg" --strip-components=1 -xJf "$work"/ffmpeg_*.orig.tar.xz
	zig=$(sh ../cross.sh --zig)
	export ZIG_GLOBAL_CACHE_DIR="$cache/zig-cache"
	cat >"$work/cc" <<END
#!/bin/sh
exec "$zig" cc -target arm-linux-musleabi -mcpu=generic+v7a+soft_float "\$@"
END
	for tool in ar ranlib; do
		printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$tool" >"$work/$tool"
	done
	chmod 755 "$work/cc" "$work/ar" "$work/ranlib"
	cd "$work/ffmpeg"
	./configure --enable-cross-compile --target-os=linux --arch=armv7 --cc="$work/cc" --ld="$work/cc" \
		--ar="$work/ar" --ranlib="$work/ranlib" --nm=nm --disable-stripping --extra-ldflags="-static -s" \
		--disable-everything --disable-asm --enable-small --disable-autodetect --disable-doc \
		--disable-ffprobe --disable-ffplay --enable-demuxer=rtsp,sdp,rtp --enable-muxer=mp4,segment \
		--enable-protocol=tcp,udp,rtp,file --enable-parser=h264,hevc --enable-decoder=h264,hevc \
		--enable-bsf=extract_extradata >&2
	make -s -j"$(nproc)" ffmpeg >&2
	cp ffmpeg "$ffmpeg.new"
	mv "$ffmpeg.new" "$ffmpeg"
fi
echo "$ffmpeg"
