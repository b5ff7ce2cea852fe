//! Sound beside the video: each frame once, in the file in whose span it begins.

use super::bench::{Bench, FRAME};
use crate::{
    codec::{AudioCodec, AudioFormat},
    limits,
    media::{AudioFrame, FrameKind, Ring},
    units::Ticks,
};
use std::sync::Arc;

const RATE: i64 = 8000;
/// 64 ms.
const TICKS: i64 = 512;

/// A camera with sound, which comes so many ticks (of 90 kHz) later than the video of its time.
struct Sound {
    bench: Bench,
    delay: Ticks,
    format: Arc<AudioFormat>,
    next: i64,
    /// Every frame that was sent, with its run and time.
    sent: Vec<(u32, i64)>,
    bytes: usize,
}

impl Sound {
    fn new(ring_bytes: usize, delay: Ticks) -> Sound {
        let mut ring = Ring::with_audio(ring_bytes);
        ring.audio.as_mut().unwrap().is_expected = true;
        let mut bench = Bench::of(ring);
        bench.recorder.card_accepts(true);
        bench.start();
        let format = Arc::new(AudioFormat::g711(AudioCodec::Pcmu, 8000, 1));
        Sound { bench, delay, format, next: 0, sent: Vec::new(), bytes: 40 }
    }

    fn catch_up(&mut self) {
        while (self.next + TICKS) * 90_000 / RATE + self.delay.0 <= self.bench.now.0 {
            self.push();
        }
    }

    fn push(&mut self) {
        let mut bytes = vec![0; self.bytes];
        bytes[..8].copy_from_slice(&(self.sent.len() as u64).to_be_bytes());
        let frame = AudioFrame {
            time: self.next,
            duration: TICKS as u32,
            run: self.bench.run,
            format: Arc::clone(&self.format),
        };
        self.bench.ring.audio.as_mut().unwrap().push(frame, &bytes).unwrap();
        self.sent.push((self.bench.run, self.next));
        self.next += TICKS;
    }

    fn group(&mut self, count: usize) {
        for index in 0..count {
            self.catch_up();
            self.bench.frame(if index == 0 { FrameKind::Key } else { FrameKind::Delta }, 100);
        }
    }

    /// Video alone, for so many groups.
    fn silent_groups(&mut self, groups: usize, count: usize) {
        for _ in 0..groups {
            self.bench.group(count);
        }
        self.next = self.bench.now.0 * RATE / 90_000;
    }

    fn begin_run(&mut self) {
        self.bench.end_run();
        self.bench.begin_run();
        self.next = 0;
    }

    /// How often each frame of sound was stored; where, is checked.
    fn stored(&self) -> Vec<u32> {
        let mut copies = vec![0; self.sent.len()];
        for file in &self.bench.card.files {
            let Some(first) = file.fragments.first() else { continue };
            let origin = &self.bench.frames[first.frames.start as usize];
            let start = (origin.presentation.0 * RATE + 89_999).div_euclid(90_000);
            let mut end = 0;
            for audio in file.fragments.iter().filter_map(|fragment| fragment.audio.as_ref()) {
                let mut time = audio.decode_time;
                assert!(time >= end, "{time} after {end}");
                for sample in &audio.samples {
                    let number = u64::from_be_bytes(sample.media[..8].try_into().unwrap());
                    let (run, sent) = self.sent[number as usize];
                    assert_eq!((run, sent - start), (origin.run, time), "sound {number}");
                    copies[number as usize] += 1;
                    time += i64::from(sample.duration);
                }
                end = time;
            }
        }
        copies
    }

    /// All that was sent, but for the last of each run, is stored once.
    fn assert_exact(&self) {
        let stored = self.stored();
        assert!(stored.iter().all(|copies| *copies == 1), "{stored:?}");
        assert_eq!(self.bench.recorder.audio_lost(), 0);
    }
}

#[test]
fn every_frame_is_in_the_file_in_whose_span_it_begins() {
    for delay in [-40_000, -9000, 0, 9000, 40_000] {
        let mut sound = Sound::new(1 << 20, Ticks(delay));
        for _ in 0..20 {
            sound.group(25);
        }
        sound.bench.stop();
        let spans: Vec<_> = (0..10).map(|nth| nth * 50..nth * 50 + 50).collect();
        assert_eq!(sound.bench.spans(), spans, "{delay}");
        sound.assert_exact();
        assert!(sound.bench.card.files.iter().all(|file| file.has_audio));
    }
}

#[test]
fn sound_heard_at_a_key_frame_lies_in_its_fragment() {
    let mut sound = Sound::new(1 << 20, Ticks(-20_000));
    for _ in 0..12 {
        sound.group(10);
    }
    sound.bench.stop();
    for file in &sound.bench.card.files {
        for fragment in &file.fragments {
            let picture = (fragment.decode_time * RATE + 89_999) / 90_000;
            let audio = fragment.audio.as_ref().unwrap();
            assert!(audio.decode_time <= picture || fragment.decode_time == 0);
            assert!(audio.decode_time + TICKS > picture, "and no more than that");
        }
    }
    sound.assert_exact();
}

#[test]
fn odd_lengths_lose_nothing_either() {
    for count in [7, 13, 24, 26, 60] {
        let mut sound = Sound::new(1 << 20, Ticks(7000));
        for _ in 0..12 {
            sound.group(count);
        }
        sound.begin_run();
        for _ in 0..12 {
            sound.group(count);
        }
        sound.bench.stop();
        sound.assert_exact();
    }
}

