#!/bin/sh
# Fails when a module imports one that stands below it in src/lib.rs: bytes flow one way, and so do
# imports. The order of the `pub mod` lines there is the order of the layers.
set -eu
cd "$(dirname "$0")/.."

order=$(sed -n 's/^\(pub \)\{0,1\}mod \([a-z0-9_]*\);.*/\2/p' src/lib.rs)
wrong=0
seen=""
for layer in $order; do
	seen="$seen $layer"
	files=""
	for file in "src/$layer.rs" $(find "src/$layer" -name '*.rs' 2>/dev/null); do
		case $file in *tests.rs | */tests/*) continue ;; esac
		[ ! -f "$file" ] || files="$files $file"
	done
	# Only the code before a file's tests counts: a test may look wherever it likes.
	for file in $files; do
		used=$(sed '/^#\[cfg(test)\]/,$d' "$file" |
			tr '\n' ' ' |
			grep -oE 'crate::(\{[^;]*;|[a-z0-9_]+)' |
			sed -e 's/crate:://' |
			awk '/^\{/ {
				depth = 0; word = ""
				for (i = 1; i <= length($0); i++) {
					c = substr($0, i, 1)
					if (c == "{") { if (depth == 1 && word != "") { print word }; depth++; word = "" }
					else if (c == "}") { if (depth == 1 && word != "") print word; depth--; word = "" }
					else if (c == "," && depth == 1) { if (word != "") print word; word = "" }
					else if (depth == 1 && c != " ") word = word c
				}
				next
			} { print }' | sed -e 's/::.*//' | grep -E '^[a-z]' | sort -u)
		for name in $used; do
			case " $order " in *" $name "*) ;; *) echo "$order" | grep -qx "$name" || continue ;; esac
			case "$seen " in
			*" $name "*) ;;
			*)
				echo "$file: imports $name, which lies below $layer in src/lib.rs" >&2
				wrong=1
				;;
			esac
		done
	done
done
exit $wrong
