//! The head of a request: method, target and header fields.
//!
//! It has been validated by `web::access::Form`: lines end in CRLF, each field has a colon.
//! Spec: RFC 9112 §3, §5.
//! Knows nothing of: sockets, permissions.

use std::str;

/// A validated head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a str,
    /// As received: path and query.
    target: &'a str,
    lines: &'a [u8],
}

/// Returns the length of the head at the start of the bytes, including the empty line; `None` while
/// it is incomplete. A client that uses other line ends gets a response as well.
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

/// Removes foreign cookies from the start of a head; returns its new length. One byte of an
/// incomplete cookie stays, so that its rest is not taken for one of ours.
pub fn without_others_cookies(bytes: &mut [u8]) -> usize {
    let mut kept = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (name, value) = line.split_at(COOKIE.len().min(line.len()));
        kept.extend_from_slice(name);
        if !name.eq_ignore_ascii_case(COOKIE) {
            kept.extend_from_slice(value);
            continue;
        }
        for pair in value.split_inclusive(|byte| *byte == b';') {
            let text = pair.trim_ascii();
            if text.starts_with(OURS) || OURS.starts_with(text) {
                kept.extend_from_slice(pair);
            } else if !pair.ends_with(b";") {
                kept.extend_from_slice(if pair.ends_with(b"\r\n") { b"x\r\n" } else { b"x" });
            }
        }
    }
    let length = kept.len().min(bytes.len());
    if let (Some(room), Some(kept)) = (bytes.get_mut(..length), kept.get(..length)) {
        room.copy_from_slice(kept);
    }
    length
}

impl<'a> Head<'a> {
    /// `None` if it is not valid after all.
    pub fn read(bytes: &'a [u8]) -> Option<Head<'a>> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, lines) = bytes.split_at_checked(end + 1)?;
        let mut words = str::from_utf8(line).ok()?.split(' ');
        Some(Head { method: words.next()?, target: words.next()?, lines })
    }

    /// The path, without the query.
    pub fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the value of a query parameter, undecoded.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Returns it as a number, if present.
    ///
    /// # Errors
    /// A message if it is not a number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let number = self.parameter(name).map(str::parse).transpose();
        number.map_err(|_| format!("{name}: expected a whole number"))
    }

    /// The names and values of the header fields, without surrounding blanks.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = self.lines.split(|byte| *byte == b'\n');
        lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name, value.get(1..)?.trim_ascii()))
        })
    }

    /// Returns the value of the first field with that name, if it is text.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.fields();
        let found = fields.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.and_then(|(_, value)| str::from_utf8(value).ok())
    }

    /// Returns true if it asks for a WebSocket (RFC 6455 §4.1): what follows is not a request.
    pub fn is_upgrade(&self) -> bool {
        let has = |name: &str, token: &str| {
            let mut tokens = self.field(name).unwrap_or_default().split(',').map(str::trim);
            tokens.any(|other| other.eq_ignore_ascii_case(token))
        };
        self.method == "GET" && has("Connection", "upgrade") && has("Upgrade", "websocket")
    }
}

const COOKIE: &[u8] = b"cookie:";
/// The start of our cookies' names.
const OURS: &[u8] = b"smolnvr";

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

    fn shortened(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let length = without_others_cookies(&mut bytes);
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn cookies_of_others_are_left_out_and_ours_stay() {
        for (head, left) in [
            ("GET / HTTP/1.1\r\nCookie: a=b; smolnvr-1=x; c=d\r\nHost: a; b\r\n\r\n", None),
            (
                "GET / HTTP/1.1\r\ncookie: a=b;smolnvr-1=x\r\nX: y",
                Some("cookie:smolnvr-1=x\r\nX: y"),
            ),
            ("GET / HTTP/1.1\r\nCookie: a=b; cd", Some("Cookie:x")),
            ("GET / HTTP/1.1\r\nCookie: a=b; smol", Some("Cookie: smol")),
            ("GET / HTTP/1.1\r\nX-Cookie: a=b; c=d\r\n", Some("X-Cookie: a=b; c=d\r\n")),
            ("GET / HTTP/1.1\r\nCook", Some("Cook")),
        ] {
            let left = left.unwrap_or("Cookie: smolnvr-1=x;x\r\nHost: a; b\r\n\r\n");
            assert_eq!(shortened(head), format!("GET / HTTP/1.1\r\n{left}"), "{head}");
        }
        // What continues after it still belongs to a foreign cookie.
        let rest = [&shortened("GET / HTTP/1.1\r\nCookie: a="), "smolnvr-1=x\r\n\r\n"].concat();
        assert!(rest.contains("Cookie:xsmolnvr-1=x"), "{rest}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            if let Some(head) = length(&bytes).and_then(|length| Head::read(&bytes[..length])) {
                let _ = (head.path(), head.parameter("a"), head.fields().count(), head.is_upgrade());
            }
            let mut cookies = [b"\ncookie:", &bytes[..]].concat();
            let whole = cookies.len();
            proptest::prop_assert!(without_others_cookies(&mut cookies) <= whole);
        }
    }
}
