//! Cadence: whether a camera's time stamps tick as they should; stamps that do out.
//!
//! Stamps normally pass unchanged. They are replaced (see `Stamps`) only if they run at another
//! rate than the frames arrive, for longer than any network explains.
//! Spec: RFC 6184 §8.2.1, RFC 7798 §7.1 (90 kHz). Knows nothing of: frame order, wall time.

use super::{
    drift::{self, Drift, Verdict},
    origin::ticks,
};
use crate::{
    rtp::rtcp::SenderReport,
    units::{RtpTime, TICKS_PER_SECOND, Ticks},
};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// The clock of one camera, from one run to the next.
pub struct Cadence {
    stamps: Stamps,
    drift: Drift,
    /// Consecutive spans in which the clock was right.
    right: u32,
    window: Option<Window>,
    /// The verdict of the last windows, and how many consecutive ones agreed on it.
    verdict: Rate,
    times: u32,
    /// The last stamp returned.
    last: Option<RtpTime>,
    /// The last stamp sent by the camera.
    sent: Option<RtpTime>,
    witness: Witness,
    frame_duration: Ticks,
}

/// How stamps are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamps {
    /// As sent by the camera.
    AsSent,
    /// Quirk: the clock is announced as 90 kHz, and its ticks are milliseconds. Counted from
    /// `zero`, which stands for `at`.
    Millis { zero: RtpTime, at: RtpTime },
    /// Quirk: stamps that stand still, or count frames instead of time (a camera that is set to 25
    /// frames a second and sends 12 at night). Counted from `zero`, which stands for `at`.
    ByArrival { zero: Instant, at: RtpTime },
    /// Quirk: stamps that count a frame rate which the camera does not keep, off by a few parts in
    /// a hundred. Counted from `zero`, which stands for `at`, by `rate` in 1/2^20.
    Scaled { zero: RtpTime, at: RtpTime, rate: i64 },
}

/// A stamp that ticks as it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tick {
    pub stamp: RtpTime,
    /// Stamps are made differently from here on: it cannot be compared with earlier ones.
    pub is_new: bool,
}

/// What a window shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rate {
    /// More frames a second than a camera films: what was recorded before is played back.
    Unknown,
    Still,
    Millis,
    Slow,
    True,
    Fast,
    /// Faster than any burst.
    Racing,
}

/// A span being examined.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    first: RtpTime,
    newest: RtpTime,
    frames: u32,
}

impl Cadence {
    pub fn new() -> Cadence {
        Cadence {
            stamps: Stamps::AsSent,
            drift: Drift::default(),
            right: 0,
            window: None,
            verdict: Rate::Unknown,
            times: 0,
            last: None,
            sent: None,
            witness: Witness::default(),
            frame_duration: FRAME_DURATION_DEFAULT,
        }
    }

    pub fn stamps(&self) -> Stamps {
        self.stamps
    }

    /// Starts a new run: the camera counts from anywhere, at the same rate as before.
    pub fn begin_run(&mut self, first: RtpTime, now: Instant) {
        (self.window, self.times, self.last) = (None, 0, None);
        (self.drift, self.right) = (Drift::default(), 0);
        (self.sent, self.witness) = (None, Witness::default());
        match &mut self.stamps {
            Stamps::AsSent => {}
            Stamps::Millis { zero, at } | Stamps::Scaled { zero, at, .. } => {
                (*zero, *at) = (first, first);
            }
            Stamps::ByArrival { zero, at } => (*zero, *at) = (now, first),
        }
    }

    /// Takes a sender report of the camera: its clock at one of its stamps.
    pub fn report(&mut self, report: &SenderReport) {
        self.witness.note(report, self.sent);
    }

    /// Takes the stamp of the next frame, and when it arrived.
    pub fn tick(&mut self, stamp: RtpTime, now: Instant) -> Tick {
        self.sent = Some(stamp);
        let is_new = match self.look(stamp, now) {
            Some(rate) => self.judge(rate, stamp, now),
            None => false,
        };
        let is_new = self.adjust(stamp, now) | is_new;
        let stamp = match self.stamps {
            Stamps::AsSent => stamp,
            Stamps::Millis { zero, at } => RtpTime(
                at.0.wrapping_add(stamp.0.wrapping_sub(zero.0).wrapping_mul(TICKS_PER_MILLI)),
            ),
            Stamps::ByArrival { zero, at } => self.paced(after(at, ticks(now - zero))),
            Stamps::Scaled { zero, at, rate } => scaled(stamp, zero, at, rate),
        };
        self.last = Some(stamp);
        Tick { stamp, is_new }
    }

