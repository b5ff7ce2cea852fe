//! The sound of a segment: which audio frames go into the next fragment, and when to wait for them.
//!
//! An audio frame belongs to the segment during which it starts.
//! Knows nothing of: the card.

use super::Recorder;
use crate::{
    codec::AudioFormat,
    limits,
    media::{AudioFrame, AudioRing, Ring},
    mp4::fragment::{AudioRun, Sample},
    units::{TICKS_PER_SECOND, Ticks},
};
use std::{ops::Range, sync::Arc};

pub(super) struct Audio {
    run: u32,
    /// The start of the segment on the run's time line.
    start: Ticks,
    /// The format of the segment's sound track; `None` if it has none or is not open yet.
    format: Option<Arc<AudioFormat>>,
    /// The first audio frame that was neither sent nor skipped.
    next: Option<u64>,
    /// Frames before `next` were wanted by the previous segment or by this one.
    follows: bool,
    /// Frames of the open fragment, and their samples.
    frames: Range<u64>,
    samples: Vec<Sample>,
    lost: u64,
}

/// Up to where sound is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    /// Any, to know that there is sound.
    Begun,
    /// All that starts before the segment ends.
    End(Ticks),
}

impl Audio {
    pub fn new() -> Audio {
        Audio {
            run: 0,
            start: Ticks::ZERO,
            format: None,
            next: None,
            follows: false,
            frames: 0..0,
            samples: Vec::new(),
            lost: 0,
        }
    }

    /// Frames that arrived, were wanted, and are in no file.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn has_track(&self) -> bool {
        self.format.is_some()
    }

    /// Starts a segment of a run at that time.
    pub fn begin(&mut self, ring: &Ring, run: u32, start: Ticks) {
        self.format = None;
        let next = ring.audio.as_ref().map(|audio| audio.first_from(run, start));
        self.follows = self.next.is_some() && self.run == run;
        if let (Some(next), Some(before)) = (next, self.next.filter(|_| self.follows)) {
            self.lost += next.saturating_sub(before);
        }
        (self.run, self.start, self.next) = (run, start, next);
    }

    /// Forgets the position: the next segment does not continue from here.
    pub fn forget(&mut self) {
        self.next = None;
    }

    /// Opens the segment, with a sound track if there is sound by now.
    pub fn open(&mut self, ring: &Ring) -> Option<Arc<AudioFormat>> {
        let (frame, _) = ring.audio.as_ref()?.get(self.next?)?;
        self.format = (frame.run == self.run).then(|| Arc::clone(&frame.format));
        self.format.clone()
    }

    /// Returns true if sound arrives for which the open segment has no track. `now` is the newest
    /// video.
    pub fn is_out_of_place(&self, ring: &Ring, now: Ticks) -> bool {
        let newest = ring.audio.as_ref().and_then(|audio| audio.newest(self.run));
        newest.is_some_and(|newest| {
            let is_known = self.format.as_ref().is_some_and(|it| Arc::ptr_eq(it, &newest.format));
            !is_known && newest.end() + wait_ticks(&newest.format) > newest.ticks_at(now)
        })
    }

    /// Returns true if sound is still to be waited for: it is arriving, and not much later than the
    /// video, whose newest frame is at `now`.
    fn is_awaited(&self, ring: &Ring, until: Until, now: Ticks) -> bool {
        let Some(audio) = ring.audio.as_ref().filter(|audio| audio.is_expected) else {
            return false;
        };
        let Some(newest) = audio.newest(self.run) else {
            return now < limits::AUDIO_WAIT;
        };
        let is_there = match until {
            Until::Begun => newest.time >= newest.ticks_at(self.start),
            Until::End(end) => newest.end() >= newest.ticks_at(end),
        };
        !is_there && newest.end() + wait_ticks(&newest.format) > newest.ticks_at(now)
    }

    /// Chooses the audio frames of the next fragment among those that have arrived.
    pub fn gather(&mut self, ring: &Ring, end: Option<SoundEnd>) {
        self.samples.clear();
        self.frames = 0..0;
        let (Some(format), Some(audio)) = (&self.format, &ring.audio) else { return };
        let Some(next) = self.next else { return };
        let mut first = next.max(audio.numbers().start);
        let (run, start) = (self.run, self.start);
        let is_ours =
            |frame: &AudioFrame| frame.run == run && end.is_none_or(|end| end.takes(frame));
        let ours = |number| audio.get(number).map(|(frame, _)| frame).filter(|it| is_ours(it));
        while ours(first).is_some_and(|frame| {
            // Too late for the previous segment, or in a format that this one has no track for.
            frame.time < frame.ticks_at(start) || !Arc::ptr_eq(&frame.format, format)
        }) {
            first += 1;
        }
        self.lost += if self.follows { first - next } else { 0 };
        self.follows |= ours(first).is_some();
        let fits = |frame: &AudioFrame| is_ours(frame) && Arc::ptr_eq(&frame.format, format);
        self.frames = first..take_sound(audio, first, &fits, &mut self.samples);
        self.next = Some(self.frames.end);
    }

    /// Describes the sound of the fragment, if there is any.
    pub fn run<'a>(&'a self, ring: &Ring) -> Option<AudioRun<'a>> {
        let audio = ring.audio.as_ref().filter(|_| !self.samples.is_empty())?;
        let (first, _) = audio.get(self.frames.start)?;
        let decode_time = first.time - first.ticks_at(self.start);
        Some(AudioRun { decode_time, samples: &self.samples })
    }

    pub fn bytes(&self) -> usize {
        self.samples.iter().map(|sample| sample.bytes as usize).sum()
    }

    /// Appends the audio frames of the fragment.
    pub fn write(&self, ring: &Ring, out: &mut Vec<u8>) {
        let Some(audio) = &ring.audio else { return };
        for number in self.frames.clone() {
            out.extend_from_slice(audio.get(number).map_or(&[], |(_, bytes)| bytes));
        }
    }
}

