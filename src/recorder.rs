//! The recorder: a ring's frames and the sound beside them in, commands for the card thread out.
//!
//! It cuts the stream into fragments and segments and tracks what became of each. When the card
//! fails, it goes back to the key frame before the first frame that is not durable, as far as the
//! ring still has it.
//! Knows nothing of: threads, files, cameras' connections.

mod allowance;
mod audio;
mod draft;
mod gather;
mod ledger;
mod origin;
mod segment;

pub use audio::take_sound;

use self::{
    allowance::Allowance, audio::Audio, draft::FragmentDraft, gather::Gathered, ledger::Ledger,
    segment::OpenSegment,
};
use crate::{
    limits,
    media::Ring,
    mp4::{
        fragment::FragmentHeader,
        identity::{Cause, ClockTrust},
    },
    storage::{CameraId, Command, Fragment, SegmentStart},
    units::{Ticks, WallTime},
};
use std::{sync::Arc, time::Instant};

/// Records one camera.
pub struct Recorder {
    camera: CameraId,
    segment_length: Ticks,
    segment_bytes_max: u64,
    /// Identifies the station's lifetime in each segment; the camera's run number is added.
    run_base: u64,
    phase: Phase,
    /// The first frame of the recording: recovery goes back no further.
    begin: u64,
    /// The run ended before this frame, so no frame follows to give the last one its duration.
    run_end: u64,
    card_accepts: bool,
    /// The open fragment; it starts with the ledger's next frame.
    draft: FragmentDraft,
    audio: Audio,
    /// The segment of the incoming frames; opened with its first fragment.
    segment: Option<OpenSegment>,
    /// The card has a file open for us, of this segment or the previous one.
    is_open: bool,
    /// Frames were lost, so decoding can only resume at a key frame.
    needs_key: bool,
    ledger: Ledger,
    allowance: Allowance,
    failed: bool,
    /// It was told that the ring overtook the recorder.
    told_overtaken: bool,
    /// When the card last had all that there was.
    caught_up: Option<Instant>,
    /// There was work, but no buffer for it.
    awaits_buffer: bool,
    /// What the camera's owner should know of it.
    news: Option<&'static str>,
    last_duration: Ticks,
}

/// Which frames are wanted.
#[derive(Clone, Copy)]
enum Phase {
    /// Recording was stopped: those before `end`.
    Stopped { end: u64 },
    /// Recording was started without a key frame: those from the next one on, which does not come
    /// before `from`.
    AwaitsKey { from: u64 },
    /// All.
    Recording,
}

/// The time, as far as the recorder needs it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: WallTime,
    pub clock: ClockTrust,
    /// How long the machine is up.
    pub up_ms: u64,
}

impl Recorder {
    pub fn new(camera: CameraId, segment_length: Ticks, run_base: u64) -> Recorder {
        Recorder {
            camera,
            segment_length,
            segment_bytes_max: limits::SEGMENT_BYTES_MAX,
            run_base,
            phase: Phase::Stopped { end: 0 },
            begin: 0,
            run_end: 0,
            card_accepts: false,
            draft: FragmentDraft::new(),
            audio: Audio::new(),
            segment: None,
            is_open: false,
            needs_key: false,
            ledger: Ledger::new(),
            allowance: Allowance::new(),
            failed: false,
            told_overtaken: false,
            caught_up: None,
            awaits_buffer: false,
            news: None,
            last_duration: LAST_DURATION_DEFAULT,
        }
    }

    /// Starts recording with the picture group being received, so that none of it is missed; with
    /// the next one if frames of this group were recorded before a stop. A stop whose file is not
    /// closed yet is cancelled.
    pub fn start(&mut self, ring: &Ring) {
        self.start_with(ring, |key| key);
    }

    /// The same with earlier groups of the run, as far as the ring has them and they were not
    /// recorded: from one that begins at least `before` the newest frame.
    pub fn start_before(&mut self, ring: &Ring, before: Ticks) {
        let next = self.ledger.next();
        let frame = |number| ring.get(number).map(|(frame, _)| frame);
        let newest = ring.numbers().end.checked_sub(1).and_then(frame);
        let age = |key: u64| {
            let (newest, key) = (newest?, frame(key)?);
            (newest.run == key.run).then(|| newest.presentation - key.presentation)
        };
        self.start_with(ring, |mut key| {
            while age(key).is_some_and(|age| age < before)
                && let Some(earlier) = key.checked_sub(1).and_then(|it| ring.key_until(it))
                && earlier >= next
                && age(earlier).is_some()
            {
                key = earlier;
            }
            key
        });
    }

