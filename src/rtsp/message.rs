//! RTSP messages: bytes in, start line, fields and body out, all borrowed.
//!
//! Spec: RFC 2326 §4, §6, §7. Any version is taken: none but 1.0 was asked for. Knows nothing of:
//! what a field means, interleaved data.

use crate::{
    http::head::{Head, HeadError, words},
    limits::RTSP_BODY_BYTES_MAX,
};
use std::fmt;

/// A complete message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub start: StartLine<'a>,
    head: Head<'a>,
    pub body: &'a [u8],
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A reply; its reason phrase is not kept.
    Reply { status: u16 },
    /// A request; of a server, or of a client of ours.
    Request { method: &'a str, uri: &'a str },
}

/// Why bytes are not a message: the camera's fault. It is unknown where the next message starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    StartLine,
    Head(HeadError),
    ContentLength,
    BodyTooLong(usize),
}

impl<'a> Message<'a> {
    /// Parses a message at the start of `bytes`; returns it and its length, or `None` while it is
    /// incomplete.
    ///
    /// # Errors
    /// A broken start line or `Content-Length`, or an exceeded limit.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Message<'a>, usize)>, MessageError> {
        let Some((head, head_len)) = Head::parse(bytes).map_err(MessageError::Head)? else {
            return Ok(None);
        };
        let start = StartLine::parse(&head).ok_or(MessageError::StartLine)?;
        let mut message = Message { start, head, body: &[] };
        let body_len = match message.field("Content-Length") {
            Some(value) => leading_number(value).ok_or(MessageError::ContentLength)?,
            None => 0,
        };
        if body_len > RTSP_BODY_BYTES_MAX {
            return Err(MessageError::BodyTooLong(body_len));
        }
        let end = head_len + body_len;
        let Some(body) = bytes.get(head_len..end) else {
            return Ok(None);
        };
        message.body = body;
        Ok(Some((message, end)))
    }

    /// Reads a reply whose body has no length, or not the one that it says: the body is all that
    /// came.
    pub fn parse_unfinished(bytes: &'a [u8]) -> Option<Message<'a>> {
        let (head, head_len) = Head::parse(bytes).ok()??;
        let start = StartLine::parse(&head)?;
        Some(Message { start, head, body: bytes.get(head_len..)? })
    }

    /// Whether it is a description that does not say how long its body is.
    pub fn lacks_length(&self) -> bool {
        let kind = self.field("Content-Type").unwrap_or_default();
        self.start == StartLine::Reply { status: 200 }
            && kind.eq_ignore_ascii_case("application/sdp")
            && self.field("Content-Length").is_none()
    }

    /// As [`Head::field`].
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.head.field(name)
    }

    /// As [`Head::fields`].
    pub fn fields<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.head.fields(name)
    }
}

impl<'a> StartLine<'a> {
    fn parse(head: &Head<'a>) -> Option<StartLine<'a>> {
        if words(head.first).next()?.starts_with(PROTOCOL.as_bytes()) {
            return head.status(PROTOCOL).map(|status| StartLine::Reply { status });
        }
        let mut words = words(head.first);
        let (method, uri, protocol) = (words.next()?, words.next()?, words.next()?);
        let (method, uri) = (str::from_utf8(method).ok()?, str::from_utf8(uri).ok()?);
        protocol.starts_with(PROTOCOL.as_bytes()).then_some(StartLine::Request { method, uri })
    }
}

/// Parses the digits at the start of a value: cameras write `412;` and `412 bytes`. An empty one
/// counts as 0.
fn leading_number(value: &str) -> Option<usize> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    if value.is_empty() { Some(0) } else { value.get(..end)?.parse().ok() }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::StartLine => f.write_str("its first line is invalid"),
            MessageError::Head(error) => error.fmt(f),
            MessageError::ContentLength => f.write_str("its Content-Length is not a number"),
            MessageError::BodyTooLong(bytes) => {
                write!(f, "its body of {bytes} bytes is longer than {RTSP_BODY_BYTES_MAX}")
            }
        }
    }
}

