#!/bin/sh
# Starts smolnvr if it does not run, and recording.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=package/sdcard/smolnvr/common.sh
. "$here/common.sh"
service start && smolnvr record start
