//! One request to the running daemon over its control socket.
//!
//! Spec: RFC 9112.

mod events;

pub(super) use events::Events;

use super::{Usage, arguments::Arguments, complain};
use crate::{daemon, http::question::question, limits, runtime};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use serde_json::Value;
use std::{
    fmt,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// The daemon's reply.
#[derive(Debug, PartialEq)]
pub(super) struct DaemonReply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum ClientError {
    NoDaemon(PathBuf),
    Socket {
        socket: PathBuf,
        source: io::Error,
    },
    Silent,
    /// The daemon closed the connection in the middle of its reply.
    Hangup,
    NoHttp,
    TooLong,
}

impl DaemonReply {
    /// The body; `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Reports the reason if the daemon refused.
    pub fn check(self) -> Result<DaemonReply, ExitCode> {
        if self.status == 200 {
            return Ok(self);
        }
        match self.json().get("error").and_then(Value::as_str) {
            Some(words) => complain(words),
            None => complain(format_args!("the daemon replied with status {}", self.status)),
        }
        Err(ExitCode::FAILURE)
    }
}

/// Sends a request, and reports why it failed if it did.
pub(super) fn ask(
    arguments: &Arguments,
    method: &str,
    target: &str,
) -> Result<DaemonReply, ExitCode> {
    ask_with(arguments, method, target, None)
}

/// The same with a body.
pub(super) fn ask_with(
    arguments: &Arguments,
    method: &str,
    target: &str,
    body: Option<&Value>,
) -> Result<DaemonReply, ExitCode> {
    match request(&socket(arguments), method, target, body) {
        Ok(reply) => reply.check(),
        Err(failure) => {
            complain(failure);
            Err(ExitCode::FAILURE)
        }
    }
}

/// The path of the daemon's socket.
pub(super) fn socket(arguments: &Arguments) -> PathBuf {
    arguments.socket.clone().unwrap_or_else(daemon::runtime_path)
}

/// Sends one request and reads the whole reply.
///
/// # Errors
/// No daemon is running, or the reply is not a daemon's.
pub(super) fn request(
    socket: &Path,
    method: &str,
    target: &str,
    body: Option<&Value>,
) -> Result<DaemonReply, ClientError> {
    let deadline = runtime::now() + limits::CLIENT_TIMEOUT;
    let mut line = Line::ask(socket, method, target, body)?;
    loop {
        let is_end = !line.receive(deadline)?;
        if let Some(reply) = parse(&line.received, is_end)? {
            return Ok(reply);
        }
        if line.received.len() > limits::CLIENT_ANSWER_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
    }
}

/// A body of any length, read as it arrives.
pub(super) struct Download {
    line: Line,
    head: String,
    /// Bytes still to come.
    left: u64,
}

impl Download {
    /// Sends a request, and waits up to [`limits::CLIENT_CLIP_TIMEOUT`] for the body to begin.
    ///
    /// # Errors
    /// No daemon is running, or the reply is not a daemon's. `Ok(Err)` is a refusal.
    pub fn begin(
        socket: &Path,
        target: &str,
    ) -> Result<Result<Download, DaemonReply>, ClientError> {
        let deadline = runtime::now() + limits::CLIENT_CLIP_TIMEOUT;
        let mut line = Line::ask(socket, "GET", target, None)?;
        loop {
            let is_end = !line.receive(deadline)?;
            match Head::split(&line.received)? {
                Some((head, rest)) if head.status == 200 => {
                    let length = head.field("Content-Length").and_then(|it| it.parse().ok());
                    let left: u64 = length.ok_or(ClientError::NoHttp)?;
                    let (head, rest) = (head.text.to_owned(), rest.to_vec());
                    line.received = rest;
                    return Ok(Ok(Download { line, head, left }));
                }
                _ if line.received.len() > limits::CLIENT_ANSWER_BYTES_MAX => {
                    return Err(ClientError::TooLong);
                }
                _ => {
                    if let Some(reply) = parse(&line.received, is_end)? {
                        return Ok(Err(reply));
                    }
                }
            }
        }
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// Bytes still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Returns the next piece, empty at the end.
    ///
    /// # Errors
    /// The daemon ends, or is silent, before the body is complete.
    pub fn next(&mut self) -> Result<Vec<u8>, ClientError> {
        if self.left > 0 && self.line.received.is_empty() {
            let deadline = runtime::now() + limits::CLIENT_TIMEOUT;
            if !self.line.receive(deadline)? {
                return Err(ClientError::Hangup);
            }
        }
        let mut piece = std::mem::take(&mut self.line.received);
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= piece.len() as u64;
        Ok(piece)
    }
}

/// A connection to the daemon with one request sent.
struct Line {
    socket: PathBuf,
    stream: UnixStream,
    /// Bytes received but not used yet.
    received: Vec<u8>,
}

impl Line {
    fn ask(
        socket: &Path,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Line, ClientError> {
        let failed = |source: io::Error| ClientError::new(socket, source);
        let stream = UnixStream::connect(socket).map_err(failed)?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len().to_string();
        let (kind, length) = match method {
            "GET" => ("", ""),
            _ => ("application/json", &*length),
        };
        let fields = [("Connection", "close"), ("Content-Type", kind), ("Content-Length", length)];
        set_socket_timeout(&stream, Timeout::Send, Some(limits::CLIENT_TIMEOUT))
            .map_err(|error| failed(error.into()))?;
        let request = question(method, target, "localhost", &fields) + &body;
        (&stream).write_all(request.as_bytes()).map_err(failed)?;
        Ok(Line { socket: socket.to_owned(), stream, received: Vec::new() })
    }

    /// Appends the next bytes; returns false at the end.
    fn receive(&mut self, deadline: Instant) -> Result<bool, ClientError> {
        let failed = |source: io::Error| ClientError::new(&self.socket, source);
        let mut piece = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(runtime::now());
            // Zero would mean no timeout.
            let left = left.max(Duration::from_millis(1));
            set_socket_timeout(&self.stream, Timeout::Recv, Some(left))
                .map_err(|error| failed(error.into()))?;
            match (&self.stream).read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if runtime::now() >= deadline => return Err(ClientError::Silent),
                result => {
                    let count = result.map_err(failed)?;
                    self.received.extend_from_slice(piece.get(..count).unwrap_or_default());
                    return Ok(count > 0);
                }
            }
        }
    }
}

struct Head<'a> {
    text: &'a str,
    status: u16,
}