    /// Follows a clock that is slightly wrong.
    fn adjust(&mut self, stamp: RtpTime, now: Instant) -> bool {
        let Some(verdict) = self.drift.note(stamp, now) else { return false };
        let verdict = if self.witness.agrees { Verdict::Right } else { verdict };
        self.right = if verdict == Verdict::Right { self.right + 1 } else { 0 };
        let next = after(self.last.unwrap_or(stamp), self.frame_duration);
        match (verdict, self.stamps) {
            (Verdict::Wrong(lag), Stamps::AsSent) => {
                self.stamps = Stamps::Scaled { zero: stamp, at: next, rate: rate_of(lag) };
                true
            }
            (Verdict::Right, Stamps::Scaled { .. }) if self.right >= TIMES_TRUE => {
                self.stamps = Stamps::AsSent;
                true
            }
            (Verdict::Wrong(lag), Stamps::Scaled { zero, at, rate }) => {
                let at = scaled(stamp, zero, at, rate);
                self.stamps = Stamps::Scaled { zero: stamp, at, rate: rate_of(lag) };
                false
            }
            (verdict, Stamps::Scaled { zero, at, rate }) => {
                // The difference wraps after 6 hours.
                let at = scaled(stamp, zero, at, rate);
                let rate = if verdict == Verdict::Right { 1 << RATE_BITS } else { rate };
                self.stamps = Stamps::Scaled { zero: stamp, at, rate };
                false
            }
            _ => false,
        }
    }

    /// The last frame's time and a frame's duration, drawn to the time of arrival: frames arrive in
    /// gulps.
    fn paced(&self, arrived: RtpTime) -> RtpTime {
        let Some(last) = self.last else { return arrived };
        let due = after(last, self.frame_duration);
        let late = arrived.since(due);
        if late > PAUSE_MIN {
            return arrived;
        }
        let step = Ticks(self.frame_duration.0 + late.0 / DRAW);
        after(last, step.max(Ticks(self.frame_duration.0 / 4)).max(Ticks(1)))
    }

    /// Returns the finding of the window that ends with this frame, if one does.
    fn look(&mut self, stamp: RtpTime, now: Instant) -> Option<Rate> {
        let fresh = Window { start: now, first: stamp, newest: stamp, frames: 0 };
        let window = self.window.get_or_insert(fresh);
        let step = stamp.since(window.newest);
        if step > STEP_MAX || step < -STEP_MAX {
            self.window = Some(fresh);
            return None;
        }
        window.frames += 1;
        window.newest = stamp;
        let (span, frames) = (now - window.start, window.frames);
        if span < WINDOW_EARLY || frames < WINDOW_FRAMES_MIN {
            return None;
        }
        let elapsed = ticks(span);
        let rate = match rate(window.newest.since(window.first), elapsed, frames) {
            // The network is behind, or catches up.
            Rate::Slow | Rate::Fast if self.witness.agrees => Rate::True,
            rate => rate,
        };
        // Only rates that no network can produce are judged early.
        if span < WINDOW_MIN && !matches!(rate, Rate::Still | Rate::Millis) {
            return None;
        }
        let measured = Ticks(elapsed.0 / i64::from(frames));
        self.window = Some(fresh);
        if !matches!(self.stamps, Stamps::ByArrival { .. }) {
            self.frame_duration = measured;
        } else {
            self.frame_duration = Ticks((3 * self.frame_duration.0 + measured.0) / 4);
        }
        Some(rate)
    }

    /// Changes how stamps are made if enough consecutive windows agree.
    fn judge(&mut self, rate: Rate, stamp: RtpTime, now: Instant) -> bool {
        self.times = if rate == self.verdict { self.times.saturating_add(1) } else { 1 };
        self.verdict = rate;
        let next = after(self.last.unwrap_or(stamp), self.frame_duration);
        let (stamps, times) = match rate {
            Rate::Unknown => return false,
            Rate::True if matches!(self.stamps, Stamps::Scaled { .. }) => return false,
            Rate::True => (Stamps::AsSent, TIMES_TRUE),
            Rate::Millis => (Stamps::Millis { zero: stamp, at: next }, TIMES_PLAIN),
            Rate::Still | Rate::Racing => (Stamps::ByArrival { zero: now, at: next }, TIMES_PLAIN),
            Rate::Slow | Rate::Fast => {
                let times = if self.witness.denies { TIMES_DENIED } else { TIMES_SUBTLE };
                (Stamps::ByArrival { zero: now, at: next }, times)
            }
        };
        let is_same = std::mem::discriminant(&stamps) == std::mem::discriminant(&self.stamps);
        if is_same || self.times < times {
            return false;
        }
        self.stamps = stamps;
        // Findings about the earlier stamps do not apply to these.
        (self.drift, self.right) = (Drift::default(), 0);
        true
    }
}

