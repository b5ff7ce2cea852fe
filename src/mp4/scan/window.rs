//! A window over a file: big-endian numbers at any position, few reads, 4 KB of memory.

use std::io;

use super::{Damage, What};

/// Reads at most the buffer's length at an offset; returns 0 at the end of the file.
pub type ReadAt<'a> = &'a dyn Fn(&mut [u8], u64) -> io::Result<usize>;

pub(super) struct Window<'a> {
    read_at: ReadAt<'a>,
    /// The file counts as ending here, even if more could be read.
    len: u64,
    buffer: Vec<u8>,
    /// The buffer's position in the file, and how much of it is filled.
    begin: u64,
    filled: usize,
    /// The position of the next byte.
    pub position: u64,
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum ScanError {
    /// Something that started here or before would extend beyond the file's end.
    End,
    Damaged(Damage),
    Unreadable {
        at: u64,
        error: io::Error,
    },
}

/// Size and kind of a box; its content is from `body` to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoxHeader {
    pub kind: [u8; 4],
    pub begin: u64,
    pub body: u64,
    pub end: u64,
}

impl<'a> Window<'a> {
    pub fn new(read_at: ReadAt<'a>, len: u64) -> Window<'a> {
        Window { read_at, len, buffer: vec![0; WINDOW_BYTES], begin: 0, filled: 0, position: 0 }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn u8(&mut self) -> Result<u8, ScanError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, ScanError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, ScanError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, ScanError> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ScanError> {
        self.slice(N)?.try_into().map_err(|_| ScanError::End)
    }

    /// Returns the next `count` bytes, at most [`WINDOW_BYTES`].
    pub fn slice(&mut self, count: usize) -> Result<&[u8], ScanError> {
        let next = self.position.saturating_add(count as u64);
        if next > self.len {
            return Err(ScanError::End);
        }
        let held = self.begin..=self.begin + self.filled as u64;
        if !(held.contains(&self.position) && held.contains(&next)) {
            self.fill(count)?;
        }
        let from = usize::try_from(self.position - self.begin).map_err(|_| ScanError::End)?;
        self.position = next;
        self.buffer.get(from..from + count).ok_or(ScanError::End)
    }

    /// Reads the header at `position`. A box that extends beyond `limit` means the end of the file
    /// if the file ends at `limit`, and damage otherwise.
    pub fn box_header(&mut self, limit: u64) -> Result<BoxHeader, ScanError> {
        let begin = self.position;
        if limit < self.len && begin.saturating_add(8) > limit {
            return Err(damage(begin, What::BoxSize { kind: [0; 4], size: 0 }));
        }
        let small_size = self.u32()?;
        let kind = self.array::<4>()?;
        let size = match small_size {
            1 => self.u64()?,
            // Extends to the end of the file (§4.2), which is only valid for media of unknown
            // length.
            0 if kind == *b"mdat" => self.len.saturating_sub(begin),
            size => u64::from(size),
        };
        let body = self.position;
        let end = begin.saturating_add(size);
        if end < body || (end > limit && limit < self.len) || !is_printable(kind) {
            return Err(damage(begin, What::BoxSize { kind, size }));
        }
        if end > limit {
            return Err(ScanError::End);
        }
        Ok(BoxHeader { kind, begin, body, end })
    }

    fn fill(&mut self, at_least: usize) -> Result<(), ScanError> {
        self.begin = self.position;
        self.filled = 0;
        let wanted = usize::try_from(self.len - self.begin)
            .map_or(WINDOW_BYTES, |left| left.min(WINDOW_BYTES));
        while self.filled < at_least {
            let at = self.begin + self.filled as u64;
            let room = self.buffer.get_mut(self.filled..wanted).ok_or(ScanError::End)?;
            match (self.read_at)(room, at) {
                Ok(0) => return Err(ScanError::End),
                Ok(count) => self.filled = (self.filled + count).min(wanted),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ScanError::Unreadable { at, error }),
            }
        }
        Ok(())
    }
}

pub(super) fn damage(at: u64, what: What) -> ScanError {
    ScanError::Damaged(Damage { at, what })
}

/// Box types are four printable characters; `©` starts some of old QuickTime's.
fn is_printable(kind: [u8; 4]) -> bool {
    kind.iter().all(|byte| matches!(byte, b' '..=b'~' | 0xa9))
}

/// One page of the page cache.
pub(super) const WINDOW_BYTES: usize = 4096;