impl<'a> Head<'a> {
    /// Splits off the head of a reply; `None` if it is incomplete.
    fn split(received: &'a [u8]) -> Result<Option<(Head<'a>, &'a [u8])>, ClientError> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, rest) = received.split_at(end + 4);
        let text = std::str::from_utf8(head).map_err(|_| ClientError::NoHttp)?;
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|text| text.get(..3));
        let status = status.and_then(|status| status.parse().ok()).ok_or(ClientError::NoHttp)?;
        Ok(Some((Head { text, status }, rest)))
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        field(self.text, name)
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let field = fields.find(|(found, _)| found.eq_ignore_ascii_case(name));
    field.map(|(_, value)| value.trim())
}

/// Parses a reply; `None` if it is incomplete. `is_end`: nothing more will arrive.
fn parse(received: &[u8], is_end: bool) -> Result<Option<DaemonReply>, ClientError> {
    let missing = || if is_end { Err(ClientError::Hangup) } else { Ok(None) };
    let Some((head, rest)) = Head::split(received)? else { return missing() };
    let is_chunked = |coding: &str| coding.eq_ignore_ascii_case("chunked");
    let body = if head.field("Transfer-Encoding").is_some_and(is_chunked) {
        chunks(rest)?
    } else if let Some(length) = head.field("Content-Length") {
        rest.get(..length.parse().map_err(|_| ClientError::NoHttp)?).map(<[u8]>::to_vec)
    } else {
        is_end.then(|| rest.to_vec())
    };
    match body {
        Some(body) => Ok(Some(DaemonReply { status: head.status, body })),
        None => missing(),
    }
}

