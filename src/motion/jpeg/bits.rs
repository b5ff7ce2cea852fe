//! Entropy-coded data: bits in; of each block the difference of its mean out.
//!
//! Spec: ITU-T T.81 annex C, §F.2.2. Knows nothing of: what blocks belong to.

use super::DecodeError;

/// Codes and what they stand for (T.81 annex C).
pub(super) struct Huffman {
    /// For the next bits: the length of their code and what it stands for; 0 if the code is longer.
    fast: [u16; 1 << FAST_BITS],
    /// For each length: the first longer code, in 16 bits, and the difference between code and
    /// index.
    ends: [(u32, i32); 17],
    symbols: Vec<u8>,
}

/// Entropy-coded data, bit by bit.
pub(super) struct CodedBits<'a> {
    rest: &'a [u8],
    /// The next bits, from the top.
    window: u32,
    count: u8,
    /// How many of these lie beyond the end of the data.
    padding: u8,
}

impl Huffman {
    /// `None` if there are more codes of a length than it has room for.
    pub fn fill(&mut self, lengths: &[u8; 16], symbols: &[u8]) -> Option<()> {
        self.fast.fill(0);
        self.symbols = symbols.to_vec();
        let (mut code, mut place) = (0u32, 0usize);
        for (length, &count) in (1..).zip(lengths) {
            for symbol in symbols.iter().skip(place).take(count.into()) {
                if length <= FAST_BITS {
                    let first = (code as usize) << (FAST_BITS - length);
                    let same = self.fast.get_mut(first..first + (1 << (FAST_BITS - length)))?;
                    same.fill((length as u16) << 8 | u16::from(*symbol));
                }
                code += 1;
                place += 1;
            }
            let end = code << (16 - length);
            if end > 1 << 16 {
                return None;
            }
            *self.ends.get_mut(length)? = (end, place as i32 - code as i32);
            code <<= 1;
        }
        Some(())
    }
}

impl Default for Huffman {
    fn default() -> Huffman {
        Huffman { fast: [0; 1 << FAST_BITS], ends: [(0, 0); 17], symbols: Vec::new() }
    }
}

impl<'a> CodedBits<'a> {
    pub fn new(rest: &'a [u8]) -> CodedBits<'a> {
        CodedBits { rest, window: 0, count: 0, padding: 0 }
    }

    /// Reads a block; returns the difference of its first coefficient from the previous block's.
    pub fn block(&mut self, dc: &Huffman, ac: Option<&Huffman>) -> Result<i32, DecodeError> {
        let (length, size) = self.symbol(dc)?;
        self.take(length)?;
        let difference = self.number(size & 15)?;
        let Some(ac) = ac else { return Ok(difference) };
        let mut next = 1;
        while next < 64 {
            let (length, symbol) = self.symbol(ac)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            // Takes code and coefficient at once.
            self.take(length + size)?;
            match (run, size) {
                (..15, 0) => break,
                _ => next += run + 1,
            }
        }
        Ok(difference)
    }

    /// Returns the next symbol and the length of its code, which is not taken yet. At least 15 bits
    /// follow it.
    #[inline(always)]
    fn symbol(&mut self, codes: &Huffman) -> Result<(u8, u8), DecodeError> {
        self.need(WINDOW_BITS);
        let fast = codes.fast.get((self.window >> (32 - FAST_BITS)) as usize).copied().unwrap_or(0);
        match fast.to_be_bytes() {
            [0, _] => self.long_symbol(codes),
            [length, symbol] => Ok((length, symbol)),
        }
    }

    fn long_symbol(&mut self, codes: &Huffman) -> Result<(u8, u8), DecodeError> {
        let code = self.window >> 16;
        let length = codes.ends.iter().skip(1).position(|(end, _)| code < *end);
        let length = length.ok_or(DecodeError::Broken)? + 1;
        let (_, place) = codes.ends.get(length).copied().ok_or(DecodeError::Broken)?;
        let place = usize::try_from((code >> (16 - length)) as i32 + place);
        let symbol = codes.symbols.get(place.unwrap_or(usize::MAX)).copied();
        self.take(length as u8)?;
        self.need(WINDOW_BITS);
        Ok((0, symbol.ok_or(DecodeError::Broken)?))
    }

    /// A signed number of so many bits, up to 15 (T.81 §F.2.2.1).
    fn number(&mut self, size: u8) -> Result<i32, DecodeError> {
        if size == 0 {
            return Ok(0);
        }
        self.need(size);
        let value = (self.window >> (32 - size)) as i32;
        self.take(size)?;
        let is_negative = value < 1 << (size - 1);
        Ok(if is_negative { value - (1 << size) + 1 } else { value })
    }

    /// Fills the window if it has fewer bits than this, at most [`WINDOW_BITS`].
    #[inline(always)]
    fn need(&mut self, count: u8) {
        if self.count < count {
            self.fill();
        }
    }

    fn fill(&mut self) {
        while self.count < WINDOW_BITS {
            let (byte, behind) = match self.rest {
                [0xff, 0, behind @ ..] => (0xff, behind),
                [0xff, ..] | [] => {
                    self.padding = self.padding.saturating_add(8);
                    (0, self.rest)
                }
                [byte, behind @ ..] => (*byte, behind),
            };
            self.rest = behind;
            self.window |= u32::from(byte) << (24 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn take(&mut self, count: u8) -> Result<(), DecodeError> {
        self.window = self.window.checked_shl(count.into()).unwrap_or(0);
        self.count = self.count.saturating_sub(count);
        if self.count < self.padding { Err(DecodeError::Broken) } else { Ok(()) }
    }

    /// Skips a restart marker (T.81 §E.2.4).
    pub fn pass_restart(&mut self) -> Result<(), DecodeError> {
        let Some([0xff, 0xd0..=0xd7]) = self.rest.first_chunk() else {
            return Err(DecodeError::Broken);
        };
        *self = CodedBits::new(self.rest.get(2..).unwrap_or_default());
        Ok(())
    }
}

/// Codes up to this length, nearly all, are found by one lookup.
const FAST_BITS: usize = 9;
/// The minimum of bits in a filled window: enough for a code found by lookup and the number after
/// it.
const WINDOW_BITS: u8 = 25;
