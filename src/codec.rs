//! Codecs: what an MP4 sample entry needs to know about H.264, H.265 and sound.
//!
//! Parameter sets in; their meaning and the decoder configuration record out. Also the role of a
//! single NAL unit in an access unit.
//! Spec: ITU-T H.264 and H.265 §7.3, ISO/IEC 14496-15, RFC 6381.
//! Knows nothing of: RTP, files.

pub mod audio;
mod collector;
mod h264;
mod h265;
mod slice;
#[cfg(test)]
mod tests;

pub use audio::{AudioCodec, AudioFormat};
pub use collector::Collector;
pub use slice::{SliceHeader, Unreadable};

use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Codec {
    H264,
    H265,
}

impl Codec {
    /// Returns `h264` or `h265`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
        }
    }

    /// The size of a NAL unit's header (H.264 §7.3.1, H.265 §7.3.1.2).
    pub fn nal_header_bytes(self) -> usize {
        match self {
            Codec::H264 => 1,
            Codec::H265 => 2,
        }
    }

    /// The other one, if this set of parameters is of that: in this codec its header means nothing.
    pub fn contradicted_by(self, nal: &[u8]) -> Option<Codec> {
        match (self, nal) {
            // vps_reserved_0xffff_16bits (H.265 §7.3.2.1)
            (Codec::H264, [0x40, 1, _, _, 0xff, 0xff, ..]) => {
                h265::parameter_set(nal).map(|_| Codec::H265)
            }
            (Codec::H264, [0x42, second, ..]) if second & 0xf8 == 0 => {
                h265::sequence(nal).map(|_| Codec::H265)
            }
            (Codec::H265, [first, ..]) if first & 0x9f == h264::SEQUENCE => {
                h264::sequence(nal).map(|_| Codec::H264)
            }
            _ => None,
        }
    }

    /// Returns true if this is a readable sequence parameter set.
    pub fn reads_sequence(self, nal: &[u8]) -> bool {
        match self {
            Codec::H264 => h264::sequence(nal).is_some(),
            Codec::H265 => h265::sequence(nal).is_some(),
        }
    }

    /// Classifies a NAL unit by its header and as much of the rest as is available: one byte shows
    /// a slice's place, and a recovery point is only found if its message is included.
    pub fn classify(self, nal: &[u8]) -> NalKind {
        match self {
            Codec::H264 => h264::classify(nal),
            Codec::H265 => h265::classify(nal),
        }
    }
}

/// The role of a NAL unit in an access unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalKind {
    /// A parameter set, for the `Collector`; not part of a sample (ISO/IEC 14496-15 §5.4.2.1,
    /// §8.4.3).
    ParameterSet,
    /// VCL: a slice, or a partition of one.
    Slice(Slice),
    /// Precedes the picture it belongs to: SEI and similar units.
    Prefix,
    /// SEI that makes the next picture a starting point, exact at once or a few pictures later
    /// (H.264 §D.2.8, H.265 §D.3.8).
    RecoveryPoint,
    /// Follows the picture it belongs to: suffix SEI, end of sequence.
    Suffix,
    /// Not part of a sample: delimiters, filler, unspecified types, empty units.
    Void,
}

/// What a slice reveals about its picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// It is the first slice of the picture: the only kind that can start an access unit.
    pub place: SlicePosition,
    pub access: RandomAccess,
    pub leading: Leading,
    /// Other pictures may depend on it.
    pub reference: bool,
    /// The id of its picture parameter set, if available.
    pub picture_set: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlicePosition {
    First,
    Further,
    /// Data partition B or C of the preceding slice, which does not give its position (H.264
    /// §7.3.2.9).
    Partition,
}

/// Whether decoding can start at a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RandomAccess {
    #[default]
    None,
    Idr,
    /// H.265 clean random access: leading pictures that cannot be decoded may follow (§3.22).
    Cra,
    /// H.265 broken link access (§3.15).
    Bla,
    /// A recovery point, or an H.264 picture of I slices only: it is displayed, but parts not
    /// refreshed yet are wrong for a while.
    RecoveryPoint,
}

/// H.265 leading pictures: decoded after a random access point, but displayed before it (§3.68).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Leading {
    #[default]
    None,
    /// RADL: decodable when decoding starts at that point.
    Decodable,
    /// RASL: not decodable then, and to be skipped.
    Skipped,
}

