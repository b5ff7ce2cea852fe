//! Time: 32-bit RTP stamps in decode order in, presentation and decode times out.
//!
//! A presentation time is the RTP stamp itself, unwrapped and counted from the run's first frame.
//! RTP carries no decode times; they are the presentation times in sorted order, shifted by the
//! reorder depth: the frame that is decoded i-th gets the (i - depth)-th smallest presentation time.
//! So they need no look-ahead, and never exceed the presentation time of a stream that keeps its depth.
//! Knows nothing of: wall time, codecs, what a frame holds.

use super::FrameKind;
use crate::{
    limits,
    units::{RtpTime, Ticks},
};

/// The times of one run.
pub struct Timeline {
    /// The largest presentation time so far and its stamp: what the next stamp is compared with.
    newest: Option<(RtpTime, Ticks)>,
    /// Presentation times that no frame got as its decode time yet, sorted, at most the depth.
    waiting: Vec<Ticks>,
    depth: Depth,
    /// Frames since [`Timeline::restart`], counted up to the depth.
    filled: usize,
    /// The next stamp can not be compared with those before.
    is_broken_off: bool,
    last_decode: Option<Ticks>,
    /// The last distance between decode times that a frame had.
    frame_duration: Ticks,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Depth {
    /// The SPS says so.
    Known(usize),
    /// Grows with what is seen.
    Seen(usize),
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
    /// The camera's clock jumped before this frame; time goes on as if by one frame.
    Jumped,
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline {
            newest: None,
            waiting: Vec::with_capacity(limits::REORDER_FRAMES_MAX + 1),
            depth: Depth::Seen(0),
            filled: 0,
            is_broken_off: false,
            last_decode: None,
            frame_duration: FRAME_DURATION_DEFAULT,
        }
    }

    /// Takes over what the SPS says of the reorder depth (pictures) and the frame rate.
    pub fn configure(&mut self, reorder: Option<u8>, frame_duration: Option<Ticks>) {
        self.depth = match (reorder, self.depth) {
            (Some(depth), _) => Depth::Known(usize::from(depth).min(limits::REORDER_FRAMES_MAX)),
            (None, Depth::Known(_)) => Depth::Seen(0),
            (None, seen) => seen,
        };
        if self.last_decode.is_none()
            && let Some(duration) = frame_duration
        {
            self.frame_duration = duration;
        }
        self.restart();
    }

    /// Forgets the frames that wait: what comes next does not follow what came before (a loss).
    pub fn restart(&mut self) {
        self.waiting.clear();
        self.filled = 0;
    }

    /// What comes next is counted in another way: it is taken for a jump.
    pub fn break_off(&mut self) {
        self.is_broken_off = true;
    }

    /// The stamp of a frame that is left out: keeps the count of wraps right.
    pub fn pass(&mut self, stamp: RtpTime) {
        if let Some((newest_stamp, newest)) = self.newest {
            let step = stamp.since(newest_stamp);
            if step > Ticks::ZERO && step <= JUMP_MIN && !self.is_broken_off {
                self.newest = Some((stamp, newest + step));
            }
        }
    }

    /// Times the next frame in decode order. A key frame has all later frames behind it.
    pub fn stamp(&mut self, stamp: RtpTime, kind: FrameKind) -> Stamp {
        let (presentation, continuity) = self.presentation(stamp, kind);
        if self.newest.is_none_or(|(_, newest)| presentation >= newest) {
            self.newest = Some((stamp, presentation));
        }
        let decode = self.decode(presentation);
        if let Some(last) = self.last_decode {
            let step = decode - last;
            // The odd tick that keeps times increasing is no frame's duration.
            if step > FRAME_DURATION_MIN && step < JUMP_MIN {
                self.frame_duration = step;
            }
        }
        self.last_decode = Some(decode);
        Stamp { presentation, decode, continuity }
    }

    /// How long a frame lasts after which none comes: as long as the one before.
    pub fn frame_duration(&self) -> Ticks {
        self.frame_duration
    }

