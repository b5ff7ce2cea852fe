//! RTSP messages: bytes from a client in, requests out; replies in, bytes out.
//!
//! Spec: RFC 2326 §4, §6, §7, §10.12. Knows nothing of: sessions, media.

use std::fmt::Write;
use std::io::{self, BufRead, Read};

/// A client's input.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    Request(Request),
    /// A `$` block: the client's RTCP.
    Interleaved {
        channel: u8,
        bytes: Vec<u8>,
    },
}

/// One request, its body read and dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub uri: String,
    headers: Vec<(String, String)>,
}

/// Why a request could not be read.
#[derive(Debug)]
pub enum MessageError {
    /// The connection failed.
    Io(io::Error),
    /// Answered with 400; then the connection ends, since the begin of the next message is unknown.
    Malformed,
}

impl Incoming {
    /// Waits for the next message; `None` at the end of the connection.
    ///
    /// # Errors
    /// `Malformed` also for a head or a body beyond the limits.
    pub fn read(input: &mut impl BufRead) -> Result<Option<Incoming>, MessageError> {
        let Some(&first) = input.fill_buf()?.first() else { return Ok(None) };
        if first == b'$' {
            let mut header = [0; 4];
            input.read_exact(&mut header)?;
            let [_, channel, high, low] = header;
            let mut bytes = vec![0; usize::from(u16::from_be_bytes([high, low]))];
            input.read_exact(&mut bytes)?;
            return Ok(Some(Incoming::Interleaved { channel, bytes }));
        }
        let mut head = input.by_ref().take(HEAD_BYTES_MAX);
        let mut request = Request::parse_first(&line(&mut head)?)?;
        loop {
            let line = line(&mut head)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(MessageError::Malformed)?;
            request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(length) = request.header("Content-Length") {
            let length: u64 = length.parse().map_err(|_| MessageError::Malformed)?;
            if length > BODY_BYTES_MAX {
                return Err(MessageError::Malformed);
            }
            skip(input, length)?;
        }
        Ok(Some(Incoming::Request(request)))
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path after host and port, without slashes at either end: `cam/trackID=0`.
    pub fn path(&self) -> &str {
        let rest = self.uri.split_once("://").map_or(self.uri.as_str(), |(_, rest)| rest);
        rest.split_once('/').map_or("", |(_, path)| path).trim_matches('/')
    }

    fn parse_first(line: &str) -> Result<Request, MessageError> {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(uri), Some("RTSP/1.0"), None)
                if !method.is_empty() && !uri.is_empty() =>
            {
                Ok(Request { method: method.into(), uri: uri.into(), headers: Vec::new() })
            }
            _ => Err(MessageError::Malformed),
        }
    }
}

/// A reply under construction.
#[derive(Debug)]
pub struct Reply {
    pub status: Status,
    head: String,
    body: String,
}

impl Reply {
    /// `cseq` as the client wrote it.
    pub fn new(status: Status, cseq: Option<&str>) -> Reply {
        let (code, reason) = status.line();
        let head = format!("RTSP/1.0 {code} {reason}\r\n");
        let mut reply = Reply { status, head, body: String::new() };
        if let Some(cseq) = cseq {
            reply = reply.header("CSeq", cseq);
        }
        reply.header("Server", "smolnvr test camera")
    }

    pub fn header(mut self, name: &str, value: &str) -> Reply {
        let _ = write!(self.head, "{name}: {value}\r\n"); // writing to a String cannot fail
        self
    }

    /// Changes the value of a field, or removes the field; does nothing if there is none.
    pub fn edit(&mut self, name: &str, change: impl Fn(&str) -> Option<String>) {
        let edited = self.head.split_inclusive("\r\n").map(|line| {
            let field = line.trim_end().split_once(": ").filter(|(known, _)| *known == name);
            match field {
                Some((name, value)) => {
                    change(value).map_or_else(String::new, |value| format!("{name}: {value}\r\n"))
                }
                None => line.to_owned(),
            }
        });
        self.head = edited.collect();
    }

    pub fn body(mut self, kind: &str, body: String) -> Reply {
        let length = body.len().to_string();
        self.body = body;
        self.header("Content-Type", kind).header("Content-Length", &length)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{}\r\n{}", self.head, self.body).into_bytes()
    }
}

/// The statuses that this camera answers with (RFC 2326 §7.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Ok,
    Found,
    BadRequest,
    Unauthorized,
    NotFound,
    SessionNotFound,
    NotValidInState,
    AggregateNotAllowed,
    UnsupportedTransport,
    NotImplemented,
}

