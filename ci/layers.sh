#!/bin/sh
# Fails if a module imports one listed below it in src/lib.rs: bytes flow one way, and so do
# imports. The order of the `pub mod` lines there is the order of the layers.
set -eu
cd "$(dirname "$0")/.."

# The modules that a file names after `crate::`, one per line. Tests, at the end of a file, may
# import any module.
imports() {
	sed -e "/^mod tests {$/,\$d" -e 's|//.*||' "$1" |
		tr '\n' ' ' |
		# crate::{a::{B, C}, d} → @{a, d} → @{a d}; then one name a line
		sed -e 's/crate:: *{/@{/g' -e 's/crate::/@/g' \
			-e ':inner' -e 's/:: *{[^{}]*}//' -e 't inner' |
		grep -oE '@(\{[^}]*\}|[a-z0-9_]+)' |
		tr '{,' '[\n*]' |
		sed -n 's/^[@ ]*\([a-z0-9_]\{1,\}\).*/\1/p' |
		sort -u
}

order=$(sed -n 's/^pub mod \([a-z0-9_]*\);.*/\1/p' src/lib.rs | tr '\n' ' ')
above=" "
wrong=0
for layer in $order; do
	above="$above$layer "
	for file in "src/$layer.rs" $(find "src/$layer" -name '*.rs' 2>/dev/null); do
		case $file in */tests.rs | */tests/*) continue ;; esac
		for name in $(imports "$file"); do
			case " $order" in *" $name "*) ;; *) continue ;; esac
			case $above in *" $name "*) continue ;; esac
			echo "$file: imports $name, which stands below $layer in src/lib.rs" >&2
			wrong=1
		done
	done
done
exit $wrong
