//! Intake: access units and frames of sound from depacketizers in, timed ones in the ring out.
//!
//! The gate: after a loss, and at the start of a run, nothing is kept up to the next key frame,
//! because pictures that refer to a missing one cannot be decoded. Dropped frames are counted.
//! Spec: ITU-T H.265 §3.130 (RASL). Knows nothing of: packets, sockets, files.

use super::{
    AudioFrame, Frame, FrameKind, Ring, TrackClock,
    audio_clock::{Arrival, AudioClock},
    cadence::{Cadence, Stamps},
    origin::ticks,
    store::TooLarge,
    sync::AudioTimeline,
    timeline::{Continuity, Timeline},
};
use crate::{
    codec::ParameterSets,
    rtp::{
        AccessUnit, AudioSink, AudioUnit, DropCause, Leading, RandomAccess, Sink,
        rtcp::SenderReport,
    },
    units::{RtpTime, TICKS_PER_SECOND, Ticks},
};
use std::{sync::Arc, time::Instant};

/// One camera's way into its ring.
pub struct Intake {
    pub ring: Ring,
    /// The camera's name, for the log.
    pub name: String,
    /// When the current packet arrived; if unknown, stamps are believed.
    now: Option<Instant>,
    cadence: Cadence,
    /// The cadence has been told of the run.
    in_run: bool,
    timeline: Timeline,
    /// `None` if no sound arrives or none is wanted.
    audio: Option<AudioTimeline>,
    pub(super) audio_clock: AudioClock,
    /// When the newest video arrived.
    video_came: Option<Instant>,
    gate: Gate,
    run: u32,
    parameter_sets: Option<Arc<ParameterSets>>,
    /// The stamp of the last IDR, or of the run's start.
    last_idr: Option<RtpTime>,
    /// That was long ago: recovery points count as key frames.
    lacks_idr: bool,
    losses: Losses,
}

/// Frames that did not reach the ring since the daemon started, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets lost by the network or the camera.
    pub packets: u64,
    /// Frames broken by a loss.
    pub broken: u64,
    /// Malformed frames: the camera's fault.
    pub malformed: u64,
    /// Complete frames that cannot be decoded because an earlier frame or a parameter set is
    /// missing.
    pub undecodable: u64,
    /// Frames too large for the ring.
    pub too_large: u64,
    /// Audio packets lost by the network or the camera.
    pub audio_packets: u64,
    /// Audio frames that were malformed, or overlapped earlier ones.
    pub audio_frames: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gate {
    /// Waiting for a key frame.
    Shut,
    /// Open since a CRA or BLA picture: pictures shown before it cannot be decoded.
    OpenedByCra,
    Open,
}

impl Intake {
    /// `ring_bytes`: the ring's fixed size.
    pub fn new(ring_bytes: usize) -> Intake {
        Intake::of(Ring::new(ring_bytes))
    }

    /// An intake that also takes sound, in a part of the ring.
    pub fn with_audio(ring_bytes: usize) -> Intake {
        Intake::of(Ring::with_audio(ring_bytes))
    }

    fn of(ring: Ring) -> Intake {
        Intake {
            ring,
            name: "probed".to_owned(),
            now: None,
            cadence: Cadence::new(),
            in_run: false,
            timeline: Timeline::new(),
            audio: None,
            audio_clock: AudioClock::new(),
            video_came: None,
            gate: Gate::Shut,
            run: 0,
            parameter_sets: None,
            last_idr: None,
            lacks_idr: false,
            losses: Losses::default(),
        }
    }

    /// Begins a run: times count from its first frame, which will be a key frame.
    pub fn begin_run(&mut self) {
        self.ring.rollback();
        self.timeline = Timeline::new();
        self.end_audio();
        self.in_run = false;
        self.gate = Gate::Shut;
        self.run += 1;
        self.ring.origin.begin_run(self.run);
        self.parameter_sets = None;
        self.last_idr = None; // a camera that has sent none for long will not send one now
    }

    /// Returns true if the camera's sound is wanted.
    pub fn wants_audio(&self) -> bool {
        self.ring.audio.is_some()
    }

    /// Reports that the camera sends sound in this run, with times in ticks of that rate.
    pub fn begin_audio(&mut self, clock_rate: u32) {
        if let Some(ring) = &mut self.ring.audio {
            self.audio_clock.begin_run(clock_rate);
            ring.is_expected = !self.audio_clock.is_left_out();
            self.audio = Some(AudioTimeline::new(clock_rate));
        }
    }

    /// Returns true if sound is expected but has not arrived yet.
    pub fn awaits_audio(&self) -> bool {
        self.audio.as_ref().is_some_and(|audio| !audio.has_begun())
    }

    /// Returns true if sound is dropped because its sampling rate is not the announced one.
    pub fn leaves_out_sound(&self) -> bool {
        self.audio.is_some() && self.audio_clock.is_left_out()
    }

