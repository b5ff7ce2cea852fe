#!/bin/sh
# Builds smolnvr and records a camera until Ctrl-C: the one at $URL, or else the test camera; into
# the folder $DIR, or else ./recordings; the page is on port $PORT of this machine, or else 8080. Each
# folder has its own smolnvr: two may run at once, on two ports. Only this machine reaches the page,
# which therefore asks for no password.
set -eu
cd "$(dirname "$0")/.."
url=${URL:-}
dir=${DIR:-recordings}
port=${PORT:-8080}
work=
camera=
smolnvr=

# $1 as a string of TOML.
quoted() {
	printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# Ends the programs started here, the recorder first: it closes its file.
finish() {
	status=$?
	trap '' HUP INT TERM
	for child in $smolnvr $camera; do
		kill "$child" 2>/dev/null || continue
		wait "$child" || true
	done
	rm -rf "$work"
	exit "$status"
}

command -v cargo >/dev/null 2>&1 || {
	echo "cargo is missing: install Rust first" >&2
	exit 1
}
echo "building (a few minutes the first time)"
cargo build --quiet --release --workspace
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM
work=$(mktemp -d)
if [ -z "$url" ]; then
	target/release/camera --port 0 >"$work/camera" &
	camera=$!
	# It prints its address, or exits at once if it cannot listen.
	until url=$(sed -n 's/^listening on //p' "$work/camera" | head -n 1) && [ -n "$url" ]; do
		kill -0 "$camera"
		sleep 0.1
	done
	echo "no URL=rtsp://… given: recording the test camera, $url"
fi
# It may hold a password: the folder is for this user alone.
cat >"$work/smolnvr.toml" <<END
[storage]
path = $(quoted "$dir")
require_mount = false

[[camera]]
name = "camera"
url = $(quoted "$url")

[web]
listen = "127.0.0.1:$port"
auth = "none"
END
echo "recordings are in $dir, the page is http://127.0.0.1:$port/; Ctrl-C ends"
target/release/smolnvr run -c "$work/smolnvr.toml" --socket "$dir/.smolnvr.sock" &
smolnvr=$!
wait "$smolnvr"
