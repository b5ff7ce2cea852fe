#!/bin/sh
# Installs packages that the tests need; quick and silent if none is missing.
# `setup.sh board` what the board in QEMU needs instead.
# A Debian machine with cargo, gcc, make and git is expected, and root (or sudo) for apt-get.
set -eu
cd "$(dirname "$0")/.."

# A command or file that must exist, and the Debian package that provides it.
needs='
ffmpeg ffmpeg
ffprobe ffmpeg
chromium chromium
firefox-esr firefox-esr
WebKitWebDriver webkit2gtk-driver
Xvfb xvfb
node nodejs
npm npm
python3 python3
/usr/lib/python3*/ensurepip/__init__.py python3-venv
shellcheck shellcheck
busybox busybox
strace strace
valgrind valgrind
/usr/sbin/nginx nginx-light
/usr/sbin/haproxy haproxy
caddy caddy
/usr/sbin/mosquitto mosquitto
mosquitto_sub mosquitto-clients
/usr/bin/rustc rustc-web
/usr/bin/cargo cargo-web
/usr/lib/rustlib/src/rust/library/Cargo.lock rust-web-src
pip3 python3-pip
qemu-arm-static qemu-user-static
dockerd docker.io
mmdebstrap mmdebstrap
zip zip
ar binutils
c++ g++
rclone rclone
jq jq
curl curl
promtool prometheus
mkfs.ext4 e2fsprogs
mount mount
vlc vlc-bin
/usr/lib/*/vlc/plugins/stream_out/libstream_out_rtp_plugin.so vlc-plugin-base
/usr/lib/python3/dist-packages/gi/__init__.py python3-gi
/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib gir1.2-gst-rtsp-server-1.0
/usr/lib/*/gstreamer-1.0/libgstrtp.so gstreamer1.0-plugins-good
/usr/lib/*/gstreamer-1.0/libgstlibav.so gstreamer1.0-libav
/usr/lib/*/libsoup-3.0.so.0 libsoup-3.0-0
gst-launch-1.0 gstreamer1.0-tools
/usr/lib/*/gstreamer-1.0/libgstvideoparsersbad.so gstreamer1.0-plugins-bad
/usr/lib/*/gstreamer-1.0/libgsttypefindfunctions.so gstreamer1.0-plugins-base
'
# The board in QEMU, and its kernel.
[ "${1:-}" != board ] || needs='
ffmpeg ffmpeg
python3 python3
pip3 python3-pip
/usr/bin/rustc rustc-web
/usr/bin/cargo cargo-web
/usr/lib/rustlib/src/rust/library/Cargo.lock rust-web-src
zip zip
ar binutils
mcopy mtools
qemu-system-arm qemu-system-arm
mksquashfs squashfs-tools
mkfs.vfat dosfstools
mkfs.ext4 e2fsprogs
arm-linux-gnueabi-gcc gcc-arm-linux-gnueabi
/usr/src/linux-source-6.1.tar.xz linux-source-6.1
xz xz-utils
flex flex
bison bison
bc bc
'
missing=$(echo "$needs" | while read -r need package; do
	# shellcheck disable=SC2086 # a pattern: the folder is named after the machine
	case $need in
	'') ;;
	/*) ls $need >/dev/null 2>&1 || echo "$package" ;;
	*) command -v "$need" >/dev/null 2>&1 || echo "$package" ;;
	esac
done | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 || {
			echo "setup: as root: apt-get install $missing" >&2
			exit 1
		}
		as_root="sudo"
	fi
	echo "setup: installing $missing"
	# Only tests start the servers, on loopback: none is started on installation.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
		$as_root chmod 755 $policy
		trap '$as_root rm -f $policy' EXIT
	fi
	$as_root apt-get update -qq
	# shellcheck disable=SC2086 # a list of names
	$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# Clips that are too large to be committed.
sh ci/clips.sh
# Packages for Python and Node.
[ "${1:-}" = board ] || {
	sh ci/python.sh -c ''
	for program in s3rver tsc; do sh ci/node.sh $program --version >/dev/null; done
}
