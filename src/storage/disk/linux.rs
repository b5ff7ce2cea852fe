//! The system calls on Linux, 4.9 or later.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    num::NonZeroU64,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Advice, FallocateFlags, FlockOperation, OFlags, fadvise, fallocate, flock, statvfs},
    io::Errno,
    mount::{MountFlags, mount_remount},
};

use super::{
    Access, Disk, FileSystem, Kind, Mount, RequireMount, Space, foreign,
    mounts::{self, MountLine},
};
use crate::units::WallTime;

/// The file systems of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinuxDisk;

/// Keeps its file system in use, so that no other one gets its device and inode numbers.
pub struct OpenFolder {
    file: File,
    links: Links,
}

/// Whether a folder may be a link: only at the place that the user chose for recordings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

impl Disk for LinuxDisk {
    type File = File;
    type Folder = OpenFolder;

    fn mount(&self, path: &Path, required: RequireMount) -> Mount {
        let mount = mount_of(path);
        match required {
            RequireMount::Yes => match &mount {
                None => return Mount::Absent("cannot read /proc/self/mountinfo".into()),
                Some(mount) if mount.mount_point == Path::new("/") => {
                    return Mount::Absent(why_absent(path));
                }
                Some(mount) if matches!(&*mount.file_system, "tmpfs" | "ramfs" | "devtmpfs") => {
                    return Mount::Absent(format!("{} is RAM, not a card", path.display()));
                }
                Some(_) => {}
            },
            RequireMount::No => {
                if !path
                    .parent()
                    .is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
                {
                    return Mount::Absent(format!(
                        "the parent folder of {} is missing",
                        path.display()
                    ));
                }
            }
        }
        match mount {
            Some(mount) if !device_is_there(&mount) => {
                Mount::Absent(format!("the card at {} was pulled", mount.mount_point.display()))
            }
            Some(mount) if mount.has("ro") => Mount::ReadOnly,
            _ => Mount::Writable,
        }
    }

    fn remount_writable(&self, path: &Path) -> io::Result<()> {
        let mount = mount_of(path).ok_or(io::ErrorKind::NotFound)?;
        let kept = KEPT_FLAGS.iter().filter(|(option, _)| mount.has(option));
        let flags = kept.fold(MountFlags::empty(), |flags, (_, flag)| flags | *flag);
        Ok(mount_remount(&mount.mount_point, flags, "")?)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let room = statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
        Ok(Space { free: bytes(room.f_bavail), total: bytes(room.f_blocks) })
    }

    fn hold(&self, path: &Path, within: Option<&OpenFolder>) -> io::Result<OpenFolder> {
        let links = if within.is_some() { Links::Refused } else { Links::Followed };
        let nofollow = if links == Links::Refused { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = (OFlags::DIRECTORY | nofollow).bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            result => result?,
        };
        if let Some(within) = within
            && file.metadata()?.dev() != within.file.metadata()?.dev()
        {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(io::ErrorKind::WouldBlock.into()),
            // NFS and SMB cannot lock a folder; it is used without a lock.
            _ => Ok(OpenFolder { file, links }),
        }
    }