impl Default for Cadence {
    fn default() -> Self {
        Cadence::new()
    }
}

impl fmt::Display for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stamps::AsSent => "the camera's time stamps are right again",
            Stamps::Millis { .. } => "the camera's time stamps count milliseconds: taken so",
            Stamps::ByArrival { .. } => {
                "the camera's time stamps stand still or run at a wrong rate: frames have the times \
                 at which they arrive"
            }
            Stamps::Scaled { .. } => {
                "the camera's time stamps run at a wrong rate: they are made to go with the time at \
                 which frames arrive"
            }
        })
    }
}

/// The evidence of sender reports. Frames that arrive late over a slow network look like stamps of
/// a slow clock: the camera's own clock distinguishes the two.
#[derive(Default)]
struct Witness {
    first: Option<SenderReport>,
    /// Clock and stamps advanced alike …
    agrees: bool,
    /// … or so differently that the stamps must be wrong.
    denies: bool,
}

impl Witness {
    /// `sent`: the newest stamp of a frame.
    fn note(&mut self, report: &SenderReport, sent: Option<RtpTime>) {
        let is_of_stamps =
            |it: RtpTime| (-REPORT_OFF_MAX..=REPORT_OFF_MAX).contains(&report.rtp_time.since(it));
        if !sent.is_some_and(is_of_stamps) {
            *self = Witness::default();
            return;
        }
        let first = *self.first.get_or_insert(*report);
        let by_clock = u128::from(report.ntp.saturating_sub(first.ntp)) * TICKS_PER_SECOND as u128;
        let by_clock = Ticks(i64::try_from(by_clock >> 32).unwrap_or(i64::MAX));
        let by_stamps = report.rtp_time.since(first.rtp_time);
        if by_clock < REPORTS_SPAN_MIN {
            return;
        }
        let off = (by_clock - by_stamps).0.abs();
        self.agrees = off <= by_clock.0 / REPORTS_PARTS;
        self.denies = off > by_clock.0 / DENIED_PARTS && by_clock <= REPORTS_SPAN_MAX;
        // Long spans would wrap, and a clock being set must count only once.
        if !self.agrees || by_clock > REPORTS_SPAN_MAX {
            self.first = Some(*report);
        }
    }
}

/// The factor for the ticks of a clock that lags this much behind in a span.
fn rate_of(lag: Ticks) -> i64 {
    (drift::SPAN.0 << RATE_BITS) / (drift::SPAN.0 - lag.0).max(1)
}

fn scaled(stamp: RtpTime, zero: RtpTime, at: RtpTime, rate: i64) -> RtpTime {
    after(at, Ticks((stamp.since(zero).0 * rate) >> RATE_BITS))
}

/// Compares the `ticks` of stamps with the `elapsed` time.
fn rate(ticks: Ticks, elapsed: Ticks, frames: u32) -> Rate {
    if i64::from(frames) * TICKS_PER_SECOND > elapsed.0 * FRAMES_A_SECOND_MAX {
        return Rate::Unknown;
    }
    // By their stamps, more frames a second than any camera films.
    let has_too_many = i64::from(frames) * TICKS_PER_SECOND > ticks.0 * FRAMES_A_SECOND_MAX;
    // In thousandths of the true rate; milliseconds are 11.
    match ticks.0 * 1000 / elapsed.0.max(1) {
        ..4 => Rate::Still,
        9..14 => Rate::Millis,
        _ if has_too_many => Rate::Still,
        4..9 | 14..750 => Rate::Slow,
        750..1333 => Rate::True,
        1333..8000 => Rate::Fast,
        _ => Rate::Racing,
    }
}

fn after(stamp: RtpTime, ticks: Ticks) -> RtpTime {
    RtpTime(stamp.0.wrapping_add((ticks.0 & 0xffff_ffff) as u32))
}

