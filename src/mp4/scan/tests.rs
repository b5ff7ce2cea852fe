mod foreign;
mod length;
mod sound;

use proptest::prelude::*;
use std::cell::Cell;

use self::foreign::of_ffmpeg;
use super::*;
use crate::{
    codec::{Codec, Collector},
    mp4::{
        boxed, full_boxed,
        init::write_live_init,
        plan,
        samples::{self, FRAME, carry_out, closed, identity, parameter_sets, unclosed},
    },
};

fn reader(file: &[u8]) -> impl Fn(&mut [u8], u64) -> io::Result<usize> {
    move |buffer, offset| {
        let from = usize::try_from(offset).unwrap().min(file.len());
        let count = buffer.len().min(file.len() - from);
        buffer[..count].copy_from_slice(&file[from..from + count]);
        Ok(count)
    }
}

fn scanned(file: &[u8], depth: Depth) -> Scan {
    scan(&reader(file), file.len() as u64, depth)
}

fn damage_of(file: &[u8], depth: Depth) -> Damage {
    match scanned(file, depth).state {
        FileState::Damaged(damage) => damage,
        state => panic!("{state:?}"),
    }
}

#[test]
fn a_closed_file_is_whole_and_says_what_it_is() {
    for codec in [Codec::H264, Codec::H265] {
        let file = closed(codec, 5);
        let scan = scanned(&file, Depth::Full);
        assert!(scan.is_whole(), "{:?}", scan.state);
        assert_eq!(scan.fragments, 5);
        assert_eq!(scan.whole_bytes, file.len() as u64);
        assert_eq!(scan.duration, Ticks(i64::from(15 * FRAME)));
        let head = scan.head.unwrap();
        assert_eq!(head.form, FileForm::Fragmented);
        assert_eq!(head.identity, Some(identity()));
        assert_eq!(head.duration, Some(scan.duration));
        let video = head.video.unwrap();
        let sets = parameter_sets(codec);
        assert_eq!(video.codec, codec);
        assert_eq!(video.codecs, sets.mime());
        assert_eq!((video.width, video.height), (1920, 1080));
    }
}

#[cfg(feature = "pictures")]
#[test]
fn the_first_picture_is_read_with_its_parameter_sets() {
    for codec in [Codec::H264, Codec::H265] {
        for file in [closed(codec, 5), unclosed(codec, 1).0] {
            let first = read_first(&reader(&file), file.len() as u64).unwrap();
            assert_eq!(first.parameter_sets, parameter_sets(codec));
            let mdat = file.windows(4).position(|window| window == b"mdat").unwrap() + 4;
            assert_eq!(first.sample, file[mdat..mdat + first.sample.len()]);
            crate::still::KeyFrame::new(&first.parameter_sets, &first.sample).unwrap();
            for end in 0..file.len() {
                let cut = read_first(&reader(&file[..end]), end as u64);
                assert!(cut.is_err() || end >= mdat + first.sample.len(), "{end}");
            }
        }
    }
}

#[test]
fn the_codec_is_known_where_parameter_sets_are_as_short_as_can_be() {
    let mut collector = Collector::new(Codec::H264);
    collector.offer(&[0x67, 66, 0, 30, 0xf4, 0x4b, 0x20]);
    collector.offer(&[0x68, 0xce, 0x3c, 0x80]);
    let sets = collector.current().unwrap();
    let mut file = Vec::new();
    write_live_init(&mut file, &sets, None);
    let video = read_head(&reader(&file), file.len() as u64).unwrap().video.unwrap();
    assert_eq!((video.codec, video.codecs, video.length_bytes), (Codec::H264, sets.mime(), 4));
}

#[test]
fn the_layout_and_the_index_are_read_as_they_were_written() {
    let (mut file, layout, index) = unclosed(Codec::H264, 5);
    let scan = scanned(&file, Depth::Structure);
    assert!(matches!(scan.state, FileState::Cut), "not closed is not whole");
    assert_eq!(scan.index, index);
    assert_eq!(scan.head.unwrap().layout, Some(layout.clone()));
    let end = file.len() as u64;
    carry_out(&mut file, &plan::close(&layout, &index, end));
    let head = read_head(&reader(&file), end).unwrap();
    assert_eq!(head.layout, Some(layout));
    assert_eq!(head.indexed_end, Some(end));
    assert!(head.is_closed(end) && !head.is_closed(end - 1));
}

