//! Heads: codec parameters in; `ftyp` and `moov`, with the additions of our own files, out.
//!
//! Spec: ISO/IEC 14496-12 §4.3, §8, §12; 14496-14 §5.6; 14496-15 §5.4, §8.4.
//! Knows nothing of: files, frames.

use std::ops::Range;

use super::{
    AUDIO_TRACK_ID, TIMESCALE, TRACK_ID, boxed,
    fragment::{NON_SYNC_SAMPLE_FLAGS, SYNC_SAMPLE_FLAGS},
    full_boxed,
    identity::Identity,
    index::RESERVE_BYTES,
    put_u16, put_u32,
};
use crate::codec::{AudioFormat, Codec, ParameterSets};

/// The places in a segment's head that are rewritten when it is closed, as offsets in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadLayout {
    /// The 32-bit durations of `mvhd`, the video's `tkhd` and `mdhd`, and `mehd`. Those of a sound
    /// track stay 0, which means that its samples are in fragments. `None` in FFmpeg's heads, where
    /// the index has the duration.
    pub durations: Option<[u64; 4]>,
    /// The `free` box that the index will share; the first `moof` starts where it ends.
    pub reserve: Range<u64>,
}

/// Appends the head of a segment; fragments follow where `HeadLayout::reserve` ends.
///
/// `out` must be empty: offsets count from its start.
pub fn write_segment_head(
    out: &mut Vec<u8>,
    parameter_sets: &ParameterSets,
    audio: Option<&AudioFormat>,
    identity: &Identity,
) -> HeadLayout {
    debug_assert!(out.is_empty(), "a head begins its file");
    let entry = SampleEntry::of(parameter_sets);
    write_file_type(out);
    let durations = write_movie(out, &entry, audio, Length::Known);
    identity.write(out);
    let begin = out.len() as u64;
    boxed(out, b"free", |out| out.resize(out.len() + RESERVE_BYTES - 8, 0));
    HeadLayout { durations: Some(durations), reserve: begin..out.len() as u64 }
}

/// Appends the init segment of a live stream, whose length is unknown.
pub fn write_live_init(
    out: &mut Vec<u8>,
    parameter_sets: &ParameterSets,
    audio: Option<&AudioFormat>,
) {
    write_file_type(out);
    write_movie(out, &SampleEntry::of(parameter_sets), audio, Length::Endless);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Written when the segment is closed.
    Known,
    Endless,
}

/// The codec's part of the sample description.
struct SampleEntry {
    kind: [u8; 4],
    configuration_kind: &'static [u8; 4],
    configuration: Vec<u8>,
    width: u16,
    height: u16,
    /// Width and height of a pixel.
    sample_aspect: (u32, u32),
}

impl SampleEntry {
    fn of(parameter_sets: &ParameterSets) -> SampleEntry {
        let picture = parameter_sets.picture();
        SampleEntry {
            kind: parameter_sets.sample_entry(),
            configuration_kind: match parameter_sets.codec() {
                Codec::H264 => b"avcC",
                Codec::H265 => b"hvcC",
            },
            configuration: parameter_sets.decoder_configuration(),
            width: field(picture.width),
            height: field(picture.height),
            sample_aspect: picture.sample_aspect,
        }
    }

    /// `tkhd` width as displayed, in 16.16 fixed point; the height is the picture's.
    fn shown_width(&self) -> u32 {
        let (horizontal, vertical) = self.sample_aspect;
        let width = u64::from(self.width) << 16;
        let shown = width.saturating_mul(u64::from(horizontal)) / u64::from(vertical.max(1));
        u32::try_from(shown).unwrap_or(u32::MAX)
    }

