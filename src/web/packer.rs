//! Packs frames of a ring, and the sound beside them, into fragments with a time line of their own,
//! for viewers and probes.
//!
//! Spec: ISO/IEC 14496-12 §8.8.

use super::sound::LiveSound;
use crate::{
    codec::ParameterSets,
    limits,
    media::{Frame, Intake},
    mp4::fragment::{FirstSample, FragmentHeader, Sample},
    units::Ticks,
};
use std::sync::Arc;

/// One stream of fragments; its time starts at 0 and has no gaps.
#[derive(Default)]
pub(super) struct Packer {
    /// Maps the ring's times to the stream's; `None` before the first key frame.
    base: Option<Base>,
    /// The time of the next frame.
    time: Ticks,
    fragments: u32,
    samples: Vec<Sample>,
    /// `None` if none is wanted.
    pub sound: Option<Box<LiveSound>>,
}

struct Base {
    run: u32,
    parameter_sets: Arc<ParameterSets>,
    /// The stream's time minus the ring's.
    decode_shift: Ticks,
    presentation_shift: Ticks,
}

impl Packer {
    pub fn new(sound: Option<Box<LiveSound>>) -> Packer {
        Packer { sound, ..Packer::default() }
    }

    /// Continues with this key frame.
    pub fn go_on_with(&mut self, intake: &Intake, key: &Frame) {
        if let Some(sound) = &mut self.sound {
            sound.go_on_with(intake, key, self.time - key.presentation);
        }
        self.base = Some(Base {
            run: key.run,
            parameter_sets: Arc::clone(&key.parameter_sets),
            decode_shift: self.time - key.decode,
            presentation_shift: self.time - key.presentation,
        });
    }

    /// Returns true if a frame follows the key frame with which the stream last continued.
    pub fn fits(&self, frame: &Frame) -> bool {
        self.base.as_ref().is_some_and(|base| {
            base.run == frame.run && Arc::ptr_eq(&base.parameter_sets, &frame.parameter_sets)
        })
    }

    /// Returns true if the stream's init segment fits this key frame.
    pub fn has_head_of(&self, key: &Frame) -> bool {
        self.base.as_ref().is_some_and(|base| *base.parameter_sets == *key.parameter_sets)
    }

    /// Appends a fragment of the frames from `first` up to the next key frame or `bytes_max`, but
    /// at least one. Returns the number of the following frame.
    pub fn write_fragment(
        &mut self,
        intake: &Intake,
        first: u64,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> u64 {
        let (end, bytes, opens_on) = self.gather(intake, first, bytes_max);
        let Some((_, decode_time)) = self.times(intake, first) else { return first };
        self.fragments += 1;
        let header = FragmentHeader {
            sequence_number: self.fragments,
            decode_time,
            opens_on,
            samples: &self.samples,
        };
        if let Some(sound) = &mut self.sound {
            sound.gather(intake);
        }
        let audio = self.sound.as_ref().and_then(|sound| sound.run(intake));
        let audio_bytes: usize =
            audio.iter().flat_map(|it| it.samples).map(|it| it.bytes as usize).sum();
        out.reserve_exact(header.bytes_with(audio.as_ref()) + bytes + audio_bytes);
        header.write_with(audio.as_ref(), out);
        for (_, data) in (first..end).filter_map(|number| intake.ring.get(number)) {
            out.extend_from_slice(data);
        }
        if let Some(sound) = &self.sound {
            sound.write(intake, out);
        }
        end
    }

    /// Lists the samples of a fragment; returns its end, its size, and how it starts.
    fn gather(
        &mut self,
        intake: &Intake,
        first: u64,
        bytes_max: usize,
    ) -> (u64, usize, FirstSample) {
        let mut opens_on = FirstSample::NonKey;
        let (mut bytes, mut number) = (0, first);
        self.samples.clear();
        while let Some((frame, data)) = intake.ring.get(number) {
            let Some((presentation, decode)) = self.times(intake, number) else { break };
            if number == first {
                opens_on = frame.kind.into();
            } else if frame.is_key()
                || bytes + data.len() > bytes_max
                || self.samples.len() == limits::FRAGMENT_FRAMES_MAX
            {
                break;
            }
            let duration = duration(intake, number, frame);
            // As in the recorder: frames are shorter than the ring, offsets shorter than minutes.
            self.samples.push(Sample {
                bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
                duration: u32::try_from(duration.0).unwrap_or(u32::MAX),
                composition_offset: i32::try_from((presentation - decode).0).unwrap_or(0),
            });
            self.time = decode + duration;
            bytes += data.len();
            number += 1;
        }
        (number, bytes, opens_on)
    }

    /// Returns presentation and decode time of a frame in the stream; `None` if it is not part of
    /// it.
    fn times(&self, intake: &Intake, number: u64) -> Option<(Ticks, Ticks)> {
        let (frame, _) = intake.ring.get(number)?;
        let base = self.base.as_ref().filter(|_| self.fits(frame))?;
        Some((frame.presentation + base.presentation_shift, frame.decode + base.decode_shift))
    }
}

/// The time to the next frame if that has arrived; otherwise the usual duration.
fn duration(intake: &Intake, number: u64, frame: &Frame) -> Ticks {
    let following = intake.ring.get(number + 1).map(|(next, _)| next);
    let following = following.filter(|next| next.run == frame.run);
    let duration = following.map(|next| next.decode - frame.decode);
    duration.filter(|it| *it <= FRAME_DURATION_MAX).unwrap_or(intake.frame_duration())
}

/// More is a gap, not a frame's duration.
const FRAME_DURATION_MAX: Ticks = Ticks::from_seconds(2);
