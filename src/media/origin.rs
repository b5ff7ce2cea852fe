//! Origin: when a run's time line started on our clock, judging by the least delayed frames.
//!
//! A frame arrives after it was filmed; most of its delay comes from the network, a stall, or a
//! server that buffers the last seconds. So the earliest frames determine the time line.
//! Knows nothing of: wall time, stamps.

use crate::{
    limits,
    units::{TICKS_PER_SECOND, Ticks},
};
use std::time::{Duration, Instant};

/// The time line of the current run.
#[derive(Debug, Default)]
pub struct Origin {
    run: u32,
    /// When the run's first frame arrived; the times below count from there.
    zero: Option<Instant>,
    /// The time of that frame.
    base: Ticks,
    /// The least delay of the current span and of the previous one, because a camera's clock
    /// drifts.
    delay: Ticks,
    delay_before: Option<Ticks>,
    /// When the current span began.
    since: Ticks,
    growth: Growth,
    /// When the delay last fell by more than jitter, and to what.
    fell: (Ticks, Ticks),
    /// How much of 1024 ticks before `base` really passed, if not all.
    earlier: Option<i64>,
}

/// Whether frames arrive later and later: the camera's clock is slow.
#[derive(Debug, Default)]
struct Growth {
    /// When the current span began, its least delay, and that of the previous span.
    since: Ticks,
    least: Ticks,
    before: Ticks,
    /// Consecutive spans in which the least delay rose.
    rises: u32,
    /// The delay of the newest frame.
    newest: Ticks,
}

impl Growth {
    fn from(delay: Ticks) -> Growth {
        Growth { least: delay, before: delay, newest: delay, ..Growth::default() }
    }

    fn note(&mut self, delay: Ticks, now: Ticks) {
        self.newest = delay;
        if now - self.since < RISE_SPAN {
            self.least = self.least.min(delay);
            return;
        }
        self.rises = if self.least - self.before > RISE_MIN { self.rises + 1 } else { 0 };
        (self.since, self.before, self.least) = (now, self.least, delay);
    }
}

impl Origin {
    pub fn begin_run(&mut self, run: u32) {
        *self = Origin { run, ..Origin::default() };
    }

    /// Records when a frame of that time arrived.
    pub fn note(&mut self, time: Ticks, now: Instant) {
        let Some(zero) = self.zero else {
            (self.zero, self.base) = (Some(now), time);
            (self.delay, self.fell) = (-time, (Ticks::ZERO, -time));
            self.growth = Growth::from(-time);
            return;
        };
        let now = ticks(now.saturating_duration_since(zero));
        let delay = now - time;
        if now - self.since >= SPAN {
            (self.delay_before, self.delay, self.since) = (Some(self.delay), delay, now);
        }
        self.delay = self.delay.min(delay);
        self.growth.note(delay, now);
        if delay + JITTER < self.fell.1 {
            self.fell = (now, delay);
        }
    }

    /// The camera's clock turned out to be wrong. If it was fast, times so far are not what passed.
    pub fn disbelieve(&mut self, now: Instant) {
        let (Some(zero), Some(latest)) = (self.zero, self.latest(now)) else { return };
        let elapsed = ticks(now.saturating_duration_since(zero));
        let counted = latest - self.base;
        let is_fast = elapsed - self.fell.0 < STILL_MIN && counted > elapsed;
        self.earlier = is_fast.then(|| elapsed.0 * WHOLE / counted.0);
    }

    /// The time line continues from elsewhere.
    pub fn forget(&mut self) {
        (self.zero, self.delay_before, self.since) = (None, None, Ticks::ZERO);
    }

    /// Returns the time of what is being filmed now.
    pub fn latest(&self, now: Instant) -> Option<Ticks> {
        let now = ticks(now.saturating_duration_since(self.zero?));
        if self.growth.rises >= RISES_MIN {
            return Some(now - self.growth.newest);
        }
        Some(now - self.delay_before.map_or(self.delay, |before| before.min(self.delay)))
    }

