//! `/proc/self/mountinfo`, whose mount points anybody may have named.

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
        assert!(
            !mount.has("")
                || mount.mount_options.is_empty()
                || mount.super_options.is_empty()
                || [&mount.mount_options, &mount.super_options]
                    .iter()
                    .any(|it| it.split(',').any(str::is_empty))
        );
    }
    if let Some([disk, part]) = mounts::device_names(path) {
        assert!(part.starts_with(&disk) && !disk.contains('/'), "{disk} of {part}");
    }
}