    fn start_with(&mut self, ring: &Ring, first: impl FnOnce(u64) -> u64) {
        if self.is_wanted() {
            return;
        }
        let goes_on = self.has_rest() || self.failed;
        self.phase = Phase::Recording;
        if goes_on {
            self.begin_fragment(); // its last frame may no longer be the run's last
            return;
        }
        let end = ring.numbers().end;
        let group = if self.run_end == end { None } else { ring.key_until(end) };
        let group = group.filter(|&key| key >= self.ledger.next());
        match group {
            Some(key) => self.begin_at(first(key)),
            None => self.phase = Phase::AwaitsKey { from: end },
        }
    }

    /// Stops recording after the newest frame.
    pub fn stop(&mut self, ring: &Ring) {
        if self.is_wanted() {
            self.skip_to_key(ring);
            let end = match self.phase {
                Phase::AwaitsKey { .. } => self.ledger.next(),
                Phase::Recording | Phase::Stopped { .. } => ring.numbers().end,
            };
            self.phase = Phase::Stopped { end };
        }
    }

    /// Reports that the run ended with the frames in the ring.
    pub fn run_ended(&mut self, ring: &Ring) {
        self.run_end = ring.numbers().end;
    }

    pub fn set_segment_length(&mut self, length: Ticks) {
        self.segment_length = length;
    }

    pub fn is_wanted(&self) -> bool {
        !matches!(self.phase, Phase::Stopped { .. })
    }

    /// Returns true until a stop has closed the file and all buffers are back.
    pub fn is_busy(&self) -> bool {
        self.has_rest() || !self.ledger.is_idle()
    }

    /// Frames lost because of the card.
    pub fn lost(&self) -> u64 {
        self.ledger.lost().saturating_sub(self.too_short())
    }

    /// Audio frames that arrived but were not recorded.
    pub fn audio_lost(&self) -> u64 {
        self.audio.lost()
    }

    /// Reports whether the card accepts recordings; until it does, frames wait in the ring. The
    /// caller also reports false for a moment after a segment could not be opened or was abandoned.
    pub fn card_accepts(&mut self, accepts: bool) {
        self.card_accepts = accepts;
        if !accepts {
            self.fail();
        }
    }

