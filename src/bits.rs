//! Bytes and bits in network order: a cursor over bytes, one over bits, and a reader of Exp-Golomb
//! codes. All return `None` at the end of their input; none can panic.
//!
//! Spec: ITU-T H.264 §7.2, §7.3.1, §9.1 (the same in H.265).

/// A cursor over borrowed bytes; integers are big-endian.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// A cursor over the bits of borrowed bytes, most significant first.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits already read.
    position: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, position: 0 }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn remaining(&self) -> usize {
        (8 * self.bytes.len()).saturating_sub(self.position)
    }

    /// Reads the next `count` bits, at most 32.
    pub fn bits(&mut self, count: u8) -> Option<u32> {
        let count = usize::from(count.min(32));
        if self.remaining() < count {
            return None;
        }
        let (mut value, mut left) = (0u32, count);
        while left > 0 {
            let room = 8 - self.position % 8;
            let taken = room.min(left);
            let byte = u32::from(*self.bytes.get(self.position / 8)?);
            value = value << taken | byte >> (room - taken) & ((1 << taken) - 1);
            self.position += taken;
            left -= taken;
        }
        Some(value)
    }

    pub fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        if self.remaining() < count {
            return None;
        }
        self.position += count;
        Some(())
    }
}

/// Reads the bits of a NAL unit's payload, skipping emulation prevention bytes (H.264 §7.3.1).
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits of `bytes[0]` already read, 0 to 7.
    bit: u8,
    /// Consecutive zero bytes before the position; a 3 after two of them is not payload.
    zeros: u8,
}

impl<'a> BitReader<'a> {
    /// Starts at the first byte after the NAL unit header.
    pub fn new(payload: &'a [u8]) -> Self {
        BitReader { bytes: payload, bit: 0, zeros: 0 }
    }

    /// Reads one bit.
    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.current()?;
        let value = byte >> (7 - self.bit) & 1 == 1;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.zeros = if byte == 0 { (self.zeros + 1).min(2) } else { 0 };
            self.bytes = self.bytes.get(1..)?;
        }
        Some(value)
    }

    /// Reads `u(n)`: `count` bits, at most 32, most significant first.
    pub fn bits(&mut self, count: u8) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.flag()?;
        }
        Some(())
    }

    /// Reads `ue(v)` (H.264 §9.1); codes with more than 32 leading zeros do not exist.
    pub fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 32 {
                return None;
            }
        }
        let value = (1u64 << zeros) - 1 + u64::from(self.bits(zeros)?);
        u32::try_from(value).ok()
    }

    /// Reads `se(v)` (H.264 §9.1.1).
    pub fn signed(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { magnitude } else { -magnitude }).ok()
    }

    /// The byte with the next bit, after skipping an emulation prevention byte.
    fn current(&mut self) -> Option<u8> {
        let byte = *self.bytes.first()?;
        if self.bit == 0 && self.zeros == 2 && byte == 3 {
            self.zeros = 0;
            self.bytes = self.bytes.get(1..)?;
            return self.bytes.first().copied();
        }
        Some(byte)
    }

    /// Returns the number of bytes left, including a partly read one, to find where a structure
    /// ends.
    pub fn bytes_left(&self) -> usize {
        self.bytes.len()
    }

    /// Returns true at the first bit of a byte.
    pub fn is_aligned(&self) -> bool {
        self.bit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_of_the_standard_table() {
        // 1 010 011 00100 00101 = 0 1 2 3 4 (H.264 table 9-2)
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&bytes);
        let values: Vec<u32> = (0..5).map(|_| reader.unsigned().unwrap()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        let mut reader = BitReader::new(&bytes);
        let values: Vec<i32> = (0..5).map(|_| reader.signed().unwrap()).collect();
        assert_eq!(values, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn bits_go_over_bytes() {
        let mut bits = Bits::new(&[0b1010_0110, 0xff, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(
            [bits.bits(3), bits.bits(7), bits.bits(0)],
            [Some(5), Some(0b001_1011), Some(0)]
        );
        assert_eq!((bits.skip(6), bits.position()), (Some(()), 16));
        assert_eq!((bits.bits(32), bits.bits(1), bits.skip(1)), (Some(0x1234_5678), None, None));
    }

    #[test]
    fn emulation_prevention_bytes_are_no_payload() {
        let mut reader = BitReader::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(reader.bits(24), Some(1));
        assert_eq!(reader.bits(16), Some(0));
        assert_eq!(reader.flag(), None);
    }

    #[test]
    fn the_largest_code_is_read_and_a_longer_one_refused() {
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend([0xff; 5]);
        assert_eq!(BitReader::new(&bytes).unsigned(), Some(0xffff_fffe));
        assert_eq!(BitReader::new(&[0; 12]).unsigned(), None);
    }

    #[test]
    fn every_truncation_ends_with_none() {
        for len in 0..4 {
            assert_eq!(Bytes(&[1, 2, 3, 4][..len]).u32(), None);
            assert_eq!(BitReader::new(&[0, 0, 0, 1][..len]).unsigned(), None);
        }
    }
}
