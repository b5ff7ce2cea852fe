//! Sound beside the video: every frame that the camera sent is in a file once, byte for byte, at
//! the time at which it was heard.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, assert_exact, assert_ffmpeg_is_silent, config,
    frames_in, http, mp4, record_to_the_end, smolnvr, states_of, wait_for,
};
use camera::{Camera, Clip, Encoding, Options, Sound, Speed};
use std::path::PathBuf;

/// 16 s.
const FRAMES: u64 = 400;
/// Sound that comes before the first picture is complete belongs to none.
const FIRST_MAX: u64 = 3;

struct Recorded {
    nvr: Nvr,
    files: Vec<PathBuf>,
    clip: Clip,
    sound: Sound,
    /// Frames of sound that the camera sent or lost.
    sounds: u64,
}

fn options(sound: &Sound) -> Options {
    // As fast as a socket takes so many small packets.
    let (speed, sound) = (Speed::Times(5.0), Some(sound.clone()));
    Options { speed, sound, frames: Some(FRAMES), ..Options::default() }
}

fn start(camera: &Camera, keys: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let text = text.replace("buffer_kb", &format!("{keys}\nbuffer_kb"));
    Nvr::start_with(directory, &text, &[])
}

fn record(name: &str, sound: Sound, keys: &str) -> Recorded {
    let clip = Clip::committed(name).unwrap();
    let camera =
        Camera::builder().stream_with("cam", clip.clone(), options(&sound)).start().unwrap();
    let mut nvr = start(&camera, keys);
    record_to_the_end(&mut nvr, &camera, FRAMES);
    let files = nvr.files();
    assert_exact(&files, &clip, 0, FRAMES);
    assert_ffmpeg_is_silent(&files);
    assert_all_whole(&nvr.recordings());
    let sounds = camera.sessions()[0].sounds;
    Recorded { nvr, files, clip, sound, sounds }
}

impl Recorded {
    /// Compares all files with what was sent; returns the number of the first frame.
    fn assert_sound(&self) -> u64 {
        let (ticks, rate) =
            (i64::from(self.sound.frame_ticks()), i64::from(self.sound.clock_rate()));
        let (mut next, mut first) = (None, None);
        let mut picture = 0;
        for file in &self.files {
            let movie = mp4::read(file).unwrap();
            let audio = movie.audio.as_ref().expect("a sound track");
            assert_eq!(i64::from(audio.timescale), rate);
            // Both tracks begin with the first picture.
            let zero = self.clip.frame(picture).pts as i64;
            let mut end = 0;
            for sample in &audio.samples {
                let number = *next.get_or_insert_with(|| {
                    let is_it = |number: &u64| self.sound.frame(*number) == sample.bytes;
                    (0..=FIRST_MAX).find(is_it).expect("one of the first frames")
                });
                first.get_or_insert(number);
                assert!(sample.bytes == self.sound.frame(number), "sound {number} differs");
                assert!(sample.decode >= end, "sound {number} begins before the end of the last");
                let heard = number as i64 * ticks - zero * rate / 90_000;
                let off = (sample.decode - heard).abs();
                assert!(off <= 1, "sound {number} is off by {off} ticks");
                end = sample.decode + ticks;
                next = (number + 1..).find(|number| !self.sound.is_lost(*number));
            }
            picture += movie.samples.len() as u64;
            let span = self.clip.frame(picture).pts as i64 - zero;
            let begins = audio.samples.last().map_or(0, |last| last.decode) * 90_000 / rate;
            assert!(begins < span, "{begins} is behind the file's end at {span}");
        }
        let after = next.unwrap();
        assert!((self.sounds..=self.sounds + 1).contains(&after), "{after} of {}", self.sounds);
        first.unwrap()
    }
}

