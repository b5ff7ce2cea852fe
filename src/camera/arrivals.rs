//! Whether a playing camera still sends usable frames.

use super::Error;
use crate::{limits, media::Intake, rtsp::LowerTransport};
use std::time::{Duration, Instant};

/// What arrived last, and when.
pub(super) struct Arrivals {
    count: FrameCount,
    /// An RTP packet has arrived since the session started playing.
    any: bool,
    began: Instant,
    /// When the last frame arrived, usable or not, or the session started playing.
    last: Instant,
    /// When a frame last went into the ring.
    last_taken: Instant,
    /// When the camera last showed a sign of life: a frame, a report or a message.
    life: Instant,
    /// When it was last asked for one.
    asked: Instant,
    /// Frames, and the longest time between two batches of them.
    frames: u32,
    gap: Duration,
    /// Malformed data has arrived since the last frame.
    nonsense: bool,
}

/// The number of frames so far.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FrameCount {
    /// Frames in the ring.
    pub taken: u64,
    /// These plus the unusable ones.
    all: u64,
    /// Malformed ones, not included above.
    malformed: u64,
}

impl Arrivals {
    /// Starts with the playing session; `count` is what arrived before.
    pub fn from(count: FrameCount, now: Instant) -> Arrivals {
        Arrivals {
            count,
            any: false,
            began: now,
            last: now,
            last_taken: now,
            life: now,
            asked: now,
            frames: 0,
            gap: Duration::ZERO,
            nonsense: false,
        }
    }

    /// Reports a packet. Timeouts for frames start with the first packet, which may have been late
    /// itself.
    pub fn packet(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.any, true) {
            (self.last, self.last_taken, self.life, self.asked) = (now, now, now, now);
        }
    }

    /// Returns true once a packet has arrived.
    pub fn any(&self) -> bool {
        self.any
    }

    /// Reports a sign of life: an RTCP report or a message.
    pub fn lives(&mut self, now: Instant) {
        self.life = now;
    }

    pub fn note(&mut self, count: FrameCount, now: Instant) {
        self.nonsense |= count.malformed != self.count.malformed;
        if count.all != self.count.all {
            if self.frames > 0 {
                self.gap = self.gap.max(now.saturating_duration_since(self.last));
            }
            let came = (count.all - self.count.all).min(FRAMES_OF_A_BATCH_MAX);
            self.frames = self.frames.saturating_add(came as u32);
            (self.last, self.life) = (now, now);
            self.nonsense = false;
        }
        if count.taken != self.count.taken {
            self.last_taken = now;
        }
        self.count = count;
    }

    /// # Errors
    /// The connection counts as dead. `silence` is how long to wait for the first packet over this
    /// transport.
    pub fn check(
        &self,
        over: LowerTransport,
        silence: Duration,
        now: Instant,
    ) -> Result<(), Error> {
        if !self.any {
            return match now - self.began > silence {
                true => Err(Error::Silent { over, span: silence }),
                false => Ok(()),
            };
        }
        let (silent, barren) = (now - self.last, now - self.last_taken);
        if silent > limits::FRAME_TIMEOUT && self.nonsense {
            return Err(Error::Nonsense(silent));
        }
        if silent > self.patience() || now - self.life > limits::FRAME_TIMEOUT {
            return Err(Error::NoFrames(silent));
        }
        if barren > limits::KEY_FRAME_TIMEOUT {
            return Err(Error::NoKeyFrame(barren));
        }
        Ok(())
    }

    /// Returns true, once each time, if the camera should be asked for a sign of life.
    pub fn asks_for_life(&mut self, now: Instant) -> bool {
        let is_due = self.any && now >= self.next_question();
        if is_due {
            self.asked = now;
        }
        is_due
    }

    /// When `check` or `asks_for_life` may next return something else.
    pub fn deadline(&self, silence: Duration) -> Instant {
        if !self.any {
            return self.began + silence;
        }
        let dead = match self.nonsense {
            true => self.last,
            false => self.life,
        } + limits::FRAME_TIMEOUT;
        self.next_question().min(dead).min(self.last + self.patience())
    }

    fn next_question(&self) -> Instant {
        self.life.max(self.asked) + limits::LIFE_INTERVAL
    }

    /// How long to wait for the next frame of a camera that is alive: a gap three times as long as
    /// any before is a standstill. A few frames do not tell how often they come.
    fn patience(&self) -> Duration {
        match self.frames < FRAMES_THAT_TELL {
            true => limits::FRAME_TIMEOUT_MAX,
            false => (self.gap * 3).clamp(limits::FRAME_TIMEOUT, limits::FRAME_TIMEOUT_MAX),
        }
    }
}

impl FrameCount {
    pub fn of(intake: &Intake) -> FrameCount {
        let (taken, losses) = (intake.ring.numbers().end, intake.losses());
        let all = taken + losses.undecodable + losses.broken + losses.too_large;
        FrameCount { taken, all, malformed: losses.malformed }
    }
}

