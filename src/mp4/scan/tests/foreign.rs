//! Files of FFmpeg's that are made ours.

use super::*;
use crate::mp4::samples::by_ffmpeg;

fn look(file: &[u8]) -> Scan {
    let read_at = |buffer: &mut [u8], at: u64| {
        let rest = file.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    scan(&read_at, file.len() as u64, Depth::Full)
}

fn claimed(file: &[u8]) -> Vec<plan::Step> {
    let spare = look(file).head.unwrap().spare;
    spare.map(|spare| plan::claim(&spare, &identity())).unwrap_or_default()
}

#[test]
fn a_remark_in_the_head_becomes_identity_and_index() {
    let mut file = by_ffmpeg(1100, 5);
    let steps = claimed(&file);
    for count in 0..=steps.len() {
        let mut torn = file.clone();
        carry_out(&mut torn, &steps[..count]);
        let scan = look(&torn);
        assert_eq!(scan.fragments, 5, "whole after {count} steps");
        assert_eq!(scan.head.unwrap().identity.is_some(), count == steps.len());
    }
    carry_out(&mut file, &steps);
    file.extend(*b"\0\0\0\x10mfra\0\0\0\0\0\0\0\0");
    let scan = look(&file);
    let head = scan.head.as_ref().unwrap();
    assert_eq!(head.identity, Some(identity()));
    assert!(head.layout.as_ref().unwrap().durations.is_none() && head.spare.is_none());
    assert!(matches!(scan.state, State::Cut), "{:?}", scan.state);
    let steps = plan::close(head.layout.as_ref().unwrap(), &scan.index, scan.whole_bytes);
    carry_out(&mut file, &steps);
    let scan = look(&file);
    assert!(scan.is_whole() && scan.head.as_ref().unwrap().is_closed(file.len() as u64));
    assert_eq!(scan.duration, Ticks(i64::from(15 * FRAME)));
    assert_eq!(scan.head.unwrap().duration, Some(scan.duration), "by the index");
    let sidx = file.windows(4).position(|kind| kind == b"sidx").unwrap() - 4;
    let size = u32::from_be_bytes(file[sidx..sidx + 4].try_into().unwrap());
    assert_eq!(&file[sidx + size as usize + 4..][..4], b"moof");
}

#[test]
fn one_that_was_not_closed_is_repaired_like_ours() {
    let mut file = by_ffmpeg(1100, 5);
    let steps = claimed(&file);
    carry_out(&mut file, &steps);
    file.truncate(file.len() - 3);
    let steps = plan::repair(&look(&file));
    carry_out(&mut file, &steps);
    let scan = look(&file);
    assert!(scan.is_whole());
    assert_eq!((scan.fragments, scan.duration), (4, Ticks(i64::from(12 * FRAME))));
    assert!(plan::repair(&scan).is_empty());
}

#[test]
fn what_has_no_room_stays_as_it_is() {
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