    /// Returns true once reports of both clocks have arrived.
    pub fn knows_clocks(&self) -> bool {
        self.audio.as_ref().is_some_and(AudioTimeline::has_reports)
    }

    fn end_audio(&mut self) {
        self.audio = None;
        if let Some(ring) = &mut self.ring.audio {
            ring.is_expected = false;
        }
    }

    /// Processes a sender report of one of the run's tracks.
    pub fn sender_report(&mut self, clock: TrackClock, report: &SenderReport) {
        if clock == TrackClock::Video {
            self.cadence.report(report);
        }
        // The report of a distrusted clock does not apply to the times that replace its own.
        if clock == TrackClock::Video && self.cadence.stamps() != Stamps::AsSent
            || !self.audio_clock.is_believed()
        {
            return;
        }
        if let Some(audio) = &mut self.audio
            && audio.report(clock, report, &self.timeline)
        {
            self.audio_clock.reported();
        }
    }

    /// Returns true if a frame of the ring belongs to the current or last run.
    pub fn is_current(&self, number: u64) -> bool {
        self.ring.get(number).is_some_and(|(frame, _)| frame.run == self.run)
    }

    /// Sets the arrival time of the following packets.
    pub fn arrived(&mut self, now: Instant) {
        self.now = Some(now);
    }

    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// The assumed duration of the newest frame while none follows.
    pub fn frame_duration(&self) -> Ticks {
        self.timeline.frame_duration()
    }

    /// The time of what is being filmed now, if known.
    fn latest(&self) -> Option<Ticks> {
        self.now.and_then(|now| self.ring.origin.latest(now))
    }

    /// Returns a stamp that ticks as it should.
    fn tick(&mut self, stamp: RtpTime) -> RtpTime {
        let Some(now) = self.now else { return stamp };
        if !std::mem::replace(&mut self.in_run, true) {
            self.cadence.begin_run(stamp, now);
        }
        let tick = self.cadence.tick(stamp, now);
        if tick.is_new {
            log::warn!("camera={} {}", self.name, self.cadence.stamps());
            self.timeline.break_off();
            self.ring.origin.disbelieve(now);
            self.video_jumped();
            self.last_idr = None;
        }
        tick.stamp
    }

    fn video_jumped(&mut self) {
        if self.audio.as_mut().is_some_and(|audio| audio.video_jumped(&self.timeline)) {
            self.audio_clock.begin_again();
        }
    }

    /// The same for a frame of sound; `video`: the newest.
    fn tick_audio(&mut self, unit: &AudioUnit<'_>, video: Ticks) -> (RtpTime, u32) {
        let (Some(now), Some(came)) = (self.now, self.video_came) else {
            return (unit.timestamp, unit.ticks);
        };
        let video = video + ticks(now.saturating_duration_since(came));
        let video = video.at_rate(unit.format.clock_rate());
        let was_believed = self.audio_clock.is_believed();
        let tick = self.audio_clock.tick(unit.timestamp, unit.ticks, Arrival { now, video });
        if let Some(audio) = &mut self.audio
            && was_believed != self.audio_clock.is_believed()
        {
            audio.stamps_changed();
        }
        if let Some(news) = self.audio_clock.news() {
            // Dropped sound is reported as the camera's trouble.
            if !self.audio_clock.is_left_out() {
                log::warn!("camera={} {news}", self.name);
            }
            if let Some(ring) = &mut self.ring.audio {
                ring.is_expected = !self.audio_clock.is_left_out();
            }
        }
        tick
    }

    fn accept(&mut self, unit: &AccessUnit) -> Option<FrameKind> {
        // Checked with every frame, because the difference wraps after 6 hours.
        let since = unit.timestamp.since(*self.last_idr.get_or_insert(unit.timestamp));
        self.lacks_idr |= since >= IDR_ABSENT_MIN || since <= -IDR_ABSENT_MIN;
        let kind = match unit.access {
            RandomAccess::RecoveryPoint if self.lacks_idr => FrameKind::RecoveryPoint,
            RandomAccess::RecoveryPoint | RandomAccess::None => FrameKind::Delta,
            RandomAccess::Idr | RandomAccess::Cra | RandomAccess::Bla => {
                self.last_idr = Some(unit.timestamp);
                self.lacks_idr = false;
                FrameKind::Key
            }
        };
        let was_shut = self.gate == Gate::Shut;
        match (kind, self.gate) {
            (FrameKind::Key | FrameKind::RecoveryPoint, _) => {
                self.gate = match unit.access {
                    RandomAccess::Bla => Gate::OpenedByCra,
                    RandomAccess::Cra if was_shut => Gate::OpenedByCra,
                    _ => Gate::Open,
                };
            }
            (FrameKind::Delta, Gate::Shut) => return None,
            (FrameKind::Delta, Gate::OpenedByCra) if unit.leading == Leading::Skipped => {
                return None;
            }
            // New sets within a picture group: the open segment's sample entry does not contain
            // them.
            (FrameKind::Delta, _) if !self.in_force(&unit.parameter_sets) => {
                self.gate = Gate::Shut;
                return None;
            }
            (FrameKind::Delta, _) => {}
        }
        if was_shut {
            self.timeline.restart();
        }
        Some(kind)
    }