    fn write(&self, out: &mut Vec<u8>) {
        boxed(out, &self.kind, |out| {
            out.extend_from_slice(&[0; 6]);
            put_u16(out, 1); // data_reference_index
            out.extend_from_slice(&[0; 16]);
            put_u16(out, self.width);
            put_u16(out, self.height);
            put_u32(out, 0x0048_0000); // 72 dpi
            put_u32(out, 0x0048_0000);
            put_u32(out, 0);
            put_u16(out, 1); // frame_count
            out.extend_from_slice(&[0; 32]); // compressorname
            put_u16(out, 24); // depth
            put_u16(out, 0xffff);
            boxed(out, self.configuration_kind, |out| out.extend_from_slice(&self.configuration));
            let (horizontal, vertical) = self.sample_aspect;
            if horizontal != vertical {
                boxed(out, b"pasp", |out| {
                    put_u32(out, horizontal);
                    put_u32(out, vertical);
                });
            }
        });
    }
}

/// Pictures have at most 16,384 samples a side.
fn field(samples: u32) -> u16 {
    u16::try_from(samples).unwrap_or(u16::MAX)
}

/// The brands of FFmpeg's fragmented files, which every player accepts.
fn write_file_type(out: &mut Vec<u8>) {
    boxed(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso5");
        put_u32(out, 0x200);
        out.extend_from_slice(b"iso5iso6mp41");
    });
}

/// Appends `moov`; returns the offsets of the durations of `mvhd`, the video's `tkhd` and `mdhd`,
/// and `mehd`.
fn write_movie(
    out: &mut Vec<u8>,
    video: &SampleEntry,
    audio: Option<&AudioFormat>,
    length: Length,
) -> [u64; 4] {
    let mut durations = [0; 4];
    boxed(out, b"moov", |out| {
        full_boxed(out, b"mvhd", 0, 0, |out| {
            put_u32(out, 0); // creation_time
            put_u32(out, 0);
            put_u32(out, TIMESCALE);
            durations[0] = put_duration(out);
            put_u32(out, 0x0001_0000); // rate 1.0
            put_u16(out, 0x0100); // volume 1.0
            out.extend_from_slice(&[0; 10]);
            put_matrix(out);
            out.extend_from_slice(&[0; 24]);
            put_u32(out, audio.map_or(TRACK_ID, |_| AUDIO_TRACK_ID) + 1); // next_track_ID
        });
        [durations[1], durations[2]] = write_track(out, &Track::Video(video));
        if let Some(format) = audio {
            write_track(out, &Track::Audio(format));
        }
        boxed(out, b"mvex", |out| {
            if length == Length::Known {
                full_boxed(out, b"mehd", 0, 0, |out| durations[3] = put_duration(out));
            }
            write_defaults(out, TRACK_ID, NON_SYNC_SAMPLE_FLAGS);
            if audio.is_some() {
                write_defaults(out, AUDIO_TRACK_ID, SYNC_SAMPLE_FLAGS);
            }
        });
    });
    durations
}

fn write_defaults(out: &mut Vec<u8>, track: u32, sample_flags: u32) {
    full_boxed(out, b"trex", 0, 0, |out| {
        put_u32(out, track);
        put_u32(out, 1); // default_sample_description_index
        put_u32(out, 0); // default_sample_duration
        put_u32(out, 0); // default_sample_size
        put_u32(out, sample_flags);
    });
}

