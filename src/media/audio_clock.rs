//! Audio clock: whether a sound track's stamps go with the video beside it; stamps that do out.
//!
//! Stamps go through as they are. They are replaced where they run at another rate than the sound
//! arrives, or away from the video, and no network explains it: where the lengths of the frames are
//! right, by those. Sound that arrives at neither rate is left out.
//!
//! A camera's sound and video come the same way, so a delay that meets both tells nothing: sound is
//! measured by the video that came last.
//! Knows nothing of: what a frame holds, sender reports.

use super::origin::ticks;
use crate::units::{RtpTime, TICKS_PER_SECOND};
use std::{fmt, mem, time::Instant};

/// The clock of a camera's sound, from one run to the next.
#[derive(Debug)]
pub(super) struct AudioClock {
    /// Ticks a second, as the camera says.
    rate: i64,
    stamps: AudioStamps,
    /// What the log was told.
    pub(super) said: AudioStamps,
    /// This run's windows confirmed `stamps`; until then stamps are compared with the frames' lengths.
    is_judged: bool,
    verdict: AudioStamps,
    /// How many windows in a row came to it.
    times: u32,
    last: Option<Last>,
    /// Ticks since the run's first frame: by stamps, by the lengths of frames, and as given out.
    stamped: i64,
    counted: i64,
    given: i64,
    /// Added to what is given out.
    zero: RtpTime,
    /// How far behind the video sound comes when it is right; `None` until a window has shown it.
    delay: Option<i64>,
    window: Window,
    /// What frames last longer for good, and until sound is where it should be, of [`SPEED_ONE`]; and what
    /// no frame got of it.
    skew: i64,
    push: i64,
    rest: i64,
}

/// How stamps are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AudioStamps {
    /// Those of the camera.
    AsSent,
    /// Quirk: an `rtpmap` of another rate than the stamps have, stamps that count packets or
    /// milliseconds, or stand still. Frames are counted, and drawn to when they arrive.
    Counted,
    /// Quirk: a clock that runs away from the video's, and no reports that tell how. Stamps are drawn to
    /// when frames arrive.
    Drawn,
    /// Quirk: neither stamps nor frames go as fast as they arrive: the sampling rate is another.
    LeftOut,
}

/// The newest frame, as it was sent.
#[derive(Clone, Copy, Debug)]
struct Last {
    stamp: RtpTime,
    ticks: i64,
}

/// The moment that a frame came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub now: Instant,
    /// What was filmed then: the time of the newest video, and how long ago that came.
    pub video: i64,
}

