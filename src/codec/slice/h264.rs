//! H.264: the parts of parameter sets that slice headers depend on, and the start of slice headers
//! (§7.3.2.2, §7.3.3).

use super::{Field, PictureId, SliceHeader, Unreadable};
use crate::{
    bits::BitReader,
    codec::h264::{PictureOrder, SliceSyntax, slice_syntax},
};

/// What slice headers depend on in a sequence parameter set with its header.
pub(super) fn sequence(nal: &[u8]) -> Option<SliceSyntax> {
    slice_syntax(nal).map(|(_, syntax)| syntax)
}

/// What they depend on in a picture parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureSyntax {
    /// `bottom_field_pic_order_in_frame_present_flag`.
    bottom_order: bool,
    /// `redundant_pic_cnt_present_flag`.
    redundant: bool,
}

/// Reads that from a PPS (§7.3.2.2). If it ends after its beginning, there are no redundant
/// pictures.
pub(super) fn picture(nal: &[u8]) -> Option<PictureSyntax> {
    let mut reader = BitReader::new(nal.get(1..)?);
    reader.unsigned()?; // pic_parameter_set_id
    reader.unsigned()?;
    reader.flag()?; // entropy_coding_mode_flag
    let bottom_order = reader.flag()?;
    let redundant = has_redundant_pictures(&mut reader).unwrap_or(false);
    Some(PictureSyntax { bottom_order, redundant })
}

/// Reads the header of a slice or of a data partition A, up to `redundant_pic_cnt`.
pub(super) fn read(
    nal: &[u8],
    sequence: SliceSyntax,
    picture: PictureSyntax,
) -> Result<SliceHeader, Unreadable> {
    let (&header, payload) = nal.split_first().ok_or(Unreadable::Malformed)?;
    let partitioned = header & 0x1f == PARTITION_A;
    if partitioned && !sequence.partitions {
        return Err(Unreadable::Malformed);
    }
    let mut reader = BitReader::new(payload);
    let (position, id, redundant) =
        identity(header, &mut reader, sequence, picture).ok_or(Unreadable::Malformed)?;
    let any_order = sequence.any_order;
    Ok(SliceHeader { position, any_order, redundant, partitioned, dependent: false, picture: id })
}

/// `colour_plane_id` and `first_mb_in_slice`, the picture, and whether it is repeated.
fn identity(
    header: u8,
    reader: &mut BitReader<'_>,
    sequence: SliceSyntax,
    picture: PictureSyntax,
) -> Option<((u32, u32), PictureId, bool)> {
    let first_macroblock = reader.unsigned()?;
    reader.unsigned()?; // slice_type
    reader.unsigned()?; // pic_parameter_set_id
    let plane = if sequence.separate_planes { reader.bits(2)? } else { 0 };
    let frame_number = reader.bits(sequence.frame_number_bits)?;
    let is_field = sequence.fields && reader.flag()?;
    let field = match is_field {
        true if reader.flag()? => Some(Field::Bottom),
        true => Some(Field::Top),
        false => None,
    };
    let idr = if header & 0x1f == IDR { Some(reader.unsigned()?) } else { None };
    let mut order = [0; 2];
    let [first, second] = &mut order;
    let has_second = picture.bottom_order && !is_field;
    match sequence.order {
        PictureOrder::Coded { bits } => {
            *first = reader.bits(bits)?.cast_signed();
            *second = if has_second { reader.signed()? } else { 0 };
        }
        PictureOrder::Cycle { deltas: true } => {
            *first = reader.signed()?;
            *second = if has_second { reader.signed()? } else { 0 };
        }
        PictureOrder::Cycle { deltas: false } | PictureOrder::Decoding => {}
    }
    let redundant = picture.redundant && reader.unsigned()? > 0;
    let is_reference = header & 0x60 != 0;
    let picture = PictureId::H264 { frame_number, field, is_reference, idr, order };
    Some(((plane, first_macroblock), picture, redundant))
}

fn has_redundant_pictures(reader: &mut BitReader<'_>) -> Option<bool> {
    skip_slice_groups(reader)?;
    reader.unsigned()?; // num_ref_idx_l0_default_active_minus1
    reader.unsigned()?;
    reader.skip(3)?; // weighted_pred_flag, weighted_bipred_idc
    for _ in 0..3 {
        reader.signed()?; // pic_init_qp_minus26, pic_init_qs_minus26, chroma_qp_index_offset
    }
    reader.skip(2)?; // deblocking_filter_control_present_flag, constrained_intra_pred_flag
    reader.flag()
}

fn skip_slice_groups(reader: &mut BitReader<'_>) -> Option<()> {
    let groups = reader.unsigned().filter(|groups| *groups <= SLICE_GROUPS_MAX)?; // minus 1
    if groups == 0 {
        return Some(());
    }
    match reader.unsigned()? {
        0 => (0..=groups).try_for_each(|_| reader.unsigned().map(drop)),
        2 => (0..2 * groups).try_for_each(|_| reader.unsigned().map(drop)),
        3..=5 => {
            reader.flag()?; // slice_group_change_direction_flag
            reader.unsigned().map(drop)
        }
        6 => {
            let bits = (groups + 1).next_power_of_two().trailing_zeros() as usize;
            let map_units = usize::try_from(reader.unsigned()?).ok()?.checked_add(1)?;
            reader.skip(map_units.checked_mul(bits)?)
        }
        _ => Some(()), // 1: dispersed
    }
}

const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
/// `num_slice_groups_minus1` of any profile (§A.2).
const SLICE_GROUPS_MAX: u32 = 7;
