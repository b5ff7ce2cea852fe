//! The head of a message from a camera: bytes in; first line and fields out, borrowed.
//!
//! Spec: RFC 2326 §4, RFC 9112 §4, §5. Tolerates bare LF, folded fields, and fields that are not
//! UTF-8 (skipped).

use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use std::fmt;

/// The lines of a message up to the first empty one.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The first line, without its line end.
    pub first: &'a [u8],
    fields: &'a [u8],
}

/// Why bytes are not a head: an exceeded limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    TooLong,
    TooManyFields,
}

impl<'a> Head<'a> {
    /// Parses the head at the start of `bytes`; returns it and its length, or `None` while it is
    /// incomplete.
    ///
    /// # Errors
    /// An exceeded limit.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Head<'a>, usize)>, HeadError> {
        let mut lines = Lines { bytes, read: 0 };
        let Some(first) = lines.next() else {
            return head_not_whole(bytes);
        };
        let fields_start = lines.read;
        let mut fields_end;
        let mut count = 0;
        loop {
            fields_end = lines.read;
            match lines.next() {
                None => return head_not_whole(bytes),
                Some([]) => break,
                Some(_) => count += 1,
            }
            if count > HEAD_FIELDS_MAX {
                return Err(HeadError::TooManyFields);
            }
        }
        if lines.read > HEAD_BYTES_MAX {
            return Err(HeadError::TooLong);
        }
        let fields = bytes.get(fields_start..fields_end).unwrap_or_default();
        Ok(Some((Head { first, fields }, lines.read)))
    }

    /// Returns the status code of a reply whose first line starts with `protocol`.
    pub fn status(&self, protocol: &str) -> Option<u16> {
        let mut words = words(self.first);
        let is_protocol = words.next()?.starts_with(protocol.as_bytes());
        // `200OK` occurs as well.
        let word = words.next()?;
        let digits = word.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(word.len());
        let status = str::from_utf8(word.get(..digits)?).ok()?.parse().ok()?;
        (is_protocol && (100..=999).contains(&status)).then_some(status)
    }

    /// Returns the value of the first field with that name, ignoring case, without surrounding
    /// blanks.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields(name).next()
    }

    /// Returns the values of all fields with that name, in order.
    pub fn fields<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        Fields { bytes: self.fields }
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Splits a line into words.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::TooLong => write!(f, "its header is longer than {HEAD_BYTES_MAX} bytes"),
            HeadError::TooManyFields => write!(f, "it has more than {HEAD_FIELDS_MAX} fields"),
        }
    }
}

fn head_not_whole<T>(bytes: &[u8]) -> Result<Option<T>, HeadError> {
    if bytes.len() > HEAD_BYTES_MAX { Err(HeadError::TooLong) } else { Ok(None) }
}

/// Whole lines, without CR LF or LF.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Bytes up to and including the last line end.
    read: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.read..)?;
        let len = rest.iter().position(|byte| *byte == b'\n')?;
        self.read += len + 1;
        let line = rest.get(..len)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Names and values. A line that starts with a blank continues the previous one (RFC 2616 §2.2), so
/// a value may contain line ends.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        while !self.bytes.is_empty() {
            let mut pairs = self.bytes.windows(2);
            let end = pairs
                .position(|pair| matches!(pair, [b'\n', next] if !matches!(next, b' ' | b'\t')));
            let (field, rest) = match end {
                Some(at) => self.bytes.split_at_checked(at + 1)?,
                None => (self.bytes, &[][..]),
            };
            self.bytes = rest;
            if let Some((name, value)) =
                str::from_utf8(field).ok().and_then(|text| text.split_once(':'))
            {
                return Some((name.trim(), value.trim()));
            }
        }
        None
    }
}
