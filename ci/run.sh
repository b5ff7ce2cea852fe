#!/bin/sh
# Builds smolnvr and records a camera into ./recordings: the one named by $1, or the test camera.
set -eu
cd "$(dirname "$0")/.."
url=${1:-}

cargo build --quiet --release --workspace
mkdir -p recordings
if [ -z "$url" ]; then
	target/release/camera --port 0 >recordings/.camera &
	camera=$!
	trap 'kill "$camera" 2>/dev/null || true' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# The camera says where it listens; it ends at once if it can not.
	until url=$(sed -n 's/^listening on //p' recordings/.camera) && [ -n "$url" ]; do
		kill -0 "$camera"
		sleep 0.1
	done
	url=$(echo "$url" | head -n 1)
	echo "no URL given: recording the test camera, $url"
fi
cat >recordings/.smolnvr.toml <<EOF
[storage]
path = "$PWD/recordings"
require_mount = false

[[camera]]
name = "camera"
url = "$url"
EOF
echo "recordings are in $PWD/recordings; Ctrl-C ends"
target/release/smolnvr run -c recordings/.smolnvr.toml
