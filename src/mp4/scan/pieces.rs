//! The positions in a file where players may begin, and where its fragments store their decode
//! times.

use super::{
    FileHead, FileState, ReadAt, ScanError, What,
    head::TOP_BOXES_MAX,
    window::{BoxHeader, WINDOW_BYTES, Window, damage},
};
use crate::mp4::fragment::{
    BASE_DATA_OFFSET_PRESENT, DATA_OFFSET_PRESENT, DEFAULT_SAMPLE_DURATION_PRESENT,
    FIRST_SAMPLE_FLAGS_PRESENT, SAMPLE_COMPOSITION_OFFSET_PRESENT,
    SAMPLE_DESCRIPTION_INDEX_PRESENT, SAMPLE_DURATION_PRESENT, SAMPLE_FLAGS_PRESENT,
    SAMPLE_SIZE_PRESENT,
};
use std::ops::ControlFlow;

/// A part of a file that begins at a key frame: an entry of its `sidx` (§8.16.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subsegment {
    /// Of its first `moof`.
    pub begin: u64,
    pub bytes: u32,
    /// In ticks of [`Subsegments::timescale`].
    pub duration: u32,
    /// Whether a decoder can begin here.
    pub opens_on_key: bool,
}

/// A file's index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subsegments {
    pub timescale: u32,
    pub list: Vec<Subsegment>,
}

/// Reads the index in front of the media; `None` where there is none.
///
/// *Cost*: two or three reads of 4 KB.
///
/// # Errors
/// The file is damaged there, or cannot be read.
pub fn read_subsegments(read_at: ReadAt, len: u64) -> Result<Option<Subsegments>, FileState> {
    let mut window = Window::new(read_at, len);
    for _ in 0..TOP_BOXES_MAX {
        let header = window.box_header(len)?;
        match &header.kind {
            b"sidx" => return Ok(subsegments(&mut window, header)?),
            b"moof" | b"mdat" => break,
            _ => window.position = header.end,
        }
        if window.position >= len {
            break;
        }
    }
    Ok(None)
}

fn subsegments(window: &mut Window, header: BoxHeader) -> Result<Option<Subsegments>, ScanError> {
    let wide = window.u32()? >> 24 != 0;
    window.u32()?; // reference_ID
    let timescale = window.u32()?.max(1);
    let first_offset = if wide {
        window.u64()?;
        window.u64()?
    } else {
        window.u32()?;
        window.u32()?.into()
    };
    window.u16()?;
    let count = window.u16()?;
    let mut begin = header.end.saturating_add(first_offset);
    let mut list = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (bytes, duration, sap) = (window.u32()?, window.u32()?, window.u32()?);
        if bytes >> 31 == 1 {
            return Ok(None); // an index of indices
        }
        list.push(Subsegment { begin, bytes, duration, opens_on_key: sap >> 31 == 1 });
        begin = begin.saturating_add(bytes.into());
    }
    if window.position > header.end {
        let size = header.end - header.begin;
        return Err(damage(header.begin, What::BoxSize { kind: header.kind, size }));
    }
    Ok(Some(Subsegments { timescale, list }))
}

/// A `tfdt` (§8.8.12), and the time its samples take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeTime {
    pub track: u32,
    /// Where its number lies in the file.
    pub at: u64,
    /// Whether that has 64 bits, or 32.
    pub is_wide: bool,
    pub time: u64,
    /// Where its last sample ends, if the fragment says so.
    pub end: u64,
    /// The last duration that stands in the fragment.
    pub duration: Option<SampleDuration>,
}

/// A `sample_duration`, or a `default_sample_duration` (§8.8.7, §8.8.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SampleDuration {
    /// Where it lies in the file; it has 32 bits.
    pub at: u64,
    pub ticks: u32,
    /// How many samples have it.
    pub samples: u32,
}

/// Whether the durations in fragments are read, which are as many as samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durations {
    Skipped,
    Read,
}

/// Passes the end of each box from `begin` on, and the decode times in it, to `visit`, until that
/// answers `Break` or the file ends at `len`. A box must begin at `begin`. Where durations are
/// skipped, times end where they begin.
///
/// *Cost*: 4 KB of memory; one read of 4 KB a fragment, with durations one more for each 4 KB.
///
/// # Errors
/// Where a fragment is not whole.
pub fn decode_times(
    read_at: ReadAt,
    len: u64,
    begin: u64,
    durations: Durations,
    visit: &mut dyn FnMut(u64, &[DecodeTime]) -> ControlFlow<()>,
) -> Result<(), FileState> {
    let mut window = Window::new(read_at, len);
    let mut found = Vec::new();
    window.position = begin;
    while window.position < len {
        let header = window.box_header(len)?;
        found.clear();
        if header.kind == *b"moof" {
            read_fragment(&mut window, header, durations, &mut found)?;
        }
        if visit(header.end, &found).is_break() {
            break;
        }
        window.position = header.end;
    }
    Ok(())
}

