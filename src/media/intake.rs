//! Intake: access units and frames of sound from depacketizers in, timed ones in the ring out.
//!
//! The gate: after a loss, and at the start of a run, nothing is kept up to the next key frame,
//! because what refers to a missing picture cannot be decoded. What is left out is counted.
//! Spec: ITU-T H.265 §3.130 (RASL). Knows nothing of: packets, sockets, files.

use super::{
    AudioFrame, Clock, Frame, FrameKind, Ring,
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
    /// The camera's, for the log.
    pub name: String,
    /// When what is being taken in arrived; without it stamps are believed.
    now: Option<Instant>,
    cadence: Cadence,
    /// The cadence knows that a run began.
    in_run: bool,
    timeline: Timeline,
    /// `None` where no sound comes, or none is wanted.
    audio: Option<AudioTimeline>,
    pub(super) audio_clock: AudioClock,
    /// When the newest video came.
    video_came: Option<Instant>,
    gate: Gate,
    run: u32,
    parameter_sets: Option<Arc<ParameterSets>>,
    /// When the last IDR came, or else the run began.
    last_idr: Option<RtpTime>,
    /// That was long ago: recovery points count as key frames.
    lacks_idr: bool,
    losses: Losses,
}

/// Frames that did not reach the ring since the daemon started, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets that the network or the camera lost.
    pub packets: u64,
    /// Frames that were broken by a loss.
    pub broken: u64,
    /// Frames, or what should have been some, that the camera sent wrong.
    pub malformed: u64,
    /// Whole frames that could not be decoded for lack of one before, up to the next key frame, or
    /// of parameter sets.
    pub undecodable: u64,
    /// Frames larger than the ring holds.
    pub too_large: u64,
    /// Packets of sound that the network or the camera lost.
    pub audio_packets: u64,
    /// Frames of sound that were malformed, or lay where others lie already.
    pub audio_frames: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gate {
    /// Waiting for a key frame.
    Shut,
    /// Open since a CRA or BLA picture: what leads it in presentation order cannot be decoded.
    OpenedByCra,
    Open,
}

impl Intake {
    /// `ring_bytes`: the ring's fixed size.
    pub fn new(ring_bytes: usize) -> Intake {
        Intake::of(Ring::new(ring_bytes))
    }

    /// One that takes sound as well, in a part of the ring.
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
        self.last_idr = None; // and a camera that sent none for long will not send one now
    }

    /// Whether sound is to be taken where the camera has some.
    pub fn wants_audio(&self) -> bool {
        self.ring.audio.is_some()
    }

    /// The run's camera sends sound, its times in ticks of that rate.
    pub fn begin_audio(&mut self, clock_rate: u32) {
        if let Some(ring) = &mut self.ring.audio {
            self.audio_clock.begin_run(clock_rate);
            ring.is_expected = !self.audio_clock.is_left_out();
            self.audio = Some(AudioTimeline::new(clock_rate));
        }
    }

    /// Sound is to come, and none did.
    pub fn awaits_audio(&self) -> bool {
        self.audio.as_ref().is_some_and(|audio| !audio.has_begun())
    }

    /// Sound comes that is not kept, because its sampling rate is not the one that the camera says.
    pub fn leaves_out_sound(&self) -> bool {
        self.audio.is_some() && self.audio_clock.is_left_out()
    }

    /// Reports of both clocks are there.
    pub fn knows_clocks(&self) -> bool {
        self.audio.as_ref().is_some_and(AudioTimeline::has_reports)
    }

    fn end_audio(&mut self) {
        self.audio = None;
        if let Some(ring) = &mut self.ring.audio {
            ring.is_expected = false;
        }
    }

    /// Takes in a sender report of one of the run's tracks.
    pub fn sender_report(&mut self, clock: Clock, report: &SenderReport) {
        if clock == Clock::Video {
            self.cadence.report(report);
        }
        // One of a clock that is not believed says nothing of the times that replace its own.
        if clock == Clock::Video && self.cadence.stamps() != Stamps::AsSent
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

    /// Whether a frame of the ring belongs to the run that is under way, or was the last one.
    pub fn is_current(&self, number: u64) -> bool {
        self.ring.get(number).is_some_and(|(frame, _)| frame.run == self.run)
    }

    /// Tells when the packets arrived that come next.
    pub fn arrived(&mut self, now: Instant) {
        self.now = Some(now);
    }

    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// How long the newest frame is taken to last while none follows.
    pub fn frame_duration(&self) -> Ticks {
        self.timeline.frame_duration()
    }

    /// The time of what is filmed now, as far as that is known.
    fn latest(&self) -> Option<Ticks> {
        self.now.and_then(|now| self.ring.origin.latest(now))
    }

    /// Gives a unit a stamp that ticks as it should.
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
            // That sound is left out is the camera's trouble, and told as such.
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
        // Looked at with every frame: the difference wraps after 6 hours.
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
            // New sets in mid-group: the open segment's sample entry does not hold them.
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
            // Some write their clock rate there.
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
        // Sound before the first frame of video is nobody's loss.
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

/// 240 frames a second: no camera that is recorded here is faster.
const FRAME_DURATION_MIN: i64 = TICKS_PER_SECOND / 240;
/// Without an IDR for so long, a recovery point is taken for a key frame.
const IDR_ABSENT_MIN: Ticks = Ticks::from_seconds(10);
