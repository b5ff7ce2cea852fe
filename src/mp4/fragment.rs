//! Fragments: sizes and times of samples in, `moof` and the header of `mdat` out.
//!
//! The caller appends the media itself, so that nothing is copied twice.
//! Spec: ISO/IEC 14496-12 §8.8.
//! Knows nothing of: codecs.

use super::{
    AUDIO_TRACK_ID, BOX_HEADER_BYTES, FULL_BOX_BYTES, TRACK_ID, boxed, full_boxed, put_u32,
};
use crate::{media::FrameKind, units::Ticks};

/// The content of a fragment's header.
#[derive(Clone, Copy, Debug)]
pub struct FragmentHeader<'a> {
    /// Counts the fragments of a file or a viewer's stream from 1 (`mfhd`).
    pub sequence_number: u32,
    /// Decode time of the first sample; zero is the start of the file, and negative times count as
    /// zero.
    pub decode_time: Ticks,
    pub opens_on: FirstSample,
    /// In decode order, at least one.
    pub samples: &'a [Sample],
}

/// One frame of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// Includes the length prefixes of its NAL units.
    pub bytes: u32,
    /// Ticks to the next frame's decode time.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition_offset: i32,
}

/// The sound of a fragment; its bytes follow those of the video.
#[derive(Clone, Copy, Debug)]
pub struct AudioRun<'a> {
    /// Time of the first sample in ticks of the track; zero is the start of the file.
    pub decode_time: i64,
    /// In order, at least one; durations in ticks of the track, without offsets.
    pub samples: &'a [Sample],
}

/// Whether playback can start with this fragment; only the first sample can be a key frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstSample {
    Key,
    /// It can, but the first pictures may be incomplete.
    RecoveryPoint,
    NonKey,
}

impl FirstSample {
    pub fn is_key(self) -> bool {
        self != FirstSample::NonKey
    }
}

impl From<FrameKind> for FirstSample {
    fn from(kind: FrameKind) -> FirstSample {
        match kind {
            FrameKind::Key => FirstSample::Key,
            FrameKind::RecoveryPoint => FirstSample::RecoveryPoint,
            FrameKind::Delta => FirstSample::NonKey,
        }
    }
}

/// The position of a fragment in the media time of its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    pub opens_on: FirstSample,
    /// Presentation time of the first frame shown.
    pub start: Ticks,
    /// End of the last frame shown or decoded, whichever is later.
    pub end: Ticks,
}

impl FragmentHeader<'_> {
    /// Returns the length of what [`FragmentHeader::write`] appends.
    pub fn bytes(&self) -> usize {
        self.bytes_with(None)
    }

    /// Returns the length of what [`FragmentHeader::write_with`] appends.
    pub fn bytes_with(&self, audio: Option<&AudioRun>) -> usize {
        let audio_bytes = audio.map_or(0, |audio| Run::of_audio(audio).bytes());
        MOOF_BYTES_FIXED + Run::of_video(self).bytes() + audio_bytes + BOX_HEADER_BYTES
    }

    /// Returns the length of the media that must follow the header.
    pub fn media_bytes(&self) -> u64 {
        media_bytes(self.samples)
    }

    /// Appends `moof` and the first 8 bytes of `mdat`; the samples' bytes must follow without a
    /// gap.
    ///
    /// # Panics
    /// If header and samples reach 4 GiB: a ring holds far less.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_with(None, out);
    }

    /// Like [`FragmentHeader::write`], with sound beside the video: the bytes of its samples follow
    /// those of the video's.
    ///
    /// # Panics
    /// As [`FragmentHeader::write`].
    pub fn write_with(&self, audio: Option<&AudioRun>, out: &mut Vec<u8>) {
        let header_bytes = self.bytes_with(audio);
        out.reserve(header_bytes);
        let begin = header_bytes as u64;
        boxed(out, b"moof", |out| {
            full_boxed(out, b"mfhd", 0, 0, |out| put_u32(out, self.sequence_number));
            Run::of_video(self).write(begin, out);
            if let Some(audio) = audio {
                Run::of_audio(audio).write(begin + self.media_bytes(), out);
            }
        });
        let audio_bytes = audio.map_or(0, |audio| media_bytes(audio.samples));
        let media_bytes = self.media_bytes() + audio_bytes + BOX_HEADER_BYTES as u64;
        put_u32(out, offset(media_bytes));
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
    /// Flags for a key frame, which depends on nothing; for a recovery point, whose dependencies
    /// are unknown, marked as a sync sample because players look only for these; and for others,
    /// which depend on earlier frames (ISO/IEC 14496-12 §8.8.3.1).
    pub(super) fn sample_flags(self) -> u32 {
        match self {
            FirstSample::Key => SYNC_SAMPLE_FLAGS,
            FirstSample::RecoveryPoint => 0,
            FirstSample::NonKey => NON_SYNC_SAMPLE_FLAGS,
        }
    }
}