    fn presentation(&mut self, stamp: RtpTime, kind: FrameKind) -> (Ticks, Continuity) {
        let Some((newest_stamp, newest)) = self.newest else {
            return (Ticks::ZERO, Continuity::Goes);
        };
        let step = stamp.since(newest_stamp);
        let presentation = newest + step;
        let jumped = if std::mem::take(&mut self.is_broken_off) {
            true
        } else if step >= Ticks::ZERO {
            step > JUMP_MIN
        } else {
            match self.depth {
                Depth::Known(depth) => depth == 0 || !self.may_precede(presentation),
                Depth::Seen(_) => kind == FrameKind::Key || -step > REORDER_SEEN_MAX,
            }
        };
        if !jumped {
            if step < Ticks::ZERO
                && let Depth::Seen(depth) = self.depth
                && !self.may_precede(presentation)
            {
                self.depth = Depth::Seen((depth + 1).min(limits::REORDER_FRAMES_MAX));
            }
            return (presentation, Continuity::Goes);
        }
        self.restart();
        let presentation = newest + self.frame_duration;
        self.newest = Some((stamp, presentation));
        (presentation, Continuity::Jumped)
    }

    /// True if a frame shown then, decoded now, keeps the order of decode times.
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
            // The first frames after a start have no earlier ones to take a time from.
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

/// A step forward by more is no pause but another clock.
const JUMP_MIN: Ticks = Ticks::from_seconds(10);
/// How far back a frame may lie where the SPS is silent on reordering.
const REORDER_SEEN_MAX: Ticks = Ticks::from_seconds(2);
/// 25 fps, until the stream or its SPS says better.
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
                timeline.stamp(stamp, kind)
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
            let times = timeline.stamp(stamp, FrameKind::Delta);
            assert_eq!(times.presentation, Ticks(frame * 3600));
            assert_eq!(times.continuity, Continuity::Goes);
            stamp = RtpTime(stamp.0.wrapping_add(3600));
        }
    }

    #[test]
    fn a_jump_in_either_direction_goes_on_by_one_frame() {
        for jump in [-500_000i64, 10 * 90_000 + 3601, -3600] {
            let mut timeline = Timeline::new();
            timeline.configure(Some(0), None);
            run(&mut timeline, &[0, 1, 2], 1_000_000, 3600);
            let at = RtpTime((1_000_000 + 2 * 3600 + jump) as u32);
            let stamp = timeline.stamp(at, FrameKind::Delta);
            assert_eq!(stamp.continuity, Continuity::Jumped, "{jump}");
            assert_eq!(stamp.presentation, Ticks(3 * 3600));
            let next = timeline.stamp(RtpTime(at.0 + 3600), FrameKind::Delta);
            assert_eq!((next.presentation, next.continuity), (Ticks(4 * 3600), Continuity::Goes));
        }
    }

    #[test]
    fn stamps_that_are_counted_anew_go_on_by_one_frame() {
        let mut timeline = Timeline::new();
        run(&mut timeline, &[0, 1], 0, 3600);
        timeline.break_off();
        timeline.pass(RtpTime(9000)); // left out: says nothing
        let stamp = timeline.stamp(RtpTime(10_800), FrameKind::Delta);
        assert_eq!((stamp.presentation, stamp.continuity), (Ticks(7200), Continuity::Jumped));
        let stamp = timeline.stamp(RtpTime(14_400), FrameKind::Delta);
        assert_eq!((stamp.presentation, stamp.continuity), (Ticks(10_800), Continuity::Goes));
    }

    #[test]
    fn a_pause_of_ten_seconds_is_no_jump() {
        let mut timeline = Timeline::new();
        run(&mut timeline, &[0, 1], 0, 3600);
        let stamp = timeline.stamp(RtpTime(3600 + 900_000), FrameKind::Delta);
        assert_eq!((stamp.presentation, stamp.continuity), (Ticks(903_600), Continuity::Goes));
    }

    #[test]
    fn times_that_stand_still_still_give_increasing_decode_times() {
        let stamps = run(&mut Timeline::new(), &[0, 1, 1, 1, 2, 3], 0, 3600);
        assert_in_order(&stamps);
        assert_eq!(stamps[2].presentation, Ticks(3600));
    }

    #[test]
    fn after_a_loss_decode_times_follow_the_frames_that_are_there() {
        let mut timeline = Timeline::new();
        timeline.configure(Some(2), Some(Ticks(3600)));
        run(&mut timeline, &[0, 4, 2, 1, 3, 8], 0, 3600);
        timeline.pass(RtpTime(20 * 3600));
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
                let times = timeline.stamp(RtpTime(stamp), kind);
                proptest::prop_assert!(last.is_none_or(|last| last < times.decode));
                last = Some(times.decode);
            }
        }
    }
}
