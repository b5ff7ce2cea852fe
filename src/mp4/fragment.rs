//! Fragments: sizes and times of some samples in, `moof` and the header of `mdat` out.
//!
//! The caller appends the media itself, so that nothing is copied twice.
//! Spec: ISO/IEC 14496-12 §8.8. Knows nothing of: codecs, where the bytes come from.

use super::{BOX_HEADER_BYTES, FULL_BOX_BYTES, TRACK_ID, boxed, full_boxed, put_u32};
use crate::units::Ticks;

/// What a fragment's header says.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Counts the fragments of a file (or of a viewer's stream) from 1 (`mfhd`).
    pub sequence_number: u32,
    /// Decode time of the first sample; zero is the start of the file. Below zero it is taken as zero.
    pub decode_time: Ticks,
    pub opens_on: FirstSample,
    /// In decode order, one at least.
    pub samples: &'a [Sample],
}

/// One frame of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// With the length prefixes of its NAL units.
    pub bytes: u32,
    /// Ticks to the next frame's decode time.
    pub duration: u32,
    /// Presentation time less decode time, in ticks.
    pub composition_offset: i32,
}

/// Whether a player can begin with this fragment; all samples but the first are no key frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstSample {
    Key,
    NonKey,
}

/// Where a fragment lies in the media time of its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    pub opens_on: FirstSample,
    /// Presentation time of the frame that is shown first.
    pub start: Ticks,
    /// End of the frame that is shown last, or of the one decoded last, whichever is later.
    pub end: Ticks,
}

impl Header<'_> {
    /// Length of what [`Header::write`] appends.
    pub fn bytes(&self) -> usize {
        let shape = Shape::of(self.samples);
        MOOF_BYTES_FIXED
            + if shape.duration.is_some() { 4 } else { 0 }
            + self.samples.len() * shape.bytes_a_sample()
            + BOX_HEADER_BYTES
    }

    /// Length of the media that must follow the header.
    pub fn media_bytes(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.bytes)).sum()
    }

    /// Appends `moof` and the first 8 bytes of `mdat`; the samples' bytes come next, without a gap.
    ///
    /// # Panics
    /// Where header and samples reach 4 GiB: a ring holds far less.
    pub fn write(&self, out: &mut Vec<u8>) {
        let shape = Shape::of(self.samples);
        let header_bytes = self.bytes();
        out.reserve(header_bytes);
        boxed(out, b"moof", |out| {
            full_boxed(out, b"mfhd", 0, 0, |out| put_u32(out, self.sequence_number));
            boxed(out, b"traf", |out| {
                let flags = shape.duration.map_or(0, |_| DEFAULT_SAMPLE_DURATION_PRESENT);
                full_boxed(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF | flags, |out| {
                    put_u32(out, TRACK_ID);
                    if let Some(duration) = shape.duration {
                        put_u32(out, duration);
                    }
                });
                full_boxed(out, b"tfdt", 1, 0, |out| {
                    let base_media_decode_time = self.decode_time.max(Ticks::ZERO);
                    out.extend_from_slice(&base_media_decode_time.0.to_be_bytes());
                });
                full_boxed(out, b"trun", 1, shape.run_flags(), |out| {
                    put_u32(out, length(self.samples.len()));
                    put_u32(out, length(header_bytes)); // data_offset, from the start of moof
                    put_u32(out, self.opens_on.sample_flags()); // first_sample_flags
                    for sample in self.samples {
                        if shape.duration.is_none() {
                            put_u32(out, sample.duration);
                        }
                        put_u32(out, sample.bytes);
                        if shape.offsets == Offsets::Present {
                            out.extend_from_slice(&sample.composition_offset.to_be_bytes());
                        }
                    }
                });
            });
        });
        let media_bytes = self.media_bytes() + BOX_HEADER_BYTES as u64;
        put_u32(out, u32::try_from(media_bytes).expect("a fragment is smaller than the ring"));
        out.extend_from_slice(b"mdat");
    }

    pub fn extent(&self) -> Extent {
        let mut decode_time = self.decode_time.0.max(0);
        let (mut start, mut end) = (i64::MAX, decode_time);
        for sample in self.samples {
            let presented = decode_time.saturating_add(i64::from(sample.composition_offset));
            start = start.min(presented);
            decode_time = decode_time.saturating_add(i64::from(sample.duration));
            end = end.max(presented.saturating_add(i64::from(sample.duration)));
        }
        let start = if self.samples.is_empty() { decode_time } else { start };
        Extent { opens_on: self.opens_on, start: Ticks(start), end: Ticks(end.max(decode_time)) }
    }
}