/// The content of a `traf`.
struct Run<'a> {
    track: u32,
    decode_time: i64,
    samples: &'a [Sample],
    /// The first sample's flags, if they differ from the track's.
    first_sample_flags: Option<u32>,
    /// The duration shared by all samples, if there is one.
    duration: Option<u32>,
    offsets: Offsets,
}

#[derive(PartialEq, Eq)]
enum Offsets {
    AllZero,
    Present,
}

impl<'a> Run<'a> {
    fn of_video(header: &FragmentHeader<'a>) -> Run<'a> {
        let flags = Some(header.opens_on.sample_flags());
        Run::new(TRACK_ID, header.decode_time.0, header.samples, flags)
    }

    fn of_audio(audio: &AudioRun<'a>) -> Run<'a> {
        Run::new(AUDIO_TRACK_ID, audio.decode_time, audio.samples, None)
    }

    fn new(
        track: u32,
        decode_time: i64,
        samples: &'a [Sample],
        first_sample_flags: Option<u32>,
    ) -> Run<'a> {
        let first = samples.first().map_or(0, |sample| sample.duration);
        let equal = samples.iter().all(|sample| sample.duration == first);
        let zero = samples.iter().all(|sample| sample.composition_offset == 0);
        Run {
            track,
            decode_time,
            samples,
            first_sample_flags,
            duration: equal.then_some(first),
            offsets: if zero { Offsets::AllZero } else { Offsets::Present },
        }
    }

    /// The length of the `traf`.
    fn bytes(&self) -> usize {
        let bytes_a_sample = 4
            + if self.duration.is_none() { 4 } else { 0 }
            + if self.offsets == Offsets::Present { 4 } else { 0 };
        TRAF_BYTES_FIXED
            + if self.first_sample_flags.is_some() { 4 } else { 0 }
            + if self.duration.is_some() { 4 } else { 0 }
            + self.samples.len() * bytes_a_sample
    }

    /// Appends the `traf`; the samples start `data_offset` bytes after the start of `moof`.
    fn write(&self, data_offset: u64, out: &mut Vec<u8>) {
        boxed(out, b"traf", |out| {
            let flags = self.duration.map_or(0, |_| DEFAULT_SAMPLE_DURATION_PRESENT);
            full_boxed(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF | flags, |out| {
                put_u32(out, self.track);
                if let Some(duration) = self.duration {
                    put_u32(out, duration);
                }
            });
            full_boxed(out, b"tfdt", 1, 0, |out| {
                let base_media_decode_time = self.decode_time.max(0);
                out.extend_from_slice(&base_media_decode_time.to_be_bytes());
            });
            full_boxed(out, b"trun", 1, self.run_flags(), |out| {
                put_u32(out, length(self.samples.len()));
                put_u32(out, offset(data_offset));
                if let Some(flags) = self.first_sample_flags {
                    put_u32(out, flags);
                }
                for sample in self.samples {
                    if self.duration.is_none() {
                        put_u32(out, sample.duration);
                    }
                    put_u32(out, sample.bytes);
                    if self.offsets == Offsets::Present {
                        out.extend_from_slice(&sample.composition_offset.to_be_bytes());
                    }
                }
            });
        });
    }

    fn run_flags(&self) -> u32 {
        let first = self.first_sample_flags.map_or(0, |_| FIRST_SAMPLE_FLAGS_PRESENT);
        let duration = if self.duration.is_none() { SAMPLE_DURATION_PRESENT } else { 0 };
        let offset = match self.offsets {
            Offsets::AllZero => 0,
            Offsets::Present => SAMPLE_COMPOSITION_OFFSET_PRESENT,
        };
        DATA_OFFSET_PRESENT | SAMPLE_SIZE_PRESENT | first | duration | offset
    }
}

fn media_bytes(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| u64::from(sample.bytes)).sum()
}

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("a fragment lists at most FRAGMENT_FRAMES_MAX samples")
}