/// Describes the frames from `first` on that go into one fragment; returns the number behind them.
pub fn take_sound(
    ring: &AudioRing,
    first: u64,
    is_ours: &dyn Fn(&AudioFrame) -> bool,
    samples: &mut Vec<Sample>,
) -> u64 {
    let mut number = first;
    let mut bytes_left = limits::AUDIO_FRAGMENT_BYTES_MAX;
    let mut before = 0;
    while let Some((frame, bytes)) = ring.get(number)
        && is_ours(frame)
        && samples.len() < limits::AUDIO_FRAGMENT_FRAMES_MAX
        && bytes.len() <= bytes_left
    {
        if let Some(last) = samples.last_mut() {
            // Its own duration, or up to here if frames are missing.
            last.duration = u32::try_from(frame.time - before).unwrap_or(u32::MAX);
        }
        before = frame.time;
        bytes_left -= bytes.len();
        // At most AUDIO_FRAME_BYTES_MAX.
        let bytes = bytes.len() as u32;
        samples.push(Sample { bytes, duration: frame.duration, composition_offset: 0 });
        number += 1;
    }
    number
}

impl Recorder {
    /// Returns true if the fragment is complete except for sound that decides about its segment, or
    /// that the next segment would not accept.
    pub(super) fn awaits_audio(&self, ring: &Ring) -> bool {
        let (Some(segment), number) = (&self.segment, self.next()) else { return false };
        let newest = ring.get(ring.numbers().end - 1).map(|(frame, _)| frame);
        let Some(newest) = newest.filter(|newest| newest.run == segment.run) else { return false };
        let until = match self.sound_end(ring) {
            _ if self.is_end(number) => return false,
            Some(SoundEnd::Cut(end)) => Until::End(end),
            _ if !segment.is_open => Until::Begun,
            _ => return false,
        };
        self.audio.is_awaited(ring, until, newest.presentation) && self.has_room_to_wait(ring)
    }

    /// Where the sound of the open fragment ends and the next one's starts, on the run's time line.
    /// `None` if it is not known that another follows.
    pub(super) fn sound_end(&self, ring: &Ring) -> Option<SoundEnd> {
        let segment = self.segment.as_ref()?;
        let (next, _) = ring.get(self.next()).filter(|(next, _)| next.run == segment.run)?;
        Some(match self.must_cut(ring, segment, next) {
            true => SoundEnd::Cut(next.presentation),
            false => {
                SoundEnd::Goes(next.decode - segment.decode_start + segment.presentation_start)
            }
        })
    }
}

/// Where the sound of a fragment ends.
#[derive(Clone, Copy)]
pub(super) enum SoundEnd {
    /// The segment ends there too: sound that starts earlier belongs to it.
    Cut(Ticks),
    /// The next fragment starts there and takes the sound playing at that moment: FFmpeg, and so
    /// Chromium, seeks to a key frame and then looks for sound that starts no later, among what it
    /// has read.
    Goes(Ticks),
}

impl SoundEnd {
    fn takes(self, frame: &AudioFrame) -> bool {
        match self {
            SoundEnd::Cut(end) => frame.time < frame.ticks_at(end),
            SoundEnd::Goes(end) => frame.end() <= frame.ticks_at(end),
        }
    }
}

/// [`limits::AUDIO_WAIT`] on the sound track's clock.
fn wait_ticks(format: &AudioFormat) -> i64 {
    limits::AUDIO_WAIT.0 * i64::from(format.clock_rate()) / TICKS_PER_SECOND
}
