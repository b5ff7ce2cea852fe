//! The log: one line per change of state, to standard error, or to syslog if that is `/dev/null`.
//!
//! A line that cannot be written at once is dropped and counted, so neither a full pipe nor a
//! stopped terminal blocks the recorder. Lines of one kind are written ten times a minute per
//! camera, and further ones only counted. Nothing is logged to the card.
//! Spec: RFC 3164 §4.1.1 (priorities).

mod repeats;

use crate::{limits::LOG_LINE_BYTES_MAX, sys};
use log::{Level, LevelFilter, Log, Metadata, Record};
use repeats::Repeats;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    fmt::{self, Write as _},
    fs::{self, File},
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, RawFd},
        linux::fs::MetadataExt,
        unix::{
            fs::{FileTypeExt as _, OpenOptionsExt as _},
            net::UnixDatagram,
        },
    },
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

/// Installs the logger for the rest of the process, which also reports where it crashes.
pub fn start(level: LevelFilter) {
    let logger: &Logger = Box::leak(Box::new(Logger::to(Sink::open())));
    // Only a second call can fail, and then the first logger stays.
    if log::set_logger(logger).is_ok() {
        set_level(level);
        if let Some(to) = logger.sink.descriptor() {
            sys::report_crashes(to, logger.sink.line(Level::Error, "crashed at 0x"));
        }
    }
}

pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

struct Logger {
    sink: Sink,
    dropped: AtomicU32,
    repeats: Mutex<Repeats>,
}

enum Sink {
    /// Standard error is `/dev/null`: the system's log socket, or `None` if a socket cannot be
    /// made.
    Syslog(Option<UnixDatagram>),
    /// Standard error, opened again with flags of our own, so that a write never waits.
    Stream(File),
    /// A regular file, which never waits long, or a socket.
    Stderr,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries have levels of their own.
        metadata.level() <= Level::Warn || metadata.target().starts_with("smolnvr")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = line(record.args());
        // `level = "debug"` asks for every line.
        if record.level() <= Level::Info && !self.admits(record, &text) {
            return;
        }
        self.write(record.level(), text);
    }

    fn flush(&self) {}
}

impl Logger {
    fn to(sink: Sink) -> Logger {
        Logger { sink, dropped: AtomicU32::new(0), repeats: Mutex::default() }
    }

    /// Returns true if the line may be written; first writes how many earlier lines were left out.
    #[expect(clippy::disallowed_methods, reason = "callers of a log macro have no time to pass in")]
    fn admits(&self, record: &Record<'_>, text: &str) -> bool {
        let now = Instant::now();
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(left_out) = repeats.left_out(now) {
            self.write(Level::Info, left_out);
        }
        let place = (record.file().unwrap_or_default(), record.line().unwrap_or_default());
        repeats.admits(place, text, now)
    }

    fn write(&self, level: Level, mut text: String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            text.insert_str(0, &format!("({dropped} lines lost) "));
            text.truncate(text.floor_char_boundary(LOG_LINE_BYTES_MAX));
        }
        if self.sink.write(level, &text).is_err() {
            self.dropped.fetch_add(dropped.saturating_add(1), Ordering::Relaxed);
        }
    }
}

impl Sink {
    fn open() -> Sink {
        let Ok(stderr) = fs::metadata(STDERR) else { return Sink::Stderr };
        let null = fs::metadata("/dev/null").map(|null| null.st_rdev());
        if null.is_ok_and(|null| null == stderr.st_rdev()) {
            return Sink::Syslog(UnixDatagram::unbound().ok().filter(|socket| {
                // The log daemon may start later: each line tries to connect.
                let _ = socket.connect(SYSLOG);
                socket.set_nonblocking(true).is_ok()
            }));
        }
        let kind = stderr.file_type();
        if kind.is_fifo() || kind.is_char_device() {
            let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
            let flags = flags.cast_signed();
            let own = File::options().write(true).custom_flags(flags).open(STDERR);
            return own.map_or(Sink::Stderr, Sink::Stream);
        }
        Sink::Stderr
    }

    /// What lines are written to, as long as the sink lives.
    fn descriptor(&self) -> Option<RawFd> {
        match self {
            Sink::Syslog(socket) => socket.as_ref().map(|socket| socket.as_raw_fd()),
            Sink::Stream(own) => Some(own.as_raw_fd()),
            Sink::Stderr => Some(io::stderr().as_raw_fd()),
        }
    }

    /// A line as this sink has it, without its end.
    fn line(&self, level: Level, text: &str) -> String {
        let (severity, word) = match level {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warning"),
            Level::Info => (6, "info"),
            Level::Debug | Level::Trace => (7, "debug"),
        };
        match self {
            // Facility 3, a daemon.
            Sink::Syslog(_) => format!("<{}>smolnvr[{}]: {text}", 3 * 8 + severity, process::id()),
            _ => format!("smolnvr: {word}: {text}"),
        }
    }

    fn write(&self, level: Level, line: &str) -> io::Result<()> {
        let mut message = self.line(level, line);
        if let Sink::Syslog(socket) = self {
            let socket = socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            return match socket.send(message.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
                // The log daemon was started or restarted meanwhile.
                Err(_) => socket.connect(SYSLOG).and_then(|()| socket.send(message.as_bytes())),
                sent => sent,
            }
            .map(drop);
        }
        // One write, shorter than a pipe's atomic size: all of it or nothing.
        message.push('\n');
        if let Sink::Stream(own) = self {
            let mut own = own;
            return own.write(message.as_bytes()).map(drop);
        }
        let stderr = io::stderr();
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        if poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        rustix::io::write(&stderr, message.as_bytes())?;
        Ok(())
    }
}

/// Formats a message as one line, whatever a camera put into it.
fn line(message: &fmt::Arguments<'_>) -> String {
    let mut line = String::with_capacity(160);
    // Writing to a String cannot fail.
    let _ = write!(line, "{message}");
    line.truncate(line.floor_char_boundary(LOG_LINE_BYTES_MAX));
    if line.contains(char::is_control) {
        line = line.replace(char::is_control, " ");
    }
    line
}

const STDERR: &str = "/proc/self/fd/2";
const SYSLOG: &str = "/dev/log";

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read as _, os::fd::OwnedFd};

    #[test]
    fn a_line_stays_one_line_of_bounded_length() {
        assert_eq!(line(&format_args!("a\r\nb\x1b[31m\u{85}c")), "a  b [31m c");
        let long = "ä".repeat(LOG_LINE_BYTES_MAX);
        let cut = line(&format_args!("{long}"));
        assert_eq!(cut.len(), LOG_LINE_BYTES_MAX / 2 * 2);
    }

    #[test]
    fn a_full_pipe_loses_lines_and_says_how_many() {
        let (mut reader, writer) = io::pipe().unwrap();
        let own = File::from(OwnedFd::from(writer));
        rustix::io::ioctl_fionbio(&own, true).unwrap();
        let logger = Logger::to(Sink::Stream(own));
        // Each from a different place, or the limit of ten would apply.
        let mut place = 0;
        let mut say = |text: &str| {
            place += 1;
            let arguments = format_args!("{text}");
            let mut record = Record::builder();
            logger.log(&record.level(Level::Warn).line(Some(place)).args(arguments).build());
        };
        let text = "x".repeat(800);
        while logger.dropped.load(Ordering::Relaxed) < 3 {
            say(&text);
        }
        let mut some = vec![0; 8192];
        reader.read_exact(&mut some).unwrap();
        say("again");
        drop(logger);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("\nsmolnvr: warning: (3 lines lost) again\n"), "{rest}");
    }
}