#[test]
fn the_index_ends_where_the_first_fragment_begins() {
    let file = closed(Codec::H264, 5);
    let sidx = file.windows(4).position(|window| window == b"sidx").unwrap() - 4;
    let size = u32::from_be_bytes(file[sidx..sidx + 4].try_into().unwrap()) as usize;
    assert_eq!(&file[sidx + size + 4..sidx + size + 8], b"moof");
    assert_eq!(size, 32 + 3 * 12);
}

#[test]
fn a_head_costs_two_reads_at_most() {
    let file = closed(Codec::H265, 50);
    let reads = Cell::new(0);
    let read_at = |buffer: &mut [u8], offset: u64| {
        reads.set(reads.get() + 1);
        reader(&file)(buffer, offset)
    };
    read_head(&read_at, file.len() as u64).unwrap();
    assert!(reads.get() <= 2, "{}", reads.get());
    reads.set(0);
    assert!(scan(&read_at, file.len() as u64, Depth::Structure).is_whole());
    assert!(reads.get() <= 2 + 2 * 50, "{}", reads.get());
}

#[test]
fn every_truncation_is_cut_at_the_last_whole_fragment() {
    let file = closed(Codec::H264, 4);
    let ends: Vec<u64> = (0..=4)
        .map(|count| match count {
            0 => 0,
            count => unclosed(Codec::H264, count).0.len() as u64,
        })
        .collect();
    for len in 0..file.len() {
        let scan = scanned(&file[..len], Depth::Full);
        assert!(matches!(scan.state, FileState::Cut), "{len}: {:?}", scan.state);
        let whole = ends.iter().rev().find(|end| **end <= len as u64).unwrap();
        assert_eq!(scan.whole_bytes, *whole, "{len}");
    }
}

#[test]
fn every_truncation_can_be_mended_and_mending_twice_changes_nothing() {
    for file in [closed(Codec::H264, 4), unclosed(Codec::H264, 4).0] {
        let first_end = unclosed(Codec::H264, 1).0.len();
        for len in first_end..file.len() {
            let mut cut = file[..len].to_vec();
            let before = scanned(&cut, Depth::Full);
            carry_out(&mut cut, &plan::repair(&before));
            let after = scanned(&cut, Depth::Full);
            assert!(after.is_whole(), "{len}: {:?}", after.state);
            assert_eq!(after.whole_bytes, before.whole_bytes);
            assert_eq!(after.duration, before.duration);
            assert_eq!(after.head.as_ref().unwrap().duration, Some(before.duration));
            assert!(plan::repair(&after).is_empty());
        }
    }
}

#[test]
fn a_repair_that_stops_anywhere_leaves_a_file_that_is_not_damaged() {
    let file = closed(Codec::H264, 4);
    let cut = &file[..file.len() - 1];
    let before = scanned(cut, Depth::Full);
    let steps = plan::repair(&before);
    for count in 0..=steps.len() {
        let mut file = cut.to_vec();
        carry_out(&mut file, &steps[..count]);
        let scan = scanned(&file, Depth::Full);
        assert!(!matches!(scan.state, FileState::Damaged(_)), "{count}: {:?}", scan.state);
        assert_eq!(scan.whole_bytes, before.whole_bytes);
        carry_out(&mut file, &plan::repair(&scan));
        assert!(scanned(&file, Depth::Full).is_whole(), "{count}");
    }
}