/// Some delays behind the video, and what went by meanwhile.
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

    /// A new run: only that sound was left out is kept until it is right.
    pub fn begin_run(&mut self, rate: u32) {
        let stamps = match self.stamps {
            AudioStamps::LeftOut => AudioStamps::LeftOut,
            _ => AudioStamps::AsSent,
        };
        let said = self.said;
        *self = AudioClock { rate: i64::from(rate), stamps, said, ..AudioClock::new() };
    }

    /// Reports of this clock tell something.
    pub fn is_believed(&self) -> bool {
        self.stamps == AudioStamps::AsSent
    }

    pub fn is_left_out(&self) -> bool {
        self.stamps == AudioStamps::LeftOut
    }

    /// What changed and was not told yet.
    pub fn news(&mut self) -> Option<AudioStamps> {
        let is_new = self.is_judged && self.stamps != self.said;
        is_new.then(|| {
            self.said = self.stamps;
            self.stamps
        })
    }

    /// Sound was put where reports say: what it is late by from now on is right.
    pub fn reported(&mut self) {
        (self.delay, self.window) = (None, Window::default());
    }

    /// Packets were lost: taken for frames as long as the last.
    pub fn lose(&mut self, packets: u32) {
        let Some(last) = self.last else { return };
        let missing = i64::from(packets).saturating_mul(last.ticks).min(self.rate);
        self.counted += missing;
        if self.is_judged && self.stamps == AudioStamps::Counted {
            self.given += missing;
        }
    }

    /// The stamp of the next frame, which lasts `ticks`, and how long it should.
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

    /// Before arrival tells more: frames follow each other, so stamps that count something else do not.
    fn compare(&mut self) {
        let (stamped, counted) = (self.stamped, self.counted);
        let is_alike = 3 * stamped >= 2 * counted && 2 * stamped <= 3 * counted;
        let stamps = if is_alike { AudioStamps::AsSent } else { AudioStamps::Counted };
        if mem::replace(&mut self.stamps, stamps) != stamps {
            self.reported();
        }
    }

    /// What a frame lasts longer, so that sound comes back to the video, and stays there.
    fn draw(&mut self, ticks: i64) -> i64 {
        let speed = (self.skew + self.push).clamp(-SPEED_MAX, SPEED_MAX);
        let drawn = self.rest + ticks * speed;
        self.rest = drawn.rem_euclid(SPEED_ONE);
        drawn.div_euclid(SPEED_ONE)
    }

    /// Sound is late by so much: a push that makes up for it within five seconds, and a lasting one.
    fn steer(&mut self, late: i64) {
        let late = late.clamp(-self.rate, self.rate) * SPEED_ONE / self.rate;
        self.push = late / 5;
        self.skew = (self.skew + late / 25).clamp(-SPEED_MAX, SPEED_MAX);
    }

    /// What the window shows that ends with this frame, if one does.
    fn look(&mut self, arrival: Arrival) -> Option<AudioStamps> {
        let mark = Mark { arrival, stamped: self.stamped, counted: self.counted };
        let late = arrival.video - self.given;
        let (begin, delay) = self.window.note(mark, late, self.rate)?;
        let video = arrival.video - begin.arrival.video;
        let elapsed = in_rate(arrival.now, begin.arrival.now, self.rate);
        if !is_near(video, elapsed) {
            (self.times, self.push) = (0, 0); // a burst, a stall, or a video clock that is wrong
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
    /// Takes a delay now and then; answers where the window began and the usual delay at its end.
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
        // The mean of those in the middle.
        let middle = self.delays.iter().skip(DELAYS / 4).take(DELAYS / 2);
        let delay = middle.sum::<i64>() / (DELAYS as i64 / 2);
        *self = Window { begin: Some(mark), sampled: Some(now), delays: [late; DELAYS], len: 1 };
        Some((begin, delay))
    }
}

impl fmt::Display for AudioStamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AudioStamps::AsSent => "the sound's time stamps are right again",
            AudioStamps::Counted => {
                "the sound's time stamps run at a wrong rate: its frames are counted instead"
            }
            AudioStamps::Drawn => {
                "the sound's time stamps run away from the video's: they go by when sound arrives"
            }
            AudioStamps::LeftOut => "the sound is left out",
        })
    }
}

/// Off by no more than a quarter.
fn is_near(ticks: i64, truth: i64) -> bool {
    (ticks - truth).abs() <= truth / 4
}

fn in_rate(now: Instant, earlier: Instant, rate: i64) -> i64 {
    ticks(now.saturating_duration_since(earlier)).0.saturating_mul(rate) / TICKS_PER_SECOND
}

fn after(stamp: RtpTime, ticks: i64) -> RtpTime {
    RtpTime(stamp.0.wrapping_add((ticks & 0xffff_ffff) as u32))
}

/// A step forward by more is another clock, as `sync` has it.
const JUMP_SECONDS: i64 = 10;
/// Delays of a window, and how many a second: it lasts two.
const DELAYS: usize = 16;
const DELAYS_A_SECOND: i64 = 8;
/// Windows in a row that must agree …
const TIMES_PLAIN: u32 = 2;
/// … and where stamps only run away slowly.
const TIMES_SUBTLE: u32 = 4;
/// Sound that is off by more than this part of a second runs away.
const OFF_PART: i64 = 8;
/// Speeds are parts of it; frames last a quarter more or less at most.
const SPEED_ONE: i64 = 1 << 16;
const SPEED_MAX: i64 = SPEED_ONE / 4;

#[cfg(test)]
#[path = "tests/audio_clock.rs"]
mod tests;
