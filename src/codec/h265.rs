//! H.265: sequence parameter sets, NAL unit types, `hvcC`.
//!
//! Spec: ITU-T H.265 §7.3.1.2, §7.3.2, §7.3.3, §7.3.4, §7.3.7, Annex E; ISO/IEC 14496-15 §8.3.3.1
//! and Annex E.

use super::{
    Leading, NalKind, Pad, PictureFormat, RandomAccess, Sequence, SetKind, Signal, Slice,
    SlicePosition, cropped, end_of_set, frame_rate, has_recovery_point, push_hex, video_signal,
    write_sets,
};
use crate::bits::BitReader;

/// Classifies a NAL unit (table 7-1) by its first bytes. Units of enhancement layers are kept, but
/// say nothing about the base layer's picture.
pub(super) fn classify(nal: &[u8]) -> NalKind {
    let [first, second, rest @ ..] = nal else { return NalKind::Void };
    let kind = first >> 1 & 0x3f;
    let layer = (first & 1) << 5 | second >> 3;
    let (access, leading) = match kind {
        6 | 7 => (RandomAccess::None, Leading::Decodable),
        8 | 9 => (RandomAccess::None, Leading::Skipped),
        16..=18 => (RandomAccess::Bla, Leading::None),
        19 | 20 => (RandomAccess::Idr, Leading::None),
        21 => (RandomAccess::Cra, Leading::None),
        _ => (RandomAccess::None, Leading::None),
    };
    match (kind, rest.first()) {
        (VIDEO | SEQUENCE | PICTURE, _) => NalKind::ParameterSet,
        (0..=31, None) => NalKind::Void,
        (0..=31, _) if layer > 0 => NalKind::Suffix,
        (0..=31, Some(byte)) => NalKind::Slice(Slice {
            // first_slice_segment_in_pic_flag (§7.3.6.1)
            place: if byte & 0x80 != 0 { SlicePosition::First } else { SlicePosition::Further },
            access,
            leading,
            reference: kind >= 16 || kind % 2 == 1,
            picture_set: picture_set(kind, rest),
        }),
        (PREFIX_SEI, _) if layer == 0 && has_recovery_point(rest) => NalKind::RecoveryPoint,
        (PREFIX_SEI | 41..=44, _) => NalKind::Prefix,
        (36 | 37 | 40 | 45..=47, _) => NalKind::Suffix,
        _ => NalKind::Void, // 35 delimiter, 38 filler, 48.. unspecified
    }
}

/// Reads `slice_pic_parameter_set_id` (§7.3.6.1), if it is available and valid.
fn picture_set(kind: u8, payload: &[u8]) -> Option<u32> {
    let mut reader = BitReader::new(payload);
    reader.flag()?; // first_slice_segment_in_pic_flag
    if (16..=23).contains(&kind) {
        reader.flag()?; // no_output_of_prior_pics_flag
    }
    at_most(reader.unsigned()?, PICTURE_ID_MAX)
}

/// Reads kind, id and the id of the set it refers to; `None` for other or broken NAL units.
pub(super) fn parameter_set(nal: &[u8]) -> Option<(SetKind, u32, u32)> {
    let payload = base_layer(nal)?;
    let mut reader = BitReader::new(payload);
    match nal.first()? >> 1 {
        VIDEO => {
            let id = reader.bits(4)?;
            (payload.len() >= VIDEO_BYTES_MIN).then_some((SetKind::Video, id, 0))
        }
        SEQUENCE => {
            let sequence = sequence(nal)?;
            Some((SetKind::Sequence, sequence.id, sequence.video_id))
        }
        PICTURE => {
            let id = at_most(reader.unsigned()?, PICTURE_ID_MAX)?;
            let sequence_id = at_most(reader.unsigned()?, SEQUENCE_ID_MAX)?;
            (reader.bytes_left() > 0).then_some((SetKind::Picture, id, sequence_id))
        }
        _ => None,
    }
}

