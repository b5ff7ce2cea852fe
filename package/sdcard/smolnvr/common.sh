# What the scripts of an SD card have in common; read by them with $here set to this folder.
#
# smolnvr runs from a copy in RAM: nothing of ours is open on the card, so that it can
# be unmounted, and pulled.
# shellcheck shell=sh disable=SC2154

ram=${SMOLNVR_RAM:-/tmp/smolnvr}
copied="smolnvr S97smolnvr"
# What the firmware runs at its end, before it unmounts the card. In its flash, written once; it leads nowhere
# until smolnvr is in RAM, and is passed over then.
at_end=/etc/init.d/S98smolnvr

# /tmp is for everybody to write to, and root runs what lies in $ram: that is a folder of root's alone.
own_folder() {
	mkdir -m 755 "$ram" 2>/dev/null
	[ -d "$ram" ] && [ ! -L "$ram" ] && [ -O "$ram" ] && chmod 755 "$ram" && return
	echo "smolnvr: $ram is not a folder of this user alone: remove it" >&2
	return 1
}

# $1 for a shell to read, whatever is in it.
quoted() {
	printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

# Copies what runs, unless it is there already; each file is what SHA256SUMS says, or nothing runs. That
# finds damage, not malice: the sums lie on the same card.
copy_to_ram() {
	own_folder || return
	for file in $copied; do
		sum=$(grep " $file\$" "$here/SHA256SUMS") || return
		(cd "$ram" && echo "$sum" | sha256sum -c >/dev/null 2>&1) && continue
		rm -f "$ram/$file.new"
		cp "$here/$file" "$ram/$file.new" && chmod 755 "$ram/$file.new" && mv "$ram/$file.new" "$ram/$file" || return
		(cd "$ram" && echo "$sum" | sha256sum -c >/dev/null 2>&1) && continue
		rm -f "$ram/$file"
		echo "smolnvr: $here/$file is damaged: copy it anew, or install again" >&2
		return 1
	done
	# Settings made on the card outlive an upgrade.
	[ -e "$here/smolnvr.toml" ] || cp "$here/default.toml" "$here/smolnvr.toml"
	config=$here/smolnvr.toml
	[ -s "$config" ] || config=$here/default.toml
	rm -f "$ram/default"
	cat >"$ram/default" <<END
BINARY=$(quoted "$ram/smolnvr")
SUPERVISOR=$(quoted "$ram/smolnvrd")
CONFIG=$(quoted "$config")
${SMOLNVR_SOCKET:+SOCKET=$(quoted "$SMOLNVR_SOCKET")}
END
	# Without it nothing is lost but a clean unmount.
	[ -L "$at_end" ] || ln -s "$ram/S97smolnvr" "$at_end" 2>/dev/null || true
}

# What /etc/init.d/S97smolnvr does, with the copy.
service() {
	copy_to_ram && sh "$ram/S97smolnvr" "$@"
}

# A command to the running daemon.
smolnvr() {
	if [ -x "$ram/smolnvr" ]; then
		"$ram/smolnvr" "$@" ${SMOLNVR_SOCKET:+--socket "$SMOLNVR_SOCKET"}
	else
		echo "smolnvr: does not run" >&2
		return 1
	fi
}
