//! What is known of the card itself: how long writes take, how much was written to it, whether it
//! keeps what it is given.
//!
//! Knows nothing of: recordings, reading files.

use std::time::Duration;

use super::{index::checksum, layout::Name};

/// *Shape*: belongs to one card; another one has others.
#[derive(Clone, Debug, Default)]
pub struct CardFacts {
    pub writes: Writes,
    /// Bytes of recordings written to it since smolnvr first recorded to it; `None` before that was
    /// read.
    pub written_bytes: Option<u64>,
    /// Whether its partition begins where a block of its flash does; `None` if it does not tell.
    pub is_aligned: Option<bool>,
    /// Where the card returned other bytes than were written: a file, and an offset in it.
    pub wrong_bytes_at: Option<(Name, u64)>,
}

/// How long writes took lately.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Counts of up to 1, 2, 4 … ms; the last one of all that took longer.
    counts: [u16; CLASSES],
}

/// Up to 32 s.
const CLASSES: usize = 16;
/// At this many writes all counts are halved, so that older writes weigh less.
const REMEMBERED: u16 = 4096;

impl Writes {
    pub fn add(&mut self, took: Duration) {
        let millis = took.as_millis().max(1);
        // Of a power of two, the class that ends there.
        let class = (millis - 1).checked_ilog2().map_or(0, |log| log as usize + 1);
        if let Some(count) = self.counts.get_mut(class.min(CLASSES - 1)) {
            *count += 1;
        }
        if self.counts.iter().sum::<u16>() >= REMEMBERED {
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// 99 of 100 writes took at most this many milliseconds; `None` before there were 100.
    pub fn p99_ms(&self) -> Option<u64> {
        let all = self.counts.iter().sum::<u16>();
        if all < 100 {
            return None;
        }
        let mut longer = all;
        let class = self.counts.iter().position(|count| {
            longer -= count;
            longer <= all / 100
        });
        class.map(|class| 1 << class)
    }
}

/// A record of the bytes written: two places on the card take turns, so that a power cut leaves
/// one.
pub const RECORD_BYTES: usize = 512;

pub fn record(written_bytes: u64) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    let content = [MAGIC.as_slice(), &written_bytes.to_be_bytes()].concat();
    let sum = checksum(&content).to_be_bytes();
    for (to, from) in record.iter_mut().zip(content.iter().chain(&sum)) {
        *to = *from;
    }
    record
}

/// The bytes written, as the newer record says; `None` if neither is whole.
pub fn of_records(records: &[u8]) -> Option<u64> {
    let read = |record: &[u8]| {
        let (content, rest) = record.split_at_checked(MAGIC.len() + 8)?;
        let (magic, count) = content.split_at(MAGIC.len());
        let sum = rest.first_chunk::<4>()?;
        let is_whole = magic == MAGIC && *sum == checksum(content).to_be_bytes();
        count.try_into().ok().filter(|_| is_whole).map(u64::from_be_bytes)
    };
    records.chunks(RECORD_BYTES).filter_map(read).max()
}

const MAGIC: &[u8; 16] = b"smolnvr written\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_a_hundred_writes_is_left_out() {
        let mut writes = Writes::default();
        (0..98).for_each(|_| writes.add(Duration::from_millis(3)));
        writes.add(Duration::from_millis(120));
        assert_eq!(writes.p99_ms(), None, "99 are too few");
        writes.add(Duration::from_secs(20));
        assert_eq!(writes.p99_ms(), Some(128));
        (0..100).for_each(|_| writes.add(Duration::from_millis(4)));
        assert_eq!(writes.p99_ms(), Some(4));
    }

    #[test]
    fn old_writes_are_forgotten_and_long_ones_have_a_class() {
        let mut writes = Writes::default();
        (0..5000).for_each(|_| writes.add(Duration::from_secs(3600)));
        assert_eq!(writes.p99_ms(), Some(32_768));
        (0..100_000).for_each(|_| writes.add(Duration::ZERO));
        assert_eq!(writes.p99_ms(), Some(1));
    }

    #[test]
    fn a_record_that_a_power_cut_tore_leaves_the_other_one() {
        let both = [record(5000), record(7000)].concat();
        assert_eq!(of_records(&both), Some(7000));
        for end in 0..both.len() {
            let expected = if end >= RECORD_BYTES + 28 { 7000 } else { 5000 };
            let found = of_records(both.get(..end).unwrap());
            assert_eq!(found, (end >= 28).then_some(expected), "cut at {end}");
        }
        for at in 0..28 {
            let mut torn = both.clone();
            *torn.get_mut(RECORD_BYTES + at).unwrap() ^= 1;
            assert_eq!(of_records(&torn), Some(5000), "flipped at {at}");
        }
        assert_eq!(of_records(&[0; 1024]), None);
    }
}