/// Parses a sequence parameter set with its header (§7.3.2.2). If it ends within its VUI, the VUI
/// is ignored.
pub(super) fn sequence(nal: &[u8]) -> Option<Sequence> {
    let payload =
        base_layer(nal).filter(|_| nal.first().is_some_and(|byte| byte >> 1 == SEQUENCE))?;
    let mut reader = BitReader::new(payload);
    let video_id = reader.bits(4)?;
    let sub_layers = at_most(reader.bits(3)?, 6)? as u8; // sps_max_sub_layers_minus1
    let temporal_nesting = reader.flag()?;
    let profile = profile_tier_level(&mut reader, sub_layers)?;
    let id = at_most(reader.unsigned()?, SEQUENCE_ID_MAX)?;
    let chroma_format = at_most(reader.unsigned()?, 3)? as u8;
    if chroma_format == 3 {
        reader.flag()?; // separate_colour_plane_flag
    }
    let (width, height) = dimensions(&mut reader, chroma_format)?;
    let bit_depth_luma = 8 + at_most(reader.unsigned()?, 7)? as u8;
    let bit_depth_chroma = 8 + at_most(reader.unsigned()?, 7)? as u8;
    let order_bits = 4 + at_most(reader.unsigned()?, 12)? as u8; // log2_max_pic_order_cnt_lsb
    let reorder = reorder(&mut reader, sub_layers)?;
    skip_coding_tools(&mut reader)?;
    skip_reference_sets(&mut reader, order_bits)?;
    reader.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    let mut picture = PictureFormat {
        width,
        height,
        sample_aspect: (1, 1),
        frame_rate: None,
        reorder: Some(reorder),
        fields: false,
        full_range: false,
    };
    let usability_present = reader.flag()?;
    let length = rest(&mut reader, usability_present, sub_layers, &mut picture)
        .and_then(|()| end_of_set(nal, reader));
    Some(Sequence {
        id,
        video_id,
        picture,
        chroma_format,
        bit_depth_luma,
        bit_depth_chroma,
        profile,
        temporal_layers: sub_layers + 1,
        temporal_nesting,
        length,
    })
}

/// What slice headers depend on in a sequence parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SliceSyntax {
    pub separate_planes: bool,
    /// Bits of `slice_pic_order_cnt_lsb`.
    pub order_bits: u8,
    /// Bits of `slice_segment_address`.
    pub address_bits: u8,
}

/// Reads that from a sequence parameter set with its header.
pub(super) fn slice_syntax(nal: &[u8]) -> Option<SliceSyntax> {
    let mut reader = BitReader::new(base_layer(nal)?);
    reader.bits(4)?; // sps_video_parameter_set_id
    let sub_layers = at_most(reader.bits(3)?, 6)? as u8;
    reader.flag()?; // sps_temporal_id_nesting_flag
    profile_tier_level(&mut reader, sub_layers)?;
    reader.unsigned()?; // sps_seq_parameter_set_id
    let separate_planes = reader.unsigned()? == 3 && reader.flag()?;
    let (width, height) = (reader.unsigned()?, reader.unsigned()?);
    if reader.flag()? {
        for _ in 0..4 {
            reader.unsigned()?; // conformance window
        }
    }
    reader.unsigned()?; // bit_depth_luma_minus8
    reader.unsigned()?;
    let order_bits = 4 + at_most(reader.unsigned()?, 12)? as u8;
    reorder(&mut reader, sub_layers)?;
    let block_bits =
        at_most(reader.unsigned()?.checked_add(3)?, 6)? + at_most(reader.unsigned()?, 3)?;
    let blocks = |size: u32| u64::from(size).div_ceil(1 << block_bits);
    let blocks = blocks(width) * blocks(height); // PicSizeInCtbsY
    let address_bits = blocks.next_power_of_two().trailing_zeros() as u8;
    Some(SliceSyntax { separate_planes, order_bits, address_bits })
}

/// `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1.2).
pub(super) fn decoder_configuration(
    sequence: &Sequence,
    nals: &[Vec<Box<[u8]>>; 3],
    out: &mut Vec<u8>,
) {
    out.push(1); // configurationVersion
    out.extend_from_slice(&sequence.profile);
    out.extend_from_slice(&[0xf0, 0]); // min_spatial_segmentation_idc: not known
    out.push(0xfc); // parallelismType: not known
    out.push(0xfc | sequence.chroma_format);
    out.push(0xf8 | (sequence.bit_depth_luma - 8));
    out.push(0xf8 | (sequence.bit_depth_chroma - 8));
    out.extend_from_slice(&[0, 0]); // avgFrameRate: not known
    let nesting = u8::from(sequence.temporal_nesting);
    out.push(sequence.temporal_layers << 3 | nesting << 2 | 3); // lengthSizeMinusOne
    out.push(3); // numOfArrays
    for (kind, sets) in [VIDEO, SEQUENCE, PICTURE].into_iter().zip(nals) {
        out.push(0x80 | kind); // array_completeness: none is in the samples
        out.extend_from_slice(&[0, (sets.len() & 0xff) as u8]);
        write_sets(sets, out);
    }
}

