//! Determines which slices belong to the same picture, by their headers (H.264 §7.4.1.2.4, H.265
//! §7.4.7.1). Time stamps and marker bits are not used: cameras set them as they like.

use crate::{
    codec::{Collector, Slice, SliceHeader, SlicePosition, Unreadable},
    units::{RtpTime, TICKS_PER_SECOND},
};

#[derive(Debug, Default)]
pub(super) struct Pictures {
    /// The picture of the last slice.
    picture: Option<Picture>,
    /// Consecutive pictures before the last one whose numbers continued.
    orderly: u8,
    /// The number of the last picture continues too.
    goes_on: bool,
}

/// A picture, as described by its slices so far.
#[derive(Clone, Copy, Debug)]
struct Picture {
    /// Time stamps of its first slice and of its last one so far.
    begun: RtpTime,
    last: RtpTime,
    /// The header of its last slice, if readable.
    header: Option<SliceHeader>,
    /// The slice with its first macroblock has arrived.
    has_first: bool,
    is_first_field: bool,
}

/// A slice's relation to the previous picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    Continues,
    /// It starts the second field of the frame, with the same time stamp.
    SecondField,
    Begins,
    /// It belongs to another picture, whose first slice is missing.
    LacksFirst,
}

impl Pictures {
    /// Ends the run.
    pub fn end(&mut self) {
        self.picture = None;
    }

    /// Returns the time stamp of the last slice.
    pub fn last(&self) -> Option<RtpTime> {
        self.picture.map(|picture| picture.last)
    }

    /// Returns true if the last slice belongs to the first field of a frame.
    pub fn is_first_field(&self) -> bool {
        self.picture.is_some_and(|picture| picture.is_first_field)
    }

    /// Returns true if the number of the last picture does not follow the one before, although this
    /// camera's numbers do otherwise.
    pub fn is_out_of_order(&self) -> bool {
        self.orderly >= ORDERLY_MIN && !self.goes_on
    }

    /// Processes the next slice, given its first bytes.
    ///
    /// # Errors
    /// Its picture cannot be determined; the slice counts as missing.
    pub fn take(
        &mut self,
        slice: Slice,
        head: &[u8],
        sets: &Collector,
        time: RtpTime,
        after_gap: bool,
    ) -> Result<Relation, Unreadable> {
        let header = self.header(slice, head, sets)?;
        let is_first = header.is_some_and(|header| header.is_first());
        let relation = self.relation(is_first, header, time, after_gap);
        if relation == Relation::Begins {
            self.orderly = if self.goes_on { self.orderly.saturating_add(1) } else { 0 };
            let before = self.picture.and_then(|picture| picture.header);
            self.goes_on = header.zip(before).is_some_and(|(it, before)| it.goes_on(&before));
        }
        match &mut self.picture {
            Some(picture) if relation == Relation::Continues => {
                picture.last = time;
                picture.header = header.or(picture.header);
                picture.has_first |= is_first;
            }
            picture => {
                let is_field = header.is_some_and(|header| header.is_field());
                *picture = Some(Picture {
                    begun: time,
                    last: time,
                    header,
                    has_first: is_first,
                    is_first_field: is_field && relation != Relation::SecondField,
                });
            }
        }
        Ok(relation)
    }

    /// `None` if the slice's header does not identify its picture.
    fn header(
        &self,
        slice: Slice,
        head: &[u8],
        sets: &Collector,
    ) -> Result<Option<SliceHeader>, Unreadable> {
        let before = self.picture.and_then(|picture| picture.header);
        match slice.place {
            SlicePosition::Partition if before.is_some_and(|it| it.partitioned) => Ok(None),
            SlicePosition::Partition => Err(Unreadable::Malformed),
            _ => sets.slice_header(&slice, head).map(|it| Some(it.behind(before.as_ref()))),
        }
    }

    fn relation(
        &self,
        is_first: bool,
        header: Option<SliceHeader>,
        time: RtpTime,
        after_gap: bool,
    ) -> Relation {
        let before = self.picture.and_then(|picture| Some((picture, picture.header?)));
        let (Some(header), Some((picture, before))) = (header, before) else {
            return match &self.picture {
                _ if is_first => Relation::Begins,
                Some(picture) if header.is_none() && picture.is_near(time) => Relation::Continues,
                _ => Relation::LacksFirst,
            };
        };
        let comes_again = match header.any_order {
            _ if header.redundant => false,
            true => is_first && picture.has_first,
            false => is_first || header.lies_before(&before),
        };
        let is_second = header.is_second_field_of(&before) && picture.is_first_field;
        if header.is_same_picture(&before) && !comes_again {
            Relation::Continues
        } else if !is_first && (after_gap || !header.any_order) {
            Relation::LacksFirst
        } else if is_second && time == picture.last {
            Relation::SecondField
        } else {
            Relation::Begins
        }
    }
}

impl Picture {
    /// Returns true if a slice at that time that does not identify its picture may belong to this
    /// one.
    fn is_near(&self, time: RtpTime) -> bool {
        let ticks = time.since(self.begun).0;
        (-PICTURE_TICKS_MAX..=PICTURE_TICKS_MAX).contains(&ticks)
    }
}

/// After this many consecutive pictures whose numbers continued, a picture whose number does not
/// comes from another source.
const ORDERLY_MIN: u8 = 16;
/// The longest time over which such slices are taken for one picture.
const PICTURE_TICKS_MAX: i64 = TICKS_PER_SECOND;