#[test]
fn aac() {
    let recorded = record("plain.h264", Sound::new(Encoding::Aac), "audio = true");
    assert!(recorded.assert_sound() <= FIRST_MAX);
    assert_eq!(mp4::read(&recorded.files[0]).unwrap().audio.unwrap().sample_entry, *b"mp4a");
    assert!(recorded.nvr.log().contains("sound=\"AAC, 16000 Hz\""), "{}", recorded.nvr.log());
    let file = recorded.nvr.directory.path().join("smolnvr.toml");
    let (_, list, _) = smolnvr(&["list", "--json", "-c", file.to_str().unwrap()]);
    let mime = "video/mp4; codecs=\\\"avc1.640015,mp4a.40.2\\\"";
    assert!(list.contains(mime), "{list}");
    assert_eq!(recorded.nvr.complaints(), [""; 0]);
}

#[test]
fn aac_with_b_frames_and_uneven_times() {
    for name in ["bframes.h265", "slices.h264"] {
        record(name, Sound::new(Encoding::Aac), "audio = true").assert_sound();
    }
}

#[test]
fn aac_as_latm() {
    record("plain.h264", Sound::new(Encoding::Latm), "audio = true").assert_sound();
}

#[test]
fn g711() {
    for (encoding, entry) in [(Encoding::Pcmu, *b"ulaw"), (Encoding::Pcma, *b"alaw")] {
        let recorded = record("plain.h264", Sound::new(encoding), "audio = true");
        recorded.assert_sound();
        assert_eq!(mp4::read(&recorded.files[0]).unwrap().audio.unwrap().sample_entry, entry);
    }
}

#[test]
fn over_udp() {
    let keys = "audio = true\ntransport = \"udp\"";
    let recorded = record("plain.h264", Sound::new(Encoding::Aac), keys);
    recorded.assert_sound();
}

#[test]
fn sound_that_is_counted_together_with_the_video_costs_nothing() {
    for transport in ["tcp", "udp"] {
        let sound = Sound { shares_count: true, ..Sound::new(Encoding::Aac) };
        let keys = format!("audio = true\ntransport = {transport:?}");
        let recorded = record("slices.h264", sound, &keys);
        assert!(recorded.assert_sound() <= FIRST_MAX);
        let log = recorded.nvr.log();
        assert!(log.contains(" lost=0 ") && log.contains(" audio_packets_lost=0 "), "{log}");
    }
}

/// Nothing in a packet says whether the one before it belonged to the sound: so the sound is
/// received too, for its numbers, in a second session.
#[test]
fn unwanted_sound_that_uses_up_numbers_of_the_video_is_received_for_them() {
    for transport in ["tcp", "udp"] {
        for encoding in [Encoding::Aac, Encoding::G726] {
            let sound = Sound { shares_count: true, ..Sound::new(encoding) };
            let clip = Clip::committed("slices.h264").unwrap();
            let builder = Camera::builder().stream_with("cam", clip.clone(), options(&sound));
            let camera = builder.start().unwrap();
            let mut nvr = start(&camera, &format!("transport = {transport:?}"));
            record_to_the_end(&mut nvr, &camera, FRAMES);
            let [_, second] = &camera.sessions()[..] else { panic!("{}", nvr.log()) };
            let files = nvr.files();
            // The last ones hold the second session, all of it.
            let is_begin = |nth: &usize| frames_in(&files[*nth..]) as u64 == FRAMES;
            let begin = (0..files.len()).find(is_begin).expect("every frame of a session");
            assert_exact(&files[begin..], &clip, second.first_frame, FRAMES);
            assert_ffmpeg_is_silent(&files);
            assert_all_whole(&nvr.recordings());
            assert!(files.iter().all(|file| mp4::read(file).unwrap().audio.is_none()));
            let log = nvr.log();
            assert_eq!(log.matches("its numbers are received as well").count(), 1, "{log}");
        }
    }
}

#[test]
fn lost_sound_is_a_gap_and_nothing_else() {
    for encoding in [Encoding::Aac, Encoding::Pcmu] {
        let sound = Sound { lose_every: Some(7), ..Sound::new(encoding) };
        let recorded = record("plain.h264", sound, "audio = true");
        let first = recorded.assert_sound();
        // Up to the first that came nothing is missed, nor is the last one.
        let is_lost = |number: &u64| recorded.sound.is_lost(*number);
        let lost = (first..recorded.sounds - 1).filter(is_lost).count();
        let line = format!("audio_packets_lost={lost} audio_frames_broken=0");
        assert!(recorded.nvr.log().contains(&line), "{line} in {}", recorded.nvr.log());
    }
}