#[test]
fn a_close_that_stops_at_any_byte_leaves_a_file_that_is_not_damaged() {
    let (file, layout, index) = unclosed(Codec::H264, 4);
    let end = file.len() as u64;
    let steps = plan::close(&layout, &index, end);
    let switch = steps.len() - 3;
    for torn in 0..steps.len() {
        let bytes = match &steps[torn] {
            plan::PlanStep::Write { bytes, .. } => bytes.len(),
            _ => 1,
        };
        for written in 0..bytes {
            let mut file = file.clone();
            carry_out(&mut file, &steps[..torn]);
            if let plan::PlanStep::Write { offset, bytes } = &steps[torn]
                && torn != switch
            {
                let bytes = bytes[..written].to_vec();
                carry_out(&mut file, &[plan::PlanStep::Write { offset: *offset, bytes }]);
            }
            let scan = scanned(&file, Depth::Full);
            assert_eq!(scan.whole_bytes, end);
            match scan.state {
                FileState::Whole => assert!(torn > switch),
                FileState::Cut => assert!(torn <= switch),
                state => panic!("step {torn}, byte {written}: {state:?}"),
            }
        }
    }
}

#[test]
fn four_bytes_after_a_sync_make_the_index_visible() {
    let (file, layout, index) = unclosed(Codec::H264, 4);
    let steps = plan::close(&layout, &index, file.len() as u64);
    let [rest @ .., plan::PlanStep::Truncate { .. }, plan::PlanStep::Sync] = &steps[..] else {
        panic!("{steps:?}");
    };
    let [.., plan::PlanStep::Sync, plan::PlanStep::Write { offset, bytes }] = rest else {
        panic!("{steps:?}");
    };
    assert_eq!(*offset, layout.reserve.start);
    assert_eq!(bytes.len(), 4);
}

#[test]
fn a_file_with_a_room_of_another_size_is_closed_as_well() {
    let (file, layout, index) = unclosed(Codec::H264, 8);
    let reserve = usize::try_from(layout.reserve.end - layout.reserve.start).unwrap();
    let begin = usize::try_from(layout.reserve.start).unwrap();
    // Four entries need 80 bytes, and the free box before them 8.
    for room in 8..100 {
        let mut file = file.clone();
        file.drain(begin + 8..begin + 8 + (reserve - room));
        file[begin..begin + 4].copy_from_slice(&(room as u32).to_be_bytes());
        let scan = scanned(&file, Depth::Full);
        assert_eq!(scan.index, index);
        carry_out(&mut file, &plan::repair(&scan));
        let after = scanned(&file, Depth::Full);
        assert_eq!(after.is_whole(), room >= 8 + 32 + 12, "{room}: {:?}", after.state);
    }
}

#[test]
fn a_zeroed_tail_is_found_and_cut_off() {
    let (mut file, ..) = unclosed(Codec::H264, 4);
    let whole = unclosed(Codec::H264, 3).0.len();
    // The card stored the size and the header, but never received the media.
    let media = file.len() - 80;
    file[media..].fill(0);
    assert!(matches!(damage_of(&file, Depth::Full).what, What::NalUnit { bytes: 0, .. }));
    assert!(matches!(damage_of(&file, Depth::Tail(10)).what, What::NalUnit { bytes: 0, .. }));
    assert!(matches!(scanned(&file, Depth::Structure).state, FileState::Cut));
    file[whole..].fill(0);
    let scan = scanned(&file, Depth::Tail(1000));
    assert!(matches!(scan.state, FileState::Damaged(Damage { at, .. }) if at == whole as u64));
    carry_out(&mut file, &plan::repair(&scan));
    assert_eq!(file.len(), whole);
    assert!(scanned(&file, Depth::Full).is_whole());
}