impl Status {
    fn line(self) -> (u16, &'static str) {
        match self {
            Status::Ok => (200, "OK"),
            Status::Found => (302, "Moved Temporarily"),
            Status::BadRequest => (400, "Bad Request"),
            Status::Unauthorized => (401, "Unauthorized"),
            Status::NotFound => (404, "Not Found"),
            Status::SessionNotFound => (454, "Session Not Found"),
            Status::NotValidInState => (455, "Method Not Valid in This State"),
            Status::AggregateNotAllowed => (459, "Aggregate Operation Not Allowed"),
            Status::UnsupportedTransport => (461, "Unsupported Transport"),
            Status::NotImplemented => (501, "Not Implemented"),
        }
    }
}

impl From<io::Error> for MessageError {
    fn from(error: io::Error) -> Self {
        MessageError::Io(error)
    }
}

/// One line without its end.
fn line(input: &mut impl BufRead) -> Result<String, MessageError> {
    let mut bytes = Vec::new();
    input.read_until(b'\n', &mut bytes)?;
    let text = bytes.strip_suffix(b"\n").ok_or(MessageError::Malformed)?;
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    String::from_utf8(text.to_vec()).map_err(|_| MessageError::Malformed)
}

fn skip(input: &mut impl BufRead, bytes: u64) -> Result<(), MessageError> {
    let skipped = io::copy(&mut input.by_ref().take(bytes), &mut io::sink())?;
    if skipped < bytes { Err(MessageError::Malformed) } else { Ok(()) }
}

/// A head; real ones stay under 1 KB.
const HEAD_BYTES_MAX: u64 = 16 * 1024;
const BODY_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = b"SET_PARAMETER rtsp://127.0.0.1:8554/cam/ RTSP/1.0\r\nCSeq: 7\r\n\
        content-length:5\r\nSession: abc\r\n\r\nhello";

    #[test]
    fn requests_and_interleaved_blocks_come_one_after_the_other() {
        let mut input = [SET, b"$\x01\0\x03abc", SET].concat();
        input.extend_from_slice(b"OPTIONS * RTSP/1.0\r\n\r\n");
        let mut input = &input[..];
        let Ok(Some(Incoming::Request(request))) = Incoming::read(&mut input) else { panic!() };
        assert_eq!((request.method.as_str(), request.path()), ("SET_PARAMETER", "cam"));
        assert_eq!(request.header("cseq"), Some("7"));
        let next = Incoming::read(&mut input).unwrap().unwrap();
        assert_eq!(next, Incoming::Interleaved { channel: 1, bytes: b"abc".to_vec() });
        assert!(matches!(Incoming::read(&mut input), Ok(Some(Incoming::Request(_)))));
        let Ok(Some(Incoming::Request(request))) = Incoming::read(&mut input) else { panic!() };
        assert_eq!((request.uri.as_str(), request.path()), ("*", ""));
        assert!(Incoming::read(&mut input).unwrap().is_none());
    }

    #[test]
    fn every_truncation_is_an_error() {
        for length in 1..SET.len() {
            assert!(Incoming::read(&mut &SET[..length]).is_err(), "{length}");
        }
        for length in 1..7 {
            assert!(Incoming::read(&mut &b"$\x01\0\x03abc"[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn bytes_that_are_no_request_are_malformed() {
        let endless = vec![b'a'; 100_000];
        let cases: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\r\n\r\n",
            b"PLAY rtsp://x/ RTSP/1.0\r\nno colon\r\n\r\n",
            b"PLAY rtsp://x/ RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
            b"PLAY rtsp://x/ RTSP/1.0\r\nContent-Length: 99999999999\r\n\r\n",
            &endless,
        ];
        for case in cases {
            let result = Incoming::read(&mut &case[..]);
            assert!(matches!(result, Err(MessageError::Malformed)), "{case:?}");
        }
    }

    #[test]
    fn reply_has_the_shape_of_rfc_2326() {
        let reply = Reply::new(Status::Ok, Some("3")).body("text/parameters", "a\r\n".into());
        let expected = "RTSP/1.0 200 OK\r\nCSeq: 3\r\nServer: smolnvr test camera\r\n\
            Content-Type: text/parameters\r\nContent-Length: 3\r\n\r\na\r\n";
        assert_eq!(reply.to_bytes(), expected.as_bytes());
    }
}