/// A report further from the stamps of the frames around it does not belong to them.
const REPORT_OFF_MAX: Ticks = Ticks::from_seconds(3);
/// Reports are compared over at least this much of the camera's clock …
const REPORTS_SPAN_MIN: Ticks = Ticks::from_seconds(4);
/// … and at most.
const REPORTS_SPAN_MAX: Ticks = Ticks::from_seconds(60);
/// Clock and stamps agree if they differ by at most one part in this many.
const REPORTS_PARTS: i64 = 100;
/// By more than that, stamps are wrong.
const DENIED_PARTS: i64 = 5;
const TICKS_PER_MILLI: u32 = 90;
const RATE_BITS: u32 = 20;
/// The minimum length of a window, which also has a minimum of frames …
const WINDOW_MIN: Duration = Duration::from_secs(2);
/// … and the minimum if stamps tick at a hundredth of their rate.
const WINDOW_EARLY: Duration = Duration::from_millis(500);
const WINDOW_FRAMES_MIN: u32 = 8;
/// A larger step is a jump, not a rate, and begins a new window.
const STEP_MAX: Ticks = Ticks::from_seconds(40);
/// Consecutive windows that must agree: if stamps are off tenfold or more …
const TIMES_PLAIN: u32 = 2;
/// … if they are off by a quarter, and the camera's own clock confirms it …
const TIMES_DENIED: u32 = 3;
/// … if a network that stalls and catches up might look the same …
const TIMES_SUBTLE: u32 = 8;
/// … and if a clock is right again.
const TIMES_TRUE: u32 = 3;
/// Anything faster is not live video.
const FRAMES_A_SECOND_MAX: i64 = 65;
/// A frame that is later than this follows a pause.
const PAUSE_MIN: Ticks = Ticks::from_seconds(1);
/// One part in this many of a frame's lateness is corrected: gulps of 100 ms move it by a tenth.
const DRAW: i64 = 32;
/// Assumed until a window has shown it.
const FRAME_DURATION_DEFAULT: Ticks = Ticks(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    /// Frames every 40 ms, read every 100 ms; each stamp, and the number of changes.
    fn run(cadence: &mut Cadence, frames: u32, stamp: impl Fn(u32) -> u32) -> (Vec<u32>, usize) {
        let start = runtime::now();
        let mut changes = 0;
        let stamps = (0..frames).map(|frame| {
            let arrival = Duration::from_millis(u64::from(frame * 40).next_multiple_of(100));
            let tick = cadence.tick(RtpTime(stamp(frame)), start + arrival);
            changes += usize::from(tick.is_new);
            tick.stamp.0
        });
        (stamps.collect(), changes)
    }

    fn steps(stamps: &[u32]) -> Vec<i64> {
        stamps.windows(2).map(|two| RtpTime(two[1]).since(RtpTime(two[0])).0).collect()
    }

    #[test]
    fn stamps_that_stray_now_and_then_are_no_wrong_rate() {
        for off_by in [-30, -3, -1, 1, 3, 30] {
            let off = |frame: u32| if frame % 30 == 22 { off_by * 90_000i32 } else { 0 };
            let stamp = |frame: u32| (7_000_000 + frame * 3600).wrapping_add_signed(off(frame));
            let (stamps, changes) = run(&mut Cadence::new(), 2000, stamp);
            assert_eq!(changes, 0, "{off_by}");
            assert!((0..).zip(&stamps).all(|(frame, it)| *it == stamp(frame)));
        }
    }

    #[test]
    fn a_network_that_is_too_slow_is_not_a_clock_that_is() {
        let start = runtime::now();
        let run = |reports_tick: u64| {
            let mut cadence = Cadence::new();
            let mut changes = 0;
            for frame in 0..2000_u64 {
                // 25 frames a second are sent, 12.5 arrive.
                let stamp = RtpTime((frame * 3600) as u32);
                changes += usize::from(
                    cadence.tick(stamp, start + Duration::from_millis(frame * 80)).is_new,
                );
                if frame % 125 == 0 {
                    let ntp = (3_900_000_000 + frame / 25 * reports_tick) << 32;
                    let (ssrc, packets, octets) = (1, 2, 3);
                    cadence.report(&SenderReport { ssrc, ntp, rtp_time: stamp, packets, octets });
                }
            }
            (changes, cadence.stamps())
        };
        assert_eq!(run(1), (0, Stamps::AsSent), "its clock goes as its stamps do");
        assert!(
            matches!(run(2), (1.., Stamps::ByArrival { .. })),
            "its clock goes as frames arrive"
        );
    }

    #[test]
    fn a_clock_that_the_sender_reports_deny_is_replaced_after_the_second_one() {
        for (ticks, tells) in [(1800, true), (1800, false), (7200, true), (2500, true)] {
            let (start, mut cadence) = (runtime::now(), Cadence::new());
            let is_new = |frame: &u32| {
                let stamp = RtpTime(frame * ticks);
                if tells && frame.is_multiple_of(125) {
                    let ntp = (3_900_000_000 + u64::from(frame / 25)) << 32;
                    let (ssrc, packets, octets) = (1, 2, 3);
                    cadence.report(&SenderReport { ssrc, ntp, rtp_time: stamp, packets, octets });
                }
                cadence.tick(stamp, start + Duration::from_millis(u64::from(frame * 40))).is_new
            };
            let seconds = (0..1000).find(is_new).unwrap() / 25;
            assert!(if tells { seconds < 12 } else { seconds >= 16 }, "{ticks}: {seconds} s");
        }
    }

    #[test]
    fn true_stamps_go_through_tick_for_tick_whatever_they_do() {
        let wild = |frame: u32| {
            let drift = frame / 3; // a clock that runs too fast by 3 s an hour
            let jitter = (frame * 7919) % 900;
            (u32::MAX - 90_000).wrapping_add(frame * 3600 + drift + jitter)
        };
        let (stamps, changes) = run(&mut Cadence::new(), 20_000, wild);
        assert_eq!((stamps, changes), ((0..20_000).map(wild).collect(), 0));
        let b_frames = |frame: u32| 3600 * [0, 4, 2, 1, 3][frame as usize % 5] + frame / 5 * 18_000;
        assert_eq!(run(&mut Cadence::new(), 5000, b_frames).1, 0);
        let jumps =
            |frame: u32| (frame * 3600).wrapping_add((frame / 100).wrapping_mul(0x1234_5678));
        assert_eq!(run(&mut Cadence::new(), 5000, jumps).1, 0);
    }

    #[test]
    fn stamps_that_count_milliseconds_are_taken_so_within_two_seconds() {
        let millis = |frame: u32| (u32::MAX - 10_000).wrapping_add(frame * 40);
        let (stamps, changes) = run(&mut Cadence::new(), 2000, millis);
        assert_eq!(changes, 1);
        let steps = steps(&stamps);
        let begin = steps.iter().rposition(|step| *step == 40).unwrap() + 2;
        assert!(begin < 50, "{begin}");
        assert!(steps[begin..].iter().all(|step| *step == 3600), "to the tick, over the wrap");
    }

    #[test]
    fn stamps_that_stand_still_are_replaced_by_the_times_of_arrival() {
        let (stamps, changes) = run(&mut Cadence::new(), 3000, |_| 7);
        assert_eq!(changes, 1);
        let begin = stamps.iter().position(|stamp| *stamp != 7).unwrap();
        assert!(begin < 50, "{begin}");
        let steps = steps(&stamps[begin..]);
        assert!(steps.iter().all(|step| (3000..4300).contains(step)), "{steps:?}");
        let sum: i64 = steps.iter().sum();
        assert!((sum - 3600 * steps.len() as i64).abs() < 9000, "no drift: {sum}");
    }

    #[test]
    fn stamps_that_count_microseconds_are_replaced_within_five_seconds() {
        let (stamps, changes) = run(&mut Cadence::new(), 2000, |frame| frame.wrapping_mul(40_000));
        assert_eq!(changes, 1);
        let steps = steps(&stamps);
        let begin = steps.iter().rposition(|step| *step == 40_000).unwrap() + 2;
        assert!(begin < 125, "{begin}");
        assert!(steps[begin..].iter().all(|step| (2900..4300).contains(step)), "{steps:?}");
    }

    /// A camera that sends what it kept: a second of the world in each eighth of one, for 1.9 s.
    #[test]
    fn a_burst_of_old_video_is_no_clock_that_races() {
        let start = runtime::now();
        let mut cadence = Cadence::new();
        for frame in 0..5000u32 {
            let arrival = if frame < 120 { frame * 16 } else { frame * 200 - 120 * 184 };
            let now = start + Duration::from_millis(u64::from(arrival));
            assert!(!cadence.tick(RtpTime(frame * 18_000), now).is_new, "frame {frame}");
        }
    }

    #[test]
    fn a_clock_that_counts_frames_at_night_is_found_within_twenty_seconds() {
        // 25 frames a second by their stamps, 12.5 by their arrival.
        let (stamps, changes) = run(&mut Cadence::new(), 2000, |frame| frame * 1800);
        assert_eq!(changes, 1);
        let steps = steps(&stamps);
        assert!(steps.iter().position(|step| *step > 2500).unwrap() < 500);
        assert!(steps[600..].iter().all(|step| (3200..4000).contains(step)));
    }

    #[test]
    fn an_hour_of_a_wrong_clock_is_an_hour_long() {
        for percent in [55u32, 76, 84, 90, 97, 99, 101, 103, 110, 125, 200] {
            let step = 36 * percent;
            let (stamps, _) = run(&mut Cadence::new(), 90_000, |frame| frame.wrapping_mul(step));
            let length: i64 = steps(&stamps).iter().sum();
            let off = (length - 90_000 * 3600).abs() as f64 / (90_000.0 * 36.0);
            assert!(off < 1.0, "{percent} %: off by {off} %");
        }
    }

    #[test]
    fn a_clock_that_stood_still_once_for_long_is_not_stretched_for_it() {
        let start = runtime::now();
        let mut cadence = Cadence::new();
        for frame in 0..10_000u32 {
            // Twenty seconds of which it counts none, after each of the first two minutes.
            let still = 20_000 * (frame / 1500).min(2);
            let now = start + Duration::from_millis(u64::from(frame * 40 + still));
            let tick = cadence.tick(RtpTime(frame * 3600), now);
            assert!(!tick.is_new, "frame {frame}");
        }
    }

    #[test]
    fn a_clock_that_was_wrong_for_minutes_leads_nothing_astray_when_it_is_right_again() {
        for (before, wrong) in [(25 * 90, 1800), (25 * 300, 0), (25 * 90, 3060)] {
            let stamp =
                |frame: u32| frame.min(before) * wrong + frame.saturating_sub(before) * 3600;
            let (stamps, _) = run(&mut Cadence::new(), before + 25 * 600, stamp);
            // But for the seam, which the timeline closes.
            let rest = steps(&stamps[before as usize + 25 * 60..]);
            let wrong_steps = rest.iter().filter(|step| **step != 3600).count();
            assert!(wrong_steps <= 1, "{before} {wrong}: {wrong_steps}");
        }
    }

    #[test]
    fn a_clock_that_is_right_again_is_believed_again() {
        let mended = |frame: u32| if frame < 500 { 0 } else { frame * 3600 };
        let (stamps, changes) = run(&mut Cadence::new(), 1000, mended);
        assert_eq!(changes, 2);
        assert_eq!(stamps[999], 999 * 3600);
    }

    #[test]
    fn a_network_that_stalls_and_catches_up_changes_nothing() {
        let start = runtime::now();
        let mut cadence = Cadence::new();
        for frame in 0..20_000u32 {
            // Every 20 s nothing comes for 5 s, and then all at once.
            let (round, place) = (frame * 40 / 20_000, frame * 40 % 20_000);
            let arrival = round * 20_000 + if place < 5000 { 5000 } else { place };
            let now = start + Duration::from_millis(u64::from(arrival));
            assert!(!cadence.tick(RtpTime(frame * 3600), now).is_new, "frame {frame}");
        }
    }

    #[test]
    fn video_played_faster_than_filmed_is_left_alone() {
        let start = runtime::now();
        let mut cadence = Cadence::new();
        for frame in 0..20_000u32 {
            let now = start + Duration::from_millis(u64::from(frame) * 10);
            assert!(!cadence.tick(RtpTime(frame * 3600), now).is_new);
        }
    }

    #[test]
    fn the_next_run_of_such_a_camera_begins_as_the_last_one_ended() {
        let mut cadence = Cadence::new();
        run(&mut cadence, 500, |frame| frame * 40);
        cadence.begin_run(RtpTime(77), runtime::now());
        let (stamps, changes) = run(&mut cadence, 500, |frame| 77 + frame * 40);
        assert_eq!(changes, 0);
        assert!(steps(&stamps).iter().all(|step| *step == 3600));
        let mut cadence = Cadence::new();
        run(&mut cadence, 500, |_| 0);
        cadence.begin_run(RtpTime(0), runtime::now());
        let (stamps, changes) = run(&mut cadence, 500, |_| 0);
        assert_eq!(changes, 0);
        assert!(steps(&stamps).iter().all(|step| (2900..4500).contains(step)));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_camera_sends_is_too_much(
            frames in proptest::collection::vec((proptest::num::u32::ANY, 0u64..10_000), 1..300),
        ) {
            let mut cadence = Cadence::new();
            let mut now = runtime::now();
            for (stamp, millis) in frames {
                now += Duration::from_millis(millis);
                cadence.tick(RtpTime(stamp), now);
            }
        }
    }
}
