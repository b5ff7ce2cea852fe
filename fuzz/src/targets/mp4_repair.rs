//! A segment that is cut anywhere and garbled, and its repair: what remains is a whole prefix of
//! it.

use crate::{
    files::{File, carry_out, scanned, segment},
    random::Random,
    source::Source,
};
use smolnvr::mp4::{
    plan::{self, PlanStep},
    scan::{Depth, FileState},
};

pub fn mp4_repair(data: &[u8]) {
    let mut source = Source::new(data);
    let file = segment(&mut source);
    let whole = scanned(&file.bytes, Depth::Full, usize::MAX);
    assert_eq!((whole.fragments as usize, whole.is_whole()), (file.ends.len(), file.is_closed));
    assert_eq!(
        (whole.duration, whole.head.and_then(|it| it.layout)),
        (file.duration, Some(file.layout.clone()))
    );
    check_lengths(&file, &mut Random::of(data));
    check_fields(&file, &mut Random::of(data));
    let head_bytes = file.layout.reserve.end as usize;
    // Mostly in the media, sometimes in the head.
    let cut = match source.u8() {
        0..200 => head_bytes + usize::from(source.u16()) % (file.bytes.len() + 1 - head_bytes),
        _ => usize::from(source.u16()) % (file.bytes.len() + 1),
    };
    let mut bytes = file.bytes[..cut].to_vec();
    let mut is_garbled = false;
    while !source.is_empty() {
        let at = usize::from(source.u16()) % (bytes.len() + 1);
        let garbage = source.piece();
        is_garbled |= !garbage.is_empty();
        bytes.iter_mut().skip(at).zip(garbage).for_each(|(to, from)| *to = *from);
    }
    let scan = scanned(&bytes, Depth::Full, usize::MAX);
    if !is_garbled && cut >= head_bytes {
        let left = file.ends.iter().filter(|end| **end <= cut).count();
        let is_cut = cut < file.bytes.len() || !file.is_closed;
        assert_eq!((scan.fragments as usize, scan.is_whole()), (left, !is_cut));
        let expected = if left > 0 { file.ends[left - 1] as u64 } else { 0 };
        assert_eq!(scan.whole_bytes, expected);
    }
    repair(&bytes);
    repair(data);
}

/// Another length of a NAL unit is seen, and costs its fragment and what follows.
fn check_lengths(file: &File, random: &mut Random) {
    if file.nals.is_empty() {
        return;
    }
    let (fragment, at) = file.nals[random.below(file.nals.len())];
    let mut bytes = file.bytes.clone();
    let right = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let wrong = [0, 1, right - 1, right + 1, u32::MAX][random.below(5)];
    bytes[at..at + 4].copy_from_slice(&wrong.to_be_bytes());
    let scan = scanned(&bytes, Depth::Full, usize::MAX);
    assert!(wrong == right || matches!(scan.state, FileState::Damaged(_)), "{wrong} for {right}");
    assert!(wrong == right || scan.fragments as usize == fragment);
}

/// A box with more fields than it has room for is seen, and costs its fragment and what follows.
fn check_fields(file: &File, random: &mut Random) {
    if file.ends.is_empty() {
        return;
    }
    let fragment = random.below(file.ends.len());
    let begin = match fragment {
        0 => file.layout.reserve.end as usize,
        _ => file.ends[fragment - 1],
    };
    // The last field of a tfhd, which is the default for flags that ours never use; or the flags of
    // each sample of a trun.
    let (kind, byte, flag) = [(b"tfhd", 7, 0x20), (b"trun", 6, 0x04)][random.below(2)];
    let at = file.bytes[begin..].windows(4).position(|four| four == kind).expect("has one");
    let mut bytes = file.bytes.clone();
    assert_eq!(bytes[begin + at + byte] & flag, 0, "there is no such field");
    bytes[begin + at + byte] |= flag;
    let scan = scanned(&bytes, Depth::Full, usize::MAX);
    assert!(matches!(scan.state, FileState::Damaged(_)), "{:?}", scan.state);
    assert_eq!(scan.fragments as usize, fragment);
}

/// Mends a file, stopping behind each step as a power cut may.
fn repair(damaged: &[u8]) {
    let scan = scanned(damaged, Depth::Full, usize::MAX);
    let steps = plan::repair(&scan);
    if scan.is_whole() || scan.fragments == 0 {
        assert!(steps.is_empty());
        return;
    }
    let mut mended = damaged.to_vec();
    for step in &steps {
        carry_out(&mut mended, std::slice::from_ref(step));
        let then = scanned(&mended, Depth::Full, usize::MAX);
        assert_eq!(then.fragments, scan.fragments, "fewer fragments behind {step:?}");
    }
    let then = scanned(&mended, Depth::Full, usize::MAX);
    assert_eq!((then.whole_bytes, then.duration), (scan.whole_bytes, scan.duration));
    // One of ours is closed, unless the room for its index was garbled.
    let head = then.head.as_ref().expect("it had one");
    let room = head.layout.as_ref().map_or(0, |layout| layout.reserve.end - layout.reserve.start);
    assert!(then.is_whole() || head.identity.is_some() && room < 100, "{:?}", then.state);
    let mut again = mended.clone();
    carry_out(&mut again, &plan::repair(&then));
    assert_eq!(again, mended, "a second repair does something");
    // Nothing but the durations and the reserved room was written.
    let layout = scan.head.as_ref().and_then(|head| head.layout.as_ref());
    let may_differ = |at: usize| {
        layout.is_some_and(|layout| {
            let at = at as u64;
            layout.reserve.contains(&at)
                || layout.durations.iter().flatten().any(|it| (*it..it + 4).contains(&at))
        })
    };
    let mut pairs = mended.iter().zip(damaged).enumerate();
    assert!(pairs.all(|(at, (new, old))| new == old || may_differ(at)));
    assert!(steps.iter().any(|step| matches!(step, PlanStep::Truncate { .. })));
    assert!(!matches!(scan.state, FileState::Unreadable { .. }));
}
