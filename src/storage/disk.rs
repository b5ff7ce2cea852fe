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

    /// Looks whether `path` lies on a mounted file system that is neither `/` nor tmpfs, and whether
    /// its device is still there (a pulled card's mount stays).
    ///
    /// Where no mount is required, the folder above `path` must exist: a mount point is never made.
    fn mount(&self, path: &Path, required: RequireMount) -> Mount;
    /// Makes the mount that `path` lies on writable again, its other options unchanged.
    fn remount_writable(&self, path: &Path) -> io::Result<()>;
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Hands over the names in a directory one by one, in no order (30,000 of them need no list).
    fn list(&self, directory: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()>;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
}