#[test]
fn video_goes_on_where_sound_stops() {
    let mut sound = Sound::new(1 << 20, Ticks(0));
    for _ in 0..4 {
        sound.group(25);
    }
    // The next cut may wait a second for it, no later one does.
    sound.silent_groups(5, 25);
    let newest = sound.bench.frames.len() as u64;
    let waited = limits::AUDIO_WAIT.0 / FRAME.0 + 1;
    let on_card = sound.bench.spans().last().unwrap().end;
    assert!(newest - on_card <= waited as u64 + 25, "{on_card} of {newest}");
    sound.silent_groups(5, 25);
    let on_card = sound.bench.spans().last().unwrap().end;
    let newest = sound.bench.frames.len() as u64;
    assert!(newest - on_card <= 26, "{on_card} of {newest}");
    sound.bench.stop();
    assert_eq!(sound.bench.spans().last().unwrap().end, 350);
    let has_audio: Vec<bool> = sound.bench.card.files.iter().map(|file| file.has_audio).collect();
    assert!(has_audio.starts_with(&[true, true]) && has_audio.ends_with(&[false, false, false]));
    sound.assert_exact();
}

#[test]
fn sound_that_comes_later_begins_a_segment_with_a_track_for_it() {
    let mut sound = Sound::new(1 << 20, Ticks(0));
    sound.silent_groups(3, 25);
    for _ in 0..4 {
        sound.group(25);
    }
    sound.bench.stop();
    let has_audio: Vec<bool> = sound.bench.card.files.iter().map(|file| file.has_audio).collect();
    assert_eq!(has_audio, [false, false, true, true]);
    // Only what came before that segment has no place.
    let stored = sound.stored();
    let lost = stored.iter().filter(|copies| **copies == 0).count();
    assert!(lost <= 25 * 3600 / 5760 + 2 && stored[lost..].iter().all(|copies| *copies == 1));
}

#[test]
fn a_camera_without_sound_is_recorded_at_once() {
    let mut sound = Sound::new(1 << 20, Ticks(0));
    sound.bench.ring.audio.as_mut().unwrap().is_expected = false;
    sound.bench.group(5);
    sound.bench.frame(FrameKind::Key, 100);
    assert_eq!(sound.bench.spans(), [0..5]);
}

#[test]
fn another_format_is_another_segment() {
    let mut sound = Sound::new(1 << 20, Ticks(0));
    (0..3).for_each(|_| sound.group(25));
    sound.format = Arc::new(AudioFormat::g711(AudioCodec::Pcma, 8000, 1));
    (0..3).for_each(|_| sound.group(25));
    sound.bench.stop();
    assert_eq!(sound.bench.spans(), [0..50, 50..75, 75..125, 125..150]);
    let stored = sound.stored();
    let lost = stored.iter().filter(|copies| **copies == 0).count() as u64;
    assert!(lost <= 2 && stored.iter().all(|copies| *copies <= 1), "{stored:?}");
    assert_eq!(sound.bench.recorder.audio_lost(), lost);
}

#[test]
fn a_gap_in_the_sound_is_a_gap_in_its_times() {
    let mut sound = Sound::new(1 << 20, Ticks(0));
    for group in 0..6 {
        sound.group(25);
        sound.next += if group % 2 == 0 { 3 * TICKS } else { 0 };
    }
    sound.bench.stop();
    sound.assert_exact();
}

#[test]
fn sound_survives_a_card_that_fails_and_comes_back() {
    let mut sound = Sound::new(1 << 20, Ticks(9000));
    sound.group(25);
    sound.bench.sync();
    sound.group(25);
    sound.bench.fail_sync();
    for _ in 0..8 {
        sound.group(25);
    }
    sound.bench.stop();
    // What was lost with the first file is sent again from its key frame on.
    let stored = sound.stored();
    assert!(stored.iter().all(|copies| (1..=2).contains(copies)), "{stored:?}");
    assert_eq!((sound.bench.recorder.lost(), sound.bench.recorder.audio_lost()), (0, 0));
}

#[test]
fn waiting_for_sound_costs_no_video_in_a_small_ring() {
    let mut sound = Sound::new(40_000, Ticks(80_000));
    sound.bytes = 16;
    for _ in 0..20 {
        for index in 0..25 {
            sound.catch_up();
            let kind = if index == 0 { FrameKind::Key } else { FrameKind::Delta };
            sound.bench.frame(kind, 1000);
        }
    }
    sound.bench.stop();
    assert_eq!(sound.bench.recorder.lost(), 0);
    assert!(sound.stored().iter().all(|copies| *copies <= 1));
}

#[test]
fn too_much_sound_for_a_fragment_goes_into_the_next() {
    let mut sound = Sound::new(4 << 20, Ticks(0));
    sound.bytes = 3000;
    for _ in 0..4 {
        sound.group(25);
    }
    sound.bench.stop();
    for fragment in sound.bench.card.files.iter().flat_map(|file| &file.fragments) {
        let samples = fragment.audio.iter().flat_map(|audio| &audio.samples);
        let bytes: usize = samples.map(|sample| sample.media.len()).sum();
        assert!(bytes <= limits::AUDIO_FRAGMENT_BYTES_MAX);
    }
    let stored = sound.stored();
    assert!(stored.iter().all(|copies| *copies <= 1));
    // Ten fit a fragment; what a segment's last one has no room for is lost.
    assert!(stored.iter().sum::<u32>() >= 40 && sound.bench.recorder.audio_lost() > 0);
}