/// Decodes a chunked body (RFC 9112 §7.1); `None` if the last chunk is missing.
fn chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, ClientError> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let (size, after) = rest.split_at(end);
        let size = std::str::from_utf8(size).ok().and_then(|size| size.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.filter(|size| *size <= limits::CLIENT_ANSWER_BYTES_MAX);
        let size = size.ok_or(ClientError::NoHttp)?;
        let Some(chunk) = after.get(2..2 + size) else { return Ok(None) };
        let Some(line_end) = after.get(2 + size..4 + size) else { return Ok(None) };
        if line_end != b"\r\n" {
            return Err(ClientError::NoHttp);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        rest = after.get(4 + size..).unwrap_or_default();
    }
}

impl ClientError {
    fn new(socket: &Path, source: io::Error) -> ClientError {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoDaemon(socket)
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ClientError::Hangup,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent,
            _ => ClientError::Socket { socket, source },
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoDaemon(socket) => {
                write!(f, "no daemon is running: nothing is listening at {}", socket.display())
            }
            ClientError::Socket { socket, source } => write!(f, "{}: {source}", socket.display()),
            ClientError::Silent => {
                let seconds = limits::CLIENT_TIMEOUT.as_secs();
                write!(f, "the daemon did not respond within {seconds} s")
            }
            ClientError::Hangup => {
                f.write_str("the daemon closed the connection before it responded")
            }
            ClientError::NoHttp => f.write_str("the reply is not from smolnvr"),
            ClientError::TooLong => f.write_str("the daemon's reply is too long"),
        }
    }
}

impl std::error::Error for ClientError {}

/// Checks that an operand is a valid camera name, which can be used in a URL unchanged.
pub(super) fn camera_parameter(name: &str) -> Result<String, Usage> {
    if !is_camera_name(name) {
        return Err(Usage(format!("{name:?} is not a valid camera name")));
    }
    Ok(format!("?camera={name}"))
}

