//! H.264 slice headers, as far as they tell where one picture ends and the next begins.
//!
//! Parameter sets and the first bytes of slices in, `SliceHeader`s out, which can be compared.
//! Spec: ITU-T H.264 §7.3.2.2, §7.3.3, §7.4.1.2.4. Knows nothing of: time stamps, marker bits.

use super::h264::{self, PictureOrder, SliceSyntax};
use crate::bits::BitReader;

/// What slice headers need to know of the parameter sets that came so far, each in a few bytes: all
/// ids there are have room.
#[derive(Debug)]
pub struct SliceHeaders {
    sequences: [Option<SliceSyntax>; 32],
    pictures: [Option<PictureSyntax>; 256],
}

/// The beginning of a slice header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SliceHeader {
    /// `colour_plane_id` and `first_mb_in_slice`.
    position: (u32, u32),
    /// Slices may come in any order, as in Baseline and Extended profile (§7.4.3, ASO and FMO).
    pub any_order: bool,
    /// Of a redundant coded picture: the same picture again.
    pub redundant: bool,
    /// Of a data partition A: partitions B and C may follow, which do not tell their picture.
    pub partitioned: bool,
    picture: PictureId,
}

/// What differs between two pictures that follow each other (§7.4.1.2.4), but for the PPS: several of
/// them may serve one picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct PictureId {
    frame_number: u32,
    field: Option<Field>,
    is_reference: bool,
    /// `idr_pic_id`, where it is an IDR picture.
    idr: Option<u32>,
    /// `pic_order_cnt_lsb` and `delta_pic_order_cnt_bottom`, or `delta_pic_order_cnt`.
    order: [i32; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Top,
    Bottom,
}

/// Why a slice header can not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It refers to a parameter set that never came.
    ParameterSet,
    Malformed,
}

impl SliceHeader {
    pub fn is_same_picture(&self, other: &SliceHeader) -> bool {
        self.picture == other.picture
    }

    /// Whether it has the first macroblock of its picture.
    pub fn is_first(&self) -> bool {
        self.position == (0, 0)
    }

    pub fn lies_before(&self, other: &SliceHeader) -> bool {
        self.position < other.position
    }

    pub fn is_field(&self) -> bool {
        self.picture.field.is_some()
    }

    /// Whether it belongs to the second field of the frame whose first field has `first` (§3.30).
    pub fn is_second_field_of(&self, first: &SliceHeader) -> bool {
        let (second, first) = (&self.picture, &first.picture);
        second.field.is_some()
            && first.field.is_some()
            && second.field != first.field
            && second.frame_number == first.frame_number
            && second.idr.is_none()
    }
}

impl Default for SliceHeaders {
    fn default() -> SliceHeaders {
        SliceHeaders { sequences: [None; 32], pictures: [None; 256] }
    }
}

impl SliceHeaders {
    /// Takes one NAL unit with its header; what is no SPS or PPS is ignored.
    pub fn offer(&mut self, nal: &[u8]) {
        match nal.first().map(|header| header & 0x9f) {
            Some(h264::SEQUENCE) => {
                let Some((id, syntax)) = h264::slice_syntax(nal) else { return };
                if let Some(known) =
                    usize::try_from(id).ok().and_then(|id| self.sequences.get_mut(id))
                {
                    *known = Some(syntax);
                }
            }
            Some(h264::PICTURE) => {
                let Some((id, syntax)) = picture_syntax(nal) else { return };
                if let Some(known) =
                    usize::try_from(id).ok().and_then(|id| self.pictures.get_mut(id))
                {
                    *known = Some(syntax);
                }
            }
            _ => {}
        }
    }

    /// Reads the header of a slice or of a data partition A, from its first bytes.
    ///
    /// # Errors
    /// The camera's fault, or it sends another codec.
    pub fn read(&self, nal: &[u8]) -> Result<SliceHeader, Unreadable> {
        let (&header, payload) = nal.split_first().ok_or(Unreadable::Malformed)?;
        let mut reader = BitReader::new(payload);
        let (first_macroblock, picture) = head(&mut reader).ok_or(Unreadable::Malformed)?;
        let picture = self.pictures.get(picture).copied().flatten();
        let picture = picture.ok_or(Unreadable::ParameterSet)?;
        let sequence = self.sequences.get(usize::from(picture.sequence)).copied().flatten();
        let sequence = sequence.ok_or(Unreadable::ParameterSet)?;
        let partitioned = header & 0x1f == PARTITION_A;
        if partitioned && !sequence.partitions {
            return Err(Unreadable::Malformed);
        }
        let (plane, id, redundant) =
            identity(header, &mut reader, sequence, picture).ok_or(Unreadable::Malformed)?;
        let (position, any_order) = ((plane, first_macroblock), sequence.any_order);
        Ok(SliceHeader { position, any_order, redundant, partitioned, picture: id })
    }
}

/// `first_mb_in_slice` and `pic_parameter_set_id`.
fn head(reader: &mut BitReader<'_>) -> Option<(u32, usize)> {
    let first_macroblock = reader.unsigned()?;
    reader.unsigned().filter(|kind| *kind <= SLICE_TYPE_MAX)?;
    Some((first_macroblock, usize::try_from(reader.unsigned()?).ok()?))
}

/// What follows the PPS's id, up to `redundant_pic_cnt` (§7.3.3): `colour_plane_id`, the picture, and
/// whether it comes again.
fn identity(
    header: u8,
    reader: &mut BitReader<'_>,
    sequence: SliceSyntax,
    picture: PictureSyntax,
) -> Option<(u32, PictureId, bool)> {
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
    Some((plane, PictureId { frame_number, field, is_reference, idr, order }, redundant))
}

/// What slice headers need to know of a picture parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct PictureSyntax {
    sequence: u8,
    /// `bottom_field_pic_order_in_frame_present_flag`.
    bottom_order: bool,
    /// `redundant_pic_cnt_present_flag`.
    redundant: bool,
}

/// Reads a PPS (§7.3.2.2). One that breaks off behind its beginning has no redundant pictures.
fn picture_syntax(nal: &[u8]) -> Option<(u32, PictureSyntax)> {
    let mut reader = BitReader::new(nal.get(1..)?);
    let id = reader.unsigned()?;
    let sequence = u8::try_from(reader.unsigned()?).ok()?;
    reader.flag()?; // entropy_coding_mode_flag
    let bottom_order = reader.flag()?;
    let redundant = has_redundant_pictures(&mut reader).unwrap_or(false);
    Some((id, PictureSyntax { sequence, bottom_order, redundant }))
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
const SLICE_TYPE_MAX: u32 = 9;
/// `num_slice_groups_minus1` of any profile (§A.2).
const SLICE_GROUPS_MAX: u32 = 7;