enum Track<'a> {
    Video(&'a SampleEntry),
    Audio(&'a AudioFormat),
}

/// Appends `trak`; returns the offsets of the durations of `tkhd` and `mdhd`.
fn write_track(out: &mut Vec<u8>, track: &Track) -> [u64; 2] {
    let mut durations = [0; 2];
    let (id, volume, width, height) = match track {
        Track::Video(entry) => (TRACK_ID, 0, entry.shown_width(), u32::from(entry.height) << 16),
        Track::Audio(_) => (AUDIO_TRACK_ID, 0x0100, 0, 0),
    };
    boxed(out, b"trak", |out| {
        full_boxed(out, b"tkhd", 0, TRACK_ENABLED_IN_MOVIE, |out| {
            put_u32(out, 0); // creation_time
            put_u32(out, 0);
            put_u32(out, id);
            put_u32(out, 0);
            durations[0] = put_duration(out);
            out.extend_from_slice(&[0; 12]); // layer, alternate_group
            put_u16(out, volume);
            put_u16(out, 0);
            put_matrix(out);
            put_u32(out, width);
            put_u32(out, height);
        });
        boxed(out, b"mdia", |out| durations[1] = write_media(out, track));
    });
    durations
}

/// Appends the content of `mdia`; returns the offset of `mdhd`'s duration.
fn write_media(out: &mut Vec<u8>, track: &Track) -> u64 {
    let mut duration = 0;
    let (timescale, handler, name) = match track {
        Track::Video(_) => (TIMESCALE, b"vide", &b"VideoHandler\0"[..]),
        Track::Audio(format) => (format.clock_rate(), b"soun", &b"SoundHandler\0"[..]),
    };
    full_boxed(out, b"mdhd", 0, 0, |out| {
        put_u32(out, 0); // creation_time
        put_u32(out, 0);
        put_u32(out, timescale);
        duration = put_duration(out);
        put_u16(out, 0x55c4); // language: und
        put_u16(out, 0);
    });
    full_boxed(out, b"hdlr", 0, 0, |out| {
        put_u32(out, 0);
        out.extend_from_slice(handler);
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(name);
    });
    boxed(out, b"minf", |out| {
        match track {
            Track::Video(_) => {
                full_boxed(out, b"vmhd", 0, 1, |out| out.extend_from_slice(&[0; 8]));
            }
            Track::Audio(_) => full_boxed(out, b"smhd", 0, 0, |out| put_u32(out, 0)),
        }
        boxed(out, b"dinf", |out| {
            full_boxed(out, b"dref", 0, 0, |out| {
                put_u32(out, 1);
                full_boxed(out, b"url ", 0, MEDIA_IN_THIS_FILE, |_| ());
            });
        });
        boxed(out, b"stbl", |out| {
            full_boxed(out, b"stsd", 0, 0, |out| {
                put_u32(out, 1);
                match track {
                    Track::Video(entry) => entry.write(out),
                    Track::Audio(format) => write_audio_entry(out, format),
                }
            });
            full_boxed(out, b"stts", 0, 0, |out| put_u32(out, 0));
            full_boxed(out, b"stsc", 0, 0, |out| put_u32(out, 0));
            full_boxed(out, b"stsz", 0, 0, |out| out.extend_from_slice(&[0; 8]));
            full_boxed(out, b"stco", 0, 0, |out| put_u32(out, 0));
        });
    });
    duration
}

/// AudioSampleEntry (ISO/IEC 14496-12 §12.2.3).
fn write_audio_entry(out: &mut Vec<u8>, format: &AudioFormat) {
    boxed(out, &format.sample_entry(), |out| {
        out.extend_from_slice(&[0; 6]);
        put_u16(out, 1); // data_reference_index
        out.extend_from_slice(&[0; 8]);
        put_u16(out, format.channels().into());
        put_u16(out, 16); // samplesize
        put_u32(out, 0);
        // 16.16 fixed point; a rate that does not fit is only in the decoder configuration.
        put_u32(out, u32::from(u16::try_from(format.clock_rate()).unwrap_or(0)) << 16);
        if let Some((kind, configuration)) = format.decoder_configuration() {
            boxed(out, &kind, |out| out.extend_from_slice(&configuration));
        }
    });
}

/// Appends a placeholder for a duration; returns its offset.
fn put_duration(out: &mut Vec<u8>) -> u64 {
    let position = out.len() as u64;
    put_u32(out, 0);
    position
}

fn put_matrix(out: &mut Vec<u8>) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        put_u32(out, value);
    }
}

const TRACK_ENABLED_IN_MOVIE: u32 = 3;
const MEDIA_IN_THIS_FILE: u32 = 1;