const FRAMES_THAT_TELL: u32 = 10;
/// Frames of one read that count as apart: a server may send the last few seconds at once.
const FRAMES_OF_A_BATCH_MAX: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    const OVER: LowerTransport = LowerTransport::Udp;
    const SILENCE: Duration = limits::SILENCE_TIMEOUT;

    fn playing() -> (Arrivals, Instant) {
        let start = runtime::now();
        let mut arrivals = Arrivals::from(FrameCount::default(), start);
        arrivals.packet(start);
        (arrivals, start)
    }

    #[test]
    fn a_key_frame_every_20_seconds_is_waited_for() {
        let (mut arrivals, start) = playing();
        for second in 0..=20 {
            let now = start + Duration::from_secs(second);
            arrivals.note(FrameCount { taken: 0, all: second, malformed: 0 }, now);
            assert!(arrivals.check(OVER, SILENCE, now).is_ok(), "second {second}");
        }
    }

    /// When the connection counts as dead, in seconds: `frames` frames arrive `apart`, then only
    /// signs of life in the given interval.
    fn ends_after(apart: Duration, frames: u32, life: Option<u64>) -> u64 {
        let (mut arrivals, start) = playing();
        let last = start + apart * frames;
        for frame in 1..=frames {
            let now = start + apart * frame;
            arrivals.note(FrameCount { taken: frame.into(), all: frame.into(), malformed: 0 }, now);
            assert!(arrivals.check(OVER, SILENCE, now).is_ok());
        }
        for second in 1.. {
            let now = last + Duration::from_secs(second);
            if life.is_some_and(|every| second % every == 0) {
                arrivals.lives(now);
            }
            match arrivals.check(OVER, SILENCE, now) {
                Ok(()) => {}
                Err(Error::NoFrames(_)) => return second,
                Err(error) => panic!("{error}"),
            }
        }
        unreachable!("an hour of silence")
    }

    #[test]
    fn ten_seconds_of_nonsense_end_a_run() {
        let (mut arrivals, start) = playing();
        for malformed in 0..=12 {
            let now = start + Duration::from_secs(malformed);
            arrivals.lives(now);
            arrivals.note(FrameCount { malformed, ..FrameCount::default() }, now);
            let nonsense = arrivals.check(OVER, SILENCE, now);
            assert_eq!(matches!(nonsense, Err(Error::Nonsense(_))), malformed > 10, "{nonsense:?}");
        }
    }

    #[test]
    fn a_camera_without_a_sign_of_life_is_dead_and_one_that_lives_stands_still() {
        let frame = Duration::from_millis(40);
        assert_eq!(ends_after(frame, 100, None), 11, "dead");
        assert_eq!(ends_after(frame, 100, Some(4)), 11, "it stands still");
        // A camera that sends few frames has more time while it is alive.
        assert_eq!(ends_after(Duration::from_secs(9), 3, None), 11);
        assert_eq!(ends_after(Duration::from_secs(9), 3, Some(4)), 36);
        assert_eq!(ends_after(Duration::from_secs(5), 20, Some(4)), 16);
        assert_eq!(ends_after(Duration::from_secs(9), 20, Some(9)), 28);
        assert_eq!(ends_after(frame, 1, Some(4)), 36, "one frame tells no rate");
    }

    #[test]
    fn frames_that_are_read_together_tell_how_often_they_come() {
        let (mut arrivals, start) = playing();
        for batch in 1..=4 {
            let count = FrameCount { taken: 6 * batch, all: 6 * batch, malformed: 0 };
            arrivals.note(count, start + Duration::from_millis(250 * batch));
        }
        let now = start + Duration::from_secs(12);
        arrivals.lives(now);
        assert!(matches!(arrivals.check(OVER, SILENCE, now), Err(Error::NoFrames(_))));
    }

    #[test]
    fn a_camera_that_sends_nothing_is_asked_whether_it_lives() {
        let (mut arrivals, start) = playing();
        let asked: Vec<u64> = (0..=9)
            .filter(|second| arrivals.asks_for_life(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(asked, [4, 8]);
        let now = start + Duration::from_secs(9);
        arrivals.lives(now);
        assert_eq!(arrivals.deadline(SILENCE), now + limits::LIFE_INTERVAL);
    }

    #[test]
    fn a_first_packet_that_comes_late_leaves_its_frame_the_time_to_become_whole() {
        let start = runtime::now();
        let mut arrivals = Arrivals::from(FrameCount::default(), start);
        let now = start + Duration::from_secs(12);
        arrivals.packet(now);
        assert!(arrivals.check(OVER, Duration::from_secs(20), now).is_ok());
        let end = now + limits::FRAME_TIMEOUT + Duration::from_millis(1);
        assert!(arrivals.check(OVER, Duration::from_secs(20), end).is_err());
    }

    #[test]
    fn a_stream_without_key_frames_ends_in_its_time() {
        let (mut arrivals, start) = playing();
        let now = start + limits::KEY_FRAME_TIMEOUT + Duration::from_millis(1);
        arrivals.note(FrameCount { taken: 0, all: 1, malformed: 0 }, now);
        let barren = arrivals.check(OVER, SILENCE, now);
        assert!(matches!(barren, Err(Error::NoKeyFrame(_))), "{barren:?}");
    }

    #[test]
    fn a_transport_that_brings_no_packet_at_all_is_given_up_early() {
        let start = runtime::now();
        let arrivals = Arrivals::from(FrameCount::default(), start);
        assert_eq!(arrivals.deadline(SILENCE), start + SILENCE);
        assert!(arrivals.check(OVER, SILENCE, start + SILENCE).is_ok());
        let error = arrivals.check(OVER, SILENCE, start + SILENCE * 2).unwrap_err();
        assert_eq!(error.to_string(), "the camera plays, but no packet arrived over UDP for 3 s");
        let (arrivals, start) = playing();
        assert!(arrivals.check(OVER, SILENCE, start + SILENCE * 2).is_ok());
    }
}