impl FirstSample {
    /// Depends on nothing; or depends on others and is no sync sample (ISO/IEC 14496-12 §8.8.3.1).
    pub(super) fn sample_flags(self) -> u32 {
        match self {
            FirstSample::Key => 0x0200_0000,
            FirstSample::NonKey => NON_SYNC_SAMPLE_FLAGS,
        }
    }
}

/// Which fields the samples need one by one.
struct Shape {
    /// The duration that all samples share.
    duration: Option<u32>,
    offsets: Offsets,
}

#[derive(PartialEq, Eq)]
enum Offsets {
    AllZero,
    Present,
}

impl Shape {
    fn of(samples: &[Sample]) -> Shape {
        let first = samples.first().map_or(0, |sample| sample.duration);
        let equal = samples.iter().all(|sample| sample.duration == first);
        let zero = samples.iter().all(|sample| sample.composition_offset == 0);
        Shape {
            duration: equal.then_some(first),
            offsets: if zero { Offsets::AllZero } else { Offsets::Present },
        }
    }

    fn bytes_a_sample(&self) -> usize {
        4 + if self.duration.is_none() { 4 } else { 0 }
            + if self.offsets == Offsets::Present { 4 } else { 0 }
    }

    fn run_flags(&self) -> u32 {
        let duration = if self.duration.is_none() { SAMPLE_DURATION_PRESENT } else { 0 };
        let offset = match self.offsets {
            Offsets::AllZero => 0,
            Offsets::Present => SAMPLE_COMPOSITION_OFFSET_PRESENT,
        };
        DATA_OFFSET_PRESENT | FIRST_SAMPLE_FLAGS_PRESENT | SAMPLE_SIZE_PRESENT | duration | offset
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("a fragment lists at most FRAGMENT_FRAMES_MAX samples")
}

/// `moof` with everything in it but the default duration and the samples.
const MOOF_BYTES_FIXED: usize = 3 * BOX_HEADER_BYTES // moof, traf, and trun's own
    + (BOX_HEADER_BYTES + FULL_BOX_BYTES + 4) // mfhd
    + (BOX_HEADER_BYTES + FULL_BOX_BYTES + 4) // tfhd
    + (BOX_HEADER_BYTES + FULL_BOX_BYTES + 8) // tfdt
    + FULL_BOX_BYTES + 12; // the rest of trun

/// `sample_flags` of all samples that are no key frames; `trex` holds it as the default.
pub(super) const NON_SYNC_SAMPLE_FLAGS: u32 = 0x0101_0000;

// tf_flags and tr_flags, ISO/IEC 14496-12 §8.8.7 and §8.8.8.
pub(super) const BASE_DATA_OFFSET_PRESENT: u32 = 0x01;
pub(super) const SAMPLE_DESCRIPTION_INDEX_PRESENT: u32 = 0x02;
pub(super) const DEFAULT_SAMPLE_DURATION_PRESENT: u32 = 0x08;
pub(super) const DEFAULT_SAMPLE_SIZE_PRESENT: u32 = 0x10;
pub(super) const DEFAULT_SAMPLE_FLAGS_PRESENT: u32 = 0x20;
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;

pub(super) const DATA_OFFSET_PRESENT: u32 = 0x001;
pub(super) const FIRST_SAMPLE_FLAGS_PRESENT: u32 = 0x004;
pub(super) const SAMPLE_DURATION_PRESENT: u32 = 0x100;
pub(super) const SAMPLE_SIZE_PRESENT: u32 = 0x200;
pub(super) const SAMPLE_FLAGS_PRESENT: u32 = 0x400;
pub(super) const SAMPLE_COMPOSITION_OFFSET_PRESENT: u32 = 0x800;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(bytes: u32, duration: u32, composition_offset: i32) -> Sample {
        Sample { bytes, duration, composition_offset }
    }