    fn in_force(&self, sets: &Arc<ParameterSets>) -> bool {
        self.parameter_sets.as_ref().is_some_and(|current| Arc::ptr_eq(current, sets))
    }

    fn adopt(&mut self, sets: &Arc<ParameterSets>) {
        let picture = sets.picture();
        let frame_duration = picture
            .frame_rate
            .and_then(|(numerator, denominator)| {
                (TICKS_PER_SECOND * i64::from(denominator)).checked_div(i64::from(numerator))
            })
            // Some cameras write their clock rate there.
            .filter(|duration| (FRAME_DURATION_MIN..=TICKS_PER_SECOND).contains(duration))
            .map(Ticks);
        self.timeline.configure(picture.reorder, frame_duration);
        self.parameter_sets = Some(Arc::clone(sets));
    }
}

impl Sink for Intake {
    fn nal_begin(&mut self) {
        self.ring.nal_begin();
    }

    fn nal_append(&mut self, bytes: &[u8]) {
        self.ring.nal_append(bytes);
    }

    fn nal_end(&mut self) {
        self.ring.nal_end();
    }

    fn access_unit_end(&mut self, unit: AccessUnit) {
        let unit = AccessUnit { timestamp: self.tick(unit.timestamp), ..unit };
        let Some(kind) = self.accept(&unit) else {
            self.timeline.pass(unit.timestamp, self.latest());
            self.losses.undecodable += 1;
            self.ring.rollback();
            return;
        };
        if !self.in_force(&unit.parameter_sets) {
            self.adopt(&unit.parameter_sets);
        }
        let stamp = self.timeline.stamp(unit.timestamp, kind, self.latest());
        if stamp.continuity == Continuity::Jumped {
            let name = &self.name;
            log::info!("camera={name} the camera's clock jumped: times go on from where they were");
            self.ring.origin.forget();
            self.video_jumped();
        }
        if let Some(now) = self.now {
            self.ring.origin.note(stamp.presentation, now);
            self.video_came = Some(now);
        }
        let frame = Frame {
            presentation: stamp.presentation,
            decode: stamp.decode,
            kind,
            run: self.run,
            parameter_sets: unit.parameter_sets,
        };
        if let Err(TooLarge) = self.ring.commit(frame) {
            self.losses.too_large += 1;
            self.gate = Gate::Shut;
        }
    }

    fn access_unit_drop(&mut self, cause: DropCause) {
        match cause {
            DropCause::Loss { packets } => {
                self.losses.packets += u64::from(packets);
                self.losses.broken += u64::from(!self.ring.is_vacant());
            }
            DropCause::NoParameterSets => self.losses.undecodable += 1,
            DropCause::Incomplete => self.losses.broken += 1,
            DropCause::Malformed => self.losses.malformed += 1,
        }
        self.timeline.lose();
        self.ring.rollback();
        self.gate = Gate::Shut;
    }
}

impl AudioSink for Intake {
    fn audio_frame(&mut self, unit: AudioUnit<'_>) {
        // Audio before the first video frame is not counted as lost.
        let Some(video) = self.timeline.newest() else { return };
        let (timestamp, ticks) = self.tick_audio(&unit, video);
        let unit = AudioUnit { timestamp, ticks, ..unit };
        if self.audio_clock.is_left_out() {
            return;
        }
        let (Some(audio), Some(ring)) = (&mut self.audio, &mut self.ring.audio) else { return };
        let span = audio.stamp(unit.timestamp, unit.ticks, &self.timeline);
        let stored = span.is_some_and(|span| {
            let format = Arc::clone(unit.format);
            let frame =
                AudioFrame { time: span.time, duration: span.duration, run: self.run, format };
            ring.push(frame, unit.bytes).is_ok()
        });
        self.losses.audio_frames += u64::from(!stored);
    }

    fn audio_drop(&mut self, cause: DropCause) {
        match cause {
            DropCause::Loss { packets } => {
                self.losses.audio_packets += u64::from(packets);
                self.audio_clock.lose(packets);
            }
            _ => self.losses.audio_frames += 1,
        }
    }
}

/// 240 frames a second: no camera is faster.
const FRAME_DURATION_MIN: i64 = TICKS_PER_SECOND / 240;
/// Without an IDR for this long, a recovery point counts as a key frame.
const IDR_ABSENT_MIN: Ticks = Ticks::from_seconds(10);
