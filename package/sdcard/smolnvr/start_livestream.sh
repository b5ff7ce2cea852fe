#!/bin/sh
# Starts smolnvr if it does not run: live view and page, no recording until somebody starts it.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=package/sdcard/smolnvr/common.sh
. "$here/common.sh"
service start --no-record
