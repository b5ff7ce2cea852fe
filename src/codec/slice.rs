//! Slice headers, as far as they show where one picture ends and the next begins.
//!
//! The syntax defined by two parameter sets and a slice's first bytes in; `SliceHeader`s that can
//! be compared out.
//! Spec: H.264 §7.3.3, §7.4.1.2.4, H.265 §7.3.6.1, §7.4.7.1.
//! Knows nothing of: which set is active, time stamps, marker bits.

mod h264;
mod h265;

use super::{Codec, SetKind};

/// The start of a slice header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SliceHeader {
    /// H.264: `colour_plane_id` and `first_mb_in_slice`. H.265: 0 and `slice_segment_address`.
    position: (u32, u32),
    /// Slices may come in any order, as in Baseline and Extended profile (H.264 §7.4.3, ASO and
    /// FMO).
    pub any_order: bool,
    /// It belongs to a redundant coded picture, which repeats the picture.
    pub redundant: bool,
    /// It is a data partition A: partitions B and C may follow, which do not identify their
    /// picture.
    pub partitioned: bool,
    /// It is a dependent slice segment, which does not identify its picture either.
    dependent: bool,
    picture: PictureId,
}

/// Fields that differ between consecutive pictures. The PPS is not one of them: several may serve
/// one picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PictureId {
    /// §7.4.1.2.4.
    H264 {
        frame_number: u32,
        field: Option<Field>,
        is_reference: bool,
        /// `idr_pic_id`, for an IDR picture.
        idr: Option<u32>,
        /// `pic_order_cnt_lsb` and `delta_pic_order_cnt_bottom`, or `delta_pic_order_cnt`.
        order: [i32; 2],
    },
    /// All slices of a picture have the same NAL unit header (§7.4.2.2) and order count.
    H265 {
        header: [u8; 2],
        /// `slice_pic_order_cnt_lsb`; an IDR picture has none.
        order: Option<u32>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Top,
    Bottom,
}

/// Why a slice header cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It refers to a parameter set that never arrived.
    ParameterSet,
    Malformed,
}

impl SliceHeader {
    pub fn is_same_picture(&self, other: &SliceHeader) -> bool {
        self.picture == other.picture
    }

    /// Returns true if it has the first block of its picture.
    pub fn is_first(&self) -> bool {
        self.position == (0, 0)
    }

    /// Returns true if it cannot follow a slice of the same picture. An equal position means that a
    /// slice was sent twice, unless nothing else distinguishes two pictures.
    pub fn lies_before(&self, other: &SliceHeader) -> bool {
        let is_all = matches!(self.picture, PictureId::H265 { order: None, .. });
        self.position < other.position || is_all && self.position == other.position
    }

    pub fn is_field(&self) -> bool {
        matches!(self.picture, PictureId::H264 { field: Some(_), .. })
    }

    /// Returns true if it belongs to the second field of a frame whose first field has `first`
    /// (H.264 §3.30).
    pub fn is_second_field_of(&self, first: &SliceHeader) -> bool {
        use PictureId::H264;
        match (self.picture, first.picture) {
            (
                H264 { field: Some(second), frame_number: number, idr: None, .. },
                H264 { field: Some(first), frame_number, .. },
            ) => second != first && number == frame_number,
            _ => false,
        }
    }

    /// Returns true if its picture can come right after that of `before`, as their numbers say:
    /// H.264 counts reference pictures (§7.4.3, `frame_num`), H.265 those that are shown (§8.3.1).
    pub fn goes_on(&self, before: &SliceHeader) -> bool {
        let number = |picture| match picture {
            PictureId::H264 { idr: Some(_), .. } => (0, 1, 0),
            PictureId::H264 { frame_number, .. } => (frame_number, 1, 0),
            PictureId::H265 { order, .. } => (order.unwrap_or(0), ORDER_STEP_MAX, ORDER_STEP_MAX),
        };
        let (before, ..) = number(before.picture);
        let (number, ahead, back) = number(self.picture);
        // A small number may be one after the count has wrapped.
        number <= back
            || number.wrapping_sub(before) <= ahead
            || before.wrapping_sub(number) <= back
    }

    /// Completes the header using its predecessor: a dependent slice segment belongs to the same
    /// picture.
    #[must_use]
    pub fn behind(self, before: Option<&SliceHeader>) -> SliceHeader {
        match (before.map(|before| before.picture), self.picture) {
            (
                Some(picture @ PictureId::H265 { header: before, .. }),
                PictureId::H265 { header, .. },
            ) if self.dependent && header == before => SliceHeader { picture, ..self },
            _ => self,
        }
    }
}

/// Greatest difference between the order counts of two pictures decoded in succession.
const ORDER_STEP_MAX: u32 = 8;

/// What slice headers depend on in a parameter set, in a few bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Syntax {
    /// Nothing.
    Video,
    H264Sequence(super::h264::SliceSyntax),
    H264Picture(h264::PictureSyntax),
    H265Sequence(h265::SliceSyntax),
    H265Picture(h265::PictureSyntax),
}

impl Syntax {
    /// Reads that from a parameter set with its header.
    pub fn of(codec: Codec, kind: SetKind, nal: &[u8]) -> Option<Syntax> {
        match (codec, kind) {
            (_, SetKind::Video) => Some(Syntax::Video),
            (Codec::H264, SetKind::Sequence) => h264::sequence(nal).map(Syntax::H264Sequence),
            (Codec::H264, SetKind::Picture) => h264::picture(nal).map(Syntax::H264Picture),
            (Codec::H265, SetKind::Sequence) => {
                super::h265::slice_syntax(nal).map(Syntax::H265Sequence)
            }
            (Codec::H265, SetKind::Picture) => h265::picture(nal).map(Syntax::H265Picture),
        }
    }
}

/// Reads the header of a slice that refers to sets of that syntax, from its first bytes; for data
/// partitions, of an A.
///
/// # Errors
/// `Malformed` if the camera is at fault, or sends another codec.
pub(super) fn read(
    nal: &[u8],
    sequence: Syntax,
    picture: Syntax,
) -> Result<SliceHeader, Unreadable> {
    match (sequence, picture) {
        (Syntax::H264Sequence(sequence), Syntax::H264Picture(picture)) => {
            h264::read(nal, sequence, picture)
        }
        (Syntax::H265Sequence(sequence), Syntax::H265Picture(picture)) => {
            h265::read(nal, sequence, picture)
        }
        _ => Err(Unreadable::ParameterSet),
    }
}
