//! When to wait with a segment: until it is known when its run began.
//!
//! Knows nothing of: how that is found out.

use super::{Moment, Recorder};
use crate::{limits, media::Ring};

impl Recorder {
    /// A segment is to be opened, and when its run began is not known yet.
    pub(super) fn awaits_origin(&self, ring: &Ring, moment: Moment) -> bool {
        let segment = self.segment.as_ref().filter(|segment| !segment.is_open);
        segment.is_some_and(|it| ring.origin.is_settling(it.run, moment.now))
            && !self.is_end(self.next())
            && self.has_room_to_wait(ring)
    }

    /// The ring holds the fragment in the making for a while yet.
    pub(super) fn has_room_to_wait(&self, ring: &Ring) -> bool {
        let (number, end) = (self.ledger.next(), ring.numbers().end);
        let waiting = (number..end).filter_map(|number| ring.get(number));
        let sizes = waiting.map(|(_, bytes)| bytes.len());
        let (sum, largest) = sizes.fold((0, 0), |it, bytes| (it.0 + bytes, it.1.max(bytes)));
        // Two of the largest fit in beside them.
        (end - number) < limits::RING_FRAMES_MAX as u64 / 2
            && sum + 2 * largest < ring.frame_bytes_max() * 2
    }
}