    fn is_still_at(&self, folder: &OpenFolder, path: &Path) -> bool {
        let there = match folder.links {
            Links::Followed => fs::metadata(path),
            Links::Refused => fs::symlink_metadata(path),
        };
        match (folder.file.metadata(), there) {
            (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
            (_, Err(error)) => {
                !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
            (Err(_), Ok(_)) => true,
        }
    }

    fn file_system(&self, path: &Path) -> FileSystem {
        // Not with statfs, whose first call counts the free clusters of FAT, which takes seconds.
        match mount_of(path) {
            Some(mount) if matches!(&*mount.file_system, "vfat" | "msdos") => FileSystem::Fat,
            _ => FileSystem::Other,
        }
    }

    fn is_aligned(&self, path: &Path) -> Option<bool> {
        let partition = Path::new("/sys/dev/block").join(mount_of(path)?.device);
        let number = |file: &str| -> Option<u64> {
            fs::read_to_string(partition.join(file)).ok()?.trim().parse().ok()
        };
        // Of SD cards, in bytes; a card without partitions begins with its first block.
        let block = number("../device/preferred_erase_size").filter(|bytes| *bytes > 0)?;
        let start = number("start")?.checked_mul(SECTOR_BYTES)?;
        Some(start % block == 0)
    }

    fn list(&self, directory: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // The type comes with the name on nearly every file system. An entry that is gone
            // counts as other.
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            each(&entry.file_name(), if is_file { Kind::RegularFile } else { Kind::Other });
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let synced = File::open(path)?.sync_all();
        // SMB before Linux 4.17 and shared folders of virtual machines have nothing to sync.
        let nothing_to_do = [Errno::INVAL, Errno::OPNOTSUPP, Errno::BADF].map(Errno::raw_os_error);
        match synced {
            Err(error) if error.raw_os_error().is_some_and(|it| nothing_to_do.contains(&it)) => {
                Ok(())
            }
            result => result,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        // Checked first: opening some devices has side effects.
        only_ours(&fs::symlink_metadata(path)?, access)?;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let is_written = access == Access::ReadWrite;
        let file =
            OpenOptions::new().read(true).write(is_written).custom_flags(flags).open(path)?;
        only_ours(&file.metadata()?, access)?;
        Ok(file)
    }

    fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn modified(&self, file: &File) -> io::Result<WallTime> {
        let metadata = file.metadata()?;
        let millis = metadata.mtime().saturating_mul(1000);
        Ok(WallTime(millis.saturating_add(metadata.mtime_nsec() / 1_000_000)))
    }

    fn read_at(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn read_back(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // Where it fails, the bytes come from memory: no proof, and no harm.
        let _ = fadvise(file, offset, NonZeroU64::new(buffer.len() as u64), Advice::DontNeed);
        self.read_at(file, buffer, offset)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn allocate(&self, file: &File, length: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            result => Ok(result?),
        }
    }

    fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// # Errors
/// Refuses what [`Disk::open`] must not touch.
fn only_ours(metadata: &fs::Metadata, access: Access) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(foreign("not a regular file"));
    }
    if access == Access::ReadWrite && metadata.nlink() > 1 {
        return Err(foreign("the file has another hard link"));
    }
    Ok(())
}

/// Finds the mount of the deepest existing folder of `path`, with links resolved.
fn mount_of(path: &Path) -> Option<MountLine> {
    // Its length is unknown, and `fs::read` starts with 32 bytes, which takes eight calls.
    let mut mountinfo = Vec::with_capacity(MOUNTINFO_BYTES);
    File::open("/proc/self/mountinfo")
        .and_then(|mut file| file.read_to_end(&mut mountinfo))
        .ok()?;
    mounts::find(&mountinfo, &without_links(path))
}

/// The unit of `start` in sysfs.
const SECTOR_BYTES: u64 = 512;
/// Enough on most machines; the vector grows if it is not.
const MOUNTINFO_BYTES: usize = 4096;

fn without_links(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::canonicalize(folder).ok()
    });
    existing.unwrap_or_else(|| path.to_owned())
}

/// The mount of a pulled card stays; its block device disappears (mmc) or has no sectors (card
/// readers).
fn device_is_there(mount: &MountLine) -> bool {
    let has_device = !mount.device.starts_with("0:");
    !has_device || !Path::new("/sys/dev/block").is_dir() || {
        has_sectors(&Path::new("/sys/dev/block").join(&mount.device))
    }
}

fn has_sectors(device: &Path) -> bool {
    fs::read(device.join("size")).is_ok_and(|size| size.trim_ascii() != b"0")
}

fn why_absent(path: &Path) -> String {
    let names = mounts::device_names(path).into_iter().flatten();
    let found =
        names.map(|name| Path::new("/sys/class/block").join(name)).find(|it| has_sectors(it));
    match found {
        Some(device) => format!(
            "there is a card ({}), but not mounted for {}: if it is exFAT, format it FAT32",
            device.file_name().unwrap_or_default().display(),
            path.display()
        ),
        None => format!("no card is mounted for {}", path.display()),
    }
}

/// Mount options that a remount drops unless they are passed again (mount(2)).
const KEPT_FLAGS: [(&str, MountFlags); 8] = [
    ("sync", MountFlags::SYNCHRONOUS),
    ("dirsync", MountFlags::DIRSYNC),
    ("noatime", MountFlags::NOATIME),
    ("nodiratime", MountFlags::NODIRATIME),
    ("relatime", MountFlags::RELATIME),
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_file_system_is_no_card() {
        let mount = LinuxDisk.mount(Path::new("/no-such-folder/recordings"), RequireMount::Yes);
        assert!(matches!(mount, Mount::Absent(_)), "{mount:?}");
    }

    #[test]
    fn without_a_required_mount_the_parent_folder_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let mount = |path: PathBuf| LinuxDisk.mount(&path, RequireMount::No);
        assert_eq!(mount(folder.path().join("recordings")), Mount::Writable);
        assert!(matches!(mount(folder.path().join("mnt/recordings")), Mount::Absent(_)));
        assert_eq!(mount(PathBuf::from("recordings")), Mount::Writable);
    }

    #[test]
    fn files_are_created_once_grown_read_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000.mp4");
        let file = LinuxDisk.create(&path).unwrap();
        assert_eq!(LinuxDisk.create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        LinuxDisk.allocate(&file, 1 << 20).unwrap();
        assert_eq!(LinuxDisk.len(&file).unwrap(), 0);
        LinuxDisk.write_all_at(&file, b"ftyp", 4).unwrap();
        LinuxDisk.sync_data(&file).unwrap();
        LinuxDisk.sync_directory(folder.path()).unwrap();
        let mut buffer = [1; 16];
        assert_eq!(LinuxDisk.read_at(&file, &mut buffer, 2).unwrap(), 6);
        assert_eq!(&buffer[..6], b"\0\0ftyp");
        let mut names = Vec::new();
        LinuxDisk.list(folder.path(), &mut |name, _| names.push(name.to_owned())).unwrap();
        assert_eq!(names, ["000.mp4"]);
        assert!(LinuxDisk.space(folder.path()).unwrap().total > 0);
    }

    #[test]
    fn an_existing_directory_is_no_error_and_a_file_in_its_place_is_one() {
        let folder = tempfile::tempdir().unwrap();
        LinuxDisk.create_directory(&folder.path().join("yard")).unwrap();
        LinuxDisk.create_directory(&folder.path().join("yard")).unwrap();
        LinuxDisk.create(&folder.path().join("gate")).unwrap();
        assert!(LinuxDisk.create_directory(&folder.path().join("gate")).is_err());
    }

    #[test]
    fn a_directory_that_gets_room_is_empty_again_also_on_a_full_card() {
        let folder = tempfile::tempdir().unwrap();
        LinuxDisk.grow_directory(folder.path(), 100_000).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(LinuxDisk.grow_directory(&folder.path().join("none"), 100_000).is_ok());
    }
}
