#!/bin/sh
# The page is part of smolnvr: starts it if it does not run.
exec sh "$(dirname "$0")/../start_livestream.sh"
