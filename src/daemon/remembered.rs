//! Which cameras were started and stopped by hand: kept until the next boot, in a file beside the
//! socket.

use crate::clock;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Returns what was last requested for a camera since boot; `None` if nothing was.
pub fn wish(socket: &Path, camera: &str) -> Option<bool> {
    let text = fs::read_to_string(file(socket)).ok()?;
    let mut lines = text.lines();
    if lines.next()? != boot() {
        return None;
    }
    let wishes = lines.filter_map(|line| line.rsplit_once(' '));
    wishes.filter(|(name, _)| *name == camera).map(|(_, wish)| wish == ON).next_back()
}

/// Stores the requests for all cameras. If that fails, the next daemon follows the configuration.
pub fn write<'a>(socket: &Path, wishes: impl Iterator<Item = (&'a str, bool)>) {
    let mut text = format!("{}\n", boot());
    for (name, is_on) in wishes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} {}", if is_on { ON } else { OFF });
    }
    let file = file(socket);
    let written = fs::write(file.with_extension("record.new"), text)
        .and_then(|()| fs::rename(file.with_extension("record.new"), &file));
    if let Err(error) = written {
        log::warn!("{}: {error}: start and stop will be forgotten at a restart", file.display());
    }
}

fn file(socket: &Path) -> PathBuf {
    socket.with_extension("record")
}

fn boot() -> String {
    format!("{:032x}", u128::from_be_bytes(clock::boot_id()))
}

const ON: &str = "on";
const OFF: &str = "off";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_last_until_the_next_boot() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("smolnvr.sock");
        assert_eq!(wish(&socket, "yard"), None);
        write(&socket, [("yard", true), ("gate", false)].into_iter());
        assert_eq!(
            ["yard", "gate", "door"].map(|name| wish(&socket, name)),
            [Some(true), Some(false), None]
        );
        let text = fs::read_to_string(file(&socket)).unwrap();
        fs::write(file(&socket), text.replacen(&boot(), "another boot", 1)).unwrap();
        assert_eq!(wish(&socket, "yard"), None);
    }
}
