//! Identity: which camera a file belongs to, in a `uuid` box in its head.
//!
//! It lets the catalogue be rebuilt from the files alone, whatever their names.
//! Spec: ISO/IEC 14496-12 §11.1.
//! Knows nothing of: files, the clock.

use super::{IDENTITY_UUID, boxed, put_u32};
use crate::{bits::Bytes, units::WallTime};

/// The identity stored in a segment.
///
/// *Shape* (big-endian, after the box's `usertype`): version `u8`, flags `u8` (1: clock trusted,
/// the others: [`SegmentMarks`]), number `u32`, run `u64`, boot 16 bytes, wall time `i64` in ms,
/// camera's name preceded by its length in a `u8`; since version 2 also time since boot `u64` in ms
/// and [`Cause`] `u8`. Later versions may only append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// 1 to 32 characters of a-z, 0-9, `-`, `_`.
    pub camera: String,
    /// The segment's number, as in its name.
    pub number: u32,
    /// Distinguishes the unbroken sessions of a camera.
    pub run: u64,
    /// The kernel's boot id: wall times of two boots are only comparable if both were trusted.
    pub boot: [u8; 16],
    /// UTC of the first frame, by the board's clock.
    pub wall: WallTime,
    pub clock: ClockTrust,
    pub marks: SegmentMarks,
    /// Uptime of the machine at the first frame: one segment with a trusted clock dates all others
    /// of the same boot. `None` in segments of version 1.
    pub up_ms: Option<u64>,
    /// Why nothing was recorded before, if there is a gap.
    pub cause: Cause,
}

/// Why nothing was recorded for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cause {
    #[default]
    Unknown,
    /// No video arrived.
    Camera,
    /// The card accepted nothing.
    Card,
    /// Recording was stopped by hand, or not requested.
    Stopped,
    /// smolnvr was not running.
    Off,
    /// Only what happens is recorded, and nothing did.
    NoEvent,
}

impl Cause {
    pub const ALL: [Cause; 6] =
        [Cause::Unknown, Cause::Camera, Cause::Card, Cause::Stopped, Cause::Off, Cause::NoEvent];

    /// Decodes a cause; one of a later version is unknown.
    pub fn of_number(number: u8) -> Cause {
        Cause::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// The name used in `/api/timeline`.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Unknown => "unknown",
            Cause::Camera => "camera",
            Cause::Card => "card",
            Cause::Stopped => "stopped",
            Cause::Off => "off",
            Cause::NoEvent => "no event",
        }
    }
}

/// Marks set on a recording after its start, in its flags: that byte is rewritten in place, so that
/// a torn write leaves either the old marks or the new ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentMarks(u8);

impl SegmentMarks {
    pub const NONE: SegmentMarks = SegmentMarks(0);
    /// The recording is kept: it never expires.
    pub const KEPT: SegmentMarks = SegmentMarks(2);
    /// Only its key frames are left.
    pub const THINNED: SegmentMarks = SegmentMarks(4);
    /// Thinning it would gain little, or is not possible.
    pub const LEAN: SegmentMarks = SegmentMarks(8);
    /// Made from another recording of its number, which is still the right one while it is there.
    pub const COPY: SegmentMarks = SegmentMarks(16);
    /// Something happened in it.
    pub const EVENT: SegmentMarks = SegmentMarks(32);
    pub const NOT_TO_BE_THINNED: SegmentMarks = SegmentMarks(2 | 4 | 8 | 32);

    /// The marks in a box's byte of flags.
    pub fn of_flags(flags: u8) -> SegmentMarks {
        SegmentMarks(flags & !FLAG_TRUSTED)
    }

    /// Their bits in that byte.
    pub fn flags(self) -> u8 {
        self.0
    }

    pub fn has(self, marks: SegmentMarks) -> bool {
        self.0 & marks.0 == marks.0
    }

    pub fn has_any(self, marks: SegmentMarks) -> bool {
        self.0 & marks.0 != 0
    }

    #[must_use]
    pub fn with(self, marks: SegmentMarks) -> SegmentMarks {
        SegmentMarks(self.0 | marks.0)
    }

    #[must_use]
    pub fn without(self, marks: SegmentMarks) -> SegmentMarks {
        SegmentMarks(self.0 & !marks.0)
    }
}

/// Whether the wall time can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockTrust {
    Trusted,
    Untrusted,
}

impl Identity {
    /// Appends the `uuid` box.
    pub fn write(&self, out: &mut Vec<u8>) {
        boxed(out, b"uuid", |out| {
            out.extend_from_slice(&IDENTITY_UUID);
            out.push(VERSION);
            out.push(self.flags());
            put_u32(out, self.number);
            out.extend_from_slice(&self.run.to_be_bytes());
            out.extend_from_slice(&self.boot);
            out.extend_from_slice(&self.wall.0.to_be_bytes());
            let camera = self.camera.as_bytes();
            let camera = camera.get(..CAMERA_BYTES_MAX).unwrap_or(camera);
            out.push(camera.len() as u8);
            out.extend_from_slice(camera);
            out.extend_from_slice(&self.up_ms.unwrap_or(u64::MAX).to_be_bytes());
            out.push(self.cause as u8);
        });
    }

    /// The byte with the [`SegmentMarks`], [`FLAGS_OFFSET`] after the `usertype`.
    pub fn flags(&self) -> u8 {
        let trusted = match self.clock {
            ClockTrust::Trusted => FLAG_TRUSTED,
            ClockTrust::Untrusted => 0,
        };
        trusted | self.marks.0
    }