/// The sequence parameter set's description of every picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PictureFormat {
    /// Luma samples after cropping, 1 to 16384.
    pub width: u32,
    pub height: u32,
    /// Width to height of a sample; 1:1 if not stated.
    pub sample_aspect: (u32, u32),
    /// Numerator and denominator, reduced, in pictures per second, as announced.
    pub frame_rate: Option<(u32, u32)>,
    /// Pictures that may precede another in decoding order and follow it in output order; `None` if
    /// not stated.
    pub reorder: Option<u8>,
    /// H.264 only: two fields may be coded as two pictures that share one sample.
    pub fields: bool,
    /// Samples use the full range of values, as in a JPEG; otherwise luma has 16 to 235 (8 bits).
    pub full_range: bool,
}

/// A complete, parsed set of parameter sets: what a decoder needs before the first picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParameterSets {
    codec: Codec,
    sequence: Sequence,
    /// By kind: VPS (H.265 only), SPS (the active one first), PPS.
    nals: [Vec<Box<[u8]>>; 3],
}

impl ParameterSets {
    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub fn picture(&self) -> &PictureFormat {
        &self.sequence.picture
    }

    /// Returns the `codecs` parameter: `avc1.640028`, `hvc1.1.6.L93.B0`.
    ///
    /// Spec: RFC 6381 §3.3, ISO/IEC 14496-15 Annex E.
    pub fn mime(&self) -> String {
        let mut out = String::with_capacity(32);
        let profile = &self.sequence.profile;
        match self.codec {
            Codec::H264 => {
                out.push_str("avc1.");
                for byte in profile.iter().take(3) {
                    push_hex(&mut out, *byte, Pad::Two);
                }
            }
            Codec::H265 => h265::mime(profile, &mut out),
        }
        out
    }

    /// The sample entry's type; parameter sets are in the entry, not in the samples.
    pub fn sample_entry(&self) -> [u8; 4] {
        match self.codec {
            Codec::H264 => *b"avc1",
            Codec::H265 => *b"hvc1",
        }
    }

    /// Returns the payload of `avcC` or `hvcC`, with 4-byte NAL unit lengths.
    ///
    /// Spec: ISO/IEC 14496-15 §5.3.3.1, §8.3.3.1.
    pub fn decoder_configuration(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.nals().map(|nal| nal.len() + 2).sum::<usize>());
        match self.codec {
            Codec::H264 => h264::decoder_configuration(&self.sequence, &self.nals, &mut out),
            Codec::H265 => h265::decoder_configuration(&self.sequence, &self.nals, &mut out),
        }
        out
    }

    /// Returns every parameter set with its header, without a start code: VPS, SPS, PPS.
    pub fn nals(&self) -> impl Iterator<Item = &[u8]> {
        self.nals.iter().flatten().map(|nal| &**nal)
    }

    /// Returns their memory usage, including the allocator's overhead.
    pub fn bytes(&self) -> usize {
        const PER_NAL: usize = size_of::<Box<[u8]>>() + 16;
        size_of::<ParameterSets>() + self.nals().map(|nal| nal.len() + PER_NAL).sum::<usize>()
    }
}

/// Returns the `codecs` parameter of a file: `avc1.640028`, `avc1.640028,mp4a.40.2`.
pub fn mime(video: &ParameterSets, audio: Option<&AudioFormat>) -> String {
    join(video.mime(), audio.and_then(AudioFormat::mime))
}

/// Joins the parameters of two tracks, of which the second may have none.
pub fn join(video: String, audio: Option<String>) -> String {
    match audio {
        Some(audio) => [video, audio].join(","),
        None => video,
    }
}

/// A sequence parameter set, as far as needed here.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sequence {
    id: u32,
    /// The id of its VPS; 0 in H.264.
    video_id: u32,
    picture: PictureFormat,
    chroma_format: u8,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
    /// H.264: profile, constraint flags, level. H.265: the 12 bytes of the general
    /// `profile_tier_level` (§7.3.3): profile, 4 of compatibility, 6 of constraints, level.
    profile: [u8; 12],
    temporal_layers: u8,
    temporal_nesting: bool,
    /// Where the NAL unit ends according to its syntax; anything after that is junk.
    length: Option<usize>,
}

impl Sequence {
    /// Returns true if a decoder can continue from one to the other; the picture rate does not
    /// matter.
    fn decodes_like(&self, other: &Sequence) -> bool {
        let what_matters = |it: &Sequence| Sequence {
            id: 0,
            video_id: 0,
            length: None,
            picture: PictureFormat { frame_rate: None, ..it.picture.clone() },
            ..it.clone()
        };
        what_matters(self) == what_matters(other)
    }
}

/// Kinds of parameter sets, and their index in the stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SetKind {
    Video = 0,
    Sequence = 1,
    Picture = 2,
}

