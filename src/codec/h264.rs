//! H.264: sequence parameter sets, NAL unit types, `avcC`.
//!
//! Spec: ITU-T H.264 §7.3.1, §7.3.2.1.1, §7.4.1, Annex E; ISO/IEC 14496-15 §5.3.3.1.

use super::{
    Leading, NalKind, PictureFormat, RandomAccess, Sequence, SetKind, Signal, Slice, SlicePosition,
    cropped, end_of_set, frame_rate, has_recovery_point, video_signal, write_sets,
};
use crate::bits::BitReader;

/// Classifies a NAL unit (table 7-1) by its first bytes.
pub(super) fn classify(nal: &[u8]) -> NalKind {
    let Some((&header, rest)) = nal.split_first() else { return NalKind::Void };
    let slice = |place, access| {
        let (kind, picture_set) = slice_head(rest).unzip();
        let access = match access {
            RandomAccess::None if place == SlicePosition::First && kind == Some(INTRA_PICTURE) => {
                RandomAccess::RecoveryPoint
            }
            access => access,
        };
        let reference = header & 0x60 != 0;
        NalKind::Slice(Slice { place, access, leading: Leading::None, reference, picture_set })
    };
    match (header & 0x1f, rest.first()) {
        (1..=5, None) => NalKind::Void,
        // first_mb_in_slice is 0 if its code is a single 1 bit (§7.3.3).
        (1 | 2, Some(0x80..)) => slice(SlicePosition::First, RandomAccess::None),
        (5, Some(0x80..)) => slice(SlicePosition::First, RandomAccess::Idr),
        (5, _) => slice(SlicePosition::Further, RandomAccess::Idr),
        (1 | 2, _) => slice(SlicePosition::Further, RandomAccess::None),
        (3 | 4, _) => slice(SlicePosition::Partition, RandomAccess::None),
        (6, _) if has_recovery_point(rest) => NalKind::RecoveryPoint,
        (6 | 14 | 16..=18, _) => NalKind::Prefix,
        (7 | 8 | 13 | 15, _) => NalKind::ParameterSet,
        (10 | 11 | 19..=23, _) => NalKind::Suffix,
        _ => NalKind::Void,
    }
}

/// Reads `slice_type` and `pic_parameter_set_id` (§7.3.3), as far as they are available and valid.
fn slice_head(payload: &[u8]) -> Option<(u32, u32)> {
    let mut reader = BitReader::new(payload);
    reader.unsigned()?; // first_mb_in_slice
    Some((at_most(reader.unsigned()?, 9)?, at_most(reader.unsigned()?, PICTURE_ID_MAX)?))
}

/// Reads kind, id and the id of the set it refers to; `None` for other or broken NAL units.
pub(super) fn parameter_set(nal: &[u8]) -> Option<(SetKind, u32, u32)> {
    let (&header, payload) = nal.split_first()?;
    match header & 0x9f {
        7 => Some((SetKind::Sequence, sequence(nal)?.id, 0)),
        8 => {
            let mut reader = BitReader::new(payload);
            let id = at_most(reader.unsigned()?, PICTURE_ID_MAX)?;
            let sequence_id = at_most(reader.unsigned()?, SEQUENCE_ID_MAX)?;
            (reader.bytes_left() > 0).then_some((SetKind::Picture, id, sequence_id))
        }
        _ => None,
    }
}

/// Parses a sequence parameter set with its header (§7.3.2.1.1). If it ends within its VUI, the VUI
/// is ignored.
pub(super) fn sequence(nal: &[u8]) -> Option<Sequence> {
    let [header, profile, constraints, level, payload @ ..] = nal else { return None };
    if header & 0x9f != 7 {
        return None;
    }
    let mut reader = BitReader::new(payload);
    let Head { id, format, order, .. } = head(&mut reader, *profile)?;
    let (width, height, fields) = dimensions(&mut reader, &format)?;
    let mut picture = PictureFormat {
        width,
        height,
        sample_aspect: (1, 1),
        frame_rate: None,
        reorder: None,
        fields,
        full_range: false,
    };
    let mut length = None;
    if !reader.flag()? {
        length = end_of_set(nal, reader);
    } else if let Some(vui) = usability(&mut reader) {
        picture.sample_aspect = vui.signal.sample_aspect;
        picture.full_range = vui.signal.full_range;
        picture.frame_rate = vui.frame_rate;
        picture.reorder = vui.reorder;
        length = end_of_set(nal, reader);
    }
    let intra_only = constraints & 0x10 != 0 && INTRA_PROFILES.contains(profile);
    if *profile == BASELINE || order == PictureOrder::Decoding || intra_only {
        picture.reorder = Some(0);
    }
    let mut profile_level = [0; 12];
    profile_level[..3].copy_from_slice(&[*profile, *constraints, *level]);
    Some(Sequence {
        id,
        video_id: 0,
        picture,
        chroma_format: format.chroma,
        bit_depth_luma: format.bit_depth_luma,
        bit_depth_chroma: format.bit_depth_chroma,
        profile: profile_level,
        temporal_layers: 1,
        temporal_nesting: false,
        length,
    })
}

/// What slice headers depend on in a sequence parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SliceSyntax {
    pub separate_planes: bool,
    pub frame_number_bits: u8,
    /// Pictures may be fields.
    pub fields: bool,
    pub order: PictureOrder,
    /// Slices may come in any order, in groups and more than once (§A.2.1, §A.2.3).
    pub any_order: bool,
    /// Slices may come as data partitions (§A.2.3).
    pub partitions: bool,
}

/// Reads that from a sequence parameter set with its header, together with its id.
pub(super) fn slice_syntax(nal: &[u8]) -> Option<(u32, SliceSyntax)> {
    let [_, profile, constraints, _, payload @ ..] = nal else { return None };
    let mut reader = BitReader::new(payload);
    let Head { id, format, frame_number_bits, order } = head(&mut reader, *profile)?;
    let (.., fields) = dimensions(&mut reader, &format)?;
    let obeys_main = constraints & 0x40 != 0; // constraint_set1_flag
    let partitions = *profile == EXTENDED && !obeys_main;
    let any_order = partitions || *profile == BASELINE && !obeys_main;
    let separate_planes = format.separate_planes;
    let syntax =
        SliceSyntax { separate_planes, frame_number_bits, fields, order, any_order, partitions };
    Some((id, syntax))
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1.2).
pub(super) fn decoder_configuration(
    sequence: &Sequence,
    nals: &[Vec<Box<[u8]>>; 3],
    out: &mut Vec<u8>,
) {
    let [_, sequences, pictures] = nals;
    let [profile, constraints, level, ..] = sequence.profile;
    out.extend_from_slice(&[1, profile, constraints, level]);
    out.push(0xfc | 3); // lengthSizeMinusOne
    out.push(0xe0 | (sequences.len() & 0x1f) as u8);
    write_sets(sequences, out);
    out.push((pictures.len() & 0xff) as u8);
    write_sets(pictures, out);
    if !matches!(profile, BASELINE | 77 | 88) {
        out.push(0xfc | sequence.chroma_format);
        out.push(0xf8 | (sequence.bit_depth_luma - 8));
        out.push(0xf8 | (sequence.bit_depth_chroma - 8));
        out.push(0); // numOfSequenceParameterSetExt
    }
}

/// The start of a sequence parameter set, up to `gaps_in_frame_num_value_allowed_flag`.
struct Head {
    id: u32,
    format: Format,
    frame_number_bits: u8,
    order: PictureOrder,
}

fn head(reader: &mut BitReader<'_>, profile: u8) -> Option<Head> {
    let id = at_most(reader.unsigned()?, SEQUENCE_ID_MAX)?;
    let format = format(reader, profile)?;
    let frame_number_bits = 4 + at_most(reader.unsigned()?, 12)? as u8; // log2_max_frame_num_minus4
    let order = picture_order(reader)?;
    reader.unsigned()?; // max_num_ref_frames
    reader.flag()?; // gaps_in_frame_num_value_allowed_flag
    Some(Head { id, format, frame_number_bits, order })
}

struct Format {
    chroma: u8,
    separate_planes: bool,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
}

fn format(reader: &mut BitReader<'_>, profile: u8) -> Option<Format> {
    let mut format =
        Format { chroma: 1, separate_planes: false, bit_depth_luma: 8, bit_depth_chroma: 8 };
    if HIGH_PROFILES.contains(&profile) {
        format.chroma = at_most(reader.unsigned()?, 3)? as u8;
        if format.chroma == 3 {
            format.separate_planes = reader.flag()?; // separate_colour_plane_flag
        }
        format.bit_depth_luma = 8 + at_most(reader.unsigned()?, 6)? as u8;
        format.bit_depth_chroma = 8 + at_most(reader.unsigned()?, 6)? as u8;
        reader.flag()?; // qpprime_y_zero_transform_bypass_flag
        if reader.flag()? {
            let lists = if format.chroma == 3 { 12 } else { 8 };
            for list in 0..lists {
                if reader.flag()? {
                    skip_scaling_list(reader, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    Some(format)
}

/// `scaling_list()` (§7.3.2.1.1.1).
fn skip_scaling_list(reader: &mut BitReader<'_>, size: usize) -> Option<()> {
    let mut last = 8;
    for _ in 0..size {
        let next = last + i64::from(reader.signed()?);
        last = next.rem_euclid(256);
        if last == 0 {
            break;
        }
    }
    Some(())
}

/// `pic_order_cnt_type`, and its fields in slice headers (§8.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PictureOrder {
    /// 0: bits of `pic_order_cnt_lsb`.
    Coded { bits: u8 },
    /// 1: whether `delta_pic_order_cnt` is present.
    Cycle { deltas: bool },
    /// 2: output order is decoding order.
    Decoding,
}

fn picture_order(reader: &mut BitReader<'_>) -> Option<PictureOrder> {
    match reader.unsigned()? {
        // log2_max_pic_order_cnt_lsb_minus4
        0 => Some(PictureOrder::Coded { bits: 4 + at_most(reader.unsigned()?, 12)? as u8 }),
        1 => {
            let deltas = !reader.flag()?; // delta_pic_order_always_zero_flag
            reader.signed()?;
            reader.signed()?;
            for _ in 0..at_most(reader.unsigned()?, 255)? {
                reader.signed()?;
            }
            Some(PictureOrder::Cycle { deltas })
        }
        2 => Some(PictureOrder::Decoding),
        _ => None,
    }
}

/// Width and height after cropping (§7.4.2.1.1), and whether pictures may be fields.
fn dimensions(reader: &mut BitReader<'_>, format: &Format) -> Option<(u32, u32, bool)> {
    let width = 16 * (at_most(reader.unsigned()?, MACROBLOCKS_MAX - 1)? + 1);
    let map_units = at_most(reader.unsigned()?, MACROBLOCKS_MAX - 1)? + 1;
    let fields = !reader.flag()?; // frame_mbs_only_flag
    if fields {
        reader.flag()?; // mb_adaptive_frame_field_flag
    }
    reader.flag()?; // direct_8x8_inference_flag
    let rows = if fields { 2 } else { 1 };
    let height = 16 * map_units * rows;
    if !reader.flag()? {
        return Some((width, cropped(height, rows, 0, 0)?, fields));
    }
    let (unit_x, unit_y) = match format.chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1), // monochrome, 4:4:4
    };
    let [left, right, top, bottom] =
        [reader.unsigned()?, reader.unsigned()?, reader.unsigned()?, reader.unsigned()?];
    let width = cropped(width, unit_x, left, right)?;
    Some((width, cropped(height, unit_y * rows, top, bottom)?, fields))
}

/// The contents of `vui_parameters()`.
struct Usability {
    signal: Signal,
    frame_rate: Option<(u32, u32)>,
    reorder: Option<u8>,
}

/// `vui_parameters()` (§E.1.1).
fn usability(reader: &mut BitReader<'_>) -> Option<Usability> {
    let signal = video_signal(reader)?;
    let mut vui = Usability { signal, frame_rate: None, reorder: None };
    if reader.flag()? {
        let (units_in_tick, time_scale) = (reader.bits(32)?, reader.bits(32)?);
        vui.frame_rate = frame_rate(time_scale.into(), 2 * u64::from(units_in_tick));
        reader.flag()?; // fixed_frame_rate_flag
    }
    let nal_hrd = reader.flag()?;
    if nal_hrd {
        skip_hrd(reader)?;
    }
    let vcl_hrd = reader.flag()?;
    if vcl_hrd {
        skip_hrd(reader)?;
    }
    if nal_hrd || vcl_hrd {
        reader.flag()?; // low_delay_hrd_flag
    }
    reader.flag()?; // pic_struct_present_flag
    if reader.flag()? {
        reader.flag()?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            reader.unsigned()?; // bytes, bits, motion vector lengths
        }
        let reorder = reader.unsigned()?; // max_num_reorder_frames
        reader.unsigned()?; // max_dec_frame_buffering
        vui.reorder = at_most(reorder, 16).map(|reorder| reorder as u8);
    }
    Some(vui)
}

/// `hrd_parameters()` (§E.1.2).
fn skip_hrd(reader: &mut BitReader<'_>) -> Option<()> {
    let count = at_most(reader.unsigned()?, 31)? + 1; // cpb_cnt_minus1
    reader.skip(8)?; // scales
    for _ in 0..count {
        reader.unsigned()?;
        reader.unsigned()?;
        reader.flag()?;
    }
    reader.skip(20)
}

fn at_most(value: u32, max: u32) -> Option<u32> {
    (value <= max).then_some(value)
}

const SEQUENCE_ID_MAX: u32 = 31;
const PICTURE_ID_MAX: u32 = 255;
/// `slice_type` of an I slice of a picture that has no others (table 7-6).
const INTRA_PICTURE: u32 = 7;
/// Macroblocks per row of the widest accepted picture.
const MACROBLOCKS_MAX: u32 = 16_384 / 16;
pub(super) const SEQUENCE: u8 = 7;
const BASELINE: u8 = 66;
const EXTENDED: u8 = 88;
/// Profiles whose SPS has a chroma format (§7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Profiles that are intra-only with `constraint_set3_flag` (§E.2.1, max_num_reorder_frames).
const INTRA_PROFILES: [u8; 6] = [44, 86, 100, 110, 122, 244];
