//! Index: fragments in, one after another; a `sidx` box for the reserved space out.
//!
//! One entry per key frame. When the space is used up, neighbouring entries merge in pairs and the
//! index continues at the coarser step, so that memory is bounded and seeking stays even over the
//! whole file.
//! Spec: ISO/IEC 14496-12 §8.16.3.
//! Knows nothing of: files, codecs.

use super::{
    BOX_HEADER_BYTES, FULL_BOX_BYTES, TIMESCALE, TRACK_ID,
    fragment::{Extent, FirstSample},
    full_boxed, put_u16, put_u32,
};
use crate::{limits::INDEX_ENTRIES_MAX, units::Ticks};

/// The subsegments of a file, collected while it grows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Index {
    /// At most [`INDEX_ENTRIES_MAX`].
    entries: Vec<Entry>,
    /// Key frames per entry; doubles whenever the space is used up.
    keys_an_entry: u32,
    keys_in_last: u32,
    /// End of the last frame shown or decoded.
    end: Ticks,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    /// Less than 2^31 (`referenced_size`).
    bytes: u32,
    /// In ticks: presentation time of the first frame shown.
    start: u32,
    opens_on: FirstSample,
}

impl Index {
    pub fn new() -> Index {
        Index { entries: Vec::new(), keys_an_entry: 1, keys_in_last: 0, end: Ticks::ZERO }
    }

    /// Adds the next fragment, `bytes` long including its header.
    pub fn push(&mut self, bytes: u64, extent: Extent) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(ENTRY_BYTES_MAX);
        let start = field(extent.start);
        self.end = self.end.max(extent.end);
        let is_key = extent.opens_on.is_key();
        if !(is_key && self.keys_in_last >= self.keys_an_entry)
            && let Some(last) = self.entries.last_mut()
            && last.bytes + bytes <= ENTRY_BYTES_MAX
        {
            last.bytes += bytes;
            last.start = last.start.min(start);
            self.keys_in_last = self.keys_in_last.saturating_add(u32::from(is_key));
            return;
        }
        if self.entries.len() >= INDEX_ENTRIES_MAX {
            // Only in a file of 240 GiB is nothing left to merge; it then has no index.
            if self.merge() {
                self.push(u64::from(bytes), extent); // the last entry may have room now
            }
            return;
        }
        self.entries.push(Entry { bytes, start, opens_on: extent.opens_on });
        self.keys_in_last = u32::from(is_key);
    }

    /// Returns the time from presentation time zero to the end of the last frame.
    pub fn duration(&self) -> Ticks {
        self.end.max(Ticks::ZERO)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the whole `sidx` box, at most `room` bytes long; `None` if not even one entry fits.
    ///
    /// It must end where the first `moof` starts (`first_offset` is 0).
    pub fn sidx(&self, room: usize) -> Option<Vec<u8>> {
        let entries_max = room.checked_sub(SIDX_BYTES_FIXED)? / ENTRY_BYTES;
        let mut index = self.clone();
        while index.entries.len() > entries_max {
            if index.entries.len() == 1 || !index.merge() {
                return None;
            }
        }
        let earliest = index.entries.first()?.start;
        let mut out = Vec::with_capacity(SIDX_BYTES_FIXED + index.entries.len() * ENTRY_BYTES);
        full_boxed(&mut out, b"sidx", 0, 0, |out| {
            put_u32(out, TRACK_ID); // reference_ID
            put_u32(out, TIMESCALE);
            put_u32(out, earliest); // earliest_presentation_time
            put_u32(out, 0); // first_offset
            put_u16(out, 0); // reserved
            put_u16(out, index.entries.len() as u16); // INDEX_ENTRIES_MAX at most
            for (nth, entry) in index.entries.iter().enumerate() {
                let end = index.entries.get(nth + 1).map_or(field(self.end), |next| next.start);
                put_u32(out, entry.bytes); // reference_type 0: media
                put_u32(out, end.saturating_sub(entry.start)); // subsegment_duration
                put_u32(
                    out,
                    match entry.opens_on {
                        FirstSample::Key => 0x9000_0000, // starts_with_SAP, SAP_type 1
                        FirstSample::RecoveryPoint => 0x8000_0000, // and its type is unknown
                        FirstSample::NonKey => 0,
                    },
                );
            }
        });
        Some(out)
    }

    /// Merges neighbours in pairs; returns true if that reduced their number.
    fn merge(&mut self) -> bool {
        let before = self.entries.len();
        let mut merged = 0;
        let mut nth = 0;
        while let Some(&(mut entry)) = self.entries.get(nth) {
            nth += 1;
            if let Some(next) = self.entries.get(nth)
                && entry.bytes + next.bytes <= ENTRY_BYTES_MAX
            {
                entry.bytes += next.bytes;
                entry.start = entry.start.min(next.start);
                nth += 1;
                if nth == before {
                    self.keys_in_last = self.keys_in_last.saturating_add(self.keys_an_entry);
                }
            }
            self.entries[merged] = entry; // merged < nth <= before
            merged += 1;
        }
        self.entries.truncate(merged);
        self.keys_an_entry = self.keys_an_entry.saturating_mul(2);
        merged < before
    }
}

