//! Time: 32-bit RTP stamps in decode order in, presentation and decode times out.
//!
//! A presentation time is the RTP stamp itself, unwrapped and counted from the run's first frame. A
//! stamp that cannot follow the previous ones is one bad time: its frame is placed one frame after
//! the newest, and the next stamp is compared with the last one believed. Only if stamps continue
//! from there did the clock jump; time then continues without a gap.
//!
//! RTP carries no decode times; they are the presentation times in sorted order, shifted by the
//! reorder depth: the i-th frame decoded gets the (i - depth)-th smallest presentation time. So
//! they need no look-ahead, and never exceed the presentation time of a stream that keeps its
//! depth.
//! Knows nothing of: wall time, codecs, a frame's content.

use super::FrameKind;
use crate::{
    limits,
    units::{RtpTime, TICKS_PER_SECOND, Ticks},
};

/// The times of one run.
pub struct Timeline {
    /// The newest stamp believed and its time, with which the next stamp is compared.
    newest: Option<Mark>,
    /// The one before it.
    before: Option<Mark>,
    /// Frames since the newest, and frames between it and the one before, including itself.
    frames: i64,
    frames_before: i64,
    /// Something was lost since the newest.
    has_lost: bool,
    /// Consecutive frames displayed after all earlier ones, counted up to [`FORWARD_FRAMES`].
    forward: u32,
    /// The shortest recent distance between frames.
    pace: Ticks,
    stray: Option<Stray>,
    /// The largest presentation time so far.
    last_shown: Ticks,
    /// Sorted presentation times not yet used as decode times, at most the depth.
    waiting: Vec<Ticks>,
    depth: Depth,
    /// Frames since [`Timeline::restart`], counted up to the depth.
    filled: usize,
    /// The next stamp cannot be compared with earlier ones.
    is_broken_off: bool,
    last_decode: Option<Ticks>,
    /// The last distance between decode times.
    frame_duration: Ticks,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Depth {
    /// Stated by the SPS.
    Known(usize),
    /// Grows with what is observed.
    Seen(usize),
}

/// A stamp and its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    stamp: RtpTime,
    time: Ticks,
}

/// Stamps that do not follow the newest: bad ones, or a clock that jumped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stray {
    newest: Mark,
    /// Frames that continue from the first of them.
    frames: u32,
    /// [`Timeline::stamp`]'s `latest` for the newest.
    latest: Option<Ticks>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub presentation: Ticks,
    pub decode: Ticks,
    pub continuity: Continuity,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Continuity {
    Goes,
    /// The camera's clock jumped before this frame or a few frames earlier; time continues.
    Jumped,
}

impl Mark {
    fn at(self, stamp: RtpTime) -> Ticks {
        self.time + stamp.since(self.stamp)
    }
}

impl Stray {
    fn goes_on_with(&self, stamp: RtpTime, latest: Option<Ticks>) -> bool {
        let step = stamp.since(self.newest.stamp);
        let longest = match (self.latest, latest) {
            (Some(then), Some(now)) => now - then + EARLY_MAX,
            _ => PAUSE_MAX,
        };
        step >= -REORDER_MAX && step <= longest
    }
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline {
            newest: None,
            before: None,
            frames: 0,
            frames_before: 1,
            has_lost: false,
            forward: 0,
            pace: FRAME_DURATION_DEFAULT,
            stray: None,
            last_shown: Ticks::ZERO,
            waiting: Vec::with_capacity(limits::REORDER_FRAMES_MAX + 1),
            depth: Depth::Seen(0),
            filled: 0,
            is_broken_off: false,
            last_decode: None,
            frame_duration: FRAME_DURATION_DEFAULT,
        }
    }

    /// Applies the reorder depth (in pictures) and the frame rate of the SPS.
    pub fn configure(&mut self, reorder: Option<u8>, frame_duration: Option<Ticks>) {
        self.depth = match (reorder, self.depth) {
            (Some(depth), _) => Depth::Known(usize::from(depth).min(limits::REORDER_FRAMES_MAX)),
            (None, Depth::Known(_)) => Depth::Seen(0),
            (None, seen) => seen,
        };
        if self.last_decode.is_none()
            && let Some(duration) = frame_duration
        {
            (self.frame_duration, self.pace) = (duration, duration);
        }
        self.restart();
    }

    /// Forgets waiting frames: the next one does not follow the previous ones (a loss).
    pub fn restart(&mut self) {
        self.waiting.clear();
        self.filled = 0;
    }

    /// Reports a loss: the next stamp may be ahead by the length of the loss although it arrives
    /// sooner (a server that sends its buffer as fast as it can).
    pub fn lose(&mut self) {
        self.has_lost = true;
    }

    /// The next stamp uses a different time base, so treat it as a discontinuity.
    pub fn break_off(&mut self) {
        self.is_broken_off = true;
    }

    /// Accounts for the stamp of a dropped frame, to keep the count of wraps right.
    pub fn pass(&mut self, stamp: RtpTime, latest: Option<Ticks>) {
        if let Some(newest) = self.newest {
            let mark = Mark { stamp, time: newest.at(stamp) };
            if mark.time > newest.time && !self.is_broken_off && self.may_follow(mark.time, latest)
            {
                self.believe(mark);
            }
        }
    }

    /// The time of a stamp on the same clock, valid within 6 hours of the newest frame.
    pub fn at(&self, stamp: RtpTime) -> Option<Ticks> {
        self.newest.map(|newest| newest.at(stamp))
    }

    /// The largest presentation time so far.
    pub fn newest(&self) -> Option<Ticks> {
        self.newest.map(|_| self.last_shown)
    }

    /// Determines the time of the next frame in decode order. All later frames follow a key frame.
    /// `latest` is what is being filmed now on this time line, judging by the least delayed frames.
    pub fn stamp(&mut self, stamp: RtpTime, kind: FrameKind, latest: Option<Ticks>) -> Stamp {
        let (presentation, continuity) = self.presentation(stamp, kind, latest);
        self.last_shown = self.last_shown.max(presentation);
        let decode = self.decode(presentation);
        if let Some(last) = self.last_decode {
            let step = decode - last;
            // An occasional tick that keeps times increasing is not a frame's duration.
            if step > FRAME_DURATION_MIN && step <= PAUSE_MAX {
                self.frame_duration = step;
            }
        }
        self.last_decode = Some(decode);
        Stamp { presentation, decode, continuity }
    }

    /// The duration of a frame without a successor: that of the previous frame.
    pub fn frame_duration(&self) -> Ticks {
        self.frame_duration
    }

    fn presentation(
        &mut self,
        stamp: RtpTime,
        kind: FrameKind,
        latest: Option<Ticks>,
    ) -> (Ticks, Continuity) {
        let Some(newest) = self.newest else {
            self.newest = Some(Mark { stamp, time: Ticks::ZERO });
            return (Ticks::ZERO, Continuity::Goes);
        };
        if std::mem::take(&mut self.is_broken_off) {
            let time = self.in_order(self.last_shown + self.stride());
            self.jump(Mark { stamp, time });
            return (time, Continuity::Jumped);
        }
        self.frames += 1;
        // Stamps that go on by less than any camera's frames last stand still, or nearly so: they
        // count frames or milliseconds.
        let step = stamp.since(newest.stamp);
        let is_still = (0..FRAME_DURATION_MIN.0 * self.frames).contains(&step.0);
        let step = if is_still { Ticks::ZERO } else { step };
        let time = newest.time + step;
        let is_believed = match step.0 {
            0 => true,
            1.. => self.may_follow(time, latest) && !self.is_far_behind(time),
            _ => kind == FrameKind::Delta && self.is_reordered(time),
        };
        if !is_believed {
            return self.doubt(stamp, latest);
        }
        self.stray = None;
        let time = if step == Ticks::ZERO { self.shared(time) } else { time };
        let time = self.in_order(time);
        if step > Ticks::ZERO {
            self.believe(Mark { stamp, time: newest.at(stamp) });
        } else if step < Ticks::ZERO {
            self.forward = 0;
        }
        (time, Continuity::Goes)
    }

    /// Handles a stamp that does not follow: its frame is the next one, or continues others of its
    /// kind.
    fn doubt(&mut self, stamp: RtpTime, latest: Option<Ticks>) -> (Ticks, Continuity) {
        let first = self.last_shown + self.stride();
        let (time, frames) = match self.stray {
            Some(stray) if stray.goes_on_with(stamp, latest) => {
                (stray.newest.at(stamp), stray.frames + 1)
            }
            _ => (first, 1),
        };
        let time = self.in_order(time);
        let mark = match self.stray {
            // A frame displayed earlier.
            Some(stray) if frames > 1 && time < stray.newest.time => stray.newest,
            _ => Mark { stamp, time },
        };
        if frames < JUMP_FRAMES {
            self.stray = Some(Stray { newest: mark, frames, latest });
            return (time, Continuity::Goes);
        }
        // If they follow the last but one, the newest was the bad one.
        let mended = self.before.filter(|before| {
            let step = stamp.since(before.stamp);
            let is_near = time - before.at(stamp) <= MENDED_MAX;
            step > Ticks::ZERO && step <= REORDER_MAX && is_near && self.depth_frames() == 0
        });
        self.jump(mended.map_or(mark, |before| Mark { stamp, time: before.at(stamp) }));
        (time, if mended.is_some() { Continuity::Goes } else { Continuity::Jumped })
    }

    /// Continues from another mark.
    fn jump(&mut self, to: Mark) {
        (self.newest, self.before, self.stray) = (Some(to), None, None);
        self.last_shown = to.time;
        (self.frames, self.frames_before) = (0, 1);
    }

    fn believe(&mut self, mark: Mark) {
        if let Some(newest) = self.newest {
            let step = Ticks((mark.time - newest.time).0 / self.frames.max(1));
            let slower = Ticks(self.pace.0 + self.pace.0 / 8 + 1);
            let step = if self.before.is_some() { step.min(slower) } else { step.min(PAUSE_MAX) };
            self.pace = step.max(FRAME_DURATION_MIN);
        }
        (self.before, self.newest) = (self.newest, Some(mark));
        self.has_lost = false;
        (self.frames_before, self.frames) = (self.frames.max(1), 0);
        self.forward = (self.forward + 1).min(FORWARD_FRAMES);
    }

    /// From the last but one believed time to the newest.
    fn advance(&self) -> Ticks {
        match (self.before, self.newest) {
            (Some(before), Some(newest)) => newest.time - before.time,
            _ => self.pace,
        }
    }

    /// How far after the newest a frame of unknown time is placed.
    fn stride(&self) -> Ticks {
        if self.depth_frames() == 0 { self.pace } else { self.advance().min(PAUSE_MAX) }
    }

    /// The time of another frame with the newest's stamp: they share the time up to the next stamp,
    /// as estimated from earlier ones.
    fn shared(&self, newest: Ticks) -> Ticks {
        // The clock stands still, or nothing is known but the frame rate of the SPS.
        if self.frames >= i64::from(JUMP_FRAMES) || self.before.is_none() {
            return self.last_shown + self.pace;
        }
        let parts = self.frames + 1;
        newest
            + match self.depth_frames() {
                0 => Ticks(self.advance().0 * self.frames / parts.max(self.frames_before)),
                _ => Ticks(self.pace.0 * self.frames / parts),
            }
    }

    /// Returns true if a frame after the newest can have that time: no frame arrives before it was
    /// filmed.
    fn may_follow(&self, time: Ticks, latest: Option<Ticks>) -> bool {
        let step = time - self.newest.map_or(Ticks::ZERO, |newest| newest.time);
        step.0 <= (self.advance().0 * 2).min(PAUSE_MAX.0)
            || (self.has_lost && step <= LOST_MAX)
            || latest.map_or(step <= PAUSE_MAX, |latest| time <= latest + EARLY_MAX)
    }

    /// Returns true if a frame decoded now can be displayed before the newest.
    fn is_reordered(&mut self, time: Ticks) -> bool {
        if self.is_far_behind(time) {
            return false;
        }
        match self.depth {
            // A bad time may have led decode times too far: then the gap tells.
            Depth::Known(depth) => depth > 0 && (self.may_precede(time) || self.has_gap(time)),
            Depth::Seen(depth) => {
                let is_reordered = self.forward < FORWARD_FRAMES || self.has_gap(time);
                if is_reordered && !self.may_precede(time) {
                    self.depth = Depth::Seen((depth + 1).min(limits::REORDER_FRAMES_MAX));
                }
                is_reordered
            }
        }
    }

    /// Returns true if a frame is missing between the newest two, where this time is.
    fn has_gap(&self, time: Ticks) -> bool {
        self.advance().0 * 2 >= self.pace.0 * 3
            && self.before.is_some_and(|before| time > before.time)
    }

    /// Returns true if the time lies further behind the last one shown than reordering explains:
    /// frames were counted on while their stamp stood still.
    fn is_far_behind(&self, time: Ticks) -> bool {
        let longest = self.advance().0.saturating_mul(1 + self.depth_frames() as i64);
        (self.last_shown - time).0 > longest.clamp(REORDER_MAX.0, PAUSE_MAX.0)
    }

    /// Without reordering, no frame is displayed before one decoded earlier.
    fn in_order(&self, time: Ticks) -> Ticks {
        match self.last_decode {
            Some(last) if self.depth_frames() == 0 && time <= last => {
                last + Ticks((self.pace.0 / 2).clamp(1, FRAME_DURATION_DEFAULT.0 / 2))
            }
            _ => time,
        }
    }

    /// Returns true if a frame displayed then and decoded now keeps decode times in order.
    fn may_precede(&self, presentation: Ticks) -> bool {
        self.filled < self.depth_frames() || self.last_decode.is_none_or(|last| presentation > last)
    }

    fn depth_frames(&self) -> usize {
        match self.depth {
            Depth::Known(depth) | Depth::Seen(depth) => depth,
        }
    }

    fn decode(&mut self, presentation: Ticks) -> Ticks {
        let depth = self.depth_frames();
        let at = self.waiting.partition_point(|&other| other <= presentation);
        self.waiting.insert(at, presentation);
        let earliest = if self.waiting.len() > depth {
            self.waiting.remove(0)
        } else {
            // The first frames after a start have no earlier ones from which to take a time.
            let missing = i64::try_from(depth + 1 - self.waiting.len()).unwrap_or(0);
            Ticks(self.waiting[0].0 - self.frame_duration.0 * missing)
        };
        self.filled = (self.filled + 1).min(limits::REORDER_FRAMES_MAX);
        match self.last_decode {
            Some(last) if earliest <= last => last + Ticks(1),
            _ => earliest,
        }
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline::new()
    }
}