/// `hvc1.A1.6.L93.B0` (ISO/IEC 14496-15 Annex E).
pub(super) fn mime(profile: &[u8; 12], out: &mut String) {
    let [first, c0, c1, c2, c3, constraints @ .., level] = profile;
    out.push_str("hvc1.");
    match first >> 6 {
        1 => out.push('A'),
        2 => out.push('B'),
        3 => out.push('C'),
        _ => {}
    }
    out.push_str(&(first & 0x1f).to_string());
    let compatibility = u32::from_be_bytes([*c0, *c1, *c2, *c3]).reverse_bits();
    out.push('.');
    let bytes = compatibility.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(3);
    for (index, byte) in bytes.iter().enumerate().skip(zeros) {
        push_hex(out, *byte, if index == zeros { Pad::None } else { Pad::Two });
    }
    out.push_str(if first & 0x20 != 0 { ".H" } else { ".L" });
    out.push_str(&level.to_string());
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        out.push('.');
        push_hex(out, *byte, Pad::None);
    }
}

/// Returns what follows the header of a base layer NAL unit; parameter sets of other layers have a
/// different syntax (Annex F).
fn base_layer(nal: &[u8]) -> Option<&[u8]> {
    match nal {
        [first, second, payload @ ..] if first & 0x81 == 0 && second >> 3 == 0 => Some(payload),
        _ => None,
    }
}

/// `profile_tier_level(1, sub_layers)` (§7.3.3): the 12 general bytes.
fn profile_tier_level(reader: &mut BitReader<'_>, sub_layers: u8) -> Option<[u8; 12]> {
    let mut general = [0; 12];
    for byte in &mut general {
        *byte = reader.bits(8)? as u8;
    }
    let mut present = [(false, false); 6];
    for layer in present.iter_mut().take(sub_layers.into()) {
        *layer = (reader.flag()?, reader.flag()?);
    }
    if sub_layers > 0 {
        reader.skip(2 * (8 - usize::from(sub_layers)))?;
    }
    for (profile, level) in present {
        reader.skip(if profile { 88 } else { 0 })?;
        reader.skip(if level { 8 } else { 0 })?;
    }
    Some(general)
}

/// Width and height after the conformance window (§7.4.3.2.1).
fn dimensions(reader: &mut BitReader<'_>, chroma: u8) -> Option<(u32, u32)> {
    let (width, height) = (reader.unsigned()?, reader.unsigned()?);
    let mut window = [0; 4];
    if reader.flag()? {
        for offset in &mut window {
            *offset = reader.unsigned()?;
        }
    }
    let (unit_x, unit_y) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let [left, right, top, bottom] = window;
    Some((cropped(width, unit_x, left, right)?, cropped(height, unit_y, top, bottom)?))
}

/// `sps_max_num_reorder_pics` of the highest sub-layer.
fn reorder(reader: &mut BitReader<'_>, sub_layers: u8) -> Option<u8> {
    let all_present = reader.flag()?; // sps_sub_layer_ordering_info_present_flag
    let mut reorder = 0;
    for _ in 0..if all_present { sub_layers + 1 } else { 1 } {
        reader.unsigned()?; // sps_max_dec_pic_buffering_minus1
        reorder = at_most(reader.unsigned()?, 16)? as u8;
        reader.unsigned()?; // sps_max_latency_increase_plus1
    }
    Some(reorder)
}

/// From the block sizes to pulse code modulation.
fn skip_coding_tools(reader: &mut BitReader<'_>) -> Option<()> {
    for _ in 0..6 {
        reader.unsigned()?; // block sizes, transform hierarchy
    }
    if reader.flag()? && reader.flag()? {
        skip_scaling_lists(reader)?;
    }
    reader.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if reader.flag()? {
        reader.skip(8)?; // pcm_sample_bit_depth_*_minus1
        reader.unsigned()?;
        reader.unsigned()?;
        reader.flag()?; // pcm_loop_filter_disabled_flag
    }
    Some(())
}

/// `scaling_list_data()` (§7.3.4).
fn skip_scaling_lists(reader: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !reader.flag()? {
                reader.unsigned()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            if size > 1 {
                reader.signed()?; // scaling_list_dc_coef_minus8
            }
            for _ in 0..(1u32 << (4 + (size << 1))).min(64) {
                reader.signed()?;
            }
        }
    }
    Some(())
}

/// Short-term and long-term reference picture sets.
fn skip_reference_sets(reader: &mut BitReader<'_>, order_bits: u8) -> Option<()> {
    let mut pictures = 0; // NumDeltaPocs of the set before
    for index in 0..at_most(reader.unsigned()?, 64)? {
        pictures = reference_set(reader, index, pictures)?;
    }
    if reader.flag()? {
        for _ in 0..at_most(reader.unsigned()?, 32)? {
            reader.bits(order_bits)?; // lt_ref_pic_poc_lsb_sps
            reader.flag()?;
        }
    }
    Some(())
}

