//! What the card thread asks of the operating system, as a trait so that a test can break each call.
//!
//! Knows nothing of: recordings, states, retention.

use std::{ffi::OsString, io, path::Path};

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
    fn mount(&self, path: &Path, require_mount: bool) -> Mount;
    fn remount_writable(&self, path: &Path) -> io::Result<()>;
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// The names in a directory, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
}
