//! The recorder: frames of a ring in, commands for the card thread out.
//!
//! It cuts the stream into fragments and segments and knows what became of each: when the card
//! fails, it goes back to the key frame before the first frame that is not durable, as far as the
//! ring still has it. Knows nothing of: threads, files, cameras' connections.

use crate::{
    codec::ParameterSets,
    limits,
    media::{Frame, Ring},
    mp4::{
        fragment::{FirstSample, Header, Sample},
        identity::Clock,
    },
    storage::{CameraId, Command, Fragment, SegmentStart},
    units::{Ticks, WallTime},
};
use std::{ops::Range, sync::Arc};

/// Records one camera.
pub struct Recorder {
    camera: CameraId,
    segment_length: Ticks,
    /// Names the daemon's life in each segment; a run of the camera is a count on top.
    run_base: u64,
    wanted: bool,
    card_accepts: bool,
    /// First frame of the fragment in the making; nothing before it is wanted any more.
    from: u64,
    samples: Vec<Sample>,
    bytes: usize,
    span: Ticks,
    segment: Option<Segment>,
    /// Fragments that the card thread has.
    in_flight: usize,
    failed: bool,
    /// Frames before this one are durable, or are known to be lost.
    durable_end: u64,
    last_duration: Ticks,
    lost: u64,
}

/// The segment that the card thread has open for us.
struct Segment {
    epoch: u32,
    parameter_sets: Arc<ParameterSets>,
    decode_start: Ticks,
    presentation_start: Ticks,
    fragments: u32,
    bytes: u64,
}

/// What the recorder needs of the moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub wall: WallTime,
    pub clock: Clock,
}

/// Whether more frames of this run will follow those in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Running,
    Ended,
}

impl Recorder {
    pub fn new(camera: CameraId, segment_length: Ticks, run_base: u64) -> Recorder {
        Recorder {
            camera,
            segment_length,
            run_base,
            wanted: false,
            card_accepts: false,
            from: 0,
            samples: Vec::with_capacity(limits::FRAGMENT_FRAMES_MAX),
            bytes: 0,
            span: Ticks::ZERO,
            segment: None,
            in_flight: 0,
            failed: false,
            durable_end: 0,
            last_duration: Ticks(3600),
            lost: 0,
        }
    }

    /// Starts with the picture group that is being received, so nothing of it is missed.
    pub fn start(&mut self, ring: &Ring) {
        if !self.wanted {
            self.wanted = true;
            let end = ring.numbers().end;
            self.from = ring.key_until(end).unwrap_or(end);
            self.durable_end = self.from;
        }
    }

    /// Ends the segment with the newest frame.
    pub fn stop(&mut self) {
        self.wanted = false;
    }