pub(super) fn is_camera_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{io::BufRead as _, os::unix::net::UnixListener, thread};

    const ANSWERS: [(&str, u16, &str); 4] = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\n{}", 200, "{}"),
        ("HTTP/1.1 409 \r\nContent-Length: 0\r\n\r\n", 409, ""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\nB;x=y\r\n\":\"1234567\"\r\n1\r\n}\r\n0\r\n\r\n",
            200,
            "{\"a\":\"1234567\"}",
        ),
        ("HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\nup to the end", 500, "up to the end"),
    ];

    #[test]
    fn an_answer_is_whole_at_its_last_byte_and_not_before() {
        for (answer, status, body) in ANSWERS {
            let bytes = answer.as_bytes();
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end], false).unwrap(), None, "{end} of {answer:?}");
                let cut = parse(&bytes[..end], true);
                let is_told_by_the_end = body == "up to the end" && end >= bytes.len() - body.len();
                assert_eq!(cut.is_err(), !is_told_by_the_end, "{end} of {answer:?}");
            }
            let reply = DaemonReply { status, body: body.into() };
            assert_eq!(parse(bytes, true).unwrap(), Some(reply));
        }
    }

    #[test]
    fn bytes_that_are_no_answer_are_refused() {
        for bytes in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 2\r\n\r\n",
            b"HTTP/1.1 \xff00 x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(matches!(parse(bytes, false), Err(ClientError::NoHttp)), "{bytes:?}");
        }
    }

    /// Serves one request on a socket with `pieces`; returns the result of `ask`, and the request.
    fn asked_of<T>(pieces: Vec<Vec<u8>>, ask: impl FnOnce(&Path) -> T) -> (T, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut reader = io::BufReader::new(stream.try_clone().unwrap());
            while !asked.ends_with("\r\n\r\n") {
                reader.read_line(&mut asked).unwrap();
            }
            for piece in pieces {
                // The client may have closed the connection.
                let _ = stream.write_all(&piece);
            }
            asked
        });
        (ask(&path), server.join().unwrap())
    }

    fn stop(socket: &Path) -> Result<DaemonReply, ClientError> {
        request(socket, "POST", "/api/record/stop", None)
    }

    /// The downloaded bytes, and how the download ended.
    fn download(socket: &Path) -> (Vec<u8>, Result<(), ClientError>) {
        let (mut body, mut got) = (Vec::new(), Ok(()));
        match Download::begin(socket, "/clip/yard.mp4") {
            Ok(Ok(mut download)) => loop {
                match download.next() {
                    Ok(piece) if piece.is_empty() => break,
                    Ok(piece) => body.extend_from_slice(&piece),
                    Err(failure) => {
                        got = Err(failure);
                        break;
                    }
                }
            },
            Ok(Err(refusal)) => body = refusal.body,
            Err(failure) => got = Err(failure),
        }
        (body, got)
    }

    #[test]
    fn a_download_has_all_that_was_announced_or_says_that_it_has_not() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345";
        for at in 0..=answer.len() {
            let (first, second) = answer.split_at(at);
            let ((body, end), _) = asked_of(vec![first.to_vec(), second.to_vec()], download);
            assert_eq!((&*body, end.is_ok()), (&b"12345"[..], true), "{at}");
            if at < answer.len() {
                let ((body, end), _) = asked_of(vec![first.to_vec()], download);
                assert!(matches!(end, Err(ClientError::Hangup)), "{at}");
                assert_eq!(body, first.get(answer.len() - 5..).unwrap_or_default());
            }
        }
        let refusal = b"HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\n{}".to_vec();
        assert_eq!(asked_of(vec![refusal], download).0.0, b"{}");
        let no_length = b"HTTP/1.1 200 OK\r\n\r\n12345".to_vec();
        assert!(matches!(asked_of(vec![no_length], download).0.1, Err(ClientError::NoHttp)));
        let endless = vec![vec![b'x'; 64 * 1024]; 40];
        assert!(matches!(asked_of(endless, download).0.1, Err(ClientError::TooLong)));
    }

    #[test]
    fn a_request_is_sent_and_its_answer_read_however_it_is_cut() {
        for (answer, status, body) in ANSWERS {
            for at in 0..answer.len() {
                let (first, second) = answer.as_bytes().split_at(at);
                let (reply, asked) = asked_of(vec![first.to_vec(), second.to_vec()], stop);
                assert_eq!(reply.unwrap(), DaemonReply { status, body: body.into() });
                let head = "POST /api/record/stop HTTP/1.1\r\nHost: localhost\r\n";
                assert!(asked.starts_with(head) && asked.contains("Content-Length: 0\r\n"));
            }
        }
    }

    #[test]
    fn an_answer_without_end_is_given_up() {
        let endless = vec![vec![b'x'; 64 * 1024]; 40];
        assert!(matches!(asked_of(endless, stop).0, Err(ClientError::TooLong)));
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234".to_vec();
        let (reply, _) = asked_of(vec![short], stop);
        assert!(matches!(reply, Err(ClientError::Hangup)));
    }

    #[test]
    fn no_daemon_is_told_from_other_trouble() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        let ask = || request(&path, "GET", "/", None).unwrap_err().to_string();
        assert!(ask().starts_with("no daemon is running: nothing is listening at /"));
        // A crashed daemon leaves its socket.
        drop(UnixListener::bind(&path).unwrap());
        assert!(ask().starts_with("no daemon is running: nothing is listening at /"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3usize) {
            let head = ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"];
            let bytes = [head[kind].as_bytes(), &bytes].concat();
            let _ = (parse(&bytes, false), parse(&bytes, true));
        }
    }
}