    /// The same, of that run alone.
    pub fn latest_of(&self, run: u32, now: Instant) -> Option<Ticks> {
        self.latest(now).filter(|_| run == self.run)
    }

    /// Returns how long ago a time of a run was, as far as known.
    pub fn age(&self, run: u32, time: Ticks, now: Instant) -> Option<Ticks> {
        let latest = self.latest_of(run, now)?;
        let before = self.earlier.filter(|_| time < self.base);
        if let Some(share) = before {
            return Some(latest - self.base + Ticks((self.base - time).0 * share / WHOLE));
        }
        let age = (latest - time).max(Ticks::ZERO);
        let elapsed = ticks(now.saturating_duration_since(self.zero?));
        // Frames that arrive earlier and earlier for longer than a burst lasts: the camera's clock
        // is fast, and only the arrival counts.
        let is_fast = (ticks(limits::BURST_TIMEOUT)..FAST_SPAN).contains(&elapsed)
            && elapsed - self.fell.0 < STILL_MIN
            && latest - self.base > elapsed;
        Some(if is_fast { Ticks(age.0 * elapsed.0 / (latest - self.base).0) } else { age })
    }

    /// Returns true while frames of the run keep arriving earlier: a server is sending its buffer.
    pub fn is_settling(&self, run: u32, now: Instant) -> bool {
        self.zero.filter(|_| run == self.run).is_some_and(|zero| {
            let now = now.saturating_duration_since(zero);
            now < limits::BURST_TIMEOUT && ticks(now) - self.fell.0 < STILL_MIN
        })
    }
}

/// Converts a span of our clock to ticks.
pub(super) fn ticks(span: Duration) -> Ticks {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX / TICKS_PER_SECOND);
    Ticks(micros * (TICKS_PER_SECOND / 10_000) / 100)
}