    pub fn set_segment_length(&mut self, length: Ticks) {
        self.segment_length = length;
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// True until stop has led to a closed file and every buffer is back.
    pub fn is_busy(&self) -> bool {
        self.segment.is_some() || self.in_flight > 0
    }

    /// Frames that are on no card because of the card.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The card began or ceased to take recordings. Frames wait in the ring meanwhile.
    pub fn card_accepts(&mut self, accepts: bool) {
        self.card_accepts = accepts;
        if !accepts {
            self.fail();
        }
    }

    /// A fragment came back from the card thread.
    pub fn returned(&mut self, written: Result<(), ()>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if written.is_err() {
            self.fail();
        }
    }

    /// The card thread could not open a segment, or had to give one up.
    pub fn fail(&mut self) {
        self.failed |= self.segment.is_some();
    }

    /// Frames up to `end` survive a power cut.
    pub fn durable(&mut self, end: u64) {
        self.durable_end = self.durable_end.max(end);
    }

    /// The next command, if there is work and a buffer for it. Called until it answers `None`,
    /// whenever frames came, a buffer came back or the card's state changed.
    ///
    /// *Cost*: looks at each frame once; allocates only what a larger frame makes a buffer grow.
    pub fn poll(
        &mut self,
        ring: &Ring,
        stream: Stream,
        moment: Moment,
        buffers: &mut Vec<Vec<u8>>,
    ) -> Option<Command> {
        if self.failed && !self.recover(ring) {
            return None;
        }
        if !self.wanted && self.segment.is_none() || !self.card_accepts {
            return None;
        }
        if self.skip_overtaken(ring) {
            return Some(Command::Overtaken { camera: self.camera });
        }
        let last = if self.wanted { stream } else { Stream::Ended };
        match self.gather(ring, last) {
            Gathered::Nothing if last == Stream::Ended => self.close(),
            Gathered::Nothing => None,
            Gathered::Start(number) => self.open(ring, number, moment),
            Gathered::Fragment => self.append(ring, buffers),
            Gathered::TooLong => {
                // No key frame for 2 GiB: the file ends, and the rest of the group has no start.
                let next = ring.key_from(self.next()).unwrap_or(ring.numbers().end);
                self.lose_until(next);
                self.close()
            }
        }
    }

    /// Adds frames to the fragment in the making until it is full, or begins with a key frame that
    /// wants a segment of its own.
    fn gather(&mut self, ring: &Ring, stream: Stream) -> Gathered {
        loop {
            let number = self.next();
            let Some((frame, bytes)) = ring.get(number) else {
                let whole = stream == Stream::Ended && !self.samples.is_empty();
                return if whole { Gathered::Fragment } else { Gathered::Nothing };
            };
            if self.samples.is_empty() {
                match &self.segment {
                    Some(segment) if !(frame.is_key() && self.must_cut(segment, frame)) => {
                        if segment.bytes + bytes.len() as u64 > limits::SEGMENT_BYTES_MAX {
                            return Gathered::TooLong;
                        }
                    }
                    _ if frame.is_key() => {
                        return if self.wanted {
                            Gathered::Start(number)
                        } else {
                            Gathered::Nothing
                        };
                    }
                    _ => {
                        let next = ring.key_from(number).unwrap_or(ring.numbers().end);
                        self.lose_until(next);
                        continue;
                    }
                }
            } else if frame.is_key() || self.bytes + bytes.len() > limits::FRAGMENT_BYTES_MAX {
                return Gathered::Fragment;
            }
            let Some(duration) = self.duration(ring, number, frame, stream) else {
                return Gathered::Nothing;
            };
            self.add(frame, bytes.len(), duration);
            if self.is_full() {
                return Gathered::Fragment;
            }
        }
    }

    /// From this frame's decode time to the next one's; of a run's last frame, that of the one before.
    fn duration(&self, ring: &Ring, number: u64, frame: &Frame, stream: Stream) -> Option<Ticks> {
        match ring.get(number + 1) {
            Some((next, _)) if next.run == frame.run => Some(next.decode - frame.decode),
            Some(_) => Some(self.last_duration),
            None if stream == Stream::Ended => Some(self.last_duration),
            None => None,
        }
    }

    fn add(&mut self, frame: &Frame, bytes: usize, duration: Ticks) {
        let Some(segment) = &self.segment else { return };
        let presentation = frame.presentation - segment.presentation_start;
        let decode = frame.decode - segment.decode_start;
        // Frames are shorter than the ring, and pauses and offsets than minutes (Timeline).
        self.samples.push(Sample {
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            duration: u32::try_from(duration.0).unwrap_or(1),
            composition_offset: i32::try_from((presentation - decode).0).unwrap_or(0),
        });
        self.bytes += bytes;
        self.span += duration;
        self.last_duration = duration;
    }

    fn is_full(&self) -> bool {
        self.bytes >= limits::FRAGMENT_BYTES_MAX
            || self.span.0 >= limits::FRAGMENT_TICKS_MAX
            || self.samples.len() == limits::FRAGMENT_FRAMES_MAX
    }

    fn must_cut(&self, segment: &Segment, key: &Frame) -> bool {
        key.epoch != segment.epoch
            || !Arc::ptr_eq(&key.parameter_sets, &segment.parameter_sets)
            || key.presentation - segment.presentation_start >= self.segment_length
            || segment.bytes > limits::SEGMENT_BYTES_MAX - limits::SEGMENT_BYTES_MAX / 16
    }

    fn open(&mut self, ring: &Ring, number: u64, moment: Moment) -> Option<Command> {
        let (frame, _) = ring.get(number)?;
        let newest = ring.get(ring.numbers().end - 1).map_or(frame, |(newest, _)| newest);
        let age = if newest.run == frame.run {
            newest.presentation - frame.presentation
        } else {
            Ticks::ZERO
        };
        self.segment = Some(Segment {
            epoch: frame.epoch,
            parameter_sets: Arc::clone(&frame.parameter_sets),
            decode_start: frame.decode,
            presentation_start: frame.presentation,
            fragments: 0,
            bytes: 0,
        });
        Some(Command::Open {
            camera: self.camera,
            start: SegmentStart {
                parameter_sets: Arc::clone(&frame.parameter_sets),
                wall: WallTime(moment.wall.0 - age.as_millis()),
                clock: moment.clock,
                run: self.run_base.wrapping_add(u64::from(frame.run)),
            },
        })
    }

    fn append(&mut self, ring: &Ring, buffers: &mut Vec<Vec<u8>>) -> Option<Command> {
        let frames = self.from..self.next();
        let (first, _) = ring.get(frames.start)?;
        let segment = self.segment.as_mut()?;
        let mut buffer = buffers.pop()?;
        buffer.clear();
        segment.fragments += 1;
        let header = Header {
            sequence_number: segment.fragments,
            decode_time: first.decode - segment.decode_start,
            opens_on: if first.is_key() { FirstSample::Key } else { FirstSample::NonKey },
            samples: &self.samples,
        };
        header.write(&mut buffer);
        let extent = header.extent();
        for number in frames.clone() {
            buffer.extend_from_slice(ring.get(number)?.1);
        }
        segment.bytes += buffer.len() as u64;
        let fragment = Fragment { bytes: buffer, extent, frames };
        self.in_flight += 1;
        self.begin_fragment(self.next());
        Some(Command::Append { camera: self.camera, fragment })
    }

    fn close(&mut self) -> Option<Command> {
        self.segment.take()?;
        Some(Command::Close { camera: self.camera })
    }

    /// After a failure: once nothing is in flight, back to what is not durable.
    fn recover(&mut self, ring: &Ring) -> bool {
        if self.in_flight > 0 {
            return false;
        }
        self.failed = false;
        self.segment = None;
        let wanted = ring.key_until(self.durable_end).or_else(|| ring.key_from(self.durable_end));
        let next = wanted.unwrap_or(ring.numbers().end);
        self.begin_fragment(next);
        self.lost += next.saturating_sub(self.durable_end);
        self.durable_end = self.durable_end.max(next);
        true
    }

    /// The ring went on without us: what is gone is counted, and the next key frame is the next one.
    fn skip_overtaken(&mut self, ring: &Ring) -> bool {
        let Range { start, end } = ring.numbers();
        let overtaken = self.from < start;
        if overtaken {
            let next = ring.key_from(start).unwrap_or(end);
            self.lose_until(next);
        }
        overtaken
    }

    fn lose_until(&mut self, next: u64) {
        self.lost += next.saturating_sub(self.from);
        self.begin_fragment(next);
    }

    fn begin_fragment(&mut self, first: u64) {
        self.from = first;
        self.samples.clear();
        self.bytes = 0;
        self.span = Ticks::ZERO;
    }

    /// Number of the frame after those in the fragment in the making.
    fn next(&self) -> u64 {
        self.from + self.samples.len() as u64
    }
}

enum Gathered {
    Nothing,
    /// A key frame that a new segment begins with.
    Start(u64),
    Fragment,
    TooLong,
}

#[cfg(test)]
mod tests;
