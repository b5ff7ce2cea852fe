#!/bin/sh
# Installs a package of `ci/package.sh` into a folder, as a firmware would.
#
# usage: install.sh package FOLDER   by the rules of package/smolnvr/smolnvr.mk
#        install.sh ipk FOLDER       by unpacking the .ipk, with the tools that a camera has
set -eu
way=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.."
export DIST="$PWD/target/board/dist"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $way in
package)
	archive=$(sh ci/package.sh tarball)
	mkdir "$work/source"
	tar -C "$work/source" --strip-components=1 -xzf "$archive"
	# What Buildroot's generic-package does with the rules, without Buildroot.
	cat >"$work/Makefile" <<END_OF_MAKEFILE
INSTALL = install
TARGET_DIR = $folder
generic-package =
include package/smolnvr/smolnvr.mk
$work/source/installed:
	\$(SMOLNVR_INSTALL_TARGET_CMDS)
END_OF_MAKEFILE
	make -s -f "$work/Makefile" "$work/source/installed"
	;;
ipk)
	archive=$(sh ci/package.sh ipk | grep 'armv7\.ipk$')
	gzip -dc "$archive" | tar -C "$work" -xf -
	gzip -dc "$work/data.tar.gz" | tar -C "$folder" -xf -
	;;
*)
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac
