//! Any bytes as a file.

use crate::files::{read, scanned};
use smolnvr::mp4::scan::{self, Depth, FileState};
use std::io;

pub fn mp4_scan(data: &[u8]) {
    let full = scanned(data, Depth::Full, usize::MAX);
    let boxes = scanned(data, Depth::Structure, usize::MAX);
    let tail = scanned(data, Depth::Tail(300), usize::MAX);
    // A closer look finds no more complete fragments, and the same content.
    assert!(full.whole_bytes <= tail.whole_bytes && tail.whole_bytes <= boxes.whole_bytes);
    assert!(full.fragments <= tail.fragments && tail.fragments <= boxes.fragments);
    assert!(!full.is_whole() || boxes.is_whole());
    // How much comes at once says nothing.
    for at_once in [1, 7, 4095] {
        let slow = scanned(data, Depth::Full, at_once);
        assert_eq!(format!("{slow:?}"), format!("{full:?}"), "{at_once} bytes at once");
    }
    let head = scan::read_head(&|buffer, at| read(data, buffer, at, usize::MAX), data.len() as u64);
    assert_eq!(head.is_ok(), full.head.is_some());
    if let Some(head) = &full.head {
        assert!(head.media_begin <= data.len() as u64);
        if let Some(layout) = &head.layout {
            assert!(head.identity.is_some() && layout.reserve.end == head.media_begin);
            assert!(layout.durations.iter().flatten().all(|at| at + 4 <= layout.reserve.start));
        }
    }
    check_unreadable(data);
}

/// A card that fails in the middle of the file: nothing behind that counts, and nothing before is
/// other.
fn check_unreadable(data: &[u8]) {
    let bad = data.len() as u64 / 2;
    let read_at = |buffer: &mut [u8], at: u64| match at + (buffer.len() as u64) > bad {
        true if at >= bad => Err(io::Error::other("bad sector")),
        true => read(data, buffer, at, (bad - at) as usize),
        false => read(data, buffer, at, usize::MAX),
    };
    let failed = scan::scan(&read_at, data.len() as u64, Depth::Full);
    let full = scanned(data, Depth::Full, usize::MAX);
    match failed.state {
        FileState::Unreadable { at, .. } => assert!(at >= bad),
        _ => assert_eq!(format!("{:?}", failed.state), format!("{:?}", full.state)),
    }
    assert!(failed.whole_bytes <= full.whole_bytes);
}