/// `st_ref_pic_set( index )` (§7.3.7): its number of pictures, from that of the set before.
fn reference_set(reader: &mut BitReader<'_>, index: u32, before: u32) -> Option<u32> {
    if index > 0 && reader.flag()? {
        reader.flag()?; // delta_rps_sign
        reader.unsigned()?; // abs_delta_rps_minus1
        let mut pictures = 0;
        for _ in 0..=before {
            // used_by_curr_pic_flag, else use_delta_flag
            if reader.flag()? || reader.flag()? {
                pictures += 1;
            }
        }
        return at_most(pictures, 16);
    }
    let pictures =
        at_most(reader.unsigned()?, 16)?.checked_add(at_most(reader.unsigned()?, 16)?)?;
    for _ in 0..at_most(pictures, 16)? {
        reader.unsigned()?; // delta_poc_minus1
        reader.flag()?; // used_by_curr_pic_flag
    }
    Some(pictures)
}

/// Reads VUI and extension flag, up to the stop bit. `None` if that is not reached, or if there is
/// an extension.
fn rest(
    reader: &mut BitReader<'_>,
    usability_present: bool,
    sub_layers: u8,
    picture: &mut PictureFormat,
) -> Option<()> {
    if usability_present {
        let (signal, rate) = usability(reader, sub_layers)?;
        picture.sample_aspect = signal.sample_aspect;
        picture.full_range = signal.full_range;
        picture.frame_rate = rate;
    }
    let extension_present = reader.flag()?;
    (!extension_present).then_some(())
}

/// `vui_parameters()` (§E.2.1): signal and picture rate.
fn usability(reader: &mut BitReader<'_>, sub_layers: u8) -> Option<Usability> {
    let signal = video_signal(reader)?;
    let mut rate = None;
    reader.skip(3)?; // neutral chroma, field_seq_flag, frame_field_info_present_flag
    if reader.flag()? {
        for _ in 0..4 {
            reader.unsigned()?; // default display window
        }
    }
    if reader.flag()? {
        let (units_in_tick, time_scale) = (reader.bits(32)?, reader.bits(32)?);
        rate = frame_rate(time_scale.into(), units_in_tick.into());
        if reader.flag()? {
            reader.unsigned()?; // vui_num_ticks_poc_diff_one_minus1
        }
        if reader.flag()? {
            skip_hrd(reader, sub_layers)?;
        }
    }
    if reader.flag()? {
        reader.skip(3)?; // tiles, motion vectors, reference lists
        for _ in 0..5 {
            reader.unsigned()?; // segmentation, bytes, bits, motion vector lengths
        }
    }
    Some((signal, rate))
}

/// `hrd_parameters( 1, sub_layers )` (§E.2.2).
fn skip_hrd(reader: &mut BitReader<'_>, sub_layers: u8) -> Option<()> {
    let (nal, vcl) = (reader.flag()?, reader.flag()?);
    let mut sub_pictures = false;
    if nal || vcl {
        sub_pictures = reader.flag()?;
        reader.skip(if sub_pictures { 19 } else { 0 })?;
        reader.skip(8)?; // scales
        reader.skip(if sub_pictures { 4 } else { 0 })?;
        reader.skip(15)?; // delay lengths
    }
    for _ in 0..=sub_layers {
        let fixed = reader.flag()? || reader.flag()?; // general, within_cvs
        let mut low_delay = false;
        if fixed {
            reader.unsigned()?; // elemental_duration_in_tc_minus1
        } else {
            low_delay = reader.flag()?;
        }
        let count = if low_delay { 1 } else { at_most(reader.unsigned()?, 31)? + 1 };
        for _ in 0..count * (u32::from(nal) + u32::from(vcl)) {
            for _ in 0..if sub_pictures { 4 } else { 2 } {
                reader.unsigned()?; // bit rates and sizes
            }
            reader.flag()?; // cbr_flag
        }
    }
    Some(())
}

fn at_most(value: u32, max: u32) -> Option<u32> {
    (value <= max).then_some(value)
}

type Usability = (Signal, Option<(u32, u32)>);

const VIDEO: u8 = 32;
const SEQUENCE: u8 = 33;
const PICTURE: u8 = 34;
const PREFIX_SEI: u8 = 39;
const SEQUENCE_ID_MAX: u32 = 15;
const PICTURE_ID_MAX: u32 = 63;
/// Ids, flags and the general `profile_tier_level`: 4 bytes and 12.
const VIDEO_BYTES_MIN: usize = 16;
