//! The mount of a path: the text of `/proc/self/mountinfo` in, one of its lines out.
//!
//! Spec: proc(5), Documentation/filesystems/proc.txt §3.5.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine {
    /// `MAJ:MIN` as in `/sys/dev/block`; major number 0 means no device (tmpfs, NFS, FUSE).
    pub device: String,
    pub mount_point: PathBuf,
    pub file_system: String,
    /// Comma-separated options of the mount and of the file system; `ro` in either counts.
    pub mount_options: String,
    pub super_options: String,
}

impl MountLine {
    pub fn has(&self, option: &str) -> bool {
        let both = [&self.mount_options, &self.super_options];
        both.iter().any(|options| options.split(',').any(|each| each == option))
    }
}

/// Finds the mount of `path`: the longest mount point above it, and the last of several mounted on
/// each other. `path` must be absolute and free of links.
pub fn find(mountinfo: &[u8], path: &Path) -> Option<MountLine> {
    let mut found: Option<MountLine> = None;
    for line in mountinfo.split(|&byte| byte == b'\n') {
        let Some(mount) = parse(line) else { continue };
        let depth = mount.mount_point.as_os_str().len();
        let is_deeper =
            found.as_ref().is_none_or(|best| depth >= best.mount_point.as_os_str().len());
        if is_deeper && path.starts_with(&mount.mount_point) {
            found = Some(mount);
        }
    }
    found
}

/// Parses `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn parse(line: &[u8]) -> Option<MountLine> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = text(fields.nth(2)?);
    let mount_point = unescape(fields.nth(1)?);
    let mount_options = text(fields.next()?);
    fields.by_ref().find(|&field| field == b"-")?;
    let file_system = text(fields.next()?);
    let super_options = text(fields.nth(1)?);
    Some(MountLine { device, mount_point, file_system, mount_options, super_options })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Decodes `\040`, `\011`, `\012` and `\134`: space, tab, line feed and backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let code = match (byte, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                rest = after;
                (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
            }
            _ => byte,
        };
        bytes.push(code);
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Returns the block device after which mdev names a mount point (`/mnt/mmcblk0p1`, `/mnt/sda1`),
/// and its disk: the names to look for in `/sys/class/block` if nothing is mounted.
pub fn device_names(path: &Path) -> Option<[String; 2]> {
    let name = path.iter().map(|part| part.as_bytes()).find(|part| {
        let is_card = part.starts_with(b"mmcblk");
        is_card || (part.starts_with(b"sd") && part.len() <= 5 && part.len() >= 3)
    })?;
    let part = text(name);
    let disk = part.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let disk = match disk.strip_suffix('p') {
        Some(disk) => disk,
        None if part.starts_with("mmcblk") => &part,
        None => disk,
    };
    Some([disk.to_owned(), part.clone()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &[u8] = b"\
        15 0 31:3 / /rom ro,relatime - squashfs /dev/root ro\n\
        14 0 0:13 / / rw,relatime - overlay overlay rw,lowerdir=/,upperdir=/overlay/root\n\
        18 14 0:15 / /tmp rw,nosuid - tmpfs tmpfs rw,size=16M\n\
        22 14 179:1 / /mnt/mmcblk0p1 rw,sync,relatime - vfat /dev/mmcblk0p1 ro,sync,fmask=0022\n\
        23 14 8:1 / /mnt/my\\040disk rw shared:7 master:2 - ext4 /dev/sda1 rw\n";

    #[test]
    fn the_longest_mount_point_above_a_path_is_its_mount() {
        let card = find(BOARD, Path::new("/mnt/mmcblk0p1/recordings")).unwrap();
        assert_eq!((&*card.device, &*card.file_system), ("179:1", "vfat"));
        assert!(card.has("sync") && card.has("ro"), "ro stands in the second list only");
        let root = find(BOARD, Path::new("/mnt/mmcblk0p10/recordings")).unwrap();
        assert_eq!(root.mount_point, Path::new("/"));
        assert_eq!(find(BOARD, Path::new("/tmp/x")).unwrap().file_system, "tmpfs");
    }

    #[test]
    fn an_escaped_mount_point_with_optional_fields_is_found() {
        let disk = find(BOARD, Path::new("/mnt/my disk")).unwrap();
        assert_eq!((&*disk.device, disk.has("rw")), ("8:1", true));
        assert_eq!(unescape(br"a\134b\"), Path::new(r"a\b\"));
    }

    #[test]
    fn the_last_of_two_mounts_on_one_point_counts() {
        let twice =
            b"1 0 0:1 / /mnt/a rw - tmpfs none rw\n2 1 179:1 / /mnt/a rw - vfat /dev/a rw\n";
        assert_eq!(find(twice, Path::new("/mnt/a")).unwrap().file_system, "vfat");
    }

    #[test]
    fn every_truncation_of_a_line_is_read_without_panic() {
        for end in 0..BOARD.len() {
            let _ = find(&BOARD[..end], Path::new("/mnt/mmcblk0p1"));
        }
        assert_eq!(parse(b"22 14 179:1 / /mnt rw - vfat"), None);
    }

    #[test]
    fn a_mount_point_names_its_device_and_the_disk_it_is_a_part_of() {
        let names = |path: &str| device_names(Path::new(path)).unwrap();
        assert_eq!(names("/mnt/mmcblk0p1/recordings"), ["mmcblk0", "mmcblk0p1"]);
        assert_eq!(names("/mnt/mmcblk0"), ["mmcblk0", "mmcblk0"]);
        assert_eq!(names("/mnt/sda1"), ["sda", "sda1"]);
        assert_eq!(device_names(Path::new("/mnt/card/recordings")), None);
    }
}
