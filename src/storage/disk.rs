//! The system calls of the card thread, as a trait, so that tests can make each of them fail.
//!
//! Knows nothing of: recordings, states, retention.

pub mod linux;
pub mod mounts;

use std::{ffi::OsStr, io, path::Path};

use crate::units::WallTime;

/// The state of the storage path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// Nothing writable: the reason, in words for the user.
    Absent(String),
    ReadOnly,
    Writable,
}

/// Space on the file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    pub total: u64,
}

/// The calls. Any may block for seconds, so only the card thread makes them.
pub trait Disk {
    type File;
    /// An open folder: it stays the same one even if its path leads elsewhere later.
    type Folder;

    /// Checks that `path` is on a mounted file system other than `/` and tmpfs, and that its device
    /// still exists (the mount of a pulled card stays).
    ///
    /// If no mount is required, the parent of `path` must exist: mount points are never created.
    fn mount(&self, path: &Path, required: RequireMount) -> Mount;
    /// Remounts the file system of `path` writable, with its other options unchanged.
    fn remount_writable(&self, path: &Path) -> io::Result<()>;
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Opens a folder and locks it for us if the file system supports that (`flock`). A folder
    /// `within` another must be neither a link nor on another file system.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory` if it is not such a folder; `WouldBlock` if another process has
    /// locked it.
    fn hold(&self, path: &Path, within: Option<&Self::Folder>) -> io::Result<Self::Folder>;
    /// Returns true if the path still leads to that folder, or if that cannot be checked.
    fn is_still_at(&self, folder: &Self::Folder, path: &Path) -> bool;
    fn file_system(&self, path: &Path) -> FileSystem;
    /// Whether the partition of `path` begins with a block of the card's flash; `None` if the card
    /// does not tell how large those are.
    fn is_aligned(&self, _path: &Path) -> Option<bool> {
        None
    }

    /// Passes the names in a directory to `each`, unordered (30,000 names need no list).
    fn list(&self, directory: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()>;
    /// Returns true if something exists at `path`, and false if that cannot be checked.
    fn exists(&self, path: &Path) -> bool;
    /// Creates a directory if it is missing; its parent must exist.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes room for names in an empty directory of FAT, which keeps that room; less if the card
    /// is full.
    fn grow_directory(&self, path: &Path, bytes: usize) -> io::Result<()> {
        // 250 letters take 20 entries, and the short name that leads to them another.
        let names = bytes.div_ceil(21 * FAT_ENTRY_BYTES);
        let name = |number| path.join(format!("{number:06}{:0244}", 0));
        let made = (0..names).take_while(|number| self.create(&name(*number)).is_ok()).count();
        (0..made).try_for_each(|number| self.remove(&name(number)))
    }
    /// `fsync` of a directory.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a file for reading and writing; an existing one is an error (`O_EXCL`).
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a regular file of exactly this name.
    ///
    /// # Errors
    /// One for which [`is_foreign`] is true for links, pipes, devices and folders, which are never
    /// opened, and for writing to a file with several hard links, as another may belong to someone
    /// else.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;
    fn len(&self, file: &Self::File) -> io::Result<u64>;
    /// When the file was last modified, by the board's clock.
    fn modified(&self, file: &Self::File) -> io::Result<WallTime>;
    /// Reads at most `buffer.len()` bytes; 0 is the end of the file.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Reads a small file from its beginning, at most so many bytes.
    fn read_whole(&self, file: &Self::File, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![0; bytes_max];
        let mut length = 0;
        while let Some(rest) = content.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.read_at(file, rest, length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        content.truncate(length);
        Ok(content)
    }
    /// As [`Disk::read_at`], from the card itself and not from memory if the system can do that.
    fn read_back(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(file, buffer, offset)
    }
    fn write_all_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Allocates space up to `length` without changing the file's size (`FALLOC_FL_KEEP_SIZE`).
    /// Returns `Ok` without effect if the file system does not support that.
    fn allocate(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// Sets the size, and frees space beyond it.
    fn set_len(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// `fdatasync`.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
}

const FAT_ENTRY_BYTES: usize = 32;

/// `storage.require_mount` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequireMount {
    Yes,
    No,
}

/// The type of a directory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    RegularFile,
    /// A folder, link, pipe, socket or device: never ours.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSystem {
    /// FAT12 to FAT32: a folder holds 65,536 entries, and no journal keeps the order of writes.
    Fat,
    Other,
}

/// The error for a file that has a recording's name but must not be touched.
pub fn foreign(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Returns true if [`Disk::open`] refused to touch the file.
pub fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    ReadWrite,
}
