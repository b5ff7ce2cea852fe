//! Files of others: FFmpeg's, read as they are and made ours.

use super::*;
use crate::mp4::samples::by_ffmpeg;

fn claimed(file: &[u8]) -> Vec<plan::PlanStep> {
    let spare = scanned(file, Depth::Full).head.unwrap().spare;
    spare.map(|spare| plan::claim(&spare, &identity())).unwrap_or_default()
}

#[test]
fn a_remark_in_the_head_becomes_identity_and_index() {
    let mut file = by_ffmpeg(1100, 5);
    let steps = claimed(&file);
    for count in 0..=steps.len() {
        let mut torn = file.clone();
        carry_out(&mut torn, &steps[..count]);
        let scan = scanned(&torn, Depth::Full);
        assert_eq!(scan.fragments, 5, "whole after {count} steps");
        assert_eq!(scan.head.unwrap().identity.is_some(), count == steps.len());
    }
    carry_out(&mut file, &steps);
    file.extend(*b"\0\0\0\x10mfra\0\0\0\0\0\0\0\0");
    let scan = scanned(&file, Depth::Full);
    let head = scan.head.as_ref().unwrap();
    assert_eq!(head.identity, Some(identity()));
    assert!(head.layout.as_ref().unwrap().durations.is_none() && head.spare.is_none());
    assert!(matches!(scan.state, FileState::Cut), "{:?}", scan.state);
    let steps = plan::close(head.layout.as_ref().unwrap(), &scan.index, scan.whole_bytes);
    carry_out(&mut file, &steps);
    let scan = scanned(&file, Depth::Full);
    assert!(scan.is_whole() && scan.head.as_ref().unwrap().is_closed(file.len() as u64));
    assert_eq!(scan.duration, Ticks(i64::from(15 * FRAME)));
    assert_eq!(scan.head.unwrap().duration, Some(scan.duration), "by the index");
    let sidx = file.windows(4).position(|kind| kind == b"sidx").unwrap() - 4;
    let size = u32::from_be_bytes(file[sidx..sidx + 4].try_into().unwrap());
    assert_eq!(&file[sidx + size as usize + 4..][..4], b"moof");
}

#[test]
fn an_unclosed_staged_file_is_repaired_like_ours() {
    let mut file = by_ffmpeg(1100, 5);
    let steps = claimed(&file);
    carry_out(&mut file, &steps);
    file.truncate(file.len() - 3);
    let steps = plan::repair(&scanned(&file, Depth::Full));
    carry_out(&mut file, &steps);
    let scan = scanned(&file, Depth::Full);
    assert!(scan.is_whole());
    assert_eq!((scan.fragments, scan.duration), (4, Ticks(i64::from(12 * FRAME))));
    assert!(plan::repair(&scan).is_empty());
}

#[test]
fn a_recording_without_room_for_a_copy_stays_as_it_is() {
    for remark in [0, 20, 100] {
        assert_eq!(claimed(&by_ffmpeg(remark, 2)), Vec::new(), "{remark}");
    }
    assert!(!claimed(&by_ffmpeg(120, 2)).is_empty());
    // User data of a track end its box, too.
    let mut file = by_ffmpeg(1100, 2);
    let mvex = file.windows(4).position(|kind| kind == b"mvex").unwrap() - 4;
    let udta = file.windows(4).position(|kind| kind == b"udta").unwrap() - 4;
    let size = u32::try_from(udta - mvex + 1108).unwrap();
    file[mvex..mvex + 4].copy_from_slice(&size.to_be_bytes());
    assert_eq!(claimed(&file), Vec::new());
}

