//! Thinning: the fragments of a recording in; a recording of only its key frames out.
//!
//! Each key frame lasts until the next, so start and length stay the same: a minute still plays for
//! a minute. Sound is dropped. Knows nothing of: files, the card.

use crate::{
    limits::{THIN_FRAME_BYTES_MAX, THIN_KEY_FRAMES_MAX},
    mp4::{
        fragment::{self, Extent, FirstSample},
        scan::{TrackKind, WalkStep},
    },
    units::Ticks,
};

/// Goes over a recording, fragment by fragment.
#[derive(Debug, Default)]
pub struct ThinSurvey {
    keys: Vec<StoredKeyFrame>,
    /// Key frames of the current fragment.
    pending: Vec<StoredKeyFrame>,
    end: i64,
    /// Where the next fragment begins; `None` before the first.
    at: Option<u64>,
    is_unfit: bool,
}

/// One key frame of a recording.
#[derive(Clone, Copy, Debug)]
pub struct StoredKeyFrame {
    /// Where its bytes lie in the recording.
    pub at: u64,
    pub bytes: u32,
    /// When it is shown, in ticks from the recording's begin.
    time: u32,
}

/// What a recording is reduced to.
#[derive(Debug)]
pub struct Plan {
    keys: Vec<StoredKeyFrame>,
    end: i64,
    /// Of all its fragments.
    pub bytes: u64,
}

impl ThinSurvey {
    /// Takes a step of a walk over the recording.
    pub fn take(&mut self, step: WalkStep) {
        match step {
            WalkStep::Sample(sample) if sample.track == TrackKind::Video && sample.is_key => {
                let decoded = i64::try_from(sample.decode_time).unwrap_or(i64::MAX);
                let shown = decoded.saturating_add(sample.composition_offset.into());
                let (at, bytes) = (sample.at, sample.bytes);
                match u32::try_from(shown) {
                    Ok(time) if self.pending.len() < THIN_KEY_FRAMES_MAX => {
                        self.pending.push(StoredKeyFrame { at, bytes, time });
                    }
                    _ => self.is_unfit = true,
                }
            }
            WalkStep::Sample(_) => {}
            WalkStep::Fragment { media, extent, .. } => {
                self.at = Some(media.end);
                if let Some(extent) = extent {
                    self.end = self.end.max(extent.end.0);
                    // A picture at a recovery point cannot be decoded alone.
                    let fits = match extent.opens_on {
                        FirstSample::Key => true,
                        FirstSample::RecoveryPoint => false,
                        FirstSample::NonKey => !self.keys.is_empty(),
                    };
                    self.is_unfit |= !fits;
                }
                self.keys.append(&mut self.pending);
                let is_large = |key: &StoredKeyFrame| key.bytes as usize > THIN_FRAME_BYTES_MAX;
                self.is_unfit |=
                    self.keys.len() > THIN_KEY_FRAMES_MAX || self.keys.last().is_some_and(is_large);
            }
        }
    }

    /// Where the walk goes on; `None` before the first fragment.
    pub fn position(&self) -> Option<u64> {
        self.at
    }

    /// Returns true if the recording cannot be thinned.
    pub fn is_unfit(&self) -> bool {
        self.is_unfit
    }

    /// Returns the plan for a recording of this size with a head of this size; `None` if it should
    /// stay as it is: too little would be gained, or its key frames cannot be decoded alone.
    pub fn finish(self, recording_bytes: u64, head_bytes: u64) -> Option<Plan> {
        let ThinSurvey { keys, end, is_unfit, .. } = self;
        let ends = keys.iter().skip(1).map(|key| i64::from(key.time)).chain([end]);
        let in_order = keys.iter().zip(ends).all(|(key, end)| i64::from(key.time) < end);
        if is_unfit || keys.is_empty() || !in_order {
            return None;
        }
        let mut plan = Plan { keys, end, bytes: 0 };
        let fragments = (0..plan.keys.len()).filter_map(|nth| {
            let mut header = Vec::new();
            let (key, _) = plan.header(nth, &mut header)?;
            Some(header.len() as u64 + u64::from(key.bytes))
        });
        plan.bytes = fragments.sum();
        let limit = recording_bytes / 100 * (100 - GAIN_PERCENT_MIN);
        (plan.bytes + head_bytes <= limit).then_some(plan)
    }
}

impl Plan {
    /// Appends the header of a fragment that holds one key frame, whose bytes come next; `None`
    /// behind the last.
    pub fn header(&self, nth: usize, out: &mut Vec<u8>) -> Option<(StoredKeyFrame, Extent)> {
        let key = *self.keys.get(nth)?;
        let next = self.keys.get(nth + 1).map_or(self.end, |next| i64::from(next.time));
        let duration = u32::try_from(next - i64::from(key.time)).unwrap_or(u32::MAX);
        let samples = [fragment::Sample { bytes: key.bytes, duration, composition_offset: 0 }];
        let header = fragment::FragmentHeader {
            sequence_number: u32::try_from(nth + 1).unwrap_or(u32::MAX),
            decode_time: Ticks(key.time.into()),
            opens_on: FirstSample::Key,
            samples: &samples,
        };
        header.write(out);
        Some((key, header.extent()))
    }
}

