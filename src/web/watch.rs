//! A file that other programs replace, and when they did.
//!
//! By inotify(7): nothing is looked at while nothing changes, and no card is waited for. Knows nothing
//! of: what the file holds.

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use smol::Async;
use std::{
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

/// Watches the folder of a file, since a file that is replaced is another one.
pub(super) struct Watch {
    events: Async<OwnedFd>,
    name: OsString,
}

impl Watch {
    /// # Errors
    /// The folder is missing, or the kernel has no inotify.
    pub fn new(file: &Path) -> io::Result<Watch> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let written = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&events, folder.unwrap_or(Path::new(".")), written)?;
        let name = file.file_name().unwrap_or_default().to_owned();
        Ok(Watch { events: Async::new(events)?, name })
    }

    /// Returns after the file was written or replaced; never where that can not be told any more.
    pub async fn changed(&self) {
        // The longest name, with what the kernel puts before it.
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
                    if self.events.readable().await.is_err() {
                        return std::future::pending().await;
                    }
                }
                Err(_) => return std::future::pending().await,
            }
        }
    }
}