    /// Parses what follows the `usertype`; `None` if it is not valid.
    pub fn read(content: &[u8]) -> Option<Identity> {
        let mut bytes = Bytes(content);
        let version = bytes.u8()?;
        if version < VERSION_MIN {
            return None;
        }
        let flags = bytes.u8()?;
        let number = bytes.u32()?;
        let run = bytes.u64()?;
        let boot = bytes.array()?;
        let wall = WallTime(bytes.u64()?.cast_signed());
        let length = usize::from(bytes.u8()?);
        let camera = bytes.take(length)?;
        let well_named = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if camera.is_empty() || length > CAMERA_BYTES_MAX || !camera.iter().all(well_named) {
            return None;
        }
        let camera = str::from_utf8(camera).ok()?.to_owned();
        let clock =
            if flags & FLAG_TRUSTED != 0 { ClockTrust::Trusted } else { ClockTrust::Untrusted };
        let marks = SegmentMarks::of_flags(flags);
        let (up_ms, cause) = match version {
            VERSION_MIN => (None, Cause::default()),
            _ => (Some(bytes.u64()?), Cause::of_number(bytes.u8()?)),
        };
        let up_ms = up_ms.filter(|millis| *millis != u64::MAX);
        Some(Identity { camera, number, run, boot, wall, clock, marks, up_ms, cause })
    }
}

const VERSION: u8 = 2;
const VERSION_MIN: u8 = 1;
const FLAG_TRUSTED: u8 = 1;
/// After the version.
pub(super) const FLAGS_OFFSET: u64 = 1;
const CAMERA_BYTES_MAX: usize = 32;
/// The longest content of version 2, after the `usertype`.
pub(super) const IDENTITY_BYTES_MAX: usize = 1 + 1 + 4 + 8 + 16 + 8 + 1 + CAMERA_BYTES_MAX + 8 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            camera: "yard_2".to_owned(),
            number: 14,
            run: 0x0102_0304_0506_0708,
            boot: *b"0123456789abcdef",
            wall: WallTime(-5),
            clock: ClockTrust::Trusted,
            marks: SegmentMarks::NONE,
            up_ms: Some(0x0102_0304_0506),
            cause: Cause::Stopped,
        }
    }

    fn content(identity: &Identity) -> Vec<u8> {
        let mut out = Vec::new();
        identity.write(&mut out);
        out.split_off(8 + 16)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Identity::read(&content(&identity())), Some(identity()));
        let untrusted = Identity { clock: ClockTrust::Untrusted, ..identity() };
        assert_eq!(Identity::read(&content(&untrusted)), Some(untrusted));
        let kept = Identity { marks: SegmentMarks::KEPT, ..identity() };
        let bytes = content(&kept);
        assert_eq!(bytes[FLAGS_OFFSET as usize], kept.flags());
        assert_eq!(Identity::read(&bytes), Some(kept));
    }

    #[test]
    fn segments_of_before_say_neither_how_long_the_machine_was_up_nor_why_there_is_a_gap() {
        let mut bytes = content(&identity());
        bytes[0] = 1;
        bytes.truncate(bytes.len() - 9);
        let old = Identity { up_ms: None, cause: Cause::Unknown, ..identity() };
        assert_eq!(Identity::read(&bytes), Some(old.clone()));
        assert_eq!(Identity::read(&content(&old)), Some(old), "nor where it is not known");
    }

    #[test]
    fn causes_of_a_later_version_are_unknown() {
        for number in 0..=u8::MAX {
            let known = Cause::ALL.get(usize::from(number)).copied();
            assert_eq!(Cause::of_number(number), known.unwrap_or(Cause::Unknown));
        }
        assert!(Cause::ALL.iter().enumerate().all(|(at, cause)| *cause as usize == at));
    }

    #[test]
    fn marks_of_a_later_version_stay_when_others_change() {
        let mut bytes = content(&identity());
        bytes[FLAGS_OFFSET as usize] |= 0x80;
        let later = Identity::read(&bytes).unwrap();
        let kept = Identity { marks: later.marks.with(SegmentMarks::KEPT), ..later };
        assert_eq!(kept.flags(), 0x83);
        assert_eq!(kept.marks.without(SegmentMarks::KEPT), later.marks);
    }

    #[test]
    fn a_later_version_may_append() {
        let mut bytes = content(&identity());
        bytes[0] = 9;
        bytes.extend([1, 2, 3]);
        assert_eq!(Identity::read(&bytes), Some(identity()));
    }

    #[test]
    fn every_truncation_is_none() {
        let bytes = content(&identity());
        for len in 0..bytes.len() {
            assert_eq!(Identity::read(&bytes[..len]), None);
        }
    }

    #[test]
    fn a_camera_that_no_configuration_allows_is_none() {
        for camera in ["", "../x", "Yard", "a23456789012345678901234567890123"] {
            let mut bytes = content(&Identity { camera: "x".to_owned(), ..identity() });
            let rest = bytes.split_off(bytes.len() - 9);
            bytes.truncate(bytes.len() - 2);
            bytes.push(camera.len() as u8);
            bytes.extend(camera.as_bytes());
            bytes.extend(rest);
            assert_eq!(Identity::read(&bytes), None, "{camera}");
        }
    }
}
