//! How long fragmented files of others are, whole, cut and damaged.

use std::process::Command;

use super::{foreign::of_ffmpeg, *};
use crate::{limits::LENGTH_BOXES_MAX, mp4::fragment::FirstSample};

fn length(file: &[u8]) -> Option<i64> {
    let head = read_head_and_length(&reader(file), file.len() as u64).ok()?;
    head.duration.map(Ticks::as_millis)
}

fn find(file: &[u8], kind: &[u8; 4], nth: usize) -> usize {
    let mut places = (0..file.len() - 4).filter(|&at| &file[at..at + 4] == kind);
    places.nth(nth).unwrap() - 4
}

/// 4 s in fragments of 1 s, or whatever the flags make of it.
fn by_real_ffmpeg(flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("014.mp4");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/clips/plain.h264");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-r", "25", "-i", source])
        .args(["-c", "copy"])
        .args(flags)
        .arg(&file)
        .status();
    assert!(status.unwrap().success());
    std::fs::read(file).unwrap()
}

#[test]
fn ffmpegs_files_have_their_length_whatever_their_flags() {
    for flags in [
        &["-movflags", "frag_keyframe+empty_moov+default_base_moof"][..],
        &["-movflags", "frag_keyframe+empty_moov"],
        &["-movflags", "frag_keyframe"],
        &["-movflags", "frag_keyframe+empty_moov+default_base_moof+skip_trailer"],
        &["-movflags", "frag_every_frame+empty_moov+skip_trailer"],
        &["-movflags", "dash+frag_keyframe"],
        &["-movflags", "dash+frag_keyframe+global_sidx"],
        &["-movflags", "empty_moov", "-frag_duration", "300000"],
        &["-movflags", "faststart"],
        &[],
    ] {
        let told = length(&by_real_ffmpeg(flags)).unwrap();
        assert!((told - 4000).abs() <= 100, "{flags:?}: {told} ms");
    }
}

#[test]
fn a_cut_file_is_as_long_as_the_fragments_that_reached_the_card() {
    let file = by_real_ffmpeg(&["-movflags", "frag_keyframe+empty_moov+default_base_moof"]);
    let moofs = file.windows(4).filter(|kind| kind == b"moof").count();
    let mut before = 0;
    for nth in 0..moofs {
        let moof = find(&file, b"moof", nth);
        let size = u32::from_be_bytes(file[moof..moof + 4].try_into().unwrap()) as usize;
        let told = length(&file[..moof + size + 20]).unwrap();
        assert!(told > before, "its frames are listed, though their bytes end");
        if nth > 0 {
            assert_eq!(length(&file[..moof + size - 1]), Some(before), "one that is cut is not");
        }
        before = told;
    }
    assert_eq!(length(&file), Some(before));
}

#[test]
fn an_index_at_the_end_spares_the_way_and_is_believed_only_where_a_fragment_lies() {
    let mut file = by_real_ffmpeg(&["-movflags", "empty_moov", "-frag_duration", "40000"]);
    let whole = length(&file);
    let reads = Cell::new(0);
    let read_at = |buffer: &mut [u8], offset: u64| {
        reads.set(reads.get() + 1);
        reader(&file)(buffer, offset)
    };
    read_head_and_length(&read_at, file.len() as u64).unwrap();
    assert!(reads.get() <= 9, "{}", reads.get());
    let tfra = find(&file, b"tfra", 0);
    for at in tfra + 8..file.len() {
        let right = std::mem::replace(&mut file[at], 0x77);
        let told = length(&file);
        assert!(told <= whole && told > Some(0), "byte {at}: {told:?}");
        file[at] = right;
    }
}

#[test]
fn times_that_go_on_from_an_earlier_file_are_no_length() {
    assert_eq!(length(&of_ffmpeg()), Some(160));
}

#[test]
fn a_file_of_more_fragments_than_are_walked_over_is_measured_by_its_bytes() {
    let mut file = samples::by_ffmpeg(0, 0);
    for nth in 0..LENGTH_BOXES_MAX * 2 {
        let time = Ticks(i64::from(nth * 3 * FRAME));
        file.extend(samples::fragment(nth, time, FirstSample::Key, &[60, 12, 20]).0);
    }
    let reads = Cell::new(0);
    let read_at = |buffer: &mut [u8], offset: u64| {
        reads.set(reads.get() + 1);
        reader(&file)(buffer, offset)
    };
    let head = read_head_and_length(&read_at, file.len() as u64).unwrap();
    let (told, right) = (head.duration.unwrap().0, i64::from(LENGTH_BOXES_MAX * 2 * 3 * FRAME));
    assert!((told - right).abs() < right / 20, "{told} of {right}");
    assert!(reads.get() <= LENGTH_BOXES_MAX, "{}", reads.get());
}

#[test]
fn there_is_no_length_if_nothing_tells_it() {
    let file = of_ffmpeg();
    let moof = find(&file, b"moof", 0);
    assert_eq!(length(&file[..moof]), None);
    for place in [b"tfhd", b"trun"] {
        let mut damaged = file.clone();
        let at = find(&file, place, 0);
        damaged[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let _ = length(&damaged);
    }
}

proptest! {
    #[test]
    fn any_damage_ends_in_a_bounded_number_of_reads(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = of_ffmpeg();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = length(&file);
    }
}
