//! An HTTP reply: bytes of the connection in; status, fields and body out: a picture, or a
//! document.
//!
//! A body ends by its length, its chunks, or with the connection; of `multipart/x-mixed-replace` (a
//! camera's endless stream of pictures) the first part is used.
//! Spec: RFC 9112 §6, §7, RFC 2046 §5.1.
//! Knows nothing of: sockets, JPEG.

use crate::{
    http::head::{Head, HeadError},
    limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_READ_BYTES},
};
use std::{fmt, ops::Range};

/// A reply being received.
#[derive(Debug, Default)]
pub struct Response {
    stage: Stage,
    /// Bytes not parsed yet: part of the head, or of a line between chunks.
    input: Vec<u8>,
    pub status: u16,
    /// The values of `WWW-Authenticate`.
    pub challenges: Vec<String>,
    pub location: Option<String>,
    /// The body so far, without chunk sizes.
    body: Vec<u8>,
    multipart: Option<Multipart>,
    kind: Kind,
}

/// What the body is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Of a success alone; too long a one is an error.
    #[default]
    Picture,
    /// Whatever the status is; of one that is longer than this the beginning.
    Document(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    /// This many bytes of the body are missing.
    Length(usize),
    /// The body ends with the connection.
    UntilClose,
    /// A chunk's size is next.
    ChunkSize,
    /// This many bytes of a chunk are missing.
    Chunk(usize),
    /// The line end after a chunk is next.
    ChunkEnd,
    Whole,
}

/// How far a multipart body has been parsed.
#[derive(Clone, Copy, Debug, Default)]
struct Multipart {
    /// The position of its first delimiter, once found.
    start: Option<usize>,
    /// Neither it nor a second one is before this position.
    searched: usize,
}

/// Why there is no reply; the camera's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    NotHttp,
    Head(HeadError),
    /// Its `Content-Length` is not a number.
    Length,
    Chunk,
    /// More than [`SNAPSHOT_BYTES_MAX`].
    TooLong,
    /// The connection ended before the body did.
    Cut,
}

impl Response {
    /// A reply whose body is wanted even of an error, up to this many bytes; with 0, its head is
    /// all.
    pub fn document(bytes_max: usize) -> Response {
        Response { kind: Kind::Document(bytes_max), ..Response::default() }
    }

    /// Processes bytes; returns true once the reply is complete. If it is not a success, a
    /// picture's head is enough; of a document, as much as may be kept.
    ///
    /// # Errors
    /// The connection is of no further use.
    pub fn handle_bytes(&mut self, mut bytes: &[u8]) -> Result<bool, ResponseError> {
        while !bytes.is_empty() && self.stage != Stage::Whole {
            bytes = match self.stage {
                Stage::Head => self.handle_head(bytes)?,
                Stage::Length(missing) => {
                    let rest = self.append(bytes, missing)?;
                    let missing = missing - (bytes.len() - rest.len());
                    self.stage = if missing == 0 { Stage::Whole } else { Stage::Length(missing) };
                    rest
                }
                Stage::UntilClose => self.append(bytes, bytes.len())?,
                Stage::ChunkSize | Stage::ChunkEnd => self.handle_chunk_line(bytes)?,
                Stage::Chunk(missing) => {
                    let rest = self.append(bytes, missing)?;
                    let missing = missing - (bytes.len() - rest.len());
                    self.stage = if missing == 0 { Stage::ChunkEnd } else { Stage::Chunk(missing) };
                    rest
                }
                Stage::Whole => &[],
            };
            // At once, so that further data in the same read is ignored.
            self.end_at_first_part()?;
        }
        let has_head = self.stage != Stage::Head;
        let is_full = has_head && self.kind == Kind::Document(self.body.len());
        Ok(self.stage == Stage::Whole || is_full || self.is_said())
    }

    /// Quirk: ONVIF services of some cameras announce no length or a wrong one, and leave the
    /// connection open all the same; Dahua's does that when it wants a password (curl#5604).
    fn is_said(&self) -> bool {
        if self.kind == Kind::Picture || self.stage == Stage::Head {
            return false;
        }
        let is_challenge = self.status == 401 && !self.challenges.is_empty();
        let tag = self.body.trim_ascii_end().rsplit(|byte| *byte == b'<').next();
        let is_last = |tag: &[u8]| tag.starts_with(b"/") && tag.ends_with(b"Envelope>");
        is_challenge && self.stage == Stage::UntilClose || tag.is_some_and(is_last)
    }

