#!/bin/sh
# Runs s3rver as ci/s3rver/package-lock.json names it: sh ci/s3rver.sh [ARGUMENT]...
# It lies in the cache, under a name made of that list; it is fetched where that is new.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
key=$(sha256sum "$here/s3rver/package-lock.json" | cut -c 1-12)
packages=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr/s3rver-$key
if [ ! -e "$packages" ]; then
	echo "s3rver: fetching packages" >&2
	mkdir -p "$(dirname "$packages")"
	new=$(mktemp -d "$packages.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	trap 'exit 1' HUP INT TERM
	cp "$here/s3rver/package.json" "$here/s3rver/package-lock.json" "$new"
	(cd "$new" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2)
	# Another process may have been faster.
	mv -T "$new" "$packages" 2>/dev/null || [ -e "$packages" ]
	rm -rf "$new"
	trap - EXIT
fi
exec node "$packages/node_modules/.bin/s3rver" "$@"
