//! Audio clock: checks whether a sound track's stamps match the video; corrected stamps out.
//!
//! Stamps normally pass unchanged. They are replaced if they run at another rate than the sound
//! arrives, or drift away from the video, and the network cannot explain it: by the lengths of the
//! frames if these are right. Sound that arrives at neither rate is dropped.
//!
//! A camera's sound and video take the same path, so a delay of both means nothing: sound is
//! measured against the video that arrived last.
//! Knows nothing of: a frame's content, sender reports.

use super::origin::ticks;
use crate::units::{RtpTime, TICKS_PER_SECOND};
use std::{fmt, mem, time::Instant};

/// The clock of a camera's sound, across runs.
#[derive(Debug)]
pub(super) struct AudioClock {
    /// Ticks per second, as announced.
    rate: i64,
    stamps: AudioStamps,
    /// What was last logged.
    pub(super) said: AudioStamps,
    /// The windows of this run have confirmed `stamps`; until then stamps are compared with the
    /// frames' lengths.
    is_judged: bool,
    verdict: AudioStamps,
    /// How many consecutive windows agreed on it.
    times: u32,
    last: Option<Last>,
    /// Ticks since the run's first frame: by stamps, by the lengths of frames, and as output.
    stamped: i64,
    counted: i64,
    given: i64,
    /// Added to the output.
    zero: RtpTime,
    /// The normal delay of sound behind video; `None` until a window has shown it.
    delay: Option<i64>,
    window: Window,
    /// How much longer frames last, permanently, and until the sound is back in place, in parts of
    /// [`SPEED_ONE`]; and the remainder that no frame has received.
    skew: i64,
    push: i64,
    rest: i64,
}

/// How stamps are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AudioStamps {
    /// As sent by the camera.
    AsSent,
    /// Quirk: an `rtpmap` with another rate than the stamps, or stamps that count packets or
    /// milliseconds, or stand still. Frames are counted, and pulled towards their arrival.
    Counted,
    /// Quirk: a clock that drifts away from the video's, without reports about it. Stamps are
    /// pulled towards the frames' arrival.
    Drawn,
    /// Quirk: neither stamps nor frames match the rate of arrival: the sampling rate differs from
    /// the announced one.
    LeftOut,
}

/// The newest frame, as sent.
#[derive(Clone, Copy, Debug)]
struct Last {
    stamp: RtpTime,
    ticks: i64,
}

/// When a frame arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub now: Instant,
    /// What was filmed at that time: the time of the newest video plus its age.
    pub video: i64,
}

/// Some delays behind the video, and what passed meanwhile.
#[derive(Debug, Default)]
struct Window {
    begin: Option<Mark>,
    sampled: Option<Instant>,
    delays: [i64; DELAYS],
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    arrival: Arrival,
    stamped: i64,
    counted: i64,
}

impl AudioClock {
    pub fn new() -> AudioClock {
        AudioClock {
            rate: TICKS_PER_SECOND,
            stamps: AudioStamps::AsSent,
            said: AudioStamps::AsSent,
            is_judged: false,
            verdict: AudioStamps::AsSent,
            times: 0,
            last: None,
            stamped: 0,
            counted: 0,
            given: 0,
            zero: RtpTime::default(),
            delay: None,
            window: Window::default(),
            skew: 0,
            push: 0,
            rest: 0,
        }
    }

    /// Starts a new run; only dropped sound stays dropped until it is right.
    pub fn begin_run(&mut self, rate: u32) {
        let stamps = match self.stamps {
            AudioStamps::LeftOut => AudioStamps::LeftOut,
            _ => AudioStamps::AsSent,
        };
        let said = self.said;
        *self = AudioClock { rate: i64::from(rate), stamps, said, ..AudioClock::new() };
    }

    /// The video's clock, with which sound was compared, was wrong.
    pub fn begin_again(&mut self) {
        self.begin_run(u32::try_from(self.rate).unwrap_or_default());
    }

    /// Returns true if reports about this clock are meaningful.
    pub fn is_believed(&self) -> bool {
        self.stamps == AudioStamps::AsSent
    }

    pub fn is_left_out(&self) -> bool {
        self.stamps == AudioStamps::LeftOut
    }

