//! H.265: the parts of parameter sets that slice headers depend on, and the start of slice headers
//! (§7.3.2.3, §7.3.6.1).

use super::{PictureId, SliceHeader, Unreadable};
use crate::{bits::BitReader, codec::h265};

pub use h265::SliceSyntax;

/// What slice headers depend on in a picture parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureSyntax {
    /// `dependent_slice_segments_enabled_flag`.
    dependent: bool,
    /// `output_flag_present_flag`.
    output_flag: bool,
    /// `num_extra_slice_header_bits`.
    extra_bits: u8,
}

pub(super) fn picture(nal: &[u8]) -> Option<PictureSyntax> {
    let mut reader = BitReader::new(nal.get(2..)?);
    reader.unsigned()?; // pps_pic_parameter_set_id
    reader.unsigned()?;
    let (dependent, output_flag) = (reader.flag()?, reader.flag()?);
    let extra_bits = reader.bits(3)? as u8;
    Some(PictureSyntax { dependent, output_flag, extra_bits })
}

/// Reads a slice segment's header, up to `slice_pic_order_cnt_lsb`.
pub(super) fn read(
    nal: &[u8],
    sequence: SliceSyntax,
    picture: PictureSyntax,
) -> Result<SliceHeader, Unreadable> {
    let (header, payload) = nal.split_first_chunk::<2>().ok_or(Unreadable::Malformed)?;
    let mut reader = BitReader::new(payload);
    identity(*header, &mut reader, sequence, picture).ok_or(Unreadable::Malformed)
}

fn identity(
    header: [u8; 2],
    reader: &mut BitReader<'_>,
    sequence: SliceSyntax,
    picture: PictureSyntax,
) -> Option<SliceHeader> {
    let kind = header[0] >> 1 & 0x3f;
    let is_first = reader.flag()?;
    if (16..=23).contains(&kind) {
        reader.flag()?; // no_output_of_prior_pics_flag
    }
    reader.unsigned()?; // slice_pic_parameter_set_id
    let dependent = !is_first && picture.dependent && reader.flag()?;
    let address = if is_first { 0 } else { reader.bits(sequence.address_bits)? };
    let mut order = None;
    if !dependent && !matches!(kind, IDR_W_RADL | IDR_N_LP) {
        reader.skip(picture.extra_bits.into())?;
        reader.unsigned()?; // slice_type
        reader.skip(usize::from(picture.output_flag))?;
        reader.skip(if sequence.separate_planes { 2 } else { 0 })?;
        order = Some(reader.bits(sequence.order_bits)?);
    }
    Some(SliceHeader {
        position: (0, address),
        any_order: false,
        redundant: false,
        partitioned: false,
        dependent,
        picture: PictureId::H265 { header, order },
    })
}

const IDR_W_RADL: u8 = 19;
const IDR_N_LP: u8 = 20;