impl Default for Index {
    fn default() -> Index {
        Index::new()
    }
}

fn field(ticks: Ticks) -> u32 {
    u32::try_from(ticks.0.max(0)).unwrap_or(u32::MAX)
}

/// `referenced_size` has 31 bits.
const ENTRY_BYTES_MAX: u32 = 0x7fff_ffff;
const SIDX_BYTES_FIXED: usize = BOX_HEADER_BYTES + FULL_BOX_BYTES + 20;
/// With one entry.
pub(super) const SIDX_BYTES_MIN: usize = SIDX_BYTES_FIXED + ENTRY_BYTES;
const ENTRY_BYTES: usize = 12;
/// The space reserved in a segment's head: a full index, and the header of the `free` box before
/// it.
pub(super) const RESERVE_BYTES: usize =
    BOX_HEADER_BYTES + SIDX_BYTES_FIXED + INDEX_ENTRIES_MAX * ENTRY_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recovery_point_is_where_a_player_can_begin_but_nobody_knows_how_well() {
        let mut index = Index::new();
        index.push(100, fragment(FirstSample::Key, 0, 90_000));
        index.push(50, fragment(FirstSample::RecoveryPoint, 90_000, 180_000));
        let sidx = index.sidx(RESERVE_BYTES).unwrap();
        assert_eq!(entries(&sidx), [(100, 90_000, 0x9000_0000), (50, 90_000, 0x8000_0000)]);
    }

    fn fragment(opens_on: FirstSample, start: i64, end: i64) -> Extent {
        Extent { opens_on, start: Ticks(start), end: Ticks(end) }
    }

    /// Size, duration and SAP word of each entry.
    fn entries(sidx: &[u8]) -> Vec<(u32, u32, u32)> {
        let word = |at: usize| u32::from_be_bytes(sidx[at..at + 4].try_into().unwrap());
        assert_eq!(word(0) as usize, sidx.len());
        assert_eq!(word(28) as usize, (sidx.len() - 32) / 12);
        (32..sidx.len()).step_by(12).map(|at| (word(at), word(at + 4), word(at + 8))).collect()
    }

    #[test]
    fn fragments_without_a_key_frame_belong_to_the_one_before() {
        let mut index = Index::new();
        index.push(100, fragment(FirstSample::Key, 0, 90_000));
        index.push(50, fragment(FirstSample::NonKey, 90_000, 180_000));
        index.push(70, fragment(FirstSample::Key, 180_000, 270_000));
        let sidx = index.sidx(RESERVE_BYTES).unwrap();
        assert_eq!(entries(&sidx), [(150, 180_000, 0x9000_0000), (70, 90_000, 0x9000_0000)]);
        assert_eq!(
            sidx[..32],
            *b"\0\0\0\x38sidx\0\0\0\0\0\0\0\x01\0\x01\x5f\x90\0\0\0\0\0\0\0\0\0\0\0\x02"
        );
        assert_eq!(index.duration(), Ticks(270_000));
    }

    #[test]
    fn a_gap_lengthens_the_entry_before_it() {
        let mut index = Index::new();
        index.push(1, fragment(FirstSample::Key, 0, 10));
        index.push(1, fragment(FirstSample::Key, 100, 110));
        assert_eq!(
            entries(&index.sidx(100).unwrap()),
            [(1, 100, 0x9000_0000), (1, 10, 0x9000_0000)]
        );
    }

    #[test]
    fn a_small_room_gets_a_coarser_index_and_none_gets_none() {
        let mut index = Index::new();
        for nth in 0..7 {
            index.push(10, fragment(FirstSample::Key, nth * 5, nth * 5 + 5));
        }
        let sizes = |room| -> Vec<u32> {
            entries(&index.sidx(room).unwrap()).iter().map(|entry| entry.0).collect()
        };
        assert_eq!(sizes(32 + 7 * 12), [10; 7]);
        assert_eq!(sizes(32 + 7 * 12 - 1), [20, 20, 20, 10]);
        assert_eq!(sizes(32 + 12), [70]);
        assert_eq!(index.sidx(32 + 11), None);
        assert_eq!(index.sidx(3), None);
        assert_eq!(Index::new().sidx(1000), None);
    }

    #[test]
    fn a_long_segment_is_indexed_evenly() {
        let mut index = Index::new();
        for nth in 0..3600 {
            index.push(1000, fragment(FirstSample::Key, nth * 90_000, (nth + 1) * 90_000));
            index.push(
                500,
                fragment(FirstSample::NonKey, nth * 90_000 + 45_000, (nth + 1) * 90_000),
            );
        }
        let entries = entries(&index.sidx(RESERVE_BYTES).unwrap());
        assert_eq!(entries.len(), 225);
        assert!(entries.iter().all(|entry| *entry == (16 * 1500, 16 * 90_000, 0x9000_0000)));
    }

    #[test]
    fn two_gibibytes_without_a_key_frame_overflow_no_entry() {
        let mut index = Index::new();
        index.push(0x7fff_ffff, fragment(FirstSample::Key, 0, 10));
        index.push(9, fragment(FirstSample::NonKey, 10, 20));
        assert_eq!(
            entries(&index.sidx(RESERVE_BYTES).unwrap()),
            [(0x7fff_ffff, 10, 0x9000_0000), (9, 10, 0)]
        );
    }

    proptest! {
        #[test]
        fn sizes_and_durations_add_up_whatever_is_merged(
            fragments in prop::collection::vec((1u64..1000, 1i64..1000, any::<bool>()), 1..2000),
            room in 44usize..4000,
        ) {
            let mut index = Index::new();
            let (mut total, mut time) = (0, 0);
            for (nth, (bytes, duration, key)) in fragments.iter().enumerate() {
                let opens_on =
                    if *key || nth == 0 { FirstSample::Key } else { FirstSample::NonKey };
                index.push(*bytes, fragment(opens_on, time, time + duration));
                total += bytes;
                time += duration;
            }
            let entries = entries(&index.sidx(room).unwrap());
            prop_assert_eq!(entries.iter().map(|entry| u64::from(entry.0)).sum::<u64>(), total);
            prop_assert_eq!(entries.iter().map(|entry| i64::from(entry.1)).sum::<i64>(), time);
            prop_assert!(entries.iter().all(|entry| entry.2 == 0x9000_0000));
            prop_assert!(entries.len() <= INDEX_ENTRIES_MAX);
        }
    }
}
