//! When to delay a segment: until the start time of its run is known.

use super::{Moment, Recorder};
use crate::{limits, media::Ring};

impl Recorder {
    /// Returns true if a segment should be opened but the start time of its run is not known yet.
    pub(super) fn awaits_origin(&self, ring: &Ring, moment: Moment) -> bool {
        let segment = self.segment.as_ref().filter(|segment| !segment.is_open);
        segment.is_some_and(|it| ring.origin.is_settling(it.run, moment.now))
            && !self.is_end(self.next())
            && self.has_room_to_wait(ring)
    }

    /// Returns true if the ring will hold the open fragment a while longer.
    pub(super) fn has_room_to_wait(&self, ring: &Ring) -> bool {
        let (number, end) = (self.ledger.next(), ring.numbers().end);
        let waiting = (number..end).filter_map(|number| ring.get(number));
        let sizes = waiting.map(|(_, bytes)| bytes.len());
        let (sum, largest) = sizes.fold((0, 0), |it, bytes| (it.0 + bytes, it.1.max(bytes)));
        // Room for two more of the largest frame.
        (end - number) < limits::RING_FRAMES_MAX as u64 / 2
            && sum + 2 * largest < ring.frame_bytes_max() * 2
    }
}