    fn written(header: &Header) -> Vec<u8> {
        let mut out = Vec::new();
        header.write(&mut out);
        out
    }

    #[test]
    fn the_length_is_known_before_the_header_is_written() {
        let shapes = [
            vec![sample(10, 3600, 0)],
            vec![sample(10, 3600, 0), sample(20, 3600, 0)],
            vec![sample(10, 3600, 0), sample(20, 3601, 0)],
            vec![sample(10, 3600, 0), sample(20, 3600, -3600)],
            vec![sample(10, 3600, 7200), sample(20, 3000, -3600), sample(1, 1, 1)],
        ];
        for samples in shapes {
            let header = Header {
                sequence_number: 1,
                decode_time: Ticks(5),
                opens_on: FirstSample::Key,
                samples: &samples,
            };
            assert_eq!(written(&header).len(), header.bytes());
        }
    }

    #[test]
    fn equal_durations_and_no_reordering_cost_four_bytes_a_sample() {
        let samples = [sample(0x11, 3600, 0), sample(0x22, 3600, 0)];
        let header = Header {
            sequence_number: 7,
            decode_time: Ticks(0x0102_0304_0506),
            opens_on: FirstSample::NonKey,
            samples: &samples,
        };
        assert_eq!(
            written(&header),
            [
                &b"\0\0\0\x68moof"[..],
                b"\0\0\0\x10mfhd\0\0\0\0\0\0\0\x07",
                b"\0\0\0\x50traf",
                b"\0\0\0\x14tfhd\0\x02\0\x08\0\0\0\x01\0\0\x0e\x10",
                b"\0\0\0\x14tfdt\x01\0\0\0\0\0\x01\x02\x03\x04\x05\x06",
                b"\0\0\0\x20trun\x01\0\x02\x05\0\0\0\x02\0\0\0\x70\x01\x01\0\0\0\0\0\x11\0\0\0\x22",
                b"\0\0\0\x3bmdat",
            ]
            .concat()
        );
    }

    #[test]
    fn a_key_frame_in_front_is_said_and_offsets_are_signed() {
        let samples = [sample(1, 3600, 0), sample(1, 3600, -3600)];
        let header = Header {
            sequence_number: 1,
            decode_time: Ticks::ZERO,
            opens_on: FirstSample::Key,
            samples: &samples,
        };
        let out = written(&header);
        let run = &out[out.len() - 8 - 40..out.len() - 8];
        assert_eq!(&run[4..12], b"trun\x01\0\x0a\x05");
        assert_eq!(&run[20..24], &[2, 0, 0, 0]);
        assert_eq!(&run[36..], (-3600i32).to_be_bytes());
    }

    #[test]
    fn the_extent_is_that_of_what_is_shown() {
        let samples = [sample(1, 10, 0), sample(1, 10, 20), sample(1, 10, -10), sample(1, 10, -10)];
        let header = Header {
            sequence_number: 1,
            decode_time: Ticks(100),
            opens_on: FirstSample::Key,
            samples: &samples,
        };
        let extent = header.extent();
        assert_eq!((extent.start, extent.end), (Ticks(100), Ticks(140)));
        let header = Header { samples: &samples[..2], ..header };
        assert_eq!(header.extent().end, Ticks(140));
        let header = Header { samples: &[sample(1, 10, -30)], ..header };
        assert_eq!(header.extent().start, Ticks(70));
    }
}
