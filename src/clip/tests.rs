use super::*;
use crate::units::Ticks;
use crate::{
    codec::{AudioFormat, Codec},
    mp4::{
        fragment::{self, FirstSample, FragmentHeader},
        samples::{by_ffmpeg, closed, closed_with_audio, unclosed},
        scan::{self, TrackKind, WalkStep},
    },
};
use std::ops::ControlFlow;

/// Segments with their start times.
struct Card(Vec<(WallTime, Vec<u8>)>);

impl Card {
    fn read(&self, id: u32, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let (_, file) = &self.0[id as usize];
        let rest = file.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn plan(&self, from: i64, to: i64, selection: Selection) -> Option<Clip> {
        let mut planner = Planner::new(WallTime(from), WallTime(to), selection);
        for (id, (start, file)) in self.0.iter().enumerate() {
            let source = ClipSource { id: id as u32, start: *start, bytes: file.len() as u64 };
            let read_at = |buffer: &mut [u8], at: u64| self.read(source.id, buffer, at);
            if planner.add(source, &read_at) == Added::End {
                break;
            }
        }
        planner.finish()
    }

    fn write(&self, clip: &Clip, piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut cursor = Cursor::default();
        while (out.len() as u64) < clip.bytes() {
            let at = out.len() as u64;
            let read: ReadSource = &|id, buffer, at| self.read(id, buffer, at);
            clip.read(&mut cursor, at, piece, &mut out, read).unwrap();
        }
        out
    }

    /// Every sample of a segment's track: decode time, composition offset, bytes.
    fn samples(&self, id: usize, track: TrackKind) -> Vec<(u64, i32, Vec<u8>)> {
        let file = &self.0[id].1;
        let read_at = |buffer: &mut [u8], at: u64| self.read(id as u32, buffer, at);
        let head = scan::read_head(&read_at, file.len() as u64).unwrap();
        let mut samples = Vec::new();
        scan::walk(&read_at, file.len() as u64, &head, head.media_begin, &mut |step| {
            if let WalkStep::Sample(sample) = step
                && sample.track == track
            {
                let at = sample.at as usize;
                let bytes = file[at..at + sample.bytes as usize].to_vec();
                samples.push((sample.decode_time, sample.composition_offset, bytes));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        samples
    }
}

/// A track's tables as a player interprets them.
struct Tables {
    /// Decode time, composition offset, bytes.
    samples: Vec<(u64, i32, Vec<u8>)>,
    keys: Vec<u32>,
    /// Duration and media time.
    edits: Vec<(u32, i32)>,
}

impl Tables {
    fn read(file: &[u8], nth: usize) -> Tables {
        let moov = boxes(file).into_iter().find(|it| it.0 == *b"moov").unwrap().1;
        let traks = boxes(moov).into_iter().filter(|it| it.0 == *b"trak").collect::<Vec<_>>();
        let trak = traks[nth].1;
        let table = |kind: &[u8; 4]| {
            let stbl = find(find(find(trak, b"mdia"), b"minf"), b"stbl");
            let found = boxes(stbl).into_iter().find(|it| it.0 == *kind)?.1;
            Some(
                found[4..].chunks(4).map(|it| u32::from_be_bytes(it.try_into().unwrap())).collect(),
            )
        };
        let numbers = |kind: &[u8; 4]| -> Vec<u32> { table(kind).unwrap_or_default() };
        let runs = |kind: &[u8; 4]| -> Vec<u32> {
            let numbers = numbers(kind);
            let pairs = numbers.get(1..).unwrap_or_default().chunks(2);
            pairs.flat_map(|run| vec![run[1]; run[0] as usize]).collect()
        };
        let sizes = numbers(b"stsz")[2..].to_vec();
        let (durations, offsets) = (runs(b"stts"), runs(b"ctts"));
        assert_eq!(durations.len(), sizes.len(), "a time for each sample");
        let chunks = numbers(b"stsc")[1..].to_vec();
        let mut samples = Vec::new();
        let mut time = 0;
        for (chunk, place) in numbers(b"stco")[1..].iter().enumerate() {
            let of = chunks.chunks(3).rfind(|of| of[0] as usize <= chunk + 1).unwrap();
            let mut at = *place as usize;
            for _ in 0..of[1] {
                let nth = samples.len();
                let end = at + sizes[nth] as usize;
                let offset = offsets.get(nth).copied().unwrap_or(0) as i32;
                samples.push((time, offset, file[at..end].to_vec()));
                time += u64::from(durations[nth]);
                at = end;
            }
        }
        assert_eq!(samples.len(), sizes.len(), "a chunk for each sample");
        let edits = find(find(trak, b"edts"), b"elst")[8..]
            .chunks(12)
            .map(|edit| {
                let number = |at: usize| u32::from_be_bytes(edit[at..at + 4].try_into().unwrap());
                (number(0), number(4) as i32)
            })
            .collect();
        Tables { samples, keys: numbers(b"stss").get(1..).unwrap_or_default().to_vec(), edits }
    }
}

fn boxes(mut bytes: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 8 {
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        found.push((bytes[4..8].try_into().unwrap(), &bytes[8..size]));
        bytes = &bytes[size..];
    }
    assert!(bytes.is_empty(), "boxes fill what holds them");
    found
}

fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    boxes(bytes).into_iter().find(|it| it.0 == *kind).unwrap().1
}

/// Segments of 20 fragments of 120 ms, so of 2.4 s, the second 10 s after the first.
fn card() -> Card {
    let file = || closed(Codec::H264, 20);
    Card(vec![(WallTime(1000), file()), (WallTime(3400), file()), (WallTime(20_000), file())])
}

#[test]
fn a_clip_holds_every_frame_of_its_span_across_segments_and_gaps() {
    let card = card();
    let clip = card.plan(0, 100_000, Selection::All).unwrap();
    assert_eq!((clip.from, clip.to), (WallTime(1000), WallTime(22_400)));
    assert_eq!(clip.ends, ClipEnd::Complete);
    let file = card.write(&clip, 1 << 20);
    assert_eq!(file.len() as u64, clip.bytes());
    let tables = Tables::read(&file, 0);
    let mut wanted = Vec::new();
    for id in 0..3 {
        for (time, offset, bytes) in card.samples(id, TrackKind::Video) {
            wanted.push((time + id as u64 * 2400 * 90, offset, bytes));
        }
    }
    assert!(tables.samples == wanted, "the gap is closed up, nothing else is moved");
    let keys = (0..180).filter(|nth| nth % 6 == 0).map(|nth| nth + 1).collect::<Vec<u32>>();
    assert_eq!(tables.keys, keys);
    assert_eq!(tables.edits, [(3 * 2400 * 90, 0)]);
}

#[test]
fn a_span_without_bounds_is_all_there_is() {
    let card = card();
    let all = card.plan(0, 100_000, Selection::All).unwrap();
    let widest = card.plan(i64::MIN, i64::MAX, Selection::All).unwrap();
    assert_eq!((widest.from, widest.to, widest.bytes()), (all.from, all.to, all.bytes()));
}

#[test]
fn a_clip_begins_and_ends_at_the_frames_shown_then() {
    let card = card();
    // 0.3 s into the first segment: the frame at 0.28 s is shown, its key frame is at 0.24 s.
    let clip = card.plan(1300, 4000, Selection::All).unwrap();
    assert_eq!((clip.from, clip.to), (WallTime(1280), WallTime(4000)));
    let tables = Tables::read(&card.write(&clip, 1 << 20), 0);
    assert_eq!(tables.edits, [(2720 * 90, 40 * 90)]);
    assert_eq!(tables.samples[0].2, card.samples(0, TrackKind::Video)[6].2);
    assert_eq!(tables.keys[0], 1);
    // The last fragment partly shown is complete: frames up to 0.6 s of the second segment.
    assert_eq!(tables.samples.len(), 54 + 15);
}

#[test]
fn every_piece_is_the_same_wherever_reading_begins() {
    let format = AudioFormat::aac(&[0x11, 0x90], 48_000).unwrap();
    let file = || closed_with_audio(&format, 20);
    let card = Card(vec![(WallTime(0), file()), (WallTime(2400), file())]);
    let clip = card.plan(500, 3000, Selection::All).unwrap();
    let whole = card.write(&clip, 1 << 20);
    for piece in [1, 7, 100, 1000] {
        assert!(card.write(&clip, piece) == whole, "pieces of {piece} bytes");
    }
    let mut cursor = Cursor::default();
    for at in (0..clip.bytes()).rev().step_by(13) {
        let mut out = Vec::new();
        let read: ReadSource = &|id, buffer, at| card.read(id, buffer, at);
        clip.read(&mut cursor, at, 50, &mut out, read).unwrap();
        let at = at as usize;
        assert_eq!(out, whole[at..whole.len().min(at + 50)]);
    }
}

#[test]
fn sound_stays_in_step_over_a_cut() {
    let format = AudioFormat::aac(&[0x11, 0x90], 48_000).unwrap();
    let file = || closed_with_audio(&format, 20);
    let card = Card(vec![(WallTime(0), file()), (WallTime(2400), file())]);
    let clip = card.plan(0, 10_000, Selection::All).unwrap();
    let tables = Tables::read(&card.write(&clip, 1 << 20), 1);
    let in_file = card.samples(0, TrackKind::Audio);
    assert_eq!(tables.samples.len(), 2 * in_file.len());
    // The second segment's sound starts with its video: 2.4 s later by the sound's clock.
    let rate = u64::from(format.clock_rate());
    assert_eq!(tables.samples[in_file.len()].0, 24 * rate / 10);
    assert!(
        tables.samples.iter().map(|it| &it.2).eq(in_file.iter().chain(&in_file).map(|it| &it.2))
    );
}

#[test]
fn pictures_that_are_shown_out_of_order_keep_their_times() {
    let offsets = [0, 7200, -3600, -3600];
    let samples = offsets.map(|composition_offset| fragment::Sample {
        bytes: 12,
        duration: 3600,
        composition_offset,
    });
    let file = |begin: i64| {
        let (mut file, ..) = unclosed(Codec::H264, 0);
        for nth in 0..5 {
            let header = FragmentHeader {
                sequence_number: nth as u32 + 1,
                decode_time: Ticks(begin + nth * 4 * 3600),
                opens_on: FirstSample::Key,
                samples: &samples,
            };
            header.write(&mut file);
            file.extend([0, 0, 0, 8, 0x65, 1, 2, 3, 4, 5, 6, 7].repeat(4));
        }
        file
    };
    let card = Card(vec![(WallTime(0), file(0)), (WallTime(800), file(0))]);
    let clip = card.plan(0, 10_000, Selection::All).unwrap();
    let tables = Tables::read(&card.write(&clip, 77), 0);
    assert_eq!(tables.edits, [(40 * 3600, 3600)]);
    let shown: Vec<i64> = tables.samples.iter().map(|it| it.0 as i64 + i64::from(it.1)).collect();
    let wanted = (0..40).map(|nth| (nth + 1) * 3600 + i64::from(offsets[nth as usize % 4]));
    assert!(shown.iter().copied().eq(wanted), "{shown:?}");
}

#[test]
fn a_change_of_parameters_ends_the_clip() {
    let card =
        Card(vec![(WallTime(0), closed(Codec::H264, 4)), (WallTime(480), closed(Codec::H265, 4))]);
    let clip = card.plan(0, 10_000, Selection::All).unwrap();
    assert_eq!((clip.ends, clip.to), (ClipEnd::Parameters, WallTime(480)));
    let clip = card.plan(600, 10_000, Selection::All).unwrap();
    assert_eq!((clip.ends, clip.from), (ClipEnd::Complete, WallTime(600)));
}

#[test]
fn a_segment_that_is_being_written_contributes_its_whole_fragments() {
    let (mut file, ..) = unclosed(Codec::H264, 4);
    let card = Card(vec![(WallTime(0), file.clone())]);
    let clip = card.plan(0, 10_000, Selection::All).unwrap();
    assert_eq!(clip.ends, ClipEnd::Complete);
    file.truncate(file.len() - 5);
    let card = Card(vec![(WallTime(0), file)]);
    let clip = card.plan(0, 10_000, Selection::All).unwrap();
    assert_eq!((clip.ends, clip.to), (ClipEnd::Damage, WallTime(360)));
    assert_eq!(Tables::read(&card.write(&clip, 1 << 20), 0).samples.len(), 9);
}

#[test]
fn a_time_lapse_holds_the_key_frames_alone() {
    let card = card();
    let clip = card.plan(0, 100_000, Selection::KeyFrames).unwrap();
    let tables = Tables::read(&card.write(&clip, 300), 0);
    let mut wanted = Vec::new();
    for id in 0..3 {
        let samples = card.samples(id, TrackKind::Video);
        wanted.extend(samples.into_iter().step_by(6).map(|it| it.2));
    }
    let times = (0..30).map(|nth| nth * 3600).collect::<Vec<u64>>();
    assert!(tables.samples.iter().map(|it| it.0).eq(times));
    assert!(tables.samples.iter().map(|it| &it.2).eq(&wanted));
}

#[test]
fn files_of_ffmpeg_are_handed_out_as_well() {
    let card = Card(vec![(WallTime(0), by_ffmpeg(200, 5)), (WallTime(600), by_ffmpeg(200, 5))]);
    let clip = card.plan(0, 10_000, Selection::All).unwrap();
    assert_eq!(Tables::read(&card.write(&clip, 1 << 20), 0).samples.len(), 30);
}

#[test]
fn nothing_recorded_is_no_clip() {
    let card = card();
    assert!(card.plan(6000, 19_000, Selection::All).is_none());
    assert!(card.plan(100_000, 200_000, Selection::All).is_none());
    assert!(Card(vec![(WallTime(0), vec![0; 100])]).plan(0, 1000, Selection::All).is_none());
}

#[test]
fn a_file_that_changed_since_is_an_error_and_not_another_clip() {
    let mut card = card();
    let clip = card.plan(0, 100_000, Selection::All).unwrap();
    card.0[1].1.truncate(3000);
    let mut cursor = Cursor::default();
    let read: ReadSource = &|id, buffer, at| card.read(id, buffer, at);
    let mut out = Vec::new();
    assert!(clip.read(&mut cursor, 0, 1 << 20, &mut out, read).is_err());
}
