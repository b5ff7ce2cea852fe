//! Clips: a raw Annex B file and the list of its presentation times in, access units out.
//!
//! Spec: ITU-T H.264 §7.4.1.2.3 and H.265 §7.4.2.4.4 (where an access unit begins), Annex B of
//! both.
//! Knows nothing of: RTP, sessions, clocks.

use std::fmt;
use std::path::{Path, PathBuf};

/// How the pictures are coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    H264,
    H265,
    /// Each picture is a whole file, stored as the only NAL unit of its access unit.
    Jpeg,
}

/// One picture with everything that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    /// NAL units in file order, without start codes; never empty.
    pub nals: Vec<Vec<u8>>,
    /// Presentation time in ticks of 90 kHz; the earliest picture of a clip has 0.
    pub pts: u64,
    /// Decoding can begin here: IDR, or in H.265 also CRA and BLA.
    pub key: bool,
}

/// A piece of video that begins with a key frame, so it can be repeated for ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clip {
    codec: Codec,
    units: Vec<AccessUnit>,
    /// The presentation times in ascending order: entry n is the time at which unit n is sent.
    send_times: Vec<u64>,
    duration: u64,
}

/// One frame of the endless repetition of a clip.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub unit: &'a AccessUnit,
    /// Presentation time in ticks of 90 kHz since the beginning of the first round.
    pub pts: u64,
    /// When it is due, in the same ticks: ascending in decode order.
    pub send_time: u64,
}

impl Clip {
    /// Reads `path` and `path.pts` beside it: one time in ticks per line, in decode order.
    ///
    /// # Errors
    /// Every [`ClipError`]; `ci/clips.sh VIDEO OUT.h264` makes both files from any video.
    pub fn load(path: impl AsRef<Path>) -> Result<Clip, ClipError> {
        let path = path.as_ref();
        let read = || std::fs::read(path).map_err(|error| ClipError::Read(path.into(), error));
        let codec = match path.extension().and_then(|extension| extension.to_str()) {
            Some("h264" | "264") => Codec::H264,
            Some("h265" | "265" | "hevc") => Codec::H265,
            Some("jpg") => return Ok(Clip::still(&read()?)),
            _ => return Err(ClipError::Name(path.into())),
        };
        let bytes = read()?;
        let mut side = path.as_os_str().to_owned();
        side.push(".pts");
        let times = std::fs::read_to_string(&side)
            .map_err(|error| ClipError::Read(PathBuf::from(side), error))?;
        Clip::new(codec, &bytes, &times)
    }

    /// A JPEG that is sent again and again. RTP must be able to carry it: 4:2:2 or 4:2:0, with the
    /// usual Huffman tables.
    pub fn still(jpeg: &[u8]) -> Clip {
        let unit = AccessUnit { nals: vec![jpeg.to_vec()], pts: 0, key: true };
        Clip { codec: Codec::Jpeg, units: vec![unit], send_times: vec![0], duration: TICKS_A_FRAME }
    }

    /// Makes a clip from an Annex B stream and its times as text.
    pub fn new(codec: Codec, bytes: &[u8], times: &str) -> Result<Clip, ClipError> {
        let mut units = access_units(codec, bytes);
        let times = parse_times(times)?;
        if units.len() != times.len() {
            return Err(ClipError::Count { units: units.len(), times: times.len() });
        }
        if !units.first().is_some_and(|unit| unit.key) {
            return Err(ClipError::NoKeyFrame);
        }
        let mut send_times = times.clone();
        send_times.sort_unstable();
        let (Some(&first), Some(&last)) = (send_times.first(), send_times.last()) else {
            return Err(ClipError::NoKeyFrame);
        };
        if send_times.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ClipError::Twice);
        }
        for (unit, time) in units.iter_mut().zip(&times) {
            unit.pts = time.wrapping_sub(first).cast_unsigned();
        }
        let send_times: Vec<u64> =
            send_times.iter().map(|time| time.wrapping_sub(first).cast_unsigned()).collect();
        // The last picture lasts as long as the one before it.
        let before_last = send_times.iter().rev().nth(1);
        let span = last.wrapping_sub(first).cast_unsigned();
        let duration = before_last.map_or(TICKS_A_FRAME, |before| 2 * span - before);
        Ok(Clip { codec, units, send_times, duration })
    }

    /// One of the repository's `ci/clips`, such as `bframes.h264`.
    pub fn committed(name: &str) -> Result<Clip, ClipError> {
        Clip::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/clips").join(name))
    }

    /// The clip compiled into the program: `plain.h264`.
    pub fn built_in() -> Clip {
        Clip::new(
            Codec::H264,
            include_bytes!("../../ci/clips/plain.h264"),
            include_str!("../../ci/clips/plain.h264.pts"),
        )
        .expect("a unit test reads it")
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// In decode order.
    pub fn access_units(&self) -> &[AccessUnit] {
        &self.units
    }

    /// Ticks of 90 kHz from one round to the next.
    pub fn duration(&self) -> u64 {
        self.duration
    }

    /// Frame `number` of the endless repetition, in decode order; 0 opens the first round.
    pub fn frame(&self, number: u64) -> Frame<'_> {
        let count = self.units.len() as u64; // at least 1: the key frame
        let place = (number % count) as usize;
        let before = number / count * self.duration;
        let unit = &self.units[place];
        Frame { unit, pts: before + unit.pts, send_time: before + self.send_times[place] }
    }

    /// Average frames per second.
    pub fn frame_rate(&self) -> f64 {
        self.units.len() as f64 * 90_000.0 / self.duration as f64
    }

    /// The distinct parameter sets, in file order: VPS (H.265), SPS, PPS.
    pub fn parameter_sets(&self) -> Vec<&[u8]> {
        let mut sets: Vec<&[u8]> = Vec::new();
        for nal in self.units.iter().flat_map(|unit| &unit.nals) {
            if self.codec.is_parameter_set(nal) && !sets.contains(&nal.as_slice()) {
                sets.push(nal);
            }
        }
        sets
    }
}