fn read_fragment(
    window: &mut Window,
    moof: BoxHeader,
    durations: Durations,
    found: &mut Vec<DecodeTime>,
) -> Result<(), ScanError> {
    while window.position < moof.end {
        let traf = window.box_header(moof.end)?;
        if traf.kind == *b"traf" {
            let (mut track, mut default) = (0, None);
            while window.position < traf.end {
                let header = window.box_header(traf.end)?;
                match &header.kind {
                    b"tfhd" => (track, default) = read_defaults(window)?,
                    b"tfdt" if found.len() < DECODE_TIMES_MAX => {
                        let is_wide = window.u32()? >> 24 != 0;
                        let at = window.position;
                        let time = if is_wide { window.u64()? } else { window.u32()?.into() };
                        found.push(DecodeTime {
                            track,
                            at,
                            is_wide,
                            time,
                            end: time,
                            duration: default,
                        });
                    }
                    b"trun" if durations == Durations::Read => {
                        if let Some(run) = found.last_mut().filter(|it| it.track == track) {
                            read_durations(window, header.end, run)?;
                        }
                    }
                    _ => {}
                }
                if window.position > header.end {
                    return Err(header.ends_too_early());
                }
                window.position = header.end;
            }
        }
        window.position = traf.end;
    }
    Ok(())
}

/// The track of a `tfhd`, and the duration of its samples.
fn read_defaults(window: &mut Window) -> Result<(u32, Option<SampleDuration>), ScanError> {
    let (flags, track) = (window.u32()?, window.u32()?);
    if flags & DEFAULT_SAMPLE_DURATION_PRESENT == 0 {
        return Ok((track, None));
    }
    for (flag, bytes) in [(BASE_DATA_OFFSET_PRESENT, 8), (SAMPLE_DESCRIPTION_INDEX_PRESENT, 4)] {
        window.position += if flags & flag == 0 { 0 } else { bytes };
    }
    let at = window.position;
    Ok((track, Some(SampleDuration { at, ticks: window.u32()?, samples: 0 })))
}

/// Adds what a `trun` says of durations.
fn read_durations(window: &mut Window, end: u64, of: &mut DecodeTime) -> Result<(), ScanError> {
    let (flags, samples) = (window.u32()?, window.u32()?);
    let bytes = |fields: &[u32]| 4 * fields.iter().filter(|it| flags & **it != 0).count() as u64;
    if flags & SAMPLE_DURATION_PRESENT == 0 {
        if let Some(default) = &mut of.duration {
            default.samples = default.samples.saturating_add(samples);
            of.end = of.end.saturating_add(u64::from(samples) * u64::from(default.ticks));
        }
        return Ok(());
    }
    window.position += bytes(&[DATA_OFFSET_PRESENT, FIRST_SAMPLE_FLAGS_PRESENT]);
    let others = [SAMPLE_SIZE_PRESENT, SAMPLE_FLAGS_PRESENT, SAMPLE_COMPOSITION_OFFSET_PRESENT];
    let others = bytes(&others);
    for _ in 0..samples {
        if window.position >= end {
            break;
        }
        let at = window.position;
        let ticks = window.u32()?;
        of.end = of.end.saturating_add(ticks.into());
        of.duration = Some(SampleDuration { at, ticks, samples: 1 });
        window.position += others;
    }
    Ok(())
}

/// Reads boxes of these kinds in front of the media, one behind the other, up to and with `moov`.
/// `None` where they are longer than `bytes_max` together, or there is no `moov`.
pub fn read_boxes(
    read_at: ReadAt,
    len: u64,
    kinds: &[[u8; 4]],
    bytes_max: usize,
) -> Option<Vec<u8>> {
    let mut window = Window::new(read_at, len);
    let mut found = Vec::new();
    for _ in 0..TOP_BOXES_MAX {
        let header = window.box_header(len).ok()?;
        if kinds.contains(&header.kind) {
            let count = usize::try_from(header.end - header.begin).ok()?;
            let end = found.len().checked_add(count).filter(|end| *end <= bytes_max)?;
            window.position = header.begin;
            while found.len() < end {
                let wanted = (end - found.len()).min(WINDOW_BYTES);
                found.extend_from_slice(window.slice(wanted).ok()?);
            }
        }
        if header.kind == *b"moov" {
            return Some(found);
        }
        window.position = header.end;
    }
    None
}

impl FileHead {
    /// Number and ticks a second of each track that is looked at.
    pub fn tracks(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        [Some(&self.track), self.audio.as_ref()]
            .into_iter()
            .flatten()
            .map(|it| (it.id, it.timescale))
    }
}

/// Decode times of one fragment: more than the tracks of any file.
const DECODE_TIMES_MAX: usize = 16;