    /// Returns a change that has not been reported yet.
    pub fn news(&mut self) -> Option<AudioStamps> {
        let is_new = self.is_judged && self.stamps != self.said;
        is_new.then(|| {
            self.said = self.stamps;
            self.stamps
        })
    }

    /// Sound was placed according to reports: its delay is correct from now on.
    pub fn reported(&mut self) {
        (self.delay, self.window) = (None, Window::default());
    }

    /// Reports lost packets, which count as frames like the last one.
    pub fn lose(&mut self, packets: u32) {
        let Some(last) = self.last else { return };
        let missing = i64::from(packets).saturating_mul(last.ticks).min(self.rate);
        self.counted += missing;
        if self.is_judged && self.stamps == AudioStamps::Counted {
            self.given += missing;
        }
    }

    /// Returns the stamp of the next frame, which lasts `ticks`, and its corrected duration.
    pub fn tick(&mut self, stamp: RtpTime, ticks: u32, arrival: Arrival) -> (RtpTime, u32) {
        let length = i64::from(ticks);
        let Some(last) = self.last.replace(Last { stamp, ticks: length }) else {
            self.zero = stamp;
            return (stamp, ticks);
        };
        let before = self.given;
        let mut step = stamp.since(last.stamp).0;
        let has_jumped = step - last.ticks < -self.rate || step > JUMP_SECONDS * self.rate;
        if has_jumped {
            step = last.ticks;
            self.reported();
        }
        self.stamped += step;
        self.counted += last.ticks;
        if !self.is_judged && !self.is_left_out() {
            self.compare();
        }
        match self.stamps {
            AudioStamps::AsSent => self.given = self.stamped,
            AudioStamps::Counted if !self.is_judged => self.given = self.counted,
            AudioStamps::Counted => self.given += last.ticks + self.draw(last.ticks),
            AudioStamps::Drawn => self.given += step + self.draw(last.ticks),
            AudioStamps::LeftOut => self.given += step,
        }
        if let Some(verdict) = self.look(arrival) {
            self.judge(verdict);
        }
        if self.is_believed() {
            self.zero = after(stamp, -self.given);
            return (stamp, ticks);
        }
        let step = self.given - before;
        let length = if is_near(step, length) { step } else { length };
        (after(self.zero, self.given), u32::try_from(length).unwrap_or(ticks))
    }

    /// Until arrival shows more: consecutive frames whose stamps do not match count something else.
    fn compare(&mut self) {
        let (stamped, counted) = (self.stamped, self.counted);
        let is_alike = 3 * stamped >= 2 * counted && 2 * stamped <= 3 * counted;
        let stamps = if is_alike { AudioStamps::AsSent } else { AudioStamps::Counted };
        if mem::replace(&mut self.stamps, stamps) != stamps {
            self.reported();
        }
    }

    /// How much longer a frame lasts, so that sound returns to the video and stays there.
    fn draw(&mut self, ticks: i64) -> i64 {
        let speed = (self.skew + self.push).clamp(-SPEED_MAX, SPEED_MAX);
        let drawn = self.rest + ticks * speed;
        self.rest = drawn.rem_euclid(SPEED_ONE);
        drawn.div_euclid(SPEED_ONE)
    }

    /// Corrects sound that is late: a push that takes effect within five seconds, and a lasting
    /// one.
    fn steer(&mut self, late: i64) {
        let late = late.clamp(-self.rate, self.rate) * SPEED_ONE / self.rate;
        self.push = late / 5;
        self.skew = (self.skew + late / 25).clamp(-SPEED_MAX, SPEED_MAX);
    }

