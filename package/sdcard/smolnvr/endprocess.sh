#!/bin/sh
# Closes all recordings and ends smolnvr until the next start.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=package/sdcard/smolnvr/common.sh
. "$here/common.sh"
smolnvr shutdown
