#!/bin/sh
# Two clones of this commit, built from scratch in two places, must give identical packages.
# CROSS is as for ci/cross.sh.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
commit=$(git rev-parse HEAD)
for clone in one "another place/of that name"; do
	git clone --quiet . "$work/$clone"
	git -C "$work/$clone" checkout --quiet "$commit"
	(cd "$work/$clone" && BUILD_DIR="$work/$clone/target/build" sh ci/cross.sh && sh ci/package.sh dist >/dev/null)
done
diff -r "$work/one/target/dist" "$work/another place/of that name/target/dist"
cat "$work/one/target/dist/SHA256SUMS"