/// The longest pause between two frames of unknown arrival.
const PAUSE_MAX: Ticks = Ticks::from_seconds(40);
/// The longest part of a stream that may be lost at once.
const LOST_MAX: Ticks = Ticks::from_seconds(10);
/// How much sooner than the fastest one before it a frame may arrive.
const EARLY_MAX: Ticks = Ticks(TICKS_PER_SECOND / 2);
/// How late frames may have been because of a stamp that is taken back.
const MENDED_MAX: Ticks = Ticks(TICKS_PER_SECOND);
/// How far back a frame may be placed in any case.
const REORDER_MAX: Ticks = Ticks::from_seconds(2);
/// After this many consecutive frames that continue from a stamp that does not follow, the clock
/// jumped.
const JUMP_FRAMES: u32 = 4;
/// After this many frames without reordering, a frame displayed earlier needs a gap where it
/// belongs.
const FORWARD_FRAMES: u32 = 5;
/// 25 fps, until the stream or its SPS shows otherwise.
const FRAME_DURATION_DEFAULT: Ticks = Ticks(3600);
/// 1,000 fps: shorter steps are corrections, not frames.
const FRAME_DURATION_MIN: Ticks = Ticks(90);

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamps frames given by their place in presentation order, `duration` apart.
    fn run(timeline: &mut Timeline, order: &[i64], first: u32, duration: i64) -> Vec<Stamp> {
        order
            .iter()
            .enumerate()
            .map(|(index, &place)| {
                let kind = if index == 0 { FrameKind::Key } else { FrameKind::Delta };
                let stamp = RtpTime(first.wrapping_add((place * duration) as u32));
                timeline.stamp(stamp, kind, None)
            })
            .collect()
    }

    fn assert_in_order(stamps: &[Stamp]) {
        for pair in stamps.windows(2) {
            assert!(pair[0].decode < pair[1].decode, "{pair:?}");
        }
    }

    #[test]
    fn without_reordering_decode_time_is_presentation_time() {
        let stamps = run(&mut Timeline::new(), &[0, 1, 2, 3], 77, 3003);
        for (place, stamp) in stamps.iter().enumerate() {
            assert_eq!(
                (stamp.presentation, stamp.decode),
                (Ticks(3003 * place as i64), stamp.presentation)
            );
        }
    }

    #[test]
    fn b_frames_are_decoded_before_they_are_shown() {
        let mut timeline = Timeline::new();
        timeline.configure(Some(2), Some(Ticks(3600)));
        let order = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11];
        let stamps = run(&mut timeline, &order, u32::MAX - 5000, 3600);
        assert_in_order(&stamps);
        for (stamp, place) in stamps.iter().zip(order) {
            assert_eq!(stamp.presentation, Ticks(place * 3600));
            assert!(stamp.decode <= stamp.presentation);
            assert_eq!(stamp.continuity, Continuity::Goes);
        }
        assert_eq!(stamps[0].decode, Ticks(-7200));
        assert_eq!(stamps[4].decode, Ticks(2 * 3600));
    }

    #[test]
    fn a_depth_that_no_sps_tells_is_learned_within_a_picture_group() {
        let mut timeline = Timeline::new();
        timeline.configure(None, None);
        let order: Vec<i64> =
            (0..20).flat_map(|group| [3 * group, 3 * group - 2, 3 * group - 1]).skip(3).collect();
        let stamps = run(&mut timeline, &order, 0, 3600);
        assert_in_order(&stamps);
        for stamp in &stamps[12..] {
            assert!(stamp.decode <= stamp.presentation, "{stamp:?}");
        }
        assert!(stamps.iter().all(|stamp| stamp.continuity == Continuity::Goes));
    }

    #[test]
    fn a_wrap_is_no_jump_and_a_day_has_one_every_13_hours() {
        let mut timeline = Timeline::new();
        let mut stamp = RtpTime(0xffff_0000);
        for frame in 0..24 * 3600 * 25i64 {
            let times = timeline.stamp(stamp, FrameKind::Delta, None);
            assert_eq!(times.presentation, Ticks(frame * 3600));
            assert_eq!(times.continuity, Continuity::Goes);
            stamp = RtpTime(stamp.0.wrapping_add(3600));
        }
    }

    #[test]
    fn stamps_that_count_frames_or_milliseconds_go_on_by_frames_from_the_first_one_on() {
        for ticks in [1i64, 40, 45] {
            let (times, jumps) = off(Some(0), 100, |place| place * (ticks - 3600));
            assert_eq!(jumps, 0, "{ticks}");
            let behind = 99 * 3600 - times[99];
            assert!((0..3 * 3600).contains(&behind), "{ticks}: {behind} ticks too early");
        }
    }

    /// Frames 40 ms apart that come when they are filmed, each stamped that far from the truth; the
    /// presentation times, and how often the clock jumped.
    fn off(depth: Option<u8>, count: i64, off: impl Fn(i64) -> i64) -> (Vec<i64>, usize) {
        let mut timeline = Timeline::new();
        timeline.configure(depth, None);
        let stamps = (0..count).map(|place| {
            let kind = if place % 25 == 0 { FrameKind::Key } else { FrameKind::Delta };
            let stamp = RtpTime((20_000_000 + place * 3600 + off(place)) as u32);
            timeline.stamp(stamp, kind, Some(Ticks(place * 3600)))
        });
        let stamps: Vec<_> = stamps.collect();
        assert_in_order(&stamps);
        let jumps = stamps.iter().filter(|it| it.continuity == Continuity::Jumped).count();
        (stamps.iter().map(|it| it.presentation.0).collect(), jumps)
    }

    const SECOND: i64 = 90_000;

    #[test]
    fn a_jump_in_either_direction_has_no_seam() {
        for jump in [-500_000i64, 3600 * SECOND, -60 * SECOND, -SECOND / 2, 5 * SECOND] {
            for depth in [Some(0), None] {
                let (times, jumps) = off(depth, 100, |place| if place < 40 { 0 } else { jump });
                assert_eq!(times, (0..100).map(|place| place * 3600).collect::<Vec<_>>(), "{jump}");
                assert_eq!(jumps, 1, "{jump}");
            }
        }
    }

    #[test]
    fn one_bad_stamp_is_one_bad_time() {
        for off_by in [
            -3601i64,
            -4500,
            -3600 - SECOND / 2,
            -9800 * SECOND,
            -1800,
            -1,
            -3600,
            20 * SECOND,
            10_000 * SECOND,
        ] {
            for depth in [Some(0), None] {
                let is_bad = |place: i64| place % 25 == 12;
                let by = |place| if is_bad(place) { off_by } else { 0 };
                let (times, jumps) = off(depth, 1000, by);
                assert_eq!(jumps, 0, "{off_by}");
                for (place, time) in (0..).zip(times) {
                    let error = time - place * 3600;
                    assert!(if is_bad(place) { error.abs() <= 3600 } else { error == 0 });
                }
            }
        }
    }

    #[test]
    fn one_stamp_that_is_a_little_early_costs_the_times_of_few_frames() {
        for off_by in [3600, 9000, SECOND / 2] {
            let by = |place| if place % 100 == 12 { off_by } else { 0 };
            let (times, jumps) = off(Some(0), 1000, by);
            assert_eq!(jumps, 0, "{off_by}");
            let right = (0..).zip(&times).filter(|(place, time)| place * 3600 == **time).count();
            assert!(right > 650, "{off_by}: {right}");
            assert_eq!(times[999], 999 * 3600);
        }
    }

    #[test]
    fn one_bad_stamp_among_b_frames_is_one_bad_time() {
        const ORDER: [i64; 3] = [3, 1, 2];
        for off_by in [-1i64, -900, -SECOND / 2, -9800 * SECOND, 10_000 * SECOND] {
            for bad in [300, 301, 302] {
                let mut timeline = Timeline::new();
                timeline.configure(Some(2), None);
                let stamps: Vec<_> = (0..900)
                    .map(|index| {
                        let place = index / 3 * 3 + ORDER[index as usize % 3];
                        let off = if index == bad { off_by } else { 0 };
                        let stamp = RtpTime((place * 3600 + off) as u32);
                        (place, timeline.stamp(stamp, FrameKind::Delta, Some(Ticks(place * 3600))))
                    })
                    .collect();
                let first = stamps[0].0 * 3600;
                let wrong = stamps.iter().filter(|it| it.1.presentation.0 != it.0 * 3600 - first);
                assert!(wrong.count() <= 1, "{off_by} at {bad}");
                assert!(stamps.iter().all(|it| it.1.continuity == Continuity::Goes));
                assert_in_order(&stamps.iter().map(|it| it.1).collect::<Vec<_>>());
            }
        }
    }

    /// The SPS allows one picture less to be reordered than the bad stamp needs.
    #[test]
    fn one_bad_stamp_does_not_displace_the_b_frames_behind_it() {
        let group = |first: i64| {
            (1..24).step_by(3).flat_map(move |at| [at + 2, at, at + 1]).map(move |at| first + at)
        };
        let places: Vec<i64> =
            (0..8).flat_map(|nth| std::iter::once(nth * 25).chain(group(nth * 25))).collect();
        for off_by in [37_600 * SECOND, -9800 * SECOND, -4500, -SECOND / 2, -3601] {
            for (depth, bad) in
                [(Some(1), 37), (Some(1), 38), (Some(1), 39), (Some(2), 37), (None, 37)]
            {
                let mut timeline = Timeline::new();
                timeline.configure(depth, Some(Ticks(3600)));
                let wrong = (0..).zip(&places).filter(|(index, place)| {
                    let off = if index % 50 == bad { off_by } else { 0 };
                    let stamp = RtpTime((*place * 3600 + off) as u32);
                    let times = timeline.stamp(stamp, FrameKind::Delta, Some(Ticks(*index * 3600)));
                    times.presentation.0 != *place * 3600
                });
                // Two for each, where the bad stamp is nearly that of another frame.
                assert!(wrong.count() <= 8, "{off_by} at {bad}, {depth:?}");
            }
        }
    }

    #[test]
    fn two_or_three_pictures_of_one_stamp_share_its_time() {
        for (parts, first) in [(2, 0), (3, 0)] {
            let (times, _) = off(Some(0), 120, |place| -(place % parts * 3600));
            let steps: Vec<_> = times[first..].windows(2).map(|two| two[1] - two[0]).collect();
            assert!(steps.iter().all(|step| *step == 3600), "{parts}: {steps:?}");
        }
        let (times, _) = off(Some(0), 8, |place| if place == 4 { -3600 } else { 0 });
        assert_eq!(times[3..6], [3 * 3600, 3 * 3600 + 1800, 5 * 3600]);
    }

    #[test]
    fn stamps_that_make_no_sense_at_all_still_go_on_by_frames() {
        let (times, _) = off(Some(0), 1000, |place| place * place * 777_777_777);
        let mean = (times[999] - times[500]) / 499;
        assert!((1800..=3600).contains(&mean), "{mean}");
    }

    #[test]
    fn stamps_that_are_counted_anew_go_on_by_one_frame() {
        let mut timeline = Timeline::new();
        run(&mut timeline, &[0, 1], 0, 3600);
        timeline.break_off();
        timeline.pass(RtpTime(9000), None); // left out: says nothing
        let stamp = timeline.stamp(RtpTime(10_800), FrameKind::Delta, None);
        assert_eq!((stamp.presentation, stamp.continuity), (Ticks(7200), Continuity::Jumped));
        let stamp = timeline.stamp(RtpTime(14_400), FrameKind::Delta, None);
        assert_eq!((stamp.presentation, stamp.continuity), (Ticks(10_800), Continuity::Goes));
    }

    #[test]
    fn a_pause_of_half_a_minute_is_no_jump() {
        for latest in [None, Some(Ticks(3600 + 30 * SECOND))] {
            let mut timeline = Timeline::new();
            run(&mut timeline, &[0, 1], 0, 3600);
            let at = RtpTime((3600 + 30 * SECOND) as u32);
            let stamp = timeline.stamp(at, FrameKind::Delta, latest);
            let expected = (Ticks(3600 + 30 * SECOND), Continuity::Goes);
            assert_eq!((stamp.presentation, stamp.continuity), expected);
        }
    }

    #[test]
    fn times_that_stand_still_still_give_increasing_decode_times() {
        let stamps = run(&mut Timeline::new(), &[0, 1, 1, 1, 2, 3], 0, 3600);
        assert_in_order(&stamps);
        assert!(stamps[3].presentation < Ticks(7200));
        assert_eq!(stamps[4].presentation, Ticks(7200));
    }

    #[test]
    fn behind_stamps_that_stood_still_times_go_on_from_where_they_were() {
        for depth in [0, 2] {
            for then in [900i64, 3600, -900, -SECOND, 60 * SECOND] {
                let mut timeline = Timeline::new();
                timeline.configure(Some(depth), None);
                let still = [0, 8 * SECOND].into_iter().chain([8 * SECOND; 8]);
                let after = (0..100).map(|frame| 8 * SECOND + then + frame * 3600);
                let times: Vec<_> = still
                    .chain(after)
                    .map(|at| timeline.stamp(RtpTime(at as u32), FrameKind::Delta, None))
                    .map(|stamp| stamp.presentation.0)
                    .collect();
                let back = times.windows(2).map(|two| two[0] - two[1]).max().unwrap();
                assert!(back < SECOND, "{depth}, {then}: {back} ticks back");
                assert_eq!(times[109] - times[99], 10 * 3600, "{depth}, {then}");
            }
        }
    }

    #[test]
    fn after_a_loss_decode_times_follow_the_frames_that_are_there() {
        let mut timeline = Timeline::new();
        timeline.configure(Some(2), Some(Ticks(3600)));
        run(&mut timeline, &[0, 4, 2, 1, 3, 8], 0, 3600);
        timeline.pass(RtpTime(20 * 3600), None);
        timeline.restart();
        let stamps = run(&mut timeline, &[40, 44, 42, 41, 43, 48, 46], 0, 3600);
        assert_in_order(&stamps);
        assert_eq!(stamps[0].presentation, Ticks(40 * 3600));
        assert_eq!(stamps[0].decode, Ticks(38 * 3600));
        assert!(stamps.iter().all(|stamp| stamp.decode <= stamp.presentation));
    }

    proptest::proptest! {
        #[test]
        fn decode_times_increase_whatever_the_camera_sends(
            stamps in proptest::collection::vec((proptest::num::u32::ANY, proptest::bool::ANY), 1..300),
            depth in proptest::option::of(0u8..20),
        ) {
            let mut timeline = Timeline::new();
            timeline.configure(depth, None);
            let mut last = None;
            for (stamp, key) in stamps {
                let kind = if key { FrameKind::Key } else { FrameKind::Delta };
                let times = timeline.stamp(RtpTime(stamp), kind, None);
                proptest::prop_assert!(last.is_none_or(|last| last < times.decode));
                last = Some(times.decode);
            }
        }
    }
}
