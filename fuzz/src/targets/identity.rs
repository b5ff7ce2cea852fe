//! The `uuid` box of ours: what was read is written again, and what was written is read.

use crate::source::Source;
use smolnvr::{
    mp4::identity::{Cause, ClockTrust, Identity, SegmentMarks},
    units::WallTime,
};

pub fn identity(data: &[u8]) {
    if let Some(identity) = Identity::read(data) {
        assert!((1..=32).contains(&identity.camera.len()));
        assert!(identity.camera.bytes().all(is_of_a_name), "{}", identity.camera);
        check(&identity);
        for end in 0..39 {
            assert_eq!(Identity::read(&data[..end]), None, "cut at {end}");
        }
    }
    let mut source = Source::new(data);
    let built = Identity {
        number: source.u32(),
        run: source.u64(),
        boot: source.array(),
        wall: WallTime(source.u64() as i64),
        clock: source.one(&[ClockTrust::Trusted, ClockTrust::Untrusted]),
        marks: source.one(&[SegmentMarks::NONE, SegmentMarks::KEPT]),
        up_ms: Some(source.u64()).filter(|millis| *millis != u64::MAX),
        cause: source.one(&Cause::ALL),
        camera: source.bytes(32).iter().map(|byte| char::from(b'a' + byte % 26)).collect(),
    };
    if !built.camera.is_empty() {
        check(&built);
    }
}

fn check(identity: &Identity) {
    let mut out = Vec::new();
    identity.write(&mut out);
    assert_eq!(out[..4], (out.len() as u32).to_be_bytes());
    assert_eq!(Identity::read(&out[24..]).as_ref(), Some(identity));
    // Later versions may append.
    out.extend(b"more");
    assert_eq!(Identity::read(&out[24..]).as_ref(), Some(identity));
}

fn is_of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}