impl Codec {
    /// `nal_unit_type`; 0 if there is no byte.
    pub fn nal_type(self, nal: &[u8]) -> u8 {
        let header = nal.first().copied().unwrap_or(0);
        match self {
            Codec::H264 => header & 0x1f,
            Codec::H265 => header >> 1 & 0x3f,
            Codec::Jpeg => 0,
        }
    }

    /// Length of a NAL unit's header.
    pub fn header_bytes(self) -> usize {
        match self {
            Codec::H264 => 1,
            Codec::H265 => 2,
            Codec::Jpeg => 0,
        }
    }

    /// Whether it is a part of a picture, not additional information.
    pub fn is_vcl(self, nal: &[u8]) -> bool {
        match self {
            Codec::H264 => matches!(self.nal_type(nal), 1..=5),
            Codec::H265 => self.nal_type(nal) < 32 && nal.len() > 2,
            Codec::Jpeg => true,
        }
    }

    /// VPS, SPS or PPS.
    pub fn is_parameter_set(self, nal: &[u8]) -> bool {
        match self {
            Codec::H264 => matches!(self.nal_type(nal), 7 | 8),
            Codec::H265 => matches!(self.nal_type(nal), 32..=34),
            Codec::Jpeg => false,
        }
    }

    fn is_key(self, nal: &[u8]) -> bool {
        match self {
            Codec::H264 => self.nal_type(nal) == 5,
            Codec::H265 => matches!(self.nal_type(nal), 16..=21) && nal.len() > 2,
            Codec::Jpeg => true,
        }
    }

    /// The first slice of a picture: `first_mb_in_slice` is 0, or `first_slice_segment_in_pic_flag`
    /// is set; both are a leading 1 bit.
    fn opens_picture(self, nal: &[u8]) -> bool {
        self.is_vcl(nal)
            && !(self == Codec::H264 && matches!(self.nal_type(nal), 3 | 4))
            && nal.get(self.header_bytes()).is_some_and(|byte| byte & 0x80 != 0)
    }

    /// Whether it precedes a picture: if one of these follows a slice, a new access unit begins.
    fn precedes_picture(self, nal: &[u8]) -> bool {
        match self {
            Codec::H264 => matches!(self.nal_type(nal), 6..=9 | 14..=18),
            Codec::H265 => matches!(self.nal_type(nal), 32..=35 | 39 | 41..=44 | 48..=55),
            Codec::Jpeg => false,
        }
    }
}

/// Why a clip cannot be played.
#[derive(Debug)]
pub enum ClipError {
    /// The name does not end in `.h264`, `.264`, `.h265`, `.265` or `.hevc`.
    Name(PathBuf),
    Read(PathBuf, std::io::Error),
    /// A line of the times is not a number; lines count from 1.
    Time {
        line: usize,
    },
    Count {
        units: usize,
        times: usize,
    },
    /// Two pictures have the same presentation time.
    Twice,
    /// The clip is empty, or its first access unit is not a key frame.
    NoKeyFrame,
}

impl fmt::Display for ClipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClipError::Name(path) => {
                write!(f, "{}: ends in neither .h264 nor .h265", path.display())
            }
            ClipError::Read(path, error) => {
                write!(f, "{}: {error} (ci/clips.sh VIDEO OUT.h264 makes a clip)", path.display())
            }
            ClipError::Time { line } => write!(f, "line {line} of the times is no number"),
            ClipError::Count { units, times } => {
                write!(f, "{units} access units, but {times} presentation times")
            }
            ClipError::Twice => f.write_str("two pictures have one presentation time"),
            ClipError::NoKeyFrame => f.write_str("does not begin with a key frame"),
        }
    }
}

impl std::error::Error for ClipError {}

fn parse_times(text: &str) -> Result<Vec<i64>, ClipError> {
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| line.trim().parse().map_err(|_| ClipError::Time { line: index + 1 }))
        .collect()
}