const PROTOCOL: &str = "RTSP/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

    const REPLY: &[u8] =
        b"RTSP/1.0 200 OK\r\ncseq: 7 \r\nX: a\r\nx:b\r\nContent-Length: 5\r\n\r\nhello";

    fn parsed(bytes: &[u8]) -> Message<'_> {
        let (message, len) = Message::parse(bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        message
    }

    #[test]
    fn a_reply_with_a_body() {
        let message = parsed(REPLY);
        assert_eq!(message.start, StartLine::Reply { status: 200 });
        assert_eq!(message.field("CSeq"), Some("7"));
        assert_eq!(message.fields("x").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(message.field("Y"), None);
        assert_eq!(message.body, b"hello");
    }

    #[test]
    fn every_truncation_is_not_yet_a_message() {
        for len in 0..REPLY.len() {
            assert!(Message::parse(&REPLY[..len]).unwrap().is_none(), "{len}");
        }
    }

    #[test]
    fn what_follows_is_left_alone() {
        let two = [REPLY, REPLY].concat();
        let (message, len) = Message::parse(&two).unwrap().unwrap();
        assert_eq!((message.body, len), (&b"hello"[..], REPLY.len()));
    }

    #[test]
    fn a_request_of_the_server() {
        let message = parsed(b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        assert_eq!(message.start, StartLine::Request { method: "OPTIONS", uri: "rtsp://h/" });
    }

    #[test]
    fn lines_may_end_with_lf_alone() {
        let message = parsed(b"RTSP/1.0 404 Not Found\nCSeq: 2\n\n");
        assert_eq!(message.start, StartLine::Reply { status: 404 });
        assert_eq!(message.field("CSeq"), Some("2"));
    }

    #[test]
    fn a_reply_may_lack_its_reason_and_have_no_fields() {
        assert_eq!(parsed(b"RTSP/1.0 200\r\n\r\n").start, StartLine::Reply { status: 200 });
    }

    #[test]
    fn a_status_line_and_a_length_may_be_written_oddly() {
        for line in [
            "RTSP/1.0  200  OK",
            "RTSP/1.0\t200",
            "RTSP/1.0 200OK",
            "RTSP/1.1 200 ",
            "RTSP/2.0 200",
        ] {
            let bytes = [line, "\r\n\r\n"].concat();
            assert_eq!(parsed(bytes.as_bytes()).start, StartLine::Reply { status: 200 }, "{line}");
        }
        for value in ["2", " 2 ", "2;", "2 bytes", "002"] {
            let bytes = ["RTSP/1.0 200 OK\r\ncontent-length :", value, "\r\n\r\nhi"].concat();
            assert_eq!(parsed(bytes.as_bytes()).body, b"hi", "{value:?}");
        }
        assert_eq!(parsed(b"RTSP/1.0 200 OK\r\nContent-Length:\r\n\r\n").body, b"");
    }

    #[test]
    fn a_field_that_is_not_utf8_or_has_no_colon_is_skipped() {
        let message = parsed(b"RTSP/1.0 200 \xb3\xc9\r\nServer: \xb3\r\njunk\r\nCSeq: 3\r\n\r\n");
        assert_eq!(message.field("Server"), None);
        assert_eq!(message.field("CSeq"), Some("3"));
    }

    #[test]
    fn broken_start_lines_are_errors() {
        for line in ["RTSP/1.0 OK", "RTSP/1.0 20", "RTSP/1.0", "GET / HTTP/1.1", "", "RTSP 200 OK"]
        {
            let bytes = [line, "\r\n\r\n"].concat();
            assert_eq!(
                Message::parse(bytes.as_bytes()).unwrap_err(),
                MessageError::StartLine,
                "{line}"
            );
        }
    }

    #[test]
    fn a_content_length_must_be_a_number() {
        for value in ["-1", "x", "99999999999999999999999"] {
            let bytes = ["RTSP/1.0 200 OK\r\nContent-Length: ", value, "\r\n\r\n"].concat();
            assert_eq!(Message::parse(bytes.as_bytes()).unwrap_err(), MessageError::ContentLength);
        }
    }

    #[test]
    fn every_limit_is_an_error() {
        let endless = [b"RTSP/1.0 200 OK\r\n".as_slice(), &[b'a'; HEAD_BYTES_MAX]].concat();
        assert_eq!(Message::parse(&endless).unwrap_err(), MessageError::Head(HeadError::TooLong));
        let long = [&endless, b"\r\n\r\n".as_slice()].concat();
        assert_eq!(Message::parse(&long).unwrap_err(), MessageError::Head(HeadError::TooLong));
        let many =
            ["RTSP/1.0 200 OK\r\n", &"a: b\r\n".repeat(HEAD_FIELDS_MAX + 1), "\r\n"].concat();
        assert_eq!(
            Message::parse(many.as_bytes()).unwrap_err(),
            MessageError::Head(HeadError::TooManyFields)
        );
        let body = b"RTSP/1.0 200 OK\r\nContent-Length: 16385\r\n\r\n";
        assert_eq!(Message::parse(body).unwrap_err(), MessageError::BodyTooLong(16385));
    }
}
