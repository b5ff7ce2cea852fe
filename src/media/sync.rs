//! Sound on the video's time line: RTP stamps of two clocks and the camera's reports in, times out.
//!
//! An audio frame starts where the previous one ends, and lasts as long as its samples, so that
//! players hear no gaps. If that drifts away from the truth because the two clocks differ, frames
//! last a few ticks more or less. Only missing sound leaves a gap.
//!
//! The truth is in the sender reports (RFC 3550 §6.4.1: the same wall time on both clocks). Until
//! there are some, or if they are implausible, data that arrives at the same time belongs together.
//! Knows nothing of: a frame's content, our own clocks.

use super::timeline::Timeline;
use crate::{rtp::rtcp::SenderReport, units::RtpTime};

/// Which track's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackClock {
    Video,
    Audio,
}

/// The times of one run's sound.
pub(super) struct AudioTimeline {
    clock_rate: u32,
    /// Stamp and count of the newest frame; counts are on the audio clock, from its first frame.
    newest: Option<(RtpTime, i64)>,
    /// The count expected of the next frame.
    due: i64,
    /// End of the newest frame on the video's time line, in ticks of the audio clock.
    end: Option<i64>,
    /// The video's time line minus the count, as far as known.
    shift: i64,
    /// The latest reports.
    video_report: Option<Report>,
    audio_report: Option<Report>,
    /// A shift far from ours, which is believed when it is measured twice.
    doubted: Option<i64>,
    /// The next frame begins where the video is.
    is_apart: bool,
}

#[derive(Clone, Copy)]
struct Report {
    ntp: u64,
    stamp: RtpTime,
}

/// The position of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct AudioSpan {
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
            is_apart: false,
        }
    }

    pub fn has_begun(&self) -> bool {
        self.end.is_some()
    }

    pub fn has_reports(&self) -> bool {
        self.video_report.is_some() && self.audio_report.is_some()
    }

    /// Processes a sender report of one of the tracks; returns true if it determines the sound's
    /// position from now on.
    pub fn report(&mut self, clock: TrackClock, report: &SenderReport, video: &Timeline) -> bool {
        let report = Some(Report { ntp: report.ntp, stamp: report.rtp_time });
        match clock {
            TrackClock::Video => self.video_report = report,
            TrackClock::Audio => self.audio_report = report,
        }
        match (self.end, self.measured(video)) {
            (Some(_), Some(measured)) => self.adopt(measured, video),
            _ => false,
        }
    }

    /// The video's clock jumped: its earlier reports are void. Returns true if sound lies far from
    /// the video that came with it, because that clock was wrong: the next frame begins where the
    /// video is.
    pub fn video_jumped(&mut self, video: &Timeline) -> bool {
        self.video_report = None;
        let newest = video.newest().map(|newest| newest.at_rate(self.clock_rate));
        let apart = self.end.zip(newest).map_or(0, |(end, newest)| end.abs_diff(newest));
        self.is_apart = apart > self.clock_rate.into();
        self.is_apart
    }

    /// The sound's stamps are now made differently: its earlier reports are void.
    pub fn stamps_changed(&mut self) {
        self.audio_report = None;
    }

    /// Determines the time of the next frame, `ticks` long. `None` if it would start before the
    /// previous one ended, or if there is no video yet.
    pub fn stamp(&mut self, stamp: RtpTime, ticks: u32, video: &Timeline) -> Option<AudioSpan> {
        let video_newest = video.newest()?.at_rate(self.clock_rate);
        let count = match self.newest {
            None => 0,
            Some((newest, count)) => count + stamp.since(newest).0,
        };
        let step = count - self.due;
        let rate = i64::from(self.clock_rate);
        let has_jumped = std::mem::take(&mut self.is_apart)
            || self.newest.is_some() && (step < -rate || step > JUMP_SECONDS * rate);
        let count = if has_jumped { self.due } else { count };
        self.newest = Some((stamp, count));
        self.due = count + i64::from(ticks);
        if has_jumped {
            self.audio_report = None;
            self.shift = video_newest - count;
        }
        let Some(end) = self.end else {
            // At the start of the run, data that arrives together belongs together, unless reports
            // say otherwise.
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

    fn put(&mut self, time: i64, duration: u32) -> AudioSpan {
        self.end = Some(time + i64::from(duration));
        AudioSpan { time, duration }
    }

    /// The shift, according to what both reports say about the same time.
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

    /// Follows drift at once. A larger change means that the camera's clock was set between its two
    /// reports, or that there were none before: it counts when two measurements agree.
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

    /// Sound and video that arrive together were recorded together, up to an encoder's delay; some
    /// cameras' reports claim otherwise.
    fn is_likely(&self, shift: i64, video: &Timeline) -> bool {
        let (Some((_, count)), Some(newest)) = (self.newest, video.newest()) else { return false };
        let arrived = newest.at_rate(self.clock_rate) - count;
        (shift - arrived).abs() <= APART_SECONDS_MAX * i64::from(self.clock_rate)
    }
}

/// A larger step forward is not a pause but another clock.
const JUMP_SECONDS: i64 = 10;
/// The largest difference between the arrival of sound and video of one moment.
const APART_SECONDS_MAX: i64 = 3;
/// Reports further apart, in 1/2^32 s, do not refer to one time: a minute.
const REPORTS_APART_MAX: u64 = 60 << 32;

#[cfg(test)]
#[path = "tests/sync.rs"]
mod tests;