    /// Returns the finding of the window that ends with this frame, if one does.
    fn look(&mut self, arrival: Arrival) -> Option<AudioStamps> {
        let mark = Mark { arrival, stamped: self.stamped, counted: self.counted };
        let late = arrival.video - self.given;
        let (begin, delay) = self.window.note(mark, late, self.rate)?;
        let video = arrival.video - begin.arrival.video;
        let elapsed = in_rate(arrival.now, begin.arrival.now, self.rate);
        if !is_near(video, elapsed) {
            (self.times, self.push) = (0, 0); // a burst, a stall, or a wrong video clock
            return None;
        }
        let usual = *self.delay.get_or_insert(delay);
        if self.is_judged && !self.is_believed() {
            self.steer(delay - usual);
        }
        let is_off = (delay - usual).abs() > self.rate / OFF_PART;
        let goes = is_near(self.stamped - begin.stamped, video);
        Some(match self.stamps {
            AudioStamps::AsSent if goes && is_off => AudioStamps::Drawn,
            AudioStamps::AsSent if goes => AudioStamps::AsSent,
            AudioStamps::Counted if goes && !self.is_judged => AudioStamps::AsSent,
            AudioStamps::Drawn | AudioStamps::LeftOut if goes => AudioStamps::Drawn,
            _ if is_near(self.counted - begin.counted, video) => AudioStamps::Counted,
            _ => AudioStamps::LeftOut,
        })
    }

    fn judge(&mut self, verdict: AudioStamps) {
        self.times = if verdict == self.verdict { self.times.saturating_add(1) } else { 1 };
        self.verdict = verdict;
        let subtle = verdict == AudioStamps::Drawn && self.is_believed();
        if self.times >= if subtle { TIMES_SUBTLE } else { TIMES_PLAIN } {
            let was_out = self.is_left_out() && verdict != AudioStamps::LeftOut;
            (self.stamps, self.is_judged) = (verdict, true);
            if was_out {
                self.reported();
            }
        }
    }
}

impl Window {
    /// Samples a delay now and then; returns where the window began and the usual delay at its end.
    fn note(&mut self, mark: Mark, late: i64, rate: i64) -> Option<(Mark, i64)> {
        let now = mark.arrival.now;
        let begin = *self.begin.get_or_insert(mark);
        let is_due = |sampled| in_rate(now, sampled, rate) >= rate / DELAYS_A_SECOND;
        if !self.sampled.is_none_or(is_due) {
            return None;
        }
        self.sampled = Some(now);
        if let Some(delay) = self.delays.get_mut(self.len) {
            *delay = late;
            self.len += 1;
            return None;
        }
        self.delays.sort_unstable();
        // The mean of the middle ones.
        let middle = self.delays.iter().skip(DELAYS / 4).take(DELAYS / 2);
        let delay = middle.sum::<i64>() / (DELAYS as i64 / 2);
        *self = Window { begin: Some(mark), sampled: Some(now), delays: [late; DELAYS], len: 1 };
        Some((begin, delay))
    }
}

impl fmt::Display for AudioStamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AudioStamps::AsSent => "the sound's time stamps are correct again",
            AudioStamps::Counted => {
                "the sound's time stamps run at a wrong rate: counting its frames instead"
            }
            AudioStamps::Drawn => {
                "the sound's time stamps drift away from the video's: using arrival times"
            }
            AudioStamps::LeftOut => "the sound is not recorded",
        })
    }
}

/// Returns true if the difference is at most a quarter.
fn is_near(ticks: i64, truth: i64) -> bool {
    (ticks - truth).abs() <= truth / 4
}

fn in_rate(now: Instant, earlier: Instant, rate: i64) -> i64 {
    ticks(now.saturating_duration_since(earlier)).0.saturating_mul(rate) / TICKS_PER_SECOND
}

fn after(stamp: RtpTime, ticks: i64) -> RtpTime {
    RtpTime(stamp.0.wrapping_add((ticks & 0xffff_ffff) as u32))
}

/// A larger step forward is another clock, as in `sync`.
const JUMP_SECONDS: i64 = 10;
/// Delays per window, and per second: a window lasts two.
const DELAYS: usize = 16;
const DELAYS_A_SECOND: i64 = 8;
/// Consecutive windows that must agree …
const TIMES_PLAIN: u32 = 2;
/// … and if stamps only drift slowly.
const TIMES_SUBTLE: u32 = 4;
/// Sound that is off by more than this part of a second is drifting.
const OFF_PART: i64 = 8;
/// Speeds are fractions of this; frames last at most a quarter more or less.
const SPEED_ONE: i64 = 1 << 16;
const SPEED_MAX: i64 = SPEED_ONE / 4;

#[cfg(test)]
#[path = "tests/audio_clock.rs"]
mod tests;