#[test]
fn lost_sound_is_counted_in_status_and_metrics() {
    let sound = Sound { lose_every: Some(7), ..Sound::new(Encoding::Aac) };
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { frames: None, ..options(&sound) };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let nvr = start(&camera, "audio = true");
    let losses = || nvr.status()["cameras"][0]["losses"].clone();
    wait_for("sound that is missed", || losses()["audio"].as_u64().unwrap() >= 5);
    let counted = losses()["audio"].as_u64().unwrap();
    let metrics = http::ask(&nvr.web_address(), "GET", "/metrics", &[], "").text();
    let name = "smolnvr_camera_losses_total{camera=\"camera\",cause=\"audio\"} ";
    let metric = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert!(metric.parse::<u64>().unwrap() >= counted, "{metric} of {counted}");
    assert_eq!(losses()["network"], 0);
}

#[test]
fn video_goes_on_where_sound_ends() {
    // 5.1 s of 16 s.
    let sound = Sound { frames: Some(80), ..Sound::new(Encoding::Aac) };
    let recorded = record("plain.h264", sound, "audio = true");
    let audio = |file: &PathBuf| mp4::read(file).unwrap().audio;
    let samples: Vec<Option<usize>> =
        recorded.files.iter().map(|file| audio(file).map(|it| it.samples.len())).collect();
    assert!(samples.iter().flatten().sum::<usize>() as u64 >= 80 - FIRST_MAX, "{samples:?}");
    assert!(matches!(samples[0], Some(29..=32)), "{samples:?}");
    assert_eq!(samples.last(), Some(&None), "{samples:?}");
}

#[test]
fn sound_that_the_camera_refuses_is_logged_once_and_the_video_is_recorded() {
    let refused = Sound { is_refused: true, ..Sound::new(Encoding::Aac) };
    for (sound, word) in [
        (refused, "sound=none reason=\"the camera refused to send it\""),
        (Sound::new(Encoding::G726), "sound=none reason=\"G726-32 is not supported: "),
    ] {
        let recorded = record("plain.h264", sound, "audio = true");
        assert_eq!(recorded.nvr.log().matches(word).count(), 1, "{}", recorded.nvr.log());
        assert!(recorded.files.iter().all(|file| mp4::read(file).unwrap().audio.is_none()));
    }
}

#[test]
fn unwanted_sound_is_not_fetched() {
    let recorded = record("plain.h264", Sound::new(Encoding::Aac), "");
    assert_eq!(recorded.sounds, 0);
    assert!(recorded.files.iter().all(|file| mp4::read(file).unwrap().audio.is_none()));
    assert!(!recorded.nvr.log().contains("sound="));
}

#[test]
fn a_file_with_sound_that_was_cut_off_is_mended() {
    let sound = Sound::new(Encoding::Aac);
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { frames: None, ..options(&sound) };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    // One file, so that none is cut off that holds nothing yet.
    let text =
        config(directory.path(), "segment_seconds = 3600", &[("camera", &camera.url("cam"))]);
    let text = text.replace("buffer_kb", "audio = true\nbuffer_kb");
    let mut nvr = Nvr::start_with(directory, &text, &[]);
    let has_sound = |file: &PathBuf| {
        let movie = mp4::read(file).ok();
        movie.and_then(|movie| movie.audio).is_some_and(|audio| audio.samples.len() > 10)
    };
    wait_for("sound in a file", || nvr.files().iter().any(has_sound));
    nvr.kill();
    let last = nvr.files().last().unwrap().clone();
    let text = last.to_str().unwrap();
    let before = states_of(&nvr.recordings());
    assert!(before.iter().any(|(_, state)| state == "cut"), "{before:?}");
    let (code, said, errors) = smolnvr(&["verify", "--repair", text]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert_all_whole(&nvr.recordings());
    assert_ffmpeg_is_silent(&nvr.files());
    assert!(mp4::read(&last).unwrap().audio.is_some());
}