    /// Reports that the camera closed the connection.
    ///
    /// # Errors
    /// `Cut` if the body is incomplete.
    pub fn handle_close(&mut self) -> Result<(), ResponseError> {
        match self.stage {
            Stage::Whole => Ok(()),
            // The beginning of a document is worth reading.
            _ if self.kind != Kind::Picture && self.stage != Stage::Head => Ok(()),
            Stage::UntilClose => {
                // This may end a last part, too.
                let part = self.multipart.and_then(|mut it| it.part(&self.body).ok()?);
                if let Some((_, content)) = part {
                    self.keep(content..self.body.len());
                }
                Ok(())
            }
            _ => Err(ResponseError::Cut),
        }
    }

    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn handle_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ResponseError> {
        // No more than may belong to a head; the rest stays where it is.
        let before = self.input.len();
        let taken = bytes.len().min(SNAPSHOT_READ_BYTES);
        self.input.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        let input = std::mem::take(&mut self.input);
        let shown = input.len().min(PROTOCOL.len());
        if input.get(..shown) != PROTOCOL.as_bytes().get(..shown) {
            return Err(ResponseError::NotHttp);
        }
        let used = match Head::parse(&input).map_err(ResponseError::Head)? {
            Some((head, len)) => {
                self.read_head(&head)?;
                len.saturating_sub(before)
            }
            None => {
                self.input = input;
                taken
            }
        };
        Ok(bytes.get(used..).unwrap_or_default())
    }

    fn read_head(&mut self, head: &Head<'_>) -> Result<(), ResponseError> {
        self.status = head.status(PROTOCOL).ok_or(ResponseError::NotHttp)?;
        if self.status < 200 {
            return Ok(()); // 100 Continue and its like: the reply follows
        }
        self.challenges = head.fields("WWW-Authenticate").map(str::to_owned).collect();
        self.location = head.field("Location").map(str::to_owned);
        let is_multipart =
            |kind: &str| kind.get(..10).is_some_and(|it| it.eq_ignore_ascii_case("multipart/"));
        let is_picture = self.kind == Kind::Picture;
        let is_multipart = is_picture && head.field("Content-Type").is_some_and(is_multipart);
        self.multipart = is_multipart.then(Multipart::default);
        let is_chunked = |coding: &str| {
            let mut codings = coding.rsplit(',');
            codings.next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
        };
        let is_bodiless = matches!(self.status, 204 | 304);
        self.stage = if is_bodiless || is_picture && self.status != 200 {
            Stage::Whole
        } else if head.field("Transfer-Encoding").is_some_and(is_chunked) {
            Stage::ChunkSize
        } else {
            match content_length(head, self.bytes_max())? {
                Some(0) => Stage::Whole,
                // Quirk: endless streams that announce a length.
                Some(length) if self.multipart.is_none() => Stage::Length(length),
                _ => Stage::UntilClose,
            }
        };
        Ok(())
    }

