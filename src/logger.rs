//! The log: one line a change of state, to standard error, or to syslog where that is closed.
//!
//! A line that can not be written at once is dropped and counted: a full pipe never stops the
//! recorder. Nothing is ever logged to the card. Spec: RFC 3164 §4.1.1 (priorities).

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    fmt::Write as _,
    fs, io,
    os::{linux::fs::MetadataExt, unix::net::UnixDatagram},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Takes the log over for the rest of the process.
pub fn start(level: LevelFilter) {
    let logger = Logger { syslog: syslog(), dropped: AtomicU32::new(0) };
    // Only a second call can fail, and then the first logger stays.
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        set_level(level);
    }
}

pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

struct Logger {
    /// Where standard error leads nowhere.
    syslog: Option<UnixDatagram>,
    dropped: AtomicU32,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries below speak at levels of their own.
        metadata.level() <= Level::Warn || metadata.target().starts_with("smolnvr")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = String::with_capacity(160);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _ = write!(line, "({dropped} lines lost) ");
        }
        let _ = write!(line, "{}", record.args());
        if line.len() > LINE_BYTES_MAX {
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        }
        // A camera's words may be part of a line; they stay one line.
        let line = line.replace(|c: char| c.is_control(), " ");
        if self.write(record.level(), &line).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

impl Logger {
    fn write(&self, level: Level, line: &str) -> io::Result<()> {
        let (severity, word) = match level {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warning"),
            Level::Info => (6, "info"),
            Level::Debug | Level::Trace => (7, "debug"),
        };
        if let Some(syslog) = &self.syslog {
            // Facility 3, a daemon.
            let message = format!("<{}>smolnvr[{}]: {line}", 3 * 8 + severity, process::id());
            return syslog.send(message.as_bytes()).map(drop);
        }
        let stderr = io::stderr();
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        if poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // One write of less than a pipe's guaranteed room.
        let message = format!("smolnvr: {word}: {line}\n");
        rustix::io::write(&stderr, message.as_bytes())?;
        Ok(())
    }
}

/// The system's log socket, if standard error is `/dev/null`.
fn syslog() -> Option<UnixDatagram> {
    let stderr = fs::metadata("/proc/self/fd/2").ok()?;
    let null = fs::metadata("/dev/null").ok()?;
    if (stderr.st_rdev(), stderr.st_ino()) != (null.st_rdev(), null.st_ino()) {
        return None;
    }
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect("/dev/log").ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Fits a syslog datagram of 1,024 bytes (RFC 3164 §4.1) and a pipe's atomic write.
const LINE_BYTES_MAX: usize = 900;
