//! `/proc/self/mountinfo`, with any names of mount points.

use smolnvr::storage::disk::mounts;
use std::{os::unix::ffi::OsStrExt as _, path::Path};

pub const WORDS: &[&str] = &[
    "22 14 179:1 / ",
    "/mnt/mmcblk0p1",
    " rw,sync - vfat /dev/mmcblk0p1 ro\n",
    "\\040",
    "\\134",
    " - ",
    "/",
    "/mnt",
    "shared:7 ",
    "\n",
    "/mnt/sda1",
];

/// A path, a line end, and the text.
pub fn mountinfo(data: &[u8]) {
    let (path, text) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&data[..0], data),
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let found = mounts::find(text, path);
    let all = text.split(|byte| *byte == b'\n');
    let of_line = |line: &[u8]| mounts::find(line, path);
    // Of the lines that hold the path the deepest, of the same depth the last.
    let depth = |mount: &mounts::MountLine| mount.mount_point.as_os_str().len();
    let deepest =
        all.filter_map(of_line).fold(None, |best: Option<mounts::MountLine>, mount| match best {
            Some(best) if depth(&best) > depth(&mount) => Some(best),
            _ => Some(mount),
        });
    assert_eq!(found, deepest);
    if let Some(mount) = found {
        assert!(path.starts_with(&mount.mount_point));
        let point = mount.mount_point.as_os_str().as_bytes();
        let mut points = text
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split(|it| *it == b' ').nth(4));
        assert!(points.any(|written| unescaped(written) == point), "{:?}", mount.mount_point);
    }
    if let Some([disk, part]) = mounts::device_names(path) {
        assert!(part.starts_with(&disk) && !disk.contains('/'), "{disk} of {part}");
    }
}

/// `\040` is a blank, whatever octal number of a byte it is.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < field.len() {
        let digits = field.get(at + 1..at + 4).and_then(|it| std::str::from_utf8(it).ok());
        let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|it| u8::from_str_radix(it, 8).ok()).filter(|_| field[at] == b'\\') {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(field[at]);
                at += 1;
            }
        }
    }
    out
}
