//! The head of a request: bytes in, method, target and header fields out, or why it is refused.
//!
//! Stricter than the RFC lets one be: what two programs might read differently is not guessed at.
//! Spec: RFC 9112 §2.2 to §6, RFC 9110 §5. Knows nothing of: sockets, routes, who may do what.

use super::refusal::Refusal;
use crate::limits;
use std::str;

/// A head in order.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a str,
    /// As on the wire, from the first `/` on.
    pub target: &'a str,
    lines: &'a [u8],
    pub body_bytes: u64,
    /// Asks for a WebSocket: what follows the head is no request.
    pub is_upgrade: bool,
}

/// How long the head is that the bytes begin with, the empty line included; `None` where they do not
/// hold a whole one.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    // Somebody who ends lines otherwise waits for an answer too.
    let bare = bytes.windows(2).position(|two| two == b"\n\n");
    match (end, bare) {
        (Some(end), Some(bare)) if bare < end => Some(bare + 2),
        (Some(end), _) => Some(end + 4),
        (None, bare) => bare.map(|bare| bare + 2),
    }
}

/// What to say of a head that is longer than [`limits::WEB_HEAD_BYTES_MAX`].
pub(super) fn too_long(bytes: &[u8]) -> Refusal {
    match bytes.contains(&b'\n') {
        false => Refusal::new(414, "the address is too long"),
        true => Refusal::new(431, "the header fields are too long"),
    }
}

impl<'a> Head<'a> {
    /// `bytes`: a head as [`length`] measures it.
    ///
    /// # Errors
    /// What is wrong with it, the client's fault.
    pub fn parse(bytes: &'a [u8]) -> Result<Head<'a>, Refusal> {
        let bytes =
            bytes.strip_suffix(b"\r\n").ok_or_else(|| bad("a line does not end in CRLF"))?;
        let end = line_end(bytes).ok_or_else(|| bad("a line does not end in CRLF"))?;
        let (line, lines) = bytes.split_at(end);
        let line = str::from_utf8(line).map_err(|_| bad("the request line is not ASCII"))?;
        let words: Vec<&str> = line.trim_end_matches("\r\n").split(' ').collect();
        let &[method, target, version] = &words[..] else {
            return Err(bad("the request line is not `method target version`"));
        };
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("no such method"));
        }
        match version {
            "HTTP/1.1" | "HTTP/1.0" => {}
            _ if version.starts_with("HTTP/") => {
                return Err(Refusal::new(505, "only HTTP/1.1 is spoken here"));
            }
            _ => return Err(bad("the request line is not `method target version`")),
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#';
        if !target.starts_with('/') || !target.bytes().all(is_plain) {
            return Err(bad("the address is not one of this server"));
        }
        let mut head = Head { method, target, lines, body_bytes: 0, is_upgrade: false };
        head.check_fields(version == "HTTP/1.1")?;
        Ok(head)
    }

    /// Name and value of each header field.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        Fields(self.lines).map_while(Result::ok)
    }

    /// The value of the first field of that name, in lower case.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether a field that lists tokens has this one, in lower case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let fields = self.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let mut tokens = fields.flat_map(|(_, value)| value.split(',')).map(str::trim);
        tokens.any(|other| other.eq_ignore_ascii_case(token))
    }

    /// The target without its query.
    pub fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query's parameter, as it stands there.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    fn check_fields(&mut self, is_1_1: bool) -> Result<(), Refusal> {
        let (mut hosts, mut lengths, mut count) = (0, 0, 0);
        for field in Fields(self.lines) {
            let (name, value) = field?;
            count += 1;
            if name.eq_ignore_ascii_case("host") {
                hosts += 1;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(Refusal::new(501, "a body in an encoding is not taken"));
            } else if name.eq_ignore_ascii_case("expect") {
                return Err(Refusal::new(417, "no expectation is met"));
            } else if name.eq_ignore_ascii_case("content-length") {
                lengths += 1;
                let is_number = !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit());
                if !is_number {
                    return Err(bad("Content-Length is not a number"));
                }
                self.body_bytes = value.parse().unwrap_or(u64::MAX);
            }
        }
        if count > limits::WEB_FIELDS_MAX {
            return Err(Refusal::new(431, "too many header fields"));
        }
        if hosts > 1 || is_1_1 && hosts == 0 {
            return Err(bad("one Host is needed"));
        }
        if lengths > 1 {
            return Err(bad("Content-Length is there twice"));
        }
        if self.body_bytes > limits::WEB_BODY_BYTES_MAX as u64 {
            return Err(Refusal::new(413, "the body is too long"));
        }
        if self.body_bytes > 0 && !matches!(self.method, "POST" | "PUT" | "DELETE") {
            return Err(bad("a request of this method has no body"));
        }
        self.is_upgrade = self.method == "GET"
            && self.has_token("connection", "upgrade")
            && self.has_token("upgrade", "websocket");
        Ok(())
    }
}

/// Header fields of lines that each end in CRLF.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a str, &'a str), Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let end = line_end(self.0);
        let (line, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        Some(match line.strip_suffix(b"\r\n") {
            Some(line) => field(line),
            None => Err(bad("a line does not end in CRLF")),
        })
    }
}

fn field(line: &[u8]) -> Result<(&str, &str), Refusal> {
    let is_value = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !line.iter().all(is_value) {
        return Err(bad("a header field holds what no header field may"));
    }
    let line = str::from_utf8(line).map_err(|_| bad("a header field is not UTF-8"))?;
    let (name, value) = line.split_once(':').ok_or_else(|| bad("a header field has no colon"))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(bad("a header field has no name"));
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

/// Where the line ends that the bytes begin with, its CRLF included; `None` where a CR or an LF stands
/// alone.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    (bytes.get(end..end + 2)? == b"\r\n").then_some(end + 2)
}

fn bad(error: &str) -> Refusal {
    Refusal::new(400, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        let bytes = head.as_bytes();
        match Head::parse(&bytes[..length(bytes).unwrap()]) {
            Ok(_) => 200,
            Err(refusal) => refusal.status,
        }
    }

    #[test]
    fn a_head_in_order_is_taken_apart() {
        let bytes = b"GET /api/recordings?camera=yard&limit=3 HTTP/1.1\r\nHost: nvr\r\nrange:  bytes=0-1 \r\n\r\nrest";
        let length = length(bytes).unwrap();
        assert_eq!(&bytes[length..], b"rest");
        let head = Head::parse(&bytes[..length]).unwrap();
        assert_eq!((head.method, head.path()), ("GET", "/api/recordings"));
        assert_eq!(head.field("Range"), Some("bytes=0-1"));
        assert_eq!((head.parameter("limit"), head.parameter("before")), (Some("3"), None));
    }

    #[test]
    fn what_two_programs_might_read_differently_is_refused() {
        for (status_wanted, head) in [
            (400, "GET / HTTP/1.1\nHost: a\n\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\n\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
            (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
            (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967295\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"),
            (200, "GET / HTTP/1.0\r\n\r\n"),
            (200, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        ] {
            assert_eq!(status(head), status_wanted, "{head:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            if let Some(length) = length(&bytes) {
                let _ = Head::parse(&bytes[..length]);
            }
            let head = [&b"GET / HTTP/1.1\r\nHost: a\r\n"[..], &bytes, b"\r\n\r\n"].concat();
            let _ = Head::parse(&head[..length(&head).unwrap()]);
        }
    }
}
