//! Faults: the one place where a stream is made worse than it is.
//!
//! A [`Filter`] stands between packetizer and transport, one a session: it sees each frame's packets
//! before they leave, may change the list, and says whether the session goes on. Frames and packets
//! are counted from the session's beginning.

use crate::packetize::Packet;

/// What goes wrong, and when; nothing by default. May change while sessions play.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// The connection closes after so many frames.
    pub drop_after: Option<u64>,
    /// After so many frames nothing is sent any more, and the connection stays.
    pub stall_after: Option<u64>,
    pub timestamp_jump: Option<TimestampJump>,
    /// Every so many-th packet is lost, its sequence number with it.
    pub lose_every: Option<u64>,
}

/// From frame `after` on, all RTP times are `ticks` later (or earlier).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampJump {
    pub after: u64,
    pub ticks: i32,
}

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Send what the list now holds.
    Send,
    /// Not now: ask again later.
    Wait,
    /// Close the connection.
    Close,
}

/// The state of one session's faults.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    packets: u64,
}

impl Filter {
    /// Asked before a frame is cut into packets.
    pub(crate) fn verdict(&self, faults: &Faults, frame: u64) -> Verdict {
        let over = |limit: Option<u64>| limit.is_some_and(|limit| frame >= limit);
        if over(faults.drop_after) {
            Verdict::Close
        } else if over(faults.stall_after) {
            Verdict::Wait
        } else {
            Verdict::Send
        }
    }

    /// What is added to the RTP times of a frame.
    pub(crate) fn timestamp_shift(&self, faults: &Faults, frame: u64) -> u32 {
        let jump = faults.timestamp_jump.filter(|jump| frame >= jump.after);
        jump.map_or(0, |jump| jump.ticks.cast_unsigned())
    }

    /// Changes a frame's packets on their way out.
    pub(crate) fn pass(&mut self, faults: &Faults, packets: &mut Vec<Packet>) {
        packets.retain(|_| {
            self.packets += 1;
            faults.lose_every.is_none_or(|every| !self.packets.is_multiple_of(every))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_begin_with_the_frame_that_they_name() {
        let filter = Filter::default();
        let faults = Faults {
            drop_after: Some(3),
            stall_after: Some(2),
            timestamp_jump: Some(TimestampJump { after: 1, ticks: -1 }),
            lose_every: None,
        };
        let verdicts: Vec<_> = (0..4).map(|frame| filter.verdict(&faults, frame)).collect();
        assert_eq!(verdicts, [Verdict::Send, Verdict::Send, Verdict::Wait, Verdict::Close]);
        assert_eq!(filter.timestamp_shift(&faults, 0), 0);
        assert_eq!(filter.timestamp_shift(&faults, 1), u32::MAX);
        assert_eq!(filter.verdict(&Faults::default(), u64::MAX), Verdict::Send);
    }

    #[test]
    fn losses_are_counted_over_the_frames() {
        let mut filter = Filter::default();
        let faults = Faults { lose_every: Some(3), ..Faults::default() };
        let mut left = Vec::new();
        for frame in [0..2u8, 2..7] {
            let mut packets: Vec<_> = frame.map(|byte| Packet { bytes: vec![byte] }).collect();
            filter.pass(&faults, &mut packets);
            left.extend(packets.iter().map(|packet| packet.bytes[0]));
        }
        assert_eq!(left, [0, 1, 3, 4, 6]);
    }
}
