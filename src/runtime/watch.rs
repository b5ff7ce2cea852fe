//! Watches a file of other programs.
//!
//! With inotify(7): nothing is polled, and nothing waits for the card.
//! Knows nothing of: the file's content.

use super::Async;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use std::{
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

/// Watches a file's folder, because the file itself is replaced.
pub struct FileWatch {
    events: Async<OwnedFd>,
    name: OsString,
}

impl FileWatch {
    /// Watches whether the file is written or replaced.
    ///
    /// # Errors
    /// The folder is missing, or the kernel has no inotify.
    pub fn content(file: &Path) -> io::Result<FileWatch> {
        FileWatch::new(file, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO)
    }

    /// Watches whether the file comes or goes.
    ///
    /// # Errors
    /// As [`FileWatch::content`].
    pub fn existence(file: &Path) -> io::Result<FileWatch> {
        let comes = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        FileWatch::new(file, comes | WatchFlags::DELETE | WatchFlags::MOVED_FROM)
    }

    fn new(file: &Path, changes: WatchFlags) -> io::Result<FileWatch> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(
            &events,
            folder.unwrap_or(Path::new(".")),
            changes | WatchFlags::ONLYDIR,
        )?;
        let name = file.file_name().unwrap_or_default().to_owned();
        Ok(FileWatch { events: Async::new(events)?, name })
    }

    /// Returns after a change; never if watching fails.
    pub async fn changed(&self) {
        // Room for an event with the longest name.
        let mut room = [MaybeUninit::uninit(); 512];
        let mut reader = Reader::new(self.events.get_ref(), &mut room);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(std::ffi::CStr::to_bytes);
                    if name == Some(self.name.as_bytes()) {
                        return;
                    }
                }
                Err(rustix::io::Errno::AGAIN) => {
                    self.events.drained();
                    if self.events.readable().await.is_err() {
                        return std::future::pending().await;
                    }
                }
                Err(_) => return std::future::pending().await,
            }
        }
    }
}