    /// What the camera's owner should know of it, once.
    pub fn news(&mut self) -> Option<&'static str> {
        self.news.take()
    }

    /// Returns true if nothing can be recorded before the next key frame.
    pub fn awaits_key(&self) -> bool {
        matches!(self.phase, Phase::AwaitsKey { .. }) || self.needs_key
    }

    /// Returns true while the card thread has fragments.
    pub fn is_at_card(&self) -> bool {
        !self.ledger.is_idle()
    }

    /// Reports that the oldest fragment came back from the card thread.
    pub fn returned(&mut self, written: Result<(), ()>) {
        self.ledger.returned();
        if written.is_err() {
            self.fail();
        }
    }

    /// Reports that frames before `end` would survive a power cut.
    pub fn durable(&mut self, end: u64) {
        self.ledger.durable(end);
    }

    /// Returns true if the last [`Recorder::poll`] had work, but no buffer for it.
    pub fn awaits_buffer(&self) -> bool {
        self.awaits_buffer
    }

    /// Returns the next command, if there is work and a buffer for it. Call it until it returns
    /// `None` whenever frames arrived, a buffer came back or the card's state changed, and after
    /// each of the calls above.
    ///
    /// *Cost*: looks at each frame once; allocates only when a large frame makes a buffer grow.
    pub fn poll(
        &mut self,
        ring: &Ring,
        moment: Moment,
        buffers: &mut Vec<Vec<u8>>,
    ) -> Option<Command> {
        self.awaits_buffer = false;
        if self.failed && !self.recover(ring) {
            return None;
        }
        self.skip_to_key(ring);
        if matches!(self.phase, Phase::AwaitsKey { .. }) {
            return None;
        }
        let overtaken = self.skip_overtaken(ring);
        if !self.card_accepts {
            self.give_up_the_rest();
            return None;
        }
        if overtaken && !self.told_overtaken {
            self.told_overtaken = true;
            if self.card_stalls(moment.now) {
                return Some(Command::Overtaken { camera: self.camera });
            }
            self.news = Some(
                "sends more at once than its buffer holds: frames are lost; a larger buffer_kb \
                 bridges that",
            );
        }
        self.allowance.fill(moment.now);
        loop {
            return match self.gather(ring) {
                Gathered::Nothing => {
                    self.caught_up = Some(moment.now);
                    None
                }
                Gathered::Fragment if buffers.is_empty() => {
                    self.awaits_buffer = true;
                    None
                }
                Gathered::Fragment if self.awaits_origin(ring, moment) => None,
                Gathered::Fragment if self.awaits_audio(ring) => None,
                Gathered::Fragment if self.segment.as_ref().is_some_and(|it| it.is_open) => {
                    self.append(ring, buffers)
                }
                Gathered::Fragment if !self.allowance.take() => {
                    self.leave_out(ring);
                    continue;
                }
                Gathered::Fragment => self.open(ring, moment),
                Gathered::End => self.close(),
                Gathered::TooLong => {
                    // No key frame for 2 GiB: the file ends, and the rest of the picture group
                    // cannot be decoded.
                    self.lose_until(ring, self.next());
                    self.close()
                }
            };
        }
    }

    fn open(&mut self, ring: &Ring, moment: Moment) -> Option<Command> {
        let segment = self.segment.as_mut()?;
        let age = ring.origin.age(segment.run, segment.presentation_start, moment.now);
        let age = age.unwrap_or(Ticks::ZERO);
        segment.is_open = true;
        self.is_open = true;
        let audio = self.audio.open(ring);
        Some(Command::Open {
            camera: self.camera,
            start: SegmentStart {
                parameter_sets: Arc::clone(&segment.parameter_sets),
                audio,
                wall: WallTime(moment.wall.0 - age.as_millis()),
                clock: moment.clock,
                up_ms: moment.up_ms.saturating_add_signed(-age.as_millis()),
                cause: Cause::Unknown,
                run: self.run_base.wrapping_add(u64::from(segment.run)),
            },
        })
    }

    fn append(&mut self, ring: &Ring, buffers: &mut Vec<Vec<u8>>) -> Option<Command> {
        let frames = self.ledger.next()..self.next();
        let (first, _) = ring.get(frames.start)?;
        let sound_end = self.sound_end(ring);
        let segment = self.segment.as_mut()?;
        let mut buffer = buffers.pop()?;
        self.audio.gather(ring, sound_end);
        let audio = self.audio.run(ring);
        segment.fragments += 1;
        let end = first.decode - segment.decode_start + self.draft.span;
        let header = FragmentHeader {
            sequence_number: segment.fragments,
            decode_time: first.decode - segment.decode_start,
            opens_on: first.kind.into(),
            samples: &self.draft.samples,
        };
        buffer.clear();
        let header_bytes = header.bytes_with(audio.as_ref());
        buffer.reserve_exact(header_bytes + self.draft.bytes + self.audio.bytes());
        header.write_with(audio.as_ref(), &mut buffer);
        let extent = header.extent();
        for number in frames.clone() {
            buffer.extend_from_slice(ring.get(number).map_or(&[], |(_, bytes)| bytes));
        }
        self.audio.write(ring, &mut buffer);
        segment.bytes += buffer.len() as u64;
        self.ledger.sent(frames.clone());
        self.begin_fragment();
        if end >= limits::SHORT_SEGMENT_TICKS {
            self.excuse();
        }
        self.told_overtaken = false;
        let fragment = Fragment { bytes: buffer, extent, frames };
        Some(Command::Append { camera: self.camera, fragment })
    }

    fn close(&mut self) -> Option<Command> {
        self.segment = None;
        self.audio.forget();
        std::mem::take(&mut self.is_open).then_some(Command::Close { camera: self.camera })
    }

    /// Marks what the card has not finished as possibly to be sent again.
    fn fail(&mut self) {
        self.failed |= self.is_open || self.ledger.at_risk().is_some();
        // That the segment ends is not the camera's fault, unless it sends too much.
        if !self.told_overtaken {
            self.excuse();
        }
    }

    /// After a failure, once nothing is in flight, goes back to the first frame that is not
    /// durable.
    fn recover(&mut self, ring: &Ring) -> bool {
        if !self.ledger.is_idle() {
            return false;
        }
        self.failed = false;
        self.segment = None;
        self.audio.forget();
        self.is_open = false;
        let next = self.ledger.next();
        let key = match self.ledger.at_risk() {
            _ if matches!(self.phase, Phase::AwaitsKey { .. }) => next,
            None if self.is_end(next) => next, // whatever follows starts with a key frame
            at_risk => {
                let first = at_risk.unwrap_or(next);
                let key = ring.key_until(first).or_else(|| ring.key_from(first));
                self.clamp(key.unwrap_or(ring.numbers().end)).max(self.begin)
            }
        };
        self.ledger.go_back(key);
        self.begin_fragment();
        true
    }

    /// Returns true if the card has not kept up for so long that it is no burst of the camera.
    fn card_stalls(&self, now: Instant) -> bool {
        let is_recent = |at| now.saturating_duration_since(at) < limits::BURST_READ_MAX;
        !self.caught_up.is_some_and(is_recent)
    }

    /// If the ring has dropped frames we need, counts them as lost and continues at the next key
    /// frame.
    fn skip_overtaken(&mut self, ring: &Ring) -> bool {
        let (next, start) = (self.ledger.next(), ring.numbers().start);
        let overtaken = next < start && self.end().is_none_or(|end| next < end);
        if overtaken {
            self.lose_until(ring, start);
        }
        overtaken
    }

    /// Counts the frames before the first key frame from `number` on as lost.
    fn lose_until(&mut self, ring: &Ring, number: u64) {
        let key = self.clamp(ring.key_from(number).unwrap_or(ring.numbers().end));
        self.ledger.lose_until(key);
        self.needs_key = true;
        // A segment without fragments will start with another key frame.
        self.segment = self.segment.take().filter(|segment| segment.fragments > 0);
        self.begin_fragment();
    }

    /// Gives up the last frames of a stopped recording if no segment can be opened for them.
    fn give_up_the_rest(&mut self) {
        if let Some(end) = self.end() {
            self.ledger.lose_until(end);
            self.segment = None;
            self.begin_fragment();
        }
    }

    /// Returns true if frames or an open file remain after a stop.
    fn has_rest(&self) -> bool {
        self.is_open || self.end().is_some_and(|end| self.ledger.next() < end)
    }

    fn skip_to_key(&mut self, ring: &Ring) {
        let Phase::AwaitsKey { from } = self.phase else { return };
        match ring.key_from(from) {
            Some(key) => {
                self.phase = Phase::Recording;
                self.begin_at(key);
            }
            None => self.phase = Phase::AwaitsKey { from: ring.numbers().end },
        }
    }

    fn begin_at(&mut self, key: u64) {
        self.begin = key;
        self.ledger.skip_until(key);
        self.begin_fragment();
    }

    fn begin_fragment(&mut self) {
        self.draft.clear();
    }

    /// The frame at which the recording ends, once it was stopped.
    fn end(&self) -> Option<u64> {
        match self.phase {
            Phase::Stopped { end } => Some(end),
            Phase::AwaitsKey { .. } | Phase::Recording => None,
        }
    }

    /// The number of the frame after those in the open fragment.
    fn next(&self) -> u64 {
        self.ledger.next() + self.draft.len()
    }

    /// Returns true if the recording or the run ends at `number`.
    fn is_end(&self, number: u64) -> bool {
        number == self.run_end || self.end().is_some_and(|end| number >= end)
    }

    fn clamp(&self, number: u64) -> u64 {
        self.end().map_or(number, |end| number.min(end))
    }
}

/// Assumed duration of a single frame.
const LAST_DURATION_DEFAULT: Ticks = Ticks(3600);

#[cfg(test)]
mod tests;
