#!/bin/sh
[ -f "$(dirname "$0")/smolnvr/autostart.sh" ] && sh "$(dirname "$0")/smolnvr/autostart.sh" # smolnvr