    /// Appends at most `missing` bytes to the body; returns the rest.
    fn append<'a>(&mut self, bytes: &'a [u8], missing: usize) -> Result<&'a [u8], ResponseError> {
        let (mut bytes, rest) = bytes.split_at(bytes.len().min(missing));
        if let Kind::Document(bytes_max) = self.kind {
            let room = bytes_max.saturating_sub(self.body.len());
            bytes = bytes.get(..room).unwrap_or(bytes);
        } else if self.body.len() + bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(ResponseError::TooLong);
        }
        self.body.extend_from_slice(bytes);
        Ok(rest)
    }

    /// The longest body that may be announced.
    fn bytes_max(&self) -> usize {
        match self.kind {
            Kind::Picture => SNAPSHOT_BYTES_MAX,
            Kind::Document(_) => usize::MAX,
        }
    }

    /// Parses a chunk's size, or the end of its data (RFC 9112 §7.1).
    fn handle_chunk_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ResponseError> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at(end);
        self.input.extend_from_slice(line);
        if self.input.len() > CHUNK_LINE_BYTES_MAX {
            return Err(ResponseError::Chunk);
        }
        let Some(line) = self.input.strip_suffix(b"\n") else { return Ok(rest) };
        let line = str::from_utf8(line).map_err(|_| ResponseError::Chunk)?.trim();
        self.stage = if self.stage == Stage::ChunkEnd {
            if !line.is_empty() {
                return Err(ResponseError::Chunk);
            }
            Stage::ChunkSize
        } else {
            let digits = line.split(';').next().unwrap_or_default().trim();
            let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let size = usize::from_str_radix(digits, 16).ok().filter(|_| is_hex);
            match size.ok_or(ResponseError::Chunk)? {
                0 => Stage::Whole, // trailers are of no interest
                size => Stage::Chunk(size),
            }
        };
        self.input.clear();
        Ok(rest)
    }

    /// Ends a multipart body after its first part.
    fn end_at_first_part(&mut self) -> Result<(), ResponseError> {
        let Some(multipart) = self.multipart.as_mut().filter(|_| self.stage != Stage::Head) else {
            return Ok(());
        };
        let Some((head, content)) = multipart.part(&self.body)? else { return Ok(()) };
        let end = match content_length(&head, SNAPSHOT_BYTES_MAX)? {
            Some(length) => Some(content + length).filter(|end| *end <= self.body.len()),
            None => {
                let from = multipart.searched.max(content.saturating_sub(1));
                let rest = self.body.get(from..).unwrap_or_default();
                let found = find(rest, &[b"\n", head.first].concat()).map(|at| from + at);
                let unsure = self.body.len().saturating_sub(head.first.len() + 1);
                multipart.searched = unsure.max(from);
                found.map(|at| at - usize::from(self.body.get(..at).is_some_and(ends_with_cr)))
            }
        };
        if let Some(end) = end {
            self.keep(content..end.max(content));
            self.stage = Stage::Whole;
        }
        Ok(())
    }

    /// Drops everything in the body except this.
    fn keep(&mut self, range: Range<usize>) {
        self.body.truncate(range.end);
        self.body.drain(..range.start.min(range.end));
        self.multipart = None;
    }
}

impl Multipart {
    /// Returns the first part: its head, whose first line is the delimiter, and where its content
    /// starts.
    ///
    /// Quirk: cameras announce the boundary with and without its two dashes, so the first line that
    /// starts with dashes is taken for it.
    fn part<'a>(&mut self, body: &'a [u8]) -> Result<Option<(Head<'a>, usize)>, ResponseError> {
        if self.start.is_none() && body.starts_with(b"--") {
            self.start = Some(0);
        } else if self.start.is_none() {
            let rest = body.get(self.searched..).unwrap_or_default();
            match find(rest, b"\n--") {
                Some(at) => self.start = Some(self.searched + at + 1),
                None => self.searched = body.len().saturating_sub(2),
            }
        }
        let Some(start) = self.start else { return Ok(None) };
        let part = body.get(start..).unwrap_or_default();
        let head = Head::parse(part).map_err(ResponseError::Head)?;
        Ok(head.map(|(head, len)| (head, start + len)))
    }
}

fn content_length(head: &Head<'_>, bytes_max: usize) -> Result<Option<usize>, ResponseError> {
    let Some(digits) = head.field("Content-Length") else { return Ok(None) };
    let length = digits.parse().map_err(|_| ResponseError::Length)?;
    if length > bytes_max { Err(ResponseError::TooLong) } else { Ok(Some(length)) }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len().max(1)).position(|window| window == pattern)
}

fn ends_with_cr(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\r")
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseError::NotHttp => f.write_str("this port does not speak HTTP"),
            ResponseError::Head(error) => write!(f, "broken HTTP reply from the camera: {error}"),
            ResponseError::Length => {
                f.write_str("broken HTTP reply from the camera: its Content-Length is not a number")
            }
            ResponseError::Chunk => {
                f.write_str("broken HTTP reply from the camera: a chunk's size")
            }
            ResponseError::TooLong => write!(
                f,
                "the camera's picture is larger than {} KB: use a URL for a smaller one",
                SNAPSHOT_BYTES_MAX / 1024
            ),
            ResponseError::Cut => {
                f.write_str("the camera closed the connection before its picture was complete")
            }
        }
    }
}

const PROTOCOL: &str = "HTTP/1.";
/// A chunk's size with extensions, which are never used.
const CHUNK_LINE_BYTES_MAX: usize = 256;

#[cfg(test)]
#[path = "tests/response.rs"]
mod tests;
