//! What the card thread asks of the operating system, as a trait so that a test can break each call.
//!
//! Knows nothing of: recordings, states, retention.

pub mod linux;
pub mod mounts;

use std::{ffi::OsStr, io, path::Path};

use crate::units::WallTime;

/// What lies at the storage path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// Nothing that may be written: what is wrong, in words for the user.
    Absent(String),
    ReadOnly,
    Writable,
}

/// Room on the file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    pub total: u64,
}

/// The calls; every one may block for seconds, so only the card thread makes them.
pub trait Disk {
    type File;
    /// A folder that is kept in sight: the same one though its path leads elsewhere by now.
    type Folder;

    /// Looks whether `path` lies on a mounted file system that is neither `/` nor tmpfs, and whether
    /// its device is still there (a pulled card's mount stays).
    ///
    /// Where no mount is required, the folder above `path` must exist: a mount point is never made.
    fn mount(&self, path: &Path, required: RequireMount) -> Mount;
    /// Makes the mount that `path` lies on writable again, its other options unchanged.
    fn remount_writable(&self, path: &Path) -> io::Result<()>;
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Keeps a folder in sight, and for us alone where the file system can do that (`flock`). One that must lie
    /// `within` another is neither a link nor on another file system.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory` for what is no such folder; `WouldBlock` where somebody else keeps it.
    fn hold(&self, path: &Path, within: Option<&Self::Folder>) -> io::Result<Self::Folder>;
    /// Whether the path still leads to that folder; what can not be looked at is believed to be there.
    fn is_still_at(&self, folder: &Self::Folder, path: &Path) -> bool;
    fn file_system(&self, path: &Path) -> FileSystem;

    /// Hands over the names in a directory one by one, in no order (30,000 of them need no list).
    fn list(&self, directory: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()>;
    /// Whether there is anything at `path`; a path that can not be looked at counts as empty.
    fn exists(&self, path: &Path) -> bool;
    /// Creates a directory if it is missing; its parent must be there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// `fsync` of a directory.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a file for reading and writing; an existing one is an error (`O_EXCL`).
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a regular file of this very name.
    ///
    /// # Errors
    /// One of [`is_foreign`] for links, pipes, devices and folders, none of which is opened; and for a file of several names
    /// that is to be changed, as the others may be somebody else's.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;
    fn len(&self, file: &Self::File) -> io::Result<u64>;
    /// When the file was last written to, as the board believed it.
    fn modified(&self, file: &Self::File) -> io::Result<WallTime>;
    /// Reads at most `buffer.len()` bytes; 0 is the end of the file.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_all_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Takes room up to `length` without changing the file's size (`FALLOC_FL_KEEP_SIZE`); a file
    /// system that can not does nothing and answers `Ok`.
    fn allocate(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// Sets the size; room taken beyond it is given back.
    fn set_len(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// `fdatasync`.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
}

/// `storage.require_mount` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequireMount {
    Yes,
    No,
}

/// What a name in a directory stands for.
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

/// The error for what has a recording's name and is not to be touched.
pub fn foreign(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Whether [`Disk::open`] refused to touch it.
pub fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    ReadWrite,
}
