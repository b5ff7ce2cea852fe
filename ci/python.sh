#!/bin/sh
# Runs Python with the packages of ci/requirements.txt: sh ci/python.sh SCRIPT [ARGUMENT]... They
# are cached under a hash of that list, and fetched if it is new.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
key=$(sha256sum "$here/requirements.txt" | cut -c 1-12)
packages=${XDG_CACHE_HOME:-$HOME/.cache}/smolnvr/python-$key
if [ ! -e "$packages" ]; then
	echo "python: fetching packages" >&2
	mkdir -p "$(dirname "$packages")"
	new=$(mktemp -d "$packages.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	trap 'exit 1' HUP INT TERM
	/usr/bin/python3 -m venv "$new"
	"$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--require-hashes --requirement "$here/requirements.txt"
	# Another process may have been faster.
	mv -T "$new" "$packages" 2>/dev/null || [ -e "$packages" ]
	rm -rf "$new"
	trap - EXIT
fi
exec "$packages/bin/python" "$@"