/// Groups the NAL units of an Annex B stream; times are left at 0.
fn access_units(codec: Codec, bytes: &[u8]) -> Vec<AccessUnit> {
    let mut units: Vec<AccessUnit> = Vec::new();
    let mut has_picture = true;
    for nal in nal_units(bytes) {
        if has_picture && (codec.precedes_picture(nal) || codec.opens_picture(nal))
            || units.is_empty()
        {
            units.push(AccessUnit { nals: Vec::new(), pts: 0, key: false });
            has_picture = false;
        }
        let Some(unit) = units.last_mut() else { continue };
        has_picture |= codec.is_vcl(nal);
        unit.key |= codec.is_key(nal);
        unit.nals.push(nal.to_vec());
    }
    units
}

/// The NAL units between the start codes, without trailing zeros.
fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut codes = bytes.windows(3).enumerate().filter(|(_, code)| *code == [0, 0, 1]);
    let mut next = codes.next().map(|(at, _)| at);
    std::iter::from_fn(move || {
        let begin = next? + 3;
        next = codes.next().map(|(at, _)| at);
        let nal = &bytes[begin..next.unwrap_or(bytes.len())];
        let zeros = nal.iter().rev().take_while(|&&byte| byte == 0).count();
        Some(&nal[..nal.len() - zeros])
    })
    .filter(|nal| !nal.is_empty())
}

/// Duration of a picture in a clip that has only one.
const TICKS_A_FRAME: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 6] =
        ["plain.h264", "bframes.h264", "slices.h264", "plain.h265", "bframes.h265", "opengop.h265"];

    #[test]
    fn every_committed_clip_has_a_time_for_each_access_unit() {
        for name in ALL {
            let clip = Clip::committed(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(clip.access_units().len(), 100, "{name}");
            assert_eq!(clip.access_units().iter().filter(|unit| unit.key).count(), 4, "{name}");
            assert!((clip.frame_rate() - 25.0).abs() < 0.1, "{name}: {}", clip.frame_rate());
        }
    }

    #[test]
    fn clips_have_the_properties_in_their_names() {
        let reordered = |clip: &Clip| clip.units.windows(2).any(|pair| pair[0].pts > pair[1].pts);
        for (name, expected) in ALL.iter().zip([false, true, false, false, true, true]) {
            assert_eq!(reordered(&Clip::committed(name).unwrap()), expected, "{name}");
        }
        let has = |name: &str, kind: u8| {
            let clip = Clip::committed(name).unwrap();
            clip.units
                .iter()
                .flat_map(|unit| &unit.nals)
                .any(|nal| clip.codec.nal_type(nal) == kind)
        };
        assert!(has("opengop.h265", 21) && has("opengop.h265", 8), "CRA, RASL");
        assert!(!has("bframes.h265", 21) && !has("plain.h265", 21), "no CRA");
        let slices = Clip::committed("slices.h264").unwrap();
        let vcl =
            |unit: &AccessUnit| unit.nals.iter().filter(|nal| Codec::H264.is_vcl(nal)).count();
        assert!(slices.units.iter().all(|unit| vcl(unit) == 4));
    }

    #[test]
    fn built_in_clip_is_a_clip() {
        assert_eq!(Clip::built_in().access_units().len(), 100);
    }

    #[test]
    fn only_start_codes_are_removed() {
        for name in ALL {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/clips").join(name);
            let bytes = std::fs::read(path).unwrap();
            let codes = bytes.windows(3).filter(|code| *code == [0, 0, 1]).count();
            let clip = Clip::committed(name).unwrap();
            let nals: Vec<_> = clip.units.iter().flat_map(|unit| &unit.nals).collect();
            assert_eq!(nals.len(), codes, "{name}");
            let payload: usize = nals.iter().map(|nal| nal.len()).sum();
            assert!((3 * codes..=4 * codes).contains(&(bytes.len() - payload)), "{name}");
        }
    }

    #[test]
    fn rounds_follow_each_other_without_a_gap() {
        for name in ALL {
            let clip = Clip::committed(name).unwrap();
            let mut times: Vec<u64> = (0..300).map(|number| clip.frame(number).pts).collect();
            times.sort_unstable();
            assert_eq!(times[0], 0);
            assert!(times.windows(2).all(|pair| (2500..5000).contains(&(pair[1] - pair[0]))));
            let due: Vec<u64> = (0..300).map(|number| clip.frame(number).send_time).collect();
            assert_eq!(times, due);
        }
    }

    #[test]
    fn wrong_side_files_are_told_apart() {
        let idr = [0, 0, 1, 0x65, 0x88, 0, 0, 1, 0x41, 0x9a];
        let with = |times| Clip::new(Codec::H264, &idr, times);
        assert!(with("0\n3600\n").is_ok());
        assert!(matches!(with("0\n"), Err(ClipError::Count { units: 2, times: 1 })));
        assert!(matches!(with("0\nN/A\n"), Err(ClipError::Time { line: 2 })));
        assert!(matches!(with("7\n7\n"), Err(ClipError::Twice)));
        assert!(matches!(Clip::new(Codec::H264, &idr[5..], "0\n"), Err(ClipError::NoKeyFrame)));
        assert!(matches!(Clip::new(Codec::H264, &[], ""), Err(ClipError::NoKeyFrame)));
    }
}