fn offset(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("a fragment is smaller than the ring")
}

/// `moof` without its `traf` boxes.
const MOOF_BYTES_FIXED: usize = BOX_HEADER_BYTES + (BOX_HEADER_BYTES + FULL_BOX_BYTES + 4); // mfhd
/// `traf` with everything in it but flags, a duration and the samples.
const TRAF_BYTES_FIXED: usize = 2 * BOX_HEADER_BYTES // traf, and trun's own
    + (BOX_HEADER_BYTES + FULL_BOX_BYTES + 4) // tfhd
    + (BOX_HEADER_BYTES + FULL_BOX_BYTES + 8) // tfdt
    + FULL_BOX_BYTES + 8; // the rest of trun

/// Depends on nothing; `trex` has it as the default for sound, whose samples are all of this kind.
pub(super) const SYNC_SAMPLE_FLAGS: u32 = 0x0200_0000;
/// `sample_flags` of samples that are not key frames; `trex` has it as the default for video.
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

    fn written(header: &FragmentHeader) -> Vec<u8> {
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
            let header = FragmentHeader {
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
        let header = FragmentHeader {
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
        let header = FragmentHeader {
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
    fn sound_lies_behind_the_video_in_a_track_of_its_own() {
        let header = FragmentHeader {
            sequence_number: 7,
            decode_time: Ticks(5),
            opens_on: FirstSample::Key,
            samples: &[sample(0x11, 3600, 0), sample(0x22, 3600, 0)],
        };
        let sound = [sample(0x33, 1024, 0), sample(0x44, 1024, 0)];
        let uneven = [sample(0x33, 1024, 0), sample(0x44, 1025, 0)];
        let mut out = Vec::new();
        header.write_with(Some(&AudioRun { decode_time: 9, samples: &sound }), &mut out);
        assert_eq!(out.len(), 0x70 + 0x50 - 4);
        assert_eq!(
            out[0x68..],
            [
                &b"\0\0\0\x4ctraf"[..],
                b"\0\0\0\x14tfhd\0\x02\0\x08\0\0\0\x02\0\0\x04\0",
                b"\0\0\0\x14tfdt\x01\0\0\0\0\0\0\0\0\0\0\x09",
                b"\0\0\0\x1ctrun\x01\0\x02\x01\0\0\0\x02\0\0\0\xef\0\0\0\x33\0\0\0\x44",
                b"\0\0\0\xb2mdat",
            ]
            .concat()
        );
        let audio = AudioRun { decode_time: 9, samples: &uneven };
        out.clear();
        header.write_with(Some(&audio), &mut out);
        assert_eq!(out.len(), header.bytes_with(Some(&audio)));
        assert_eq!(out.len(), 0x70 + 0x50);
    }

    #[test]
    fn the_extent_is_that_of_what_is_shown() {
        let samples = [sample(1, 10, 0), sample(1, 10, 20), sample(1, 10, -10), sample(1, 10, -10)];
        let header = FragmentHeader {
            sequence_number: 1,
            decode_time: Ticks(100),
            opens_on: FirstSample::Key,
            samples: &samples,
        };
        let extent = header.extent();
        assert_eq!((extent.start, extent.end), (Ticks(100), Ticks(140)));
        let header = FragmentHeader { samples: &samples[..2], ..header };
        assert_eq!(header.extent().end, Ticks(140));
        let header = FragmentHeader { samples: &[sample(1, 10, -30)], ..header };
        assert_eq!(header.extent().start, Ticks(70));
    }
}
