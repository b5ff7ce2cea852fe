//! Whether a camera that plays still sends what can be used.
//!
//! Knows nothing of: packets, sockets.

use super::Error;
use crate::{limits, media::Intake, rtsp::LowerTransport};
use std::time::{Duration, Instant};

/// What came last, and when.
pub(super) struct Arrivals {
    count: Count,
    /// An RTP packet came since the session began to play.
    any: bool,
    began: Instant,
    /// When a frame came last, whatever became of it, or the session began to play.
    last: Instant,
    /// When one last went into the ring.
    last_taken: Instant,
}

/// How many frames came so far.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    /// Those in the ring.
    pub taken: u64,
    /// And those that could not be used.
    all: u64,
}

impl Arrivals {
    pub fn from(now: Instant) -> Arrivals {
        Arrivals { count: Count::default(), any: false, began: now, last: now, last_taken: now }
    }

    /// A packet came.
    pub fn packet(&mut self) {
        self.any = true;
    }

    /// True once a packet came.
    pub fn any(&self) -> bool {
        self.any
    }

    pub fn note(&mut self, count: Count, now: Instant) {
        if count.all != self.count.all {
            self.last = now;
        }
        if count.taken != self.count.taken {
            self.last_taken = now;
        }
        self.count = count;
    }

    /// # Errors
    /// The connection counts as dead; `silence`: how long the first packet over this transport is
    /// waited for.
    pub fn check(
        &self,
        over: LowerTransport,
        silence: Duration,
        now: Instant,
    ) -> Result<(), Error> {
        if !self.any && now - self.began > silence {
            return Err(Error::Silent { over, span: silence });
        }
        let (silent, barren) = (now - self.last, now - self.last_taken);
        if silent > limits::FRAME_TIMEOUT {
            return Err(Error::NoFrames(silent));
        }
        if barren > limits::KEY_FRAME_TIMEOUT {
            return Err(Error::NoKeyFrame(barren));
        }
        Ok(())
    }

    /// When `check` may find something that it does not find now.
    pub fn deadline(&self, silence: Duration) -> Instant {
        if self.any { self.last + limits::FRAME_TIMEOUT } else { self.began + silence }
    }
}

impl Count {
    pub fn of(intake: &Intake) -> Count {
        let (taken, losses) = (intake.ring.numbers().end, intake.losses());
        Count { taken, all: taken + losses.undecodable + losses.broken + losses.too_large }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    const OVER: LowerTransport = LowerTransport::Udp;
    const SILENCE: Duration = limits::SILENCE_TIMEOUT;

    fn playing() -> (Arrivals, Instant) {
        let start = runtime::now();
        let mut arrivals = Arrivals::from(start);
        arrivals.packet();
        (arrivals, start)
    }

    #[test]
    fn a_key_frame_every_20_seconds_is_waited_for() {
        let (mut arrivals, start) = playing();
        for second in 0..=20 {
            let now = start + Duration::from_secs(second);
            arrivals.note(Count { taken: 0, all: second }, now);
            assert!(arrivals.check(OVER, SILENCE, now).is_ok(), "second {second}");
        }
    }

    #[test]
    fn silence_and_a_stream_without_key_frames_end_a_run_each_in_its_time() {
        let (mut arrivals, start) = playing();
        let after = |limit: Duration| start + limit + Duration::from_millis(1);
        let silent = arrivals.check(OVER, SILENCE, after(limits::FRAME_TIMEOUT));
        assert!(matches!(silent, Err(Error::NoFrames(_))), "{silent:?}");
        let now = after(limits::KEY_FRAME_TIMEOUT);
        arrivals.note(Count { taken: 0, all: 1 }, now);
        let barren = arrivals.check(OVER, SILENCE, now);
        assert!(matches!(barren, Err(Error::NoKeyFrame(_))), "{barren:?}");
    }

    #[test]
    fn a_transport_that_brings_no_packet_at_all_is_given_up_early() {
        let start = runtime::now();
        let arrivals = Arrivals::from(start);
        assert_eq!(arrivals.deadline(SILENCE), start + SILENCE);
        assert!(arrivals.check(OVER, SILENCE, start + SILENCE).is_ok());
        let error = arrivals.check(OVER, SILENCE, start + SILENCE * 2).unwrap_err();
        assert_eq!(error.to_string(), "the camera plays, but no packet came over UDP for 3 s");
        let (arrivals, start) = playing();
        assert!(arrivals.check(OVER, SILENCE, start + SILENCE * 2).is_ok());
    }
}
