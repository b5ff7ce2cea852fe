//! Choices out of a fuzzer's bytes, so that a changed byte is a changed choice and not another
//! file.
//!
//! Nothing here fails: where the bytes end, numbers are 0 and pieces are short.

use crate::random::Random;

/// Reads an input from its front.
#[derive(Clone)]
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub fn new(data: &'a [u8]) -> Source<'a> {
        Source(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// A number below `end`, which is at most 65,536.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 256 { usize::from(self.u8()) % end } else { usize::from(self.u16()) % end }
    }

    /// One of some.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// The next `count` bytes, or the rest.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their length: one byte, or 255 and two.
    pub fn piece(&mut self) -> &'a [u8] {
        let count = match self.u8() {
            255 => usize::from(self.u16()),
            short => usize::from(short),
        };
        self.bytes(count)
    }

    /// A piece as text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.piece()).into_owned()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Bytes in the pieces in which a socket may bring them. The sizes come from the bytes themselves:
/// a stream can be read in an editor, and is cut anew with every change.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::of(bytes);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let most = [1, 2, 16, 300, 4000][random.below(5)];
        let (piece, after) = rest.split_at((1 + random.below(most)).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
