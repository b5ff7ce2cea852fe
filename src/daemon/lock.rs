//! One daemon at a time: a lock that ends with the process, however it ends.

use rustix::fs::{FlockOperation, flock};
use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// The daemon's lock, held while it runs. A stale file is harmless, because the kernel holds the
/// lock.
pub struct Lock(#[expect(dead_code, reason = "open files hold the lock")] File);

impl Lock {
    /// Takes the lock that belongs to a control socket.
    ///
    /// # Errors
    /// `WouldBlock` if another daemon, or a command that locks daemons out, holds it; otherwise the
    /// file cannot be created.
    pub fn take(socket: &Path) -> io::Result<Lock> {
        Lock::flock(socket, FlockOperation::NonBlockingLockExclusive)
    }

    /// Locks daemons out; several commands may do so at once.
    ///
    /// # Errors
    /// `WouldBlock` if a daemon runs; otherwise the file cannot be created.
    pub fn share(socket: &Path) -> io::Result<Lock> {
        Lock::flock(socket, FlockOperation::NonBlockingLockShared)
    }

    /// Returns the path of the lock file.
    pub fn path(socket: &Path) -> PathBuf {
        socket.with_extension("lock")
    }

    fn flock(socket: &Path, operation: FlockOperation) -> io::Result<Lock> {
        let file =
            File::options().create(true).truncate(false).write(true).open(Lock::path(socket))?;
        flock(&file, operation)?;
        Ok(Lock(file))
    }
}

/// Returns `/var/run/smolnvr.sock`, or a path in `$XDG_RUNTIME_DIR` if `/var/run` is not writable.
pub fn runtime_path() -> PathBuf {
    let system = Path::new("/var/run");
    let writable = rustix::fs::access(system, rustix::fs::Access::WRITE_OK).is_ok();
    let directory = match env::var_os("XDG_RUNTIME_DIR") {
        Some(own) if !writable => PathBuf::from(own),
        _ => system.to_owned(),
    };
    directory.join("smolnvr.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("smolnvr.sock");
        let first = Lock::take(&socket).unwrap();
        let refused = Lock::take(&socket).err().map(|error| error.kind());
        assert_eq!(refused, Some(io::ErrorKind::WouldBlock));
        drop(first);
        Lock::take(&socket).unwrap();
    }

    #[test]
    fn a_repair_and_a_daemon_shut_each_other_out() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("smolnvr.sock");
        let repairs = [Lock::share(&socket).unwrap(), Lock::share(&socket).unwrap()];
        assert!(Lock::take(&socket).is_err());
        drop(repairs);
        let _daemon = Lock::take(&socket).unwrap();
        assert!(Lock::share(&socket).is_err());
    }
}