/// If less would be gained, a recording stays as it is.
const GAIN_PERCENT_MIN: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::Codec,
        mp4::{
            samples,
            scan::{self, Depth},
        },
    };
    use std::{io, ops::ControlFlow};

    fn read_at(file: &[u8]) -> impl Fn(&mut [u8], u64) -> io::Result<usize> {
        |buffer: &mut [u8], at: u64| {
            let rest = file.get(at as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    /// Looks at some fragments at a time.
    fn survey(file: &[u8], at_once: usize) -> ThinSurvey {
        let (read_at, len) = (read_at(file), file.len() as u64);
        let head = scan::read_head(&read_at, len).unwrap();
        let mut survey = ThinSurvey::default();
        while survey.position().is_none_or(|at| at < len) {
            let begin = survey.position().unwrap_or(head.media_begin);
            let mut left = at_once;
            let walked = scan::walk(&read_at, len, &head, begin, &mut |step| {
                left -= usize::from(matches!(step, WalkStep::Fragment { .. }));
                survey.take(step);
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            walked.unwrap();
        }
        survey
    }

    /// Fragments of three frames, of which some open on a key frame.
    fn recording(opens_on: &[FirstSample], bytes: u32) -> Vec<u8> {
        let (mut file, layout, mut index) = samples::unclosed(Codec::H264, 0);
        for (nth, opens_on) in opens_on.iter().enumerate() {
            let time = Ticks(i64::from(nth as u32 * 3 * samples::FRAME));
            let (fragment, extent) =
                samples::fragment(nth as u32, time, *opens_on, &[100, bytes, bytes]);
            index.push(fragment.len() as u64, extent);
            file.extend(fragment);
        }
        let end = file.len() as u64;
        samples::carry_out(&mut file, &crate::mp4::plan::close(&layout, &index, end));
        file
    }

    use FirstSample::{Key, NonKey, RecoveryPoint};

    #[test]
    fn each_key_frame_lasts_until_the_next_and_the_last_to_the_end() {
        let file = recording(&[Key, NonKey, NonKey, Key, Key, NonKey], 20_000);
        for at_once in [1, 2, 100] {
            let plan = survey(&file, at_once).finish(file.len() as u64, 4_000).unwrap();
            let extents = (0..).map_while(|nth| Some(plan.header(nth, &mut Vec::new())?.1));
            let times: Vec<_> = extents.map(|it| (it.start.0 / 3600, it.end.0 / 3600)).collect();
            assert_eq!(times, [(0, 9), (9, 12), (12, 18)]);
        }
    }

    #[test]
    fn a_recording_that_gains_little_or_begins_with_a_recovery_point_is_not_thinned() {
        let finish = |opens_on: &[FirstSample], bytes| {
            let file = recording(opens_on, bytes);
            survey(&file, 3).finish(file.len() as u64, 4_000)
        };
        assert!(finish(&[Key, NonKey], 20_000).is_some());
        assert!(finish(&[Key, Key], 100).is_none(), "300 bytes of key frames of some 6,000");
        assert!(finish(&[Key, RecoveryPoint], 20_000).is_none());
        assert!(finish(&[NonKey, Key], 20_000).is_none());
        assert!(ThinSurvey::default().finish(1 << 20, 0).is_none());
    }

    #[test]
    fn a_key_frame_that_is_too_large_or_too_many_of_them_are_seen_at_once() {
        let fragment = |bytes, time, at: u64| {
            let sample = scan::ListedSample {
                track: TrackKind::Video,
                at,
                bytes,
                decode_time: time,
                duration: 1,
                composition_offset: 0,
                is_key: true,
            };
            let (start, end) = (Ticks(time as i64), Ticks(time as i64 + 1));
            let extent = Some(Extent { opens_on: Key, start, end });
            [WalkStep::Sample(sample), WalkStep::Fragment { begin: at, media: at..at + 9, extent }]
        };
        let mut survey = ThinSurvey::default();
        fragment(THIN_FRAME_BYTES_MAX as u32 + 1, 0, 0).into_iter().for_each(|it| survey.take(it));
        assert!(survey.is_unfit());
        let mut survey = ThinSurvey::default();
        for nth in 0..=THIN_KEY_FRAMES_MAX as u64 {
            assert!(!survey.is_unfit());
            fragment(9, nth, nth * 9).into_iter().for_each(|it| survey.take(it));
        }
        assert!(survey.is_unfit());
        let mut survey = ThinSurvey::default();
        fragment(9, u64::from(u32::MAX) + 1, 0).into_iter().for_each(|it| survey.take(it));
        assert!(survey.is_unfit());
    }

    #[test]
    fn sound_is_left_out() {
        let format = crate::codec::AudioFormat::aac(&[0x14, 0x08], 16_000).unwrap();
        let file = samples::closed_with_audio(&format, 4);
        let survey = survey(&file, 3);
        assert_eq!(survey.keys.len(), 4);
        assert!(survey.keys.iter().all(|key| key.bytes == 60));
        let whole = scan::scan(&read_at(&file), file.len() as u64, Depth::Structure);
        assert_eq!(survey.end, whole.duration.0, "it is as long as it was");
    }
}