/// A delay counts for up to twice this long.
const SPAN: Ticks = Ticks::from_seconds(10);
/// A clock is known to be fast by arrivals from the beginning of the run, for this long.
const FAST_SPAN: Ticks = Ticks::from_seconds(30);
/// A clock is slow if the least delay of a span as long as this …
const RISE_SPAN: Ticks = Ticks::from_seconds(2);
/// … rises by so much, …
const RISE_MIN: Ticks = Ticks(TICKS_PER_SECOND / 20);
/// … this many times in a row. A network that delays frames more and more looks alike, but soon
/// reaches its limit.
const RISES_MIN: u32 = 3;
/// A larger decrease is not jitter.
const JITTER: Ticks = Ticks(TICKS_PER_SECOND / 10);
const WHOLE: i64 = 1024;
/// If the delay has not fallen for this long, it is the true one.
const STILL_MIN: Ticks = Ticks(TICKS_PER_SECOND * 7 / 10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    #[test]
    fn the_frame_with_the_least_delay_tells_when_a_run_began() {
        let (start, mut origin) = (runtime::now(), Origin::default());
        let at = |millis| start + Duration::from_millis(millis);
        origin.begin_run(7);
        assert!(!origin.is_settling(7, start), "nothing came");
        for frame in 0..250 {
            origin.note(Ticks(frame * 3600), at(frame as u64)); // ten seconds within 250 ms
            assert!(origin.is_settling(7, at(frame as u64)));
        }
        for frame in 250..300 {
            origin.note(Ticks(frame * 3600), at(250 + (frame as u64 - 249) * 40));
        }
        assert!(!origin.is_settling(7, at(2250)));
        let age = origin.age(7, Ticks::ZERO, at(2250)).unwrap();
        assert!((age - Ticks::from_seconds(12)).as_millis().abs() < 50, "{age:?}");
        assert_eq!(
            (origin.age(8, Ticks::ZERO, at(2250)), origin.is_settling(8, start)),
            (None, false)
        );
    }

    #[test]
    fn a_clock_that_is_fast_does_not_put_the_beginning_of_a_run_too_early() {
        let (start, mut origin) = (runtime::now(), Origin::default());
        let at = |millis| start + Duration::from_millis(millis);
        for rate in [133, 150, 200, 400] {
            origin.begin_run(1);
            for frame in 0..110i64 {
                origin.note(Ticks(frame * 36 * rate), at(frame as u64 * 40));
            }
            assert!(!origin.is_settling(1, at(4360)));
            let age = origin.age(1, Ticks::ZERO, at(4360)).unwrap();
            assert!((age.as_millis() - 4360).abs() < 100, "{rate}: {age:?}");
            let age = origin.age(1, Ticks(50 * 36 * rate), at(4360)).unwrap();
            assert!((age.as_millis() - 2360).abs() < 100, "{rate}: {age:?}");
        }
    }

    #[test]
    fn a_clock_found_to_be_fast_does_not_put_the_beginning_of_its_run_too_early() {
        let (start, mut origin) = (runtime::now(), Origin::default());
        let at = |millis| start + Duration::from_millis(millis);
        origin.begin_run(1);
        for frame in 0..105i64 {
            origin.note(Ticks(frame * 40_000), at(frame as u64 * 40)); // microseconds
        }
        origin.disbelieve(at(4200));
        origin.forget();
        for frame in 105..130i64 {
            origin.note(Ticks(104 * 40_000 + (frame - 104) * 3600), at(frame as u64 * 40));
        }
        let age = |time| origin.age(1, Ticks(time), at(5200)).unwrap().as_millis();
        for (time, expected) in [(0, 5200), (52 * 40_000, 3120), (104 * 40_000 + 3600, 1000)] {
            assert!((age(time) - expected).abs() < 200, "{time}: {} ms", age(time));
        }
    }

    #[test]
    fn a_clock_that_is_slow_puts_no_recording_too_early() {
        let (start, mut origin) = (runtime::now(), Origin::default());
        for (rate, frame_millis) in
            [(50, 40u64), (70, 100), (90, 40), (95, 200), (98, 40), (99, 40)]
        {
            origin.begin_run(1);
            for frame in 0..60_000 / frame_millis {
                let millis = frame * frame_millis;
                let now = start + Duration::from_millis(millis.next_multiple_of(100));
                let time = Ticks((millis * 90 * rate / 100) as i64);
                origin.note(time, now);
                let age = origin.age(1, time, now).unwrap().as_millis();
                assert!(millis < 9000 || age <= 500, "{rate}: {age} ms at {millis}");
            }
        }
    }

    #[test]
    fn a_network_that_delays_frames_ever_more_for_some_seconds_is_no_slow_clock() {
        let (start, mut origin) = (runtime::now(), Origin::default());
        origin.begin_run(1);
        for frame in 0..500 {
            let late = if (250..350).contains(&frame) { (frame - 250) * 20 } else { 0 };
            let now = start + Duration::from_millis(frame * 40 + late);
            origin.note(Ticks(frame as i64 * 3600), now);
            let age = origin.age(1, Ticks(frame as i64 * 3600), now).unwrap().as_millis();
            assert!((age - late as i64).abs() < 50, "{age} ms at {frame}");
        }
    }

    #[test]
    fn delays_are_forgotten_after_some_time() {
        let (start, mut origin) = (runtime::now(), Origin::default());
        origin.begin_run(1);
        for second in 0..300 {
            // A clock that is slow by 1 %, and frames that are late by 0 to 6 s.
            let late = Duration::from_millis(second * 10 + second % 7 * 1000);
            origin.note(
                Ticks::from_seconds(second as i64),
                start + Duration::from_secs(second) + late,
            );
        }
        let latest = origin.latest(start + Duration::from_secs(303)).unwrap();
        assert!((latest - Ticks::from_seconds(300)).as_millis().abs() < 700, "{latest:?}");
    }
}
