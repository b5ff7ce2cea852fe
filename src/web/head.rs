//! The head of a request as the routes look at it: method, address and header fields.
//!
//! Its form is in order ([`super::access::Form`]): lines that end in CRLF, each field with a colon.
//! Spec: RFC 9112 §3, §5. Knows nothing of: sockets, who may do what.

use std::str;

/// A head in order.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a str,
    /// As on the wire: path and query.
    target: &'a str,
    lines: &'a [u8],
}

/// How long the head is that the bytes begin with, the empty line included; `None` where they do not
/// hold a whole one. Somebody who ends lines otherwise waits for an answer too.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let is_empty_line = |rest: &[u8]| rest.starts_with(b"\r\n") || rest.starts_with(b"\n");
    for end in ends {
        let rest = bytes.get(end..)?;
        if is_empty_line(rest) {
            return Some(end + if rest.starts_with(b"\n") { 1 } else { 2 });
        }
    }
    None
}

impl<'a> Head<'a> {
    /// `None` where it is not in order after all.
    pub fn read(bytes: &'a [u8]) -> Option<Head<'a>> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, lines) = bytes.split_at_checked(end + 1)?;
        let mut words = str::from_utf8(line).ok()?.split(' ');
        Some(Head { method: words.next()?, target: words.next()?, lines })
    }

    /// The address without its query.
    pub fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query's parameter, as it stands there.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Name and value of each header field, the value without the space around it.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = self.lines.split(|byte| *byte == b'\n');
        lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name, value.get(1..)?.trim_ascii()))
        })
    }

    /// The value of the first field of that name, where it is text.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.fields();
        let found = fields.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.and_then(|(_, value)| str::from_utf8(value).ok())
    }

    /// Whether it asks for a WebSocket (RFC 6455 §4.1): what follows is no request.
    pub fn is_upgrade(&self) -> bool {
        let has = |name: &str, token: &str| {
            let mut tokens = self.field(name).unwrap_or_default().split(',').map(str::trim);
            tokens.any(|other| other.eq_ignore_ascii_case(token))
        };
        self.method == "GET" && has("Connection", "upgrade") && has("Upgrade", "websocket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let bytes = b"GET /api/recordings?camera=yard&limit=3 HTTP/1.1\r\nHost: nvr\r\n\
            range:  bytes=0-1 \r\n\r\nrest";
        let length = length(bytes).unwrap();
        assert_eq!(&bytes[length..], b"rest");
        let head = Head::read(&bytes[..length]).unwrap();
        assert_eq!((head.method, head.path()), ("GET", "/api/recordings"));
        assert_eq!((head.field("Range"), head.field("Origin")), (Some("bytes=0-1"), None));
        assert_eq!((head.parameter("limit"), head.parameter("before")), (Some("3"), None));
        assert!(!head.is_upgrade());
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line_however_lines_end() {
        for (bytes, wanted) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(27)),
            ("GET / HTTP/1.1\nHost: a\n\nX: y\r\n\r\n", Some(24)),
            ("GET / HTTP/1.1\n\r\n", Some(17)),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r", None),
            ("", None),
        ] {
            assert_eq!(length(bytes.as_bytes()), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn a_browser_that_keeps_the_connection_may_upgrade_it() {
        let head = |connection: &str| {
            format!(
                "GET /live/a HTTP/1.1\r\nConnection: {connection}\r\nUpgrade: WebSocket\r\n\r\n"
            )
        };
        assert!(Head::read(head("keep-alive, Upgrade").as_bytes()).unwrap().is_upgrade());
        assert!(!Head::read(head("keep-alive").as_bytes()).unwrap().is_upgrade());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            if let Some(head) = length(&bytes).and_then(|length| Head::read(&bytes[..length])) {
                let _ = (head.path(), head.parameter("a"), head.fields().count(), head.is_upgrade());
            }
        }
    }
}
