#!/bin/sh
# Starts smolnvr at boot, as configured: autostart.sh on the card's top level calls this when the firmware
# mounts the card. It runs there inside the hot-plug handler, before the network: nothing may wait for it.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=package/sdcard/smolnvr/common.sh
(. "$here/common.sh" && service start) </dev/null 2>&1 | logger -t smolnvr >/dev/null 2>&1 &
