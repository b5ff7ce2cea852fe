//! The form of requests: bytes from a client in, refusals of malformed ones out.
//!
//! Stands before the server's own parser and is stricter, so that both see the same requests: bytes
//! that smuggle a second request, or that two parsers read differently, get no further. Holds no
//! more than one incomplete line.
//!
//! Spec: RFC 9112 §2 to §6, RFC 3986 §3.3. Knows nothing of: routes, names, credentials.

use super::Refusal::{self, Malformed};
use crate::limits;

/// The requests of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Form {
    part: Part,
    /// The line that has begun.
    line: Vec<u8>,
    head: HeadSoFar,
}

/// What the next byte belongs to.
#[derive(Debug, Default)]
enum Part {
    #[default]
    RequestLine,
    Fields,
    /// This many bytes of it are still to come.
    Body(u64),
    Refused(Refusal),
}

#[derive(Debug, Default)]
struct HeadSoFar {
    bytes: usize,
    fields: usize,
    hosts: usize,
    version: Version,
    body: BodyRule,
    content_length: Option<u64>,
    transfer_encodings: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Http11,
    Http10,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BodyRule {
    #[default]
    Allowed,
    /// GET and HEAD: RFC 9110 §9.3.1.
    Refused,
}

impl Form {
    /// Takes bytes read from the socket. Only after `Ok` may they be used.
    ///
    /// # Errors
    /// The refusal to send before closing: where the next request would begin is unknown. Every
    /// later call returns the same.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let taken = self.take_parts(bytes);
        if let Err(refusal) = &taken {
            self.part = Part::Refused(refusal.clone());
            self.line = Vec::new();
        }
        taken
    }

    /// The refusal of a head that did not end in time.
    pub fn too_long(&self) -> Refusal {
        match self.part {
            Part::RequestLine => Refusal::TargetTooLong,
            _ => Refusal::HeadTooLarge,
        }
    }

    /// How much of a body is to come before the next head.
    pub fn body_left(&self) -> u64 {
        match self.part {
            Part::Body(left) => left,
            _ => 0,
        }
    }

    fn take_parts(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while let Some(first) = bytes.first() {
            match &mut self.part {
                Part::Refused(refusal) => return Err(refusal.clone()),
                Part::Body(left) => {
                    let here = usize::try_from(*left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    *left -= here as u64;
                    if *left == 0 {
                        self.part = Part::RequestLine;
                    }
                    bytes = bytes.get(here..).unwrap_or_default();
                }
                Part::RequestLine if self.line.is_empty() && !first.is_ascii_alphabetic() => {
                    return Err(Malformed("this is not HTTP (is it https?)"));
                }
                Part::RequestLine | Part::Fields => bytes = self.take_line(bytes)?,
            }
        }
        Ok(())
    }

    /// Takes the bytes of one line, or of its beginning, and returns the rest.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (here, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.head.bytes += here.len();
        if self.head.bytes > limits::HTTP_HEAD_BYTES_MAX {
            return Err(self.too_long());
        }
        if end.is_none() {
            self.line.extend_from_slice(here);
            return Ok(rest);
        }
        let mut begun = std::mem::take(&mut self.line);
        let line = if begun.is_empty() {
            here
        } else {
            begun.extend_from_slice(here);
            &begun
        };
        // RFC 9112 §2.2 lets a recipient accept a lone LF, but not all parsers do.
        let line = line.strip_suffix(b"\r\n").ok_or(Malformed("a line ends without CR LF"))?;
        match self.part {
            Part::RequestLine => self.request_line(line)?,
            _ if line.is_empty() => self.end_of_head()?,
            _ => self.head.field(line)?,
        }
        Ok(rest)
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed("the request line is not `method target version`"));
        };
        if !is_token(method) {
            return Err(Malformed("the method is no word"));
        }
        check_target(target)?;
        self.head.version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ if version.starts_with(b"HTTP/") => return Err(Refusal::Version),
            _ => return Err(Malformed("the request line does not end in HTTP/1.1")),
        };
        if matches!(method, b"GET" | b"HEAD") {
            self.head.body = BodyRule::Refused;
        }
        self.part = Part::Fields;
        Ok(())
    }

    fn end_of_head(&mut self) -> Result<(), Refusal> {
        let head = std::mem::take(&mut self.head);
        if head.hosts > 1 || head.hosts == 0 && head.version == Version::Http11 {
            return Err(Malformed("a request has one Host"));
        }
        let length = match (head.transfer_encodings, head.content_length) {
            (0, length) => length.unwrap_or(0),
            (_, None) => return Err(Refusal::TransferEncoding),
            // RFC 9112 §6.1: a way to smuggle a request.
            (_, Some(_)) => return Err(Malformed("Transfer-Encoding beside Content-Length")),
        };
        if length > 0 && head.body == BodyRule::Refused {
            return Err(Malformed("GET and HEAD have no body"));
        }
        if length > limits::HTTP_BODY_BYTES_MAX as u64 {
            return Err(Refusal::BodyTooLarge);
        }
        self.part = if length > 0 { Part::Body(length) } else { Part::RequestLine };
        Ok(())
    }
}

impl HeadSoFar {
    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > limits::HTTP_FIELDS_MAX {
            return Err(Refusal::HeadTooLarge);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or(Malformed("a header field has no colon"))?);
        // Folded lines (§5.2) begin with a space, so their name is no token.
        if !is_token(name) {
            return Err(Malformed("the name of a header field is no word"));
        }
        let value = value.get(1..).unwrap_or_default();
        if value.iter().any(|byte| is_control(*byte) && *byte != b'\t') {
            return Err(Malformed("a header field holds a control character"));
        }
        if name.eq_ignore_ascii_case(b"Host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"Transfer-Encoding") {
            self.transfer_encodings += 1;
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            let twice = self.content_length.replace(content_length(value.trim_ascii())?).is_some();
            if twice {
                return Err(Malformed("Content-Length comes twice"));
            }
        }
        Ok(())
    }
}

/// §6.3: a list of numbers, even of equal ones, is refused as well.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed("Content-Length is no number"));
    }
    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
    Ok(digits.fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(digit)))
}

/// An absolute path, perhaps with a query (§3.2.1). Absolute-form, `*` and an authority are for
/// proxies. No path here is ever a file's; only attacks send what is refused.
fn check_target(target: &[u8]) -> Result<(), Refusal> {
    if target.len() > limits::HTTP_TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if target.first() != Some(&b'/') {
        return Err(Malformed("the address does not begin with /"));
    }
    let mut place = Place::Path;
    let mut rest = target;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'?' => place = Place::Query,
            b'%' => {
                let digits = rest.split_first_chunk::<2>();
                let (encoded, after) = digits
                    .and_then(|([high, low], after)| Some((hex(*high)? << 4 | hex(*low)?, after)))
                    .ok_or(Malformed("a % in the address stands before no two digits"))?;
                if is_control(encoded) || place == Place::Path && matches!(encoded, b'/' | b'\\') {
                    return Err(Malformed("the address hides a character that it may not hold"));
                }
                rest = after;
            }
            b'\\' | b'#' | b'<' | b'>' | b'"' => {
                return Err(Malformed("the address holds a character that it may not hold"));
            }
            byte if !byte.is_ascii_graphic() => {
                return Err(Malformed("the address holds a character that it may not hold"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// RFC 9110 §5.6.2.
fn is_token(word: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !word.is_empty() && word.iter().all(is_token_byte)
}