/// `ffmpeg -movflags frag_keyframe+empty_moov+default_base_moof`: other brands, a timescale of its
/// own, version 0 runs with sizes by default, `mfra` at the end.
pub(super) fn of_ffmpeg() -> Vec<u8> {
    let mut file = Vec::new();
    write_live_init(&mut file, &parameter_sets(Codec::H264), None);
    let mdhd = file.windows(4).position(|window| window == b"mdhd").unwrap();
    file[mdhd + 16..mdhd + 20].copy_from_slice(&12_800u32.to_be_bytes());
    for nth in 0..2u32 {
        boxed(&mut file, b"moof", |out| {
            full_boxed(out, b"mfhd", 0, 0, |out| out.extend((nth + 1).to_be_bytes()));
            boxed(out, b"traf", |out| {
                full_boxed(out, b"tfhd", 0, 0x2_0038, |out| {
                    for value in [1u32, 512, 16, 0x0101_0000] {
                        out.extend(value.to_be_bytes());
                    }
                });
                full_boxed(out, b"tfdt", 0, 0, |out| out.extend((9000 + nth * 1024).to_be_bytes()));
                full_boxed(out, b"trun", 0, 0x5, |out| {
                    for value in [2u32, 108, 0x0200_0000] {
                        out.extend(value.to_be_bytes());
                    }
                });
            });
        });
        boxed(&mut file, b"mdat", |out| {
            for _ in 0..2 {
                out.extend([0, 0, 0, 12, 0x65]);
                out.extend([7; 11]);
            }
        });
    }
    file
}

#[test]
fn a_fragmented_file_of_ffmpeg_is_read_and_cut_ones_are_trimmed() {
    let mut file = of_ffmpeg();
    let whole = file.len();
    boxed(&mut file, b"mfra", |out| out.extend([0; 40]));
    let scan = scanned(&file, Depth::Full);
    assert!(scan.is_whole(), "{:?}", scan.state);
    assert_eq!(scan.duration, Ticks(4 * 3600));
    assert!(scan.head.unwrap().identity.is_none());
    file.truncate(whole - 1);
    let scan = scanned(&file, Depth::Full);
    assert!(matches!(scan.state, FileState::Cut));
    carry_out(&mut file, &plan::repair(&scan));
    assert_eq!(file.len() as u64, scan.whole_bytes);
    let scan = scanned(&file, Depth::Full);
    assert!(scan.is_whole());
    assert_eq!(scan.duration, Ticks(2 * 3600));
}

#[test]
fn a_plain_file_is_whole_or_cut_with_its_moov_in_front_or_behind() {
    let mut init = Vec::new();
    write_live_init(&mut init, &parameter_sets(Codec::H264), None);
    let mvex = init.windows(4).position(|window| window == b"mvex").unwrap();
    init[mvex..mvex + 4].copy_from_slice(b"skip");
    let mvhd = init.windows(4).position(|window| window == b"mvhd").unwrap();
    init[mvhd + 20..mvhd + 24].copy_from_slice(&900_000u32.to_be_bytes());
    let moov = init.windows(4).position(|window| window == b"moov").unwrap() - 4;
    let mut media = Vec::new();
    boxed(&mut media, b"mdat", |out| out.extend([1; 100]));
    let in_front = [&init[..], &media].concat();
    let behind = [&init[..moov], &media, &init[moov..]].concat();
    for file in [in_front, behind] {
        let scan = scanned(&file, Depth::Full);
        assert!(scan.is_whole(), "{:?}", scan.state);
        assert_eq!(scan.duration, Ticks(900_000));
        assert_eq!(scan.head.unwrap().form, FileForm::Plain);
        for len in 0..file.len() {
            let scan = scanned(&file[..len], Depth::Full);
            let is_moov_alone = len == init.len() && file[moov + 4..].starts_with(b"moov");
            assert_eq!(scan.is_whole(), is_moov_alone, "{len}: {:?}", scan.state);
            assert!(plan::repair(&scan).is_empty());
        }
    }
}

#[cfg(feature = "pictures")]
#[test]
fn the_first_picture_of_a_file_that_ffmpeg_wrote_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let clips = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/clips");
    for (clip, size) in [("plain.h264", (480, 272)), ("plain.h265", (480, 272))] {
        for (flags, is_read) in
            [("frag_keyframe+empty_moov+default_base_moof", true), ("faststart", false)]
        {
            let path = folder.path().join("file.mp4");
            let status = std::process::Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-y", "-i"])
                .arg(clips.join(clip))
                .args(["-c", "copy", "-movflags", flags])
                .arg(&path)
                .status();
            assert!(status.unwrap().success());
            let file = std::fs::read(&path).unwrap();
            let first = read_first(&reader(&file), file.len() as u64);
            assert_eq!(first.is_ok(), is_read, "{clip} {flags}");
            if let Ok(first) = first {
                let picture = first.parameter_sets.picture();
                assert_eq!((picture.width, picture.height), size);
                assert!(first.sample.len() > 1000);
            }
        }
    }
}
