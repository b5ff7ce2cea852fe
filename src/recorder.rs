//! The recorder: frames of a ring, and the sound beside them, in; commands for the card thread out.
//!
//! It cuts the stream into fragments and segments and knows what became of each: when the card
//! fails, it goes back to the key frame before the first frame that is not durable, as far as the
//! ring still has it. Knows nothing of: threads, files, cameras' connections.

mod allowance;
mod audio;
mod draft;
mod ledger;
mod origin;
mod segment;

use self::{allowance::Allowance, audio::Audio, draft::Draft, ledger::Ledger, segment::Segment};
use crate::{
    limits,
    media::{Frame, Ring},
    mp4::{
        fragment::{Header, Sample},
        identity::Clock,
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
    /// Names the daemon's life in each segment; a run of the camera is a count on top.
    run_base: u64,
    /// Where recording stops; `None` while it goes on.
    end: Option<u64>,
    /// Started without a key frame: none was there before this number, and nothing is wanted before
    /// the first one.
    awaits_key: Option<u64>,
    /// Where the recording began: a failure leads back no further.
    begin: u64,
    /// The run ended before this frame: none follows that would tell how long the last one lasts.
    run_end: u64,
    card_accepts: bool,
    /// The fragment in the making; it begins with the ledger's next frame.
    draft: Draft,
    audio: Audio,
    /// What the frames that come belong to; opened with its first fragment.
    segment: Option<Segment>,
    /// The card has a file open for us, this segment's or the one before.
    is_open: bool,
    /// Frames were lost, and what comes next can only be decoded from a key frame on.
    needs_key: bool,
    ledger: Ledger,
    allowance: Allowance,
    failed: bool,
    /// The card was told that the ring overtook it.
    told_overtaken: bool,
    last_duration: Ticks,
}

/// What the recorder needs of the moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: WallTime,
    pub clock: Clock,
}

impl Recorder {
    pub fn new(camera: CameraId, segment_length: Ticks, run_base: u64) -> Recorder {
        Recorder {
            camera,
            segment_length,
            segment_bytes_max: limits::SEGMENT_BYTES_MAX,
            run_base,
            end: Some(0),
            awaits_key: None,
            begin: 0,
            run_end: 0,
            card_accepts: false,
            draft: Draft::new(),
            audio: Audio::new(),
            segment: None,
            is_open: false,
            needs_key: false,
            ledger: Ledger::new(),
            allowance: Allowance::new(),
            failed: false,
            told_overtaken: false,
            last_duration: LAST_DURATION_DEFAULT,
        }
    }

    /// Starts with the picture group that is being received, so nothing of it is missed; with the
    /// next one, where frames of it were recorded before a stop. A stop that did not yet lead to a
    /// closed file is taken back.
    pub fn start(&mut self, ring: &Ring) {
        let goes_on = self.has_rest() || self.failed;
        if self.end.take().is_none() {
            return;
        }
        if goes_on {
            self.begin_fragment(); // its last frame may lie in mid-run now
            return;
        }
        let end = ring.numbers().end;
        let group = if self.run_end == end { None } else { ring.key_until(end) };
        let group = group.filter(|&key| key >= self.ledger.next());
        match group {
            Some(key) => self.begin_at(key),
            None => self.awaits_key = Some(end),
        }
    }

    /// Ends the recording with the newest frame.
    pub fn stop(&mut self, ring: &Ring) {
        if self.is_wanted() {
            self.skip_to_key(ring);
            let nothing = self.awaits_key.take().map(|_| self.ledger.next());
            self.end = Some(nothing.unwrap_or(ring.numbers().end));
        }
    }

    /// The run is over: no frame of it follows those in the ring.
    pub fn run_ended(&mut self, ring: &Ring) {
        self.run_end = ring.numbers().end;
    }

    pub fn set_segment_length(&mut self, length: Ticks) {
        self.segment_length = length;
    }

    pub fn is_wanted(&self) -> bool {
        self.end.is_none()
    }

    /// True until stop has led to a closed file and every buffer is back.
    pub fn is_busy(&self) -> bool {
        self.has_rest() || !self.ledger.is_idle()
    }

    /// Frames that are on no card because of the card.
    pub fn lost(&self) -> u64 {
        self.ledger.lost().saturating_sub(self.too_short())
    }

    /// Frames of sound that came and are on no card.
    pub fn audio_lost(&self) -> u64 {
        self.audio.lost()
    }

    /// The card began or ceased to take recordings; frames wait in the ring meanwhile. Ceased also
    /// for the moment after a segment could not be opened or was given up: how long is the caller's.
    pub fn card_accepts(&mut self, accepts: bool) {
        self.card_accepts = accepts;
        if !accepts {
            self.fail();
        }
    }

    /// Nothing can be recorded before the next key frame.
    pub fn awaits_key(&self) -> bool {
        self.awaits_key.is_some() || self.needs_key
    }

    /// The card thread has fragments that did not come back.
    pub fn is_at_card(&self) -> bool {
        !self.ledger.is_idle()
    }

    /// A fragment came back from the card thread.
    pub fn returned(&mut self, written: Result<(), ()>) {
        self.ledger.returned();
        if written.is_err() {
            self.fail();
        }
    }

    /// Frames up to `end` survive a power cut.
    pub fn durable(&mut self, end: u64) {
        self.ledger.durable(end);
    }

    /// The next command, if there is work and a buffer for it. Called until it answers `None`,
    /// whenever frames came, a buffer came back or the card's state changed, and after each of the
    /// calls above.
    ///
    /// *Cost*: looks at each frame once; allocates only what a larger frame makes a buffer grow.
    pub fn poll(
        &mut self,
        ring: &Ring,
        moment: Moment,
        buffers: &mut Vec<Vec<u8>>,
    ) -> Option<Command> {
        if self.failed && !self.recover(ring) {
            return None;
        }
        self.skip_to_key(ring);
        if self.awaits_key.is_some() {
            return None;
        }
        let overtaken = self.skip_overtaken(ring);
        if !self.card_accepts {
            self.give_up_the_rest();
            return None;
        }
        if overtaken && !self.told_overtaken {
            self.told_overtaken = true;
            return Some(Command::Overtaken { camera: self.camera });
        }
        loop {
            return match self.gather(ring) {
                Gathered::Nothing => None,
                Gathered::Fragment if buffers.is_empty() => None,
                Gathered::Fragment if self.awaits_origin(ring, moment) => None,
                Gathered::Fragment if self.awaits_audio(ring) => None,
                Gathered::Fragment if self.segment.as_ref().is_some_and(|it| it.is_open) => {
                    self.append(ring, buffers)
                }
                Gathered::Fragment if !self.allowance.take(moment.now) => {
                    self.leave_out(ring);
                    continue;
                }
                Gathered::Fragment => self.open(ring, moment),
                Gathered::End => self.close(),
                Gathered::TooLong => {
                    // No key frame for 2 GiB: the file ends, and the rest of the group has no start.
                    self.lose_until(ring, self.next());
                    self.close()
                }
            };
        }
    }

    /// Adds frames to the fragment in the making until it is full; a key frame may begin a segment.
    fn gather(&mut self, ring: &Ring) -> Gathered {
        // The ring must hold a fragment while the next frame comes in.
        self.draft.fit(ring);
        loop {
            if self.draft.is_full() {
                return Gathered::Fragment; // since an earlier poll: there was no buffer
            }
            let number = self.next();
            let wanted = self.end.is_none_or(|end| number < end);
            let Some((frame, bytes)) = ring.get(number).filter(|_| wanted) else {
                return match self.is_end(number) {
                    false => Gathered::Nothing,
                    true if self.draft.is_empty() => Gathered::End,
                    true => Gathered::Fragment,
                };
            };
            if !self.draft.is_empty() {
                if frame.is_key() || !self.draft.has_room_for(bytes.len()) {
                    return Gathered::Fragment;
                }
            } else if self.segment.as_ref().is_none_or(|it| self.must_cut(ring, it, frame)) {
                if !frame.is_key() {
                    self.lose_until(ring, number);
                    continue;
                }
                self.segment = Some(Segment::new(frame));
                self.audio.begin(ring, frame.run, frame.presentation);
            } else if self.needs_key && !frame.is_key() {
                self.lose_until(ring, number);
                continue;
            }
            if self.is_too_long(bytes.len()) {
                return match self.draft.is_empty() {
                    true => Gathered::TooLong,
                    false => Gathered::Fragment,
                };
            }
            let Some(duration) = self.duration(ring, number, frame) else {
                return Gathered::Nothing;
            };
            self.add(frame, bytes.len(), duration);
        }
    }

    /// From this frame's decode time to the next one's; of a run's last frame, that of the one before.
    fn duration(&self, ring: &Ring, number: u64, frame: &Frame) -> Option<Ticks> {
        let neighbour = |number| ring.get(number).map(|(other, _)| other);
        match neighbour(number + 1) {
            Some(next) if next.run == frame.run => return Some(next.decode - frame.decode),
            None if !self.is_end(number + 1) => return None,
            _ => {}
        }
        let before = number.checked_sub(1).and_then(neighbour);
        let before = before.filter(|before| before.run == frame.run);
        let duration = before.map(|before| frame.decode - before.decode);
        // A longer one is no frame's duration but a gap.
        Some(duration.filter(|it| *it <= LAST_DURATION_MAX).unwrap_or(self.last_duration))
    }

    fn add(&mut self, frame: &Frame, bytes: usize, duration: Ticks) {
        let Some(segment) = &self.segment else { return };
        self.needs_key = false;
        let presentation = frame.presentation - segment.presentation_start;
        let decode = frame.decode - segment.decode_start;
        // Frames are shorter than the ring, and offsets than minutes (Timeline). A pause of more
        // than 13 hours is left to the next fragment's time.
        let sample = Sample {
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            duration: u32::try_from(duration.0).unwrap_or(u32::MAX),
            composition_offset: i32::try_from((presentation - decode).0).unwrap_or(0),
        };
        self.draft.push(sample, bytes, duration);
        if duration <= LAST_DURATION_MAX {
            self.last_duration = duration;
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
        let header = Header {
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

    /// What the card was not done with may have to be sent again.
    fn fail(&mut self) {
        self.failed |= self.is_open || self.ledger.at_risk().is_some();
        self.allowance.refill();
    }

    /// After a failure: once nothing is in flight, back to what is not durable.
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
            _ if self.awaits_key.is_some() => next,
            None if self.is_end(next) => next, // what comes next begins with a key frame
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

    /// The ring went on without us: what is gone is counted, and the next key frame is the next one.
    fn skip_overtaken(&mut self, ring: &Ring) -> bool {
        let (next, start) = (self.ledger.next(), ring.numbers().start);
        let overtaken = next < start && self.end.is_none_or(|end| next < end);
        if overtaken {
            self.lose_until(ring, start);
        }
        overtaken
    }

    /// Counts as lost what lies before the first key frame from `number` on.
    fn lose_until(&mut self, ring: &Ring, number: u64) {
        let key = self.clamp(ring.key_from(number).unwrap_or(ring.numbers().end));
        self.ledger.lose_until(key);
        self.needs_key = true;
        // One that has no frame yet begins with another key frame.
        self.segment = self.segment.take().filter(|segment| segment.fragments > 0);
        self.begin_fragment();
    }

    /// Nothing can be opened: a recording that was stopped ends without its last frames.
    fn give_up_the_rest(&mut self) {
        if let Some(end) = self.end {
            self.ledger.lose_until(end);
            self.segment = None;
            self.begin_fragment();
        }
    }

    /// There is something to write or to close after a stop.
    fn has_rest(&self) -> bool {
        self.is_open || self.end.is_some_and(|end| self.ledger.next() < end)
    }

    fn skip_to_key(&mut self, ring: &Ring) {
        let Some(number) = self.awaits_key else { return };
        match ring.key_from(number) {
            Some(key) => {
                self.awaits_key = None;
                self.begin_at(key);
            }
            None => self.awaits_key = Some(ring.numbers().end),
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

    /// Number of the frame after those in the fragment in the making.
    fn next(&self) -> u64 {
        self.ledger.next() + self.draft.len()
    }

    /// No frame of the recording, or of the run, comes before `number` that is not in the ring.
    fn is_end(&self, number: u64) -> bool {
        number == self.run_end || self.end.is_some_and(|end| number >= end)
    }

    fn clamp(&self, number: u64) -> u64 {
        self.end.map_or(number, |end| number.min(end))
    }
}

enum Gathered {
    Nothing,
    Fragment,
    /// Of the run, or of the recording.
    End,
    TooLong,
}

/// Of a single frame, until there are two.
const LAST_DURATION_DEFAULT: Ticks = Ticks(3600);
/// Longer than this no frame lasts (a session ends before): something was left out.
const LAST_DURATION_MAX: Ticks = Ticks::from_seconds(40);

#[cfg(test)]
mod tests;
