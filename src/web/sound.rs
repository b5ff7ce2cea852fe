//! The sound of one live stream: which frames go beside a fragment of video, and whether there is
//! any.
//!
//! Knows nothing of: who asked for it.

use crate::{
    codec::AudioFormat,
    media::{AudioFrame, Frame, Intake},
    mp4::fragment::{AudioRun, Sample},
    recorder::take_sound,
    units::Ticks,
};
use std::{ops::Range, sync::Arc};

/// *Cost*: nothing before there is sound; then 12 bytes a frame of the largest fragment.
#[derive(Default)]
pub(super) struct LiveSound {
    /// What the stream's head announces.
    format: Option<Arc<AudioFormat>>,
    run: u32,
    /// The stream's time minus the ring's, in ticks of the sound.
    shift: i64,
    /// The next frame, and those of the open fragment with their samples.
    next: u64,
    frames: Range<u64>,
    samples: Vec<Sample>,
}

impl LiveSound {
    /// Returns true if the head announces the present sound.
    pub fn fits(&self, intake: &Intake) -> bool {
        self.format.as_deref() == self.coming(intake).map(|it| &**it)
    }

    /// Chooses what the next head announces.
    pub fn choose(&mut self, intake: &Intake) {
        self.format = self.coming(intake).cloned();
    }

    pub fn format(&self) -> Option<&AudioFormat> {
        self.format.as_deref()
    }

    /// Continues with the sound from this key frame on.
    pub fn go_on_with(&mut self, intake: &Intake, key: &Frame, shift: Ticks) {
        let (Some(format), Some(ring)) = (&self.format, &intake.ring.audio) else { return };
        self.run = key.run;
        self.shift = shift.at_rate(format.clock_rate());
        self.next = ring.first_from(key.run, key.presentation);
    }

    /// Takes what has arrived into the next fragment.
    pub fn gather(&mut self, intake: &Intake) {
        self.samples.clear();
        let (Some(format), Some(ring)) = (&self.format, &intake.ring.audio) else { return };
        let first = self.next.max(ring.numbers().start);
        let is_ours = |frame: &AudioFrame| frame.run == self.run && frame.format == *format;
        self.frames = first..take_sound(ring, first, &is_ours, &mut self.samples);
        self.next = self.frames.end;
    }

    /// Describes the sound of the fragment, if there is any.
    pub fn run<'a>(&'a self, intake: &Intake) -> Option<AudioRun<'a>> {
        let ring = intake.ring.audio.as_ref().filter(|_| !self.samples.is_empty())?;
        let (first, _) = ring.get(self.frames.start)?;
        Some(AudioRun { decode_time: first.time + self.shift, samples: &self.samples })
    }

    /// Appends the frames of the fragment.
    pub fn write(&self, intake: &Intake, out: &mut Vec<u8>) {
        let Some(ring) = intake.ring.audio.as_ref().filter(|_| !self.samples.is_empty()) else {
            return;
        };
        for number in self.frames.clone() {
            out.extend_from_slice(ring.get(number).map_or(&[], |(_, bytes)| bytes));
        }
    }

    /// Returns the format of the present sound, unless it is much later than the newest picture: a
    /// browser plays nothing while one of two tracks is missing.
    fn coming<'a>(&self, intake: &'a Intake) -> Option<&'a Arc<AudioFormat>> {
        let (newest, _) = intake.ring.get(intake.ring.numbers().end.checked_sub(1)?)?;
        let sound = intake.ring.audio.as_ref()?.newest(newest.run)?;
        let slack = if self.format.is_some() { LATE_MAX } else { LATE_AT_FIRST_MAX };
        let rate = sound.format.clock_rate();
        let is_near = sound.end() + slack.at_rate(rate) > sound.ticks_at(newest.presentation);
        Some(&sound.format).filter(|format| is_near && format.is_playable_live())
    }
}

/// The name of the present sound, whether browsers play it live or not.
pub(super) fn name(intake: &Intake) -> Option<&'static str> {
    let (newest, _) = intake.ring.get(intake.ring.numbers().end.checked_sub(1)?)?;
    Some(intake.ring.audio.as_ref()?.newest(newest.run)?.format.name())
}

/// Sound this far behind the newest picture has stopped …
const LATE_MAX: Ticks = Ticks::from_seconds(2);
/// … and continues when it is this near.
const LATE_AT_FIRST_MAX: Ticks = Ticks::from_seconds(1);