/// Writes the NAL units of one kind, each preceded by its 16-bit length; none exceeds
/// `PARAMETER_SET_BYTES_MAX`.
fn write_sets(nals: &[Box<[u8]>], out: &mut Vec<u8>) {
    for nal in nals {
        out.extend_from_slice(&u16::try_from(nal.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(nal);
    }
}

enum Pad {
    Two,
    None,
}

fn push_hex(out: &mut String, byte: u8, pad: Pad) {
    let written = match pad {
        Pad::Two => write!(out, "{byte:02X}"),
        Pad::None => write!(out, "{byte:X}"),
    };
    written.expect("a String takes everything");
}

/// Reduces a picture rate to lowest terms; `None` if a number is 0.
fn frame_rate(numerator: u64, denominator: u64) -> Option<(u32, u32)> {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let rate =
        (numerator.checked_div(a)?.try_into().ok()?, denominator.checked_div(a)?.try_into().ok()?);
    (rate.0 > 0 && rate.1 > 0).then_some(rate)
}

/// What is left of `size` after cropping `unit * (before + after)` samples.
fn cropped(size: u32, unit: u32, before: u32, after: u32) -> Option<u32> {
    let cut = before.checked_add(after)?.checked_mul(unit)?;
    size.checked_sub(cut).filter(|left| (1..=PICTURE_SAMPLES_MAX).contains(left))
}

/// Where a parsed set ends, after its stop bit; `None` without one.
fn end_of_set(nal: &[u8], mut reader: crate::bits::BitReader<'_>) -> Option<usize> {
    if !reader.flag()? {
        return None;
    }
    let begun = usize::from(!reader.is_aligned());
    (nal.len() + begun).checked_sub(reader.bytes_left())
}

/// Returns true if an SEI payload, as far as it is available, contains a recovery point, message 6
/// in both codecs (H.264 §D.1.8, H.265 §D.2.8).
fn has_recovery_point(mut messages: &[u8]) -> bool {
    while let Some((kind, rest)) = sei_number(messages) {
        let Some((size, rest)) = sei_number(rest) else { return false };
        if kind == RECOVERY_POINT {
            return true;
        }
        messages = rest.get(size..).unwrap_or(&[]);
    }
    false
}

/// Reads the type or size of an SEI message: bytes of 255 plus a last byte (H.264 §7.3.2.3.1).
fn sei_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|byte| **byte == 255).count();
    let (last, rest) = bytes.get(full..)?.split_first()?;
    Some((full * 255 + usize::from(*last), rest))
}

/// The start of `vui_parameters()`, which is the same in both codecs (H.264 §E.1.1, H.265 §E.2.1),
/// up to the chroma sample location.
fn video_signal(reader: &mut crate::bits::BitReader<'_>) -> Option<Signal> {
    let sample_aspect = if reader.flag()? { sample_aspect(reader)? } else { (1, 1) };
    let mut full_range = false;
    if reader.flag()? {
        reader.flag()?; // overscan_appropriate_flag
    }
    if reader.flag()? {
        reader.skip(3)?; // video_format
        full_range = reader.flag()?;
        if reader.flag()? {
            reader.skip(24)?; // colour description
        }
    }
    if reader.flag()? {
        reader.unsigned()?; // chroma_sample_loc_type_top_field
        reader.unsigned()?;
    }
    Some(Signal { sample_aspect, full_range })
}

/// The part of it needed for a [`PictureFormat`].
struct Signal {
    /// 1:1 if not stated.
    sample_aspect: (u32, u32),
    full_range: bool,
}

/// `sar_width`, `sar_height` of `aspect_ratio_idc` (H.264 table E-1, H.265 table E-1).
fn sample_aspect(reader: &mut crate::bits::BitReader<'_>) -> Option<(u32, u32)> {
    let aspect = match usize::try_from(reader.bits(8)?).ok()? {
        EXTENDED_SAR => (reader.bits(16)?, reader.bits(16)?),
        index => SAMPLE_ASPECTS.get(index).copied().unwrap_or((1, 1)),
    };
    Some(if aspect.0 == 0 || aspect.1 == 0 { (1, 1) } else { aspect })
}

/// Largest width and height of a picture; level 6.2 of H.264 and H.265 allows 16888.
const PICTURE_SAMPLES_MAX: u32 = 16_384;
const RECOVERY_POINT: usize = 6;
const EXTENDED_SAR: usize = 255;
const SAMPLE_ASPECTS: [(u32, u32); 17] = [
    (0, 0),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
