use super::*;
use crate::{
    codec::{AudioFormat, Codec},
    mp4::{
        fragment::{FirstSample, FragmentHeader, Sample},
        samples::{
            FRAME, by_ffmpeg, closed, closed_with_audio, closed_with_audio_unless, unclosed,
        },
        scan::{DecodeTime, Durations, FileState, Subsegment, Subsegments},
    },
    units::{Ticks, WallTime},
};
use proptest::prelude::*;
use std::{cell::Cell, io, ops::ControlFlow, time::Duration};

fn read_of(file: &[u8]) -> impl Fn(&mut [u8], u64) -> io::Result<usize> + '_ {
    |buffer, at| {
        let rest = file.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A recording's fragments from `at` on, read in pieces.
fn sent(file: &[u8], time_ms: i64, mut at: u64, piece: usize) -> Vec<u8> {
    let shift = Shift::read(&read_of(file), file.len() as u64, time_ms).unwrap();
    let (mut cursor, mut out) = (0, Vec::new());
    while at < shift.bytes() {
        let before = out.len();
        shift.copy(&mut cursor, at, piece, &mut out, &read_of(file)).unwrap();
        assert!(out.len() > before);
        at += (out.len() - before) as u64;
    }
    out
}

/// Each track with its time and the time's place.
fn decode_times(fragments: &[u8]) -> Vec<DecodeTime> {
    let mut found = Vec::new();
    scan::decode_times(
        &read_of(fragments),
        fragments.len() as u64,
        0,
        Durations::Read,
        &mut |_, times| {
            found.extend_from_slice(times);
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    found
}

/// Two files of ours, one with sound of 16 kHz, and one of FFmpeg's that continues the times of the
/// file before.
fn files() -> [Vec<u8>; 3] {
    let sound = AudioFormat::aac(&[0x14, 0x08], 16_000).unwrap();
    let mut later = by_ffmpeg(100, 4);
    let fragments = later.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    for found in decode_times(&later[fragments..]) {
        let at = fragments + found.at as usize;
        later[at..at + 8].copy_from_slice(&(found.time + 5_400_000).to_be_bytes());
    }
    [closed(Codec::H265, 9), closed_with_audio(&sound, 5), later]
}

#[test]
fn decode_times_are_moved_and_nothing_else_is() {
    for file in files() {
        let begin = file.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
        let fragments = &file[begin..];
        let before = decode_times(fragments);
        let whole = sent(&file, 61_040, 0, usize::MAX >> 1);
        let after = decode_times(&whole);
        assert_eq!(after.len(), before.len());
        let (mut original, mut moved) = (fragments.to_vec(), whole.clone());
        for (before, after) in before.iter().zip(&after) {
            let timescale = if before.track == 1 { 90 } else { 16 };
            let first = if before.time >= 5_400_000 { 5_400_000 } else { 0 };
            assert_eq!(after.time, before.time - first + 61_040 * timescale);
            let place = before.at as usize..before.at as usize + 8;
            original[place.clone()].fill(0);
            moved[place].fill(0);
        }
        assert!(original == moved);
        for piece in [1, 7, 100, 1000] {
            assert!(sent(&file, 61_040, 0, piece) == whole, "{piece}");
        }
        for at in (0..whole.len()).step_by(11) {
            assert!(sent(&file, 61_040, at as u64, 64) == whole[at..], "{at}");
        }
    }
}

/// A fragment as long as one of FFmpeg's with a picture group of a minute.
#[test]
fn finding_a_time_costs_one_read_however_many_samples_follow_it() {
    let mut fragments = Vec::new();
    for nth in 0..4 {
        let sample = |nth| Sample { bytes: 1, duration: FRAME + nth % 2, composition_offset: 0 };
        let samples: Vec<_> = (0..1500u32).map(sample).collect();
        let header = FragmentHeader {
            sequence_number: nth + 1,
            decode_time: Ticks(0),
            opens_on: FirstSample::Key,
            samples: &samples,
        };
        header.write(&mut fragments);
        fragments.resize(fragments.len() + samples.len(), 0);
    }
    let reads_of = |durations| {
        let reads = Cell::new(0);
        let read_at = |buffer: &mut [u8], at| {
            reads.set(reads.get() + 1);
            read_of(&fragments)(buffer, at)
        };
        let visit = &mut |_, _: &[DecodeTime]| ControlFlow::Continue(());
        scan::decode_times(&read_at, fragments.len() as u64, 0, durations, visit).unwrap();
        reads.get()
    };
    assert!(reads_of(Durations::Skipped) <= 8, "two a fragment");
    assert!(reads_of(Durations::Read) >= 12, "they are in 12 KB of each");
}

#[test]
fn no_time_is_negative() {
    // The first two fragments would begin before 0.
    let times = decode_times(&sent(&closed(Codec::H264, 3), -200, 0, 100));
    let times: Vec<_> = times.iter().map(|it| it.time).collect();
    assert_eq!(times, [0, 0, u64::from(6 * FRAME) - 18_000]);
}

#[test]
fn a_file_that_is_cut_anywhere_is_sent_up_to_there_or_refused() {
    for file in files() {
        for length in 0..file.len() {
            let cut = &file[..length];
            let Ok(shift) = Shift::read(&read_of(cut), length as u64, 1000) else { continue };
            let (mut cursor, mut out) = (0, Vec::new());
            let end = shift.copy(&mut cursor, 0, length, &mut out, &read_of(cut));
            assert!(out.len() as u64 == shift.bytes() || end.is_err());
            // The card returns less than its length promised.
            let end = shift.copy(&mut 0, 0, length, &mut Vec::new(), &read_of(&cut[..length / 2]));
            assert!(end.is_err());
        }
    }
    let (head, ..) = unclosed(Codec::H264, 0);
    let none = Shift::read(&read_of(&head), head.len() as u64, 0);
    assert!(matches!(none, Err(FileState::Cut)));
}

#[test]
fn an_init_segment_contains_no_duration() {
    let [ours, with_sound, by_ffmpeg] = files();
    let init = |file: &[u8]| init(&read_of(file), file.len() as u64).unwrap();
    assert_eq!(init(&ours), init(&closed(Codec::H265, 2)));
    assert_ne!(init(&ours), init(&closed(Codec::H264, 9)));
    assert_ne!(init(&with_sound), init(&closed(Codec::H264, 5)));
    for file in [&ours, &with_sound, &by_ffmpeg] {
        let init = init(file);
        let kinds: Vec<_> = children(&init, 0..init.len()).map(|child| child.kind).collect();
        assert_eq!(kinds, [*b"ftyp", *b"moov"]);
        assert!(!init.windows(4).any(|kind| kind == b"mehd"));
        let head = scan::read_head(&read_of(&init), init.len() as u64).unwrap();
        assert_eq!(head.duration, None);
    }
    for length in 0..ours.len() {
        // Every truncation is handled without a panic.
        let _ = super::init(&read_of(&ours[..length]), length as u64);
    }
}

const HOUR: i64 = 3_600_000;

fn recording(number: u32, start: i64) -> ListedRecording {
    let (start, duration_ms) = (WallTime(start), 60_000);
    ListedRecording { number, start, duration_ms, codecs: 0, is_full: true }
}

/// Key frames every two seconds.
fn index(seconds: u32) -> Subsegments {
    let list = (0..seconds / 2).map(|nth| Subsegment {
        begin: 3000 + u64::from(nth) * 1000,
        bytes: 1000,
        duration: 180_000,
        opens_on_key: true,
    });
    Subsegments { timescale: 90_000, list: list.collect() }
}

fn ended(from: i64, to: i64, grain: Grain) -> Playlist {
    Playlist::new("yard", (WallTime(from), WallTime(to)), Growth::Ended, grain)
}

fn text(playlist: &Playlist) -> String {
    let mut text = Vec::new();
    for part in 0.. {
        if !playlist.write(part, &mut text) {
            break;
        }
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_playlist_has_pieces_of_six_seconds_on_one_time_line() {
    let mut playlist = ended(9_000, 100_000, Grain::Ranges);
    let first = ListedRecording { duration_ms: 13_000, is_full: false, ..recording(14, 0) };
    let second = ListedRecording { duration_ms: 8_000, ..recording(15, 13_001) };
    let other = ListedRecording { duration_ms: 6_000, ..recording(17, 81_500) };
    assert!(playlist.must_see_init(&first));
    let mut thirteen = index(12);
    thirteen.list.push(Subsegment { duration: 90_000, bytes: 500, ..thirteen.list[5] });
    playlist.add(first, Some(1), Some(&thirteen));
    // It ended early, perhaps because its parameters changed.
    assert!(playlist.must_see_init(&second));
    playlist.add(second, Some(1), Some(&index(8)));
    assert!(playlist.must_see_init(&other));
    playlist.add(other, Some(2), Some(&index(6)));
    assert_eq!(
        text(&playlist),
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:8\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MAP:URI=\"yard/14.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:06.000Z\n\
         #EXTINF:7.000000,\n#EXT-X-BYTERANGE:3500@3000\nyard/14.m4s?t=-6000\n\
         #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:13.001Z\n\
         #EXTINF:8.000000,\n#EXT-X-BYTERANGE:4000@0\nyard/15.m4s?t=7000\n\
         #EXT-X-DISCONTINUITY\n\
         #EXT-X-MAP:URI=\"yard/17.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:21.500Z\n\
         #EXTINF:6.000000,\n#EXT-X-BYTERANGE:3000@0\nyard/17.m4s?t=15000\n#EXT-X-ENDLIST\n"
    );
}

#[test]
fn time_runs_on_over_gaps_and_steps_of_the_clock() {
    let mut playlist = ended(0, HOUR, Grain::Recordings);
    for (number, start) in [(1, 0), (2, 60_200), (3, 121_000), (4, 100_000)] {
        let recording = recording(number, start);
        assert_eq!(playlist.must_see_init(&recording), number != 2);
        playlist.add(recording, (number != 2).then_some(7), None);
    }
    let text = text(&playlist);
    assert_eq!(text.matches("#EXT-X-MAP").count(), 1);
    assert!(!text.contains("DISCONTINUITY"), "no time stamp of the media jumps");
    for (date, time) in
        [("00.000", 0), ("00.200", 60_000), ("01.000", 120_000), ("40.000", 180_000)]
    {
        let number = time / 60_000 + 1;
        let piece = format!("{date}Z\n#EXTINF:60.000000,\nyard/{number}.m4s?t={time}\n");
        assert!(text.contains(&piece), "{text}");
    }
}

#[test]
fn sound_that_ends_early_lasts_until_the_pictures_end() {
    // A fragment has 120 ms of video, and 64 or 192 ms of sound.
    let sounds = [(48_000, [0x11, 0x88]), (16_000, [0x14, 0x08])];
    let sounds = sounds.map(|(rate, config)| (rate, AudioFormat::aac(&config, rate).unwrap()));
    for (count, (rate, sound), is_filled) in [
        (1, &sounds[0], true),
        (9, &sounds[0], true),
        (20, &sounds[0], true),
        (9, &sounds[1], false),
    ] {
        let file = closed_with_audio(sound, count);
        let begin = file.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
        let (before, after) = (&file[begin..], sent(&file, 0, 0, 100));
        let end_of = |fragments: &[u8], track| {
            let times = decode_times(fragments);
            times.iter().rfind(|it| it.track == track).map(|it| it.end).unwrap()
        };
        let pictures_end = end_of(before, 1) * u64::from(*rate) / 90_000;
        if is_filled {
            assert!(pictures_end - end_of(&after, 2) < 3, "one tick a frame");
            let other = before.iter().zip(&after).filter(|(before, after)| before != after);
            assert!(other.count() <= 4, "one duration");
        } else {
            assert!(after == before);
        }
    }
}

#[test]
fn sound_that_pauses_lasts_until_it_goes_on() {
    // Fragments of 120 ms: sound in the first two, none in the next, then again.
    let sound = AudioFormat::aac(&[0x14, 0x08], 16_000).unwrap();
    let silent = |nth| (2..30).contains(&nth);
    let file = closed_with_audio_unless(&sound, 40, &silent);
    let begin = file.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let (before, after) = (decode_times(&file[begin..]), sent(&file, 0, 0, usize::MAX >> 1));
    for (at, piece) in [(0, 1), (0, 100), (0, 5000), (400, 64), (700, 64)] {
        assert!(sent(&file, 0, at, piece) == after[at as usize..], "{at} {piece}");
    }
    let after = decode_times(&after);
    let sounds = |times: &[DecodeTime]| -> Vec<(u64, u64)> {
        let sounds = times.iter().filter(|it| it.track == 2);
        sounds.map(|it| (it.time, it.end)).collect()
    };
    let (before, after) = (sounds(&before), sounds(&after));
    assert_eq!(after.len(), 12);
    for (nth, (one, other)) in before.iter().zip(&after).enumerate() {
        if nth == 1 {
            assert!(after[2].0 - other.1 < 3, "{other:?} and {:?}", after[2]);
        } else {
            assert_eq!(one, other);
        }
    }
}

#[test]
fn sound_that_pauses_from_one_fragment_to_the_next_lasts_too() {
    let sound = AudioFormat::aac(&[0x14, 0x08], 16_000).unwrap();
    let mut file = closed_with_audio_unless(&sound, 6, &|_| false);
    let begin = file.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    for time in decode_times(&file[begin..]).iter().filter(|it| it.track == 2).skip(2) {
        let at = begin + time.at as usize;
        file[at..at + 8].copy_from_slice(&(time.time + 8000).to_be_bytes());
    }
    for piece in [1, 64, 5000, usize::MAX >> 1] {
        let after = decode_times(&sent(&file, 0, 0, piece));
        let sounds: Vec<_> = after.iter().filter(|it| it.track == 2).collect();
        for pair in sounds.windows(2) {
            assert!(pair[1].time - pair[0].end < 3, "{piece}: {pair:?}");
        }
    }
}

#[test]
fn a_growing_playlist_changes_only_at_its_end() {
    let growth = Growth::Growing(Duration::from_secs(70));
    let grown = |count: u32| {
        let mut playlist =
            Playlist::new("yard", (WallTime(0), WallTime(i64::MAX)), growth, Grain::Recordings);
        for number in 5..5 + count {
            let recording = recording(number, i64::from(number - 5) * 60_000);
            playlist.add(recording, Some(1), None);
        }
        text(&playlist)
    };
    let (before, after) = (grown(2), grown(3));
    assert!(after.starts_with(&before) && after.len() > before.len());
    for line in ["TARGETDURATION:70", "PLAYLIST-TYPE:EVENT", "MEDIA-SEQUENCE:5", "TIME-OFFSET=0"] {
        assert!(before.contains(line), "{line}");
    }
    assert!(!after.contains("ENDLIST"));
    // Before the first recording ends.
    assert!(!grown(0).contains("EXTINF"));
}

/// A player that reloads the playlist takes a changed address, or time, for another piece.
#[test]
fn an_address_stays_when_the_oldest_recording_is_deleted() {
    let growth = Growth::Growing(Duration::from_secs(70));
    let from = |oldest: u32| {
        let span = (WallTime(30_000), WallTime(i64::MAX));
        let mut playlist = Playlist::new("yard", span, growth, Grain::Recordings);
        for number in oldest..9 {
            let recording = recording(number, i64::from(number - 5) * 60_000);
            playlist.add(recording, Some(1), None);
        }
        text(&playlist)
    };
    let pieces = |oldest| -> Vec<String> {
        let text = from(oldest);
        text.lines().filter(|line| line.contains(".m4s")).map(str::to_owned).collect()
    };
    assert_eq!(pieces(5)[2..], pieces(7));
    assert_eq!(pieces(5)[0], "yard/5.m4s?t=40000", "never before 0");
}

#[test]
fn the_playlist_of_a_day_has_one_piece_per_recording_and_opens_few_files() {
    let mut playlist = ended(0, 24 * HOUR, Grain::Recordings);
    let mut opened = 0;
    for number in 0..1440 {
        let recording = recording(number, i64::from(number) * 60_000);
        let sees = playlist.must_see_init(&recording);
        opened += u32::from(sees);
        playlist.add(recording, sees.then_some(1), None);
    }
    assert_eq!(opened, 1);
    let text = text(&playlist);
    assert_eq!(text.matches("#EXTINF").count(), 1440);
    assert!(text.len() < 160_000, "{}", text.len());
}

proptest! {
    #[test]
    fn pieces_hold_every_byte_and_every_moment_of_a_recording_once(
        subsegments in prop::collection::vec((1u32..100_000, 1u32..1_000_000, any::<bool>()), 1..200),
    ) {
        let mut begin = 5000;
        let list = subsegments.iter().map(|(bytes, duration, opens_on_key)| {
            begin += u64::from(*bytes);
            let (bytes, duration, opens_on_key) = (*bytes, *duration, *opens_on_key);
            Subsegment { begin: begin - u64::from(bytes), bytes, duration, opens_on_key }
        });
        let index = Subsegments { timescale: 90_000, list: list.collect() };
        let ticks: u64 = index.list.iter().map(|it| u64::from(it.duration)).sum();
        let duration_ms = u32::try_from(ticks / 90).unwrap();
        let mut playlist = ended(0, HOUR, Grain::Ranges);
        playlist.add(ListedRecording { duration_ms, ..recording(3, 0) }, Some(1), Some(&index));
        let text = text(&playlist);
        let (mut at, mut time) = (0, 0);
        for piece in text.split("#EXTINF:").skip(1) {
            let (seconds, rest) = piece.split_once(",\n#EXT-X-BYTERANGE:").unwrap();
            let (seconds, micros) = seconds.split_once('.').unwrap();
            let micros = seconds.parse::<u64>().unwrap() * 1_000_000 + micros.parse::<u64>().unwrap();
            let (bytes, begin) = rest.lines().next().unwrap().split_once('@').unwrap();
            let (bytes, begin) = (bytes.parse::<u64>().unwrap(), begin.parse::<u64>().unwrap());
            prop_assert_eq!(begin, at);
            let opens = index.list.iter().find(|it| it.begin == 5000 + at).unwrap();
            prop_assert!(opens.opens_on_key || at == 0);
            at += bytes;
            time += micros;
        }
        prop_assert_eq!(at, begin - 5000);
        prop_assert_eq!(time, ticks * 1_000_000 / 90_000);
    }

    #[test]
    fn no_file_makes_it_panic(mut file in Just(closed(Codec::H264, 4)), at in 0usize..2000, byte: u8) {
        if let Some(place) = file.get_mut(at) {
            *place = byte;
        }
        let (read_at, len) = (read_of(&file), file.len() as u64);
        let _ = init(&read_at, len);
        let _ = scan::read_subsegments(&read_at, len);
        if let Ok(shift) = Shift::read(&read_at, len, 1000) {
            let _ = shift.copy(&mut 0, 0, 10_000, &mut Vec::new(), &read_at);
        }
    }
}