#[test]
fn damage_is_named() {
    let (file, layout, _) = unclosed(Codec::H264, 2);
    let moof = usize::try_from(layout.reserve.end).unwrap();
    let find =
        |kind: &[u8; 4]| moof + file[moof..].windows(4).position(|window| window == kind).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        damage_of(&file, Depth::Full)
    };
    assert_eq!(with(4, b"RIFF").what, What::NoFileType);
    let second = unclosed(Codec::H264, 1).0.len();
    assert_eq!(with(second + 4, b"moop").what, What::UnexpectedBox { kind: *b"moop" });
    assert_eq!(with(find(b"mdat"), b"mdta").what, What::UnexpectedBox { kind: *b"mdta" });
    let sizes = find(b"trun") + 20;
    assert!(matches!(with(sizes + 3, &[59]).what, What::NalUnit { .. }));
    assert!(matches!(with(sizes + 11, &[19]).what, What::NalUnit { .. }));
    let count = find(b"trun") + 8;
    assert!(matches!(with(count, &[0xff; 4]).what, What::SamplesBeyondRun { .. }));
    assert!(matches!(with(count + 3, &[2]).what, What::MediaBytes { .. }));
    let offset = find(b"trun") + 12;
    assert!(matches!(with(offset, &[0x80]).what, What::MediaOffset { .. }));
    let time = second + (find(b"tfdt") - moof);
    assert_eq!(
        with(time + 8, &[0; 8]).what,
        What::DecodeTime { time: 0, before: u64::from(2 * FRAME) }
    );
    assert_eq!(with(find(b"mdat") + 8, &[0xc1]).what, What::NalHeader(0xc1));
    assert_eq!(
        with(moof + 4, b"mo\0f").to_string(),
        format!("byte {moof}: mo\\x00f box of 108 bytes does not fit")
    );
}

#[test]
fn reading_stops_at_the_first_error_of_the_card() {
    let file = closed(Codec::H264, 200);
    let broken = 6000;
    let failures = Cell::new(0);
    let read_at = |buffer: &mut [u8], offset: u64| {
        if offset + buffer.len() as u64 > broken {
            failures.set(failures.get() + 1);
            return Err(io::Error::from_raw_os_error(5));
        }
        reader(&file)(buffer, offset)
    };
    let scan = scan(&read_at, file.len() as u64, Depth::Full);
    let FileState::Unreadable { error, .. } = scan.state else { panic!("{:?}", scan.state) };
    assert_eq!(error.raw_os_error(), Some(5));
    assert_eq!(failures.get(), 1);
    assert!(scan.whole_bytes <= broken);
    assert!(
        plan::repair(&Scan { state: FileState::Unreadable { at: 0, error }, ..scan }).is_empty()
    );
}

#[test]
fn a_live_stream_is_whole_without_an_index() {
    let mut file = Vec::new();
    write_live_init(&mut file, &parameter_sets(Codec::H265), None);
    let key = crate::mp4::fragment::FirstSample::Key;
    file.extend(samples::fragment(0, Ticks::ZERO, key, &[40]).0);
    let scan = scanned(&file, Depth::Full);
    assert!(scan.is_whole());
    let head = scan.head.unwrap();
    assert_eq!((head.identity, head.layout, head.duration), (None, None, None));
}

#[test]
fn a_run_that_lists_nothing_is_not_followed_by_the_billion() {
    let mut file = of_ffmpeg();
    let trun = file.windows(4).position(|window| window == b"trun").unwrap();
    file[trun + 8..trun + 12].fill(0xff);
    assert!(matches!(damage_of(&file, Depth::Structure).what, What::SamplesBeyondRun { .. }));
}

proptest! {
    #[test]
    fn flipped_bytes_never_panic_and_what_is_mended_is_not_damaged(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_closed in any::<bool>(),
        foreign in any::<bool>(),
    ) {
        let mut file = match (foreign, is_closed) {
            (true, _) => of_ffmpeg(),
            (_, true) => closed(Codec::H264, 3),
            _ => unclosed(Codec::H264, 3).0,
        };
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        for depth in [Depth::Structure, Depth::Tail(200), Depth::Full] {
            let _ = scanned(&file, depth);
        }
        let scan = scanned(&file, Depth::Full);
        prop_assert!(scan.whole_bytes <= file.len() as u64);
        let steps = plan::repair(&scan);
        if !steps.is_empty() {
            carry_out(&mut file, &steps);
            let after = scanned(&file, Depth::Full);
            prop_assert!(!matches!(after.state, FileState::Damaged(_)), "{:?}", after.state);
            prop_assert_eq!(after.whole_bytes, scan.whole_bytes);
        }
    }

    #[test]
    fn any_bytes_behind_a_head_never_panic(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut file, ..) = unclosed(Codec::H264, 1);
        let whole = file.len() as u64;
        file.extend(tail);
        let scan = scanned(&file, Depth::Full);
        prop_assert_eq!(scan.whole_bytes, whole);
        prop_assert!(!scan.is_whole());
    }
}
