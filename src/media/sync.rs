//! Sound on the video's time line: RTP stamps of two clocks and the camera's reports in, times out.
//!
//! A frame of sound begins where the one before ends, and lasts as long as its samples, so that a
//! player hears no seam. Where that leads away from the truth, because the two clocks drift, frames
//! last a few ticks more or less. Only where sound is missing its times leave a gap.
//!
//! The truth is what sender reports say (RFC 3550 §6.4.1: the same wall time on both clocks); until
//! there are some, or where they can not be believed, what comes at the same time belongs together.
//! Knows nothing of: what a frame holds, our own clocks.

use super::timeline::Timeline;
use crate::{rtp::rtcp::SenderReport, units::RtpTime};

/// Whose clock it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    Video,
    Audio,
}

/// The times of the sound of one run.
pub(super) struct AudioTimeline {
    clock_rate: u32,
    /// Stamp and count of the newest frame; the count is the audio clock's own, from its first frame.
    newest: Option<(RtpTime, i64)>,
    /// What its stamp should have been followed by: its count and its length.
    due: i64,
    /// End of the newest frame on the video's time line, in ticks of the audio clock.
    end: Option<i64>,
    /// The video's time line less the count, as far as is known.
    shift: i64,
    /// The reports that came last.
    video_report: Option<Report>,
    audio_report: Option<Report>,
    /// A shift far from ours: believed when it is measured twice.
    doubted: Option<i64>,
}

#[derive(Clone, Copy)]
struct Report {
    ntp: u64,
    stamp: RtpTime,
}

/// Where a frame lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub time: i64,
    pub duration: u32,
}

impl AudioTimeline {
    pub fn new(clock_rate: u32) -> AudioTimeline {
        AudioTimeline {
            clock_rate,
            newest: None,
            due: 0,
            end: None,
            shift: 0,
            video_report: None,
            audio_report: None,
            doubted: None,
        }
    }

    pub fn has_begun(&self) -> bool {
        self.end.is_some()
    }

    pub fn has_reports(&self) -> bool {
        self.video_report.is_some() && self.audio_report.is_some()
    }

    /// Takes in a sender report of one of the two tracks; true where sound lies by it from now on.
    pub fn report(&mut self, clock: Clock, report: &SenderReport, video: &Timeline) -> bool {
        let report = Some(Report { ntp: report.ntp, stamp: report.rtp_time });
        match clock {
            Clock::Video => self.video_report = report,
            Clock::Audio => self.audio_report = report,
        }
        match (self.end, self.measured(video)) {
            (Some(_), Some(measured)) => self.adopt(measured, video),
            _ => false,
        }
    }

    /// The video's clock jumped: what was reported of it is void.
    pub fn video_jumped(&mut self) {
        self.video_report = None;
    }

    /// The sound's stamps are made otherwise: what was reported of its clock is void.
    pub fn stamps_changed(&mut self) {
        self.audio_report = None;
    }

    /// Times the next frame, `ticks` long. `None` where it would begin before the end of the one
    /// before, or no video is there yet.
    pub fn stamp(&mut self, stamp: RtpTime, ticks: u32, video: &Timeline) -> Option<Span> {
        let video_newest = video.newest()?.at_rate(self.clock_rate);
        let count = match self.newest {
            None => 0,
            Some((newest, count)) => count + stamp.since(newest).0,
        };
        let step = count - self.due;
        let rate = i64::from(self.clock_rate);
        let has_jumped = self.newest.is_some() && (step < -rate || step > JUMP_SECONDS * rate);
        let count = if has_jumped { self.due } else { count };
        self.newest = Some((stamp, count));
        self.due = count + i64::from(ticks);
        if has_jumped {
            self.audio_report = None;
            self.shift = video_newest - count;
        }
        let Some(end) = self.end else {
            // Begins with the run: what comes together belongs together, unless reports know better.
            self.shift = video_newest - count;
            if let Some(measured) = self.measured(video).filter(|it| self.is_likely(*it, video)) {
                self.shift = measured;
            }
            return Some(self.put(count + self.shift, ticks));
        };
        let error = count + self.shift - end;
        let bound = i64::from(ticks).max(rate / 25);
        if error > bound || step > i64::from(ticks) / 2 && error > i64::from(ticks) / 2 {
            return Some(self.put(end + error, ticks)); // a gap: sound is missing
        }
        if error < -bound {
            return None;
        }
        let mut duration = i64::from(ticks);
        if error.abs() > duration / 4 {
            duration += (error / 64).clamp(-duration / 64, duration / 64);
        }
        Some(self.put(end, u32::try_from(duration).unwrap_or(ticks)))
    }

    fn put(&mut self, time: i64, duration: u32) -> Span {
        self.end = Some(time + i64::from(duration));
        Span { time, duration }
    }

    /// The shift, by what both reports say of the same moment.
    fn measured(&self, video: &Timeline) -> Option<i64> {
        let (video_report, audio_report) = (self.video_report?, self.audio_report?);
        let (newest, count) = self.newest?;
        let apart = audio_report.ntp.wrapping_sub(video_report.ntp).cast_signed();
        if apart.unsigned_abs() > REPORTS_APART_MAX {
            return None;
        }
        let apart = (i128::from(apart) * i128::from(self.clock_rate)) >> 32;
        let reported = video.at(video_report.stamp)?.at_rate(self.clock_rate);
        let count = count + audio_report.stamp.since(newest).0;
        Some(reported + i64::try_from(apart).ok()? - count)
    }

    /// Drift is followed at once. More is a camera's clock that was set between its two reports, or a
    /// beginning without reports: it counts when two measurements say the same.
    fn adopt(&mut self, measured: i64, video: &Timeline) -> bool {
        let near = i64::from(self.clock_rate) / 20;
        let is_near = |other: i64| (measured - other).abs() <= near;
        let is_confirmed = || self.doubted.is_some_and(is_near) && self.is_likely(measured, video);
        if is_near(self.shift) || is_confirmed() {
            (self.shift, self.doubted) = (measured, None);
            return true;
        }
        self.doubted = Some(measured);
        false
    }

    /// Sound and video that come together are of the same moment, give or take an encoder's delay;
    /// some cameras' reports say otherwise.
    fn is_likely(&self, shift: i64, video: &Timeline) -> bool {
        let (Some((_, count)), Some(newest)) = (self.newest, video.newest()) else { return false };
        let arrived = newest.at_rate(self.clock_rate) - count;
        (shift - arrived).abs() <= APART_SECONDS_MAX * i64::from(self.clock_rate)
    }
}

/// A step forward by more is no pause but another clock.
const JUMP_SECONDS: i64 = 10;
/// Sound and video of one moment come at most so far apart.
const APART_SECONDS_MAX: i64 = 3;
/// Reports that lie further apart, in 1/2^32 s, are not of one time: a minute.
const REPORTS_APART_MAX: u64 = 60 << 32;

#[cfg(test)]
#[path = "tests/sync.rs"]
mod tests;
