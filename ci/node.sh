#!/bin/sh
# Runs a program of Node's packages as ci/node/PROGRAM/package-lock.json names them:
# sh ci/node.sh PROGRAM [ARGUMENT]...
# They lie in the cache, under a name made of that list; they are fetched where it is new.
set -eu
program=$1
shift
list=$(cd "$(dirname "$0")/node/$program" && pwd)
key=$(sha256sum "$list/package-lock.json" | cut -c 1-12)
packages=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr/$program-$key
if [ ! -e "$packages" ]; then
	echo "$program: fetching packages" >&2
	mkdir -p "$(dirname "$packages")"
	new=$(mktemp -d "$packages.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	trap 'exit 1' HUP INT TERM
	cp "$list/package.json" "$list/package-lock.json" "$new"
	(cd "$new" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2)
	# Another process may have been faster.
	mv -T "$new" "$packages" 2>/dev/null || [ -e "$packages" ]
	rm -rf "$new"
	trap - EXIT
fi
exec node "$packages/node_modules/.bin/$program" "$@"
