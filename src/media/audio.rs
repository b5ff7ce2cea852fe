//! Sound beside the video: frames in, the newest of them in a fixed allocation.

use super::store::{Store, TooLarge};
use crate::{codec::AudioFormat, limits, units::Ticks};
use std::{collections::VecDeque, ops::Range, sync::Arc};

/// One audio frame; its bytes are in the ring.
#[derive(Clone, Debug)]
pub struct AudioFrame {
    /// Its start in ticks of its format's clock; zero is that of the run's video.
    pub time: i64,
    /// Up to the start of the next frame, unless one is missing.
    pub duration: u32,
    /// The run to which it belongs.
    pub run: u32,
    pub format: Arc<AudioFormat>,
}

impl AudioFrame {
    /// The start of the next frame, unless one is missing.
    pub fn end(&self) -> i64 {
        self.time + i64::from(self.duration)
    }

    /// Converts a time of the video to this frame's clock, rounded up.
    pub fn ticks_at(&self, moment: Ticks) -> i64 {
        moment.at_rate(self.format.clock_rate())
    }
}

/// The newest audio frames; times increase within a run.
pub struct AudioRing {
    store: Store,
    /// One for each item of the store, oldest first.
    frames: VecDeque<AudioFrame>,
    /// The camera of this run sends sound, as far as it has announced.
    pub is_expected: bool,
}

impl AudioRing {
    pub fn new(capacity: usize) -> AudioRing {
        AudioRing {
            store: Store::new(capacity, limits::AUDIO_RING_FRAMES_MAX),
            frames: VecDeque::new(),
            is_expected: false,
        }
    }

    /// The numbers of the frames stored.
    pub fn numbers(&self) -> Range<u64> {
        self.store.numbers()
    }

    pub fn get(&self, number: u64) -> Option<(&AudioFrame, &[u8])> {
        let position = self.store.position(number)?;
        Some((self.frames.get(position)?, self.store.get(position)?))
    }

    /// Returns the newest frame, if it belongs to that run.
    pub fn newest(&self, run: u32) -> Option<&AudioFrame> {
        self.frames.back().filter(|frame| frame.run == run)
    }

    /// The number of a run's first frame, present or future, that does not start before that time.
    pub fn first_from(&self, run: u32, moment: Ticks) -> u64 {
        let is_before = |frame: &AudioFrame| {
            (frame.run.wrapping_sub(run).cast_signed() < 0)
                || (frame.run == run && frame.time < frame.ticks_at(moment))
        };
        self.numbers().start + self.frames.partition_point(is_before) as u64
    }

    /// Adds a frame; returns its number.
    ///
    /// # Errors
    /// It is larger than half the ring, and was dropped.
    pub fn push(&mut self, frame: AudioFrame, bytes: &[u8]) -> Result<u64, TooLarge> {
        self.store.push(bytes);
        let count = self.store.commit()?;
        while self.frames.len() >= count {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
        Ok(self.numbers().end - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::AudioCodec;

    fn frame(run: u32, time: i64) -> AudioFrame {
        let format = Arc::new(AudioFormat::g711(AudioCodec::Pcmu, 8000, 1));
        AudioFrame { time, duration: 160, run, format }
    }

    #[test]
    fn frames_come_back_and_old_ones_make_way() {
        let mut ring = AudioRing::new(1000);
        for number in 0..20u8 {
            assert_eq!(
                ring.push(frame(1, i64::from(number) * 160), &[number; 160]),
                Ok(number.into())
            );
        }
        assert_eq!(ring.push(frame(1, 3200), &[0; 501]), Err(TooLarge));
        let numbers = ring.numbers();
        assert!(numbers.end == 20 && (4..=6).contains(&numbers.clone().count()), "{numbers:?}");
        for number in numbers {
            let (frame, bytes) = ring.get(number).unwrap();
            assert_eq!((frame.time, bytes), (number as i64 * 160, &[number as u8; 160][..]));
        }
    }

    #[test]
    fn a_frame_is_found_by_run_and_time() {
        let mut ring = AudioRing::new(10_000);
        for (run, time) in [(1, 0), (1, 160), (2, 0), (2, 160), (2, 320)] {
            ring.push(frame(run, time), b"x").unwrap();
        }
        let from = |run, ticks| ring.first_from(run, Ticks(ticks));
        assert_eq!([from(1, 0), from(1, 1), from(1, 1800), from(1, 1801)], [0, 1, 1, 2]);
        assert_eq!([from(2, 0), from(2, 3600), from(2, 3601), from(3, 0)], [2, 4, 5, 5]);
        assert!(ring.newest(1).is_none());
        assert_eq!(ring.newest(2).map(AudioFrame::end), Some(480));
    }
}
