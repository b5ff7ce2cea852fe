//! Scan: a file in, read a little at a time; what it is, and how far it is whole, out.
//!
//! Takes our files, those of FFmpeg (fragmented or plain), and whatever a damaged card makes of
//! them: nothing is believed, nothing is allocated by a number from the file.
//! Spec: ISO/IEC 14496-12. Knows nothing of: the card (it is handed a function that reads).

mod entry;
#[cfg(feature = "pictures")]
mod first;
mod fragments;
mod head;
mod length;
mod pieces;
mod window;

use std::{
    cell::RefCell,
    fmt, io,
    ops::{ControlFlow, Range},
    sync::Arc,
};

pub use entry::Video;
#[cfg(feature = "pictures")]
pub use first::{First, read_first};
pub use fragments::{Sample, Track};
pub use head::{Form, Head, Spare};
pub use pieces::{DecodeTime, Subsegment, Subsegments, decode_times, read_boxes, read_subsegments};
pub use window::ReadAt;

use super::{fragment::Extent, index::Index};
use crate::{codec::ParameterSets, units::Ticks};
use window::{Fault, Window, damage};

/// What a walk over a whole file found.
#[derive(Debug)]
pub struct Scan {
    /// `None` where even the head can not be understood.
    pub head: Option<Head>,
    pub state: State,
    /// End of the last whole fragment; 0 where there is none. In a plain file: all or nothing.
    pub whole_bytes: u64,
    pub fragments: u32,
    /// Media time that the whole fragments (or the plain file) fill.
    pub duration: Ticks,
    /// Of the whole fragments, in ticks of the track; for a file of ours these are 90 kHz.
    pub index: Index,
}

#[derive(Debug)]
pub enum State {
    Whole,
    /// Ends before it should; a file of ours that was not closed counts as cut even where its last
    /// fragment is whole.
    Cut,
    Damaged(Damage),
    /// The card refused to read; nothing was read after that.
    Unreadable {
        at: u64,
        error: io::Error,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Offset in the file.
    pub at: u64,
    pub what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    NoFileType,
    NoMovie,
    TooManyBoxes,
    BoxSize { kind: [u8; 4], size: u64 },
    UnexpectedBox { kind: [u8; 4] },
    SamplesBeyondRun { samples: u32, run_bytes: u64 },
    MediaBytes { listed: u64, present: u64 },
    MediaOffset { offset: u64, media: u64 },
    DecodeTime { time: u64, before: u64 },
    NalUnit { bytes: u64, left: u64 },
    NalHeader(u8),
}

/// How closely media is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Boxes only: one read a fragment.
    Structure,
    /// That, and every NAL unit's length and header in the last so many bytes of the file.
    Tail(u64),
    /// Every NAL unit of the file.
    Full,
}

/// Walks over a file of `len` bytes.
///
/// *Cost*: 8 KB of memory; one read a fragment, and one for every NAL unit that is looked at and
/// does not lie within 4 KB of the one before.
pub fn scan(read_at: ReadAt, len: u64, depth: Depth) -> Scan {
    let mut scan = Scan {
        head: None,
        state: State::Whole,
        whole_bytes: 0,
        fragments: 0,
        duration: Ticks::ZERO,
        index: Index::new(),
    };
    let mut window = Window::new(read_at, len);
    scan.state = match head::read(&mut window) {
        Err(fault) => fault.into(),
        Ok(head) => {
            let state = match head.form {
                Form::Plain => scan.walk_plain(&mut window, &head),
                Form::Fragmented => scan.walk_fragments(read_at, &mut window, &head, depth),
            };
            scan.head = Some(head);
            state.map_or_else(State::from, |()| State::Whole)
        }
    };
    scan
}

/// Reads the head alone, for the catalogue: one or two reads of 4 KB for a file of ours.
///
/// # Errors
/// Why there is no head: never `State::Whole`.
pub fn read_head(read_at: ReadAt, len: u64) -> Result<Head, State> {
    head::read(&mut Window::new(read_at, len)).map_err(State::from)
}

/// What [`walk`] comes by.
#[derive(Clone, Debug)]
pub enum Step {
    Sample(Sample),
    /// The samples before it are those of a whole fragment, which begins at `begin`.
    Fragment {
        begin: u64,
        /// Payload of its `mdat`.
        media: Range<u64>,
        /// `None` where it holds no video.
        extent: Option<Extent>,
    },
}

/// Goes over the fragments of a file from `begin` on, which must be where one begins, and tells
/// `visit` of each sample and then of the fragment; ends where it answers `Break`, or at `len`.
///
/// *Cost*: 8 KB of memory, one or two reads of 4 KB a fragment.
///
/// # Errors
/// Where a fragment is not whole; the samples told since the last one are to be forgotten.
pub fn walk(
    read_at: ReadAt,
    len: u64,
    head: &Head,
    begin: u64,
    visit: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<(), State> {
    let visit = RefCell::new(visit);
    let mut on_sample = |sample: &Sample| {
        // The fragment is gone through to its end in any case.
        let _ = (visit.borrow_mut())(Step::Sample(*sample));
    };
    let mut window = Window::new(read_at, len);
    let mut walk = fragments::Walk::new(head, Window::new(read_at, len)).visiting(&mut on_sample);
    let mut at = begin;
    while at < len {
        window.position = at;
        let header = window.box_header(len)?;
        if header.kind != *b"moof" {
            at = header.end;
            continue;
        }
        let fragment = walk.check(&mut window, header, len)?;
        let step = Step::Fragment { begin: at, media: fragment.media, extent: fragment.extent };
        if (visit.borrow_mut())(step).is_break() {
            break;
        }
        at = fragment.end;
    }
    Ok(())
}

/// The parameter sets of the video, where its samples have the length prefixes of ours.
pub fn read_parameter_sets(read_at: ReadAt, len: u64, head: &Head) -> Option<Arc<ParameterSets>> {
    let video = head.video.as_ref().filter(|video| video.length_bytes == 4)?;
    entry::parameter_sets(&mut Window::new(read_at, len), video).ok()
}

/// The head, and the true length with it, for the list: the head of a fragmented file of others does not
/// know it. Some five reads more, or one a fragment where the file was cut; none for a file of ours.
///
/// # Errors
/// Why there is no head: never `State::Whole`.
pub fn read_head_and_length(read_at: ReadAt, len: u64) -> Result<Head, State> {
    let mut head = read_head(read_at, len)?;
    if head.form == Form::Fragmented && head.identity.is_none() {
        head.duration = length::measure(read_at, len, &head).or(head.duration);
    }
    Ok(head)
}

/// Where the last `mdat` ends that is whole within `len` bytes, of the boxes from `begin` on; `begin`
/// where there is none.
///
/// # Errors
/// The card's.
pub fn boxes_end(read_at: ReadAt, begin: u64, len: u64) -> io::Result<u64> {
    let mut window = Window::new(read_at, len);
    let mut end = begin;
    window.position = begin;
    while window.position < len {
        match window.box_header(len) {
            Ok(header) => {
                window.position = header.end;
                if header.kind == *b"mdat" {
                    end = header.end;
                }
            }
            Err(Fault::Unreadable { error, .. }) => return Err(error),
            Err(_) => break,
        }
    }
    Ok(end)
}

impl Head {
    /// Ticks a second of the video's times.
    pub fn timescale(&self) -> u32 {
        self.track.timescale
    }

    /// Whether the samples of both are to be read in the same way.
    pub fn lists_like(&self, other: &Head) -> bool {
        self.identity.is_some() == other.identity.is_some()
            && self.track == other.track
            && self.audio == other.audio
    }
}

impl Scan {
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    fn walk_fragments(
        &mut self,
        read_at: ReadAt,
        window: &mut Window,
        head: &Head,
        depth: Depth,
    ) -> Result<(), Fault> {
        let len = window.len();
        let looked_at_from = match depth {
            Depth::Structure => len,
            Depth::Tail(bytes) => len.saturating_sub(bytes),
            Depth::Full => 0,
        };
        let mut walk = fragments::Walk::new(head, Window::new(read_at, len));
        let mut at = head.media_begin;
        let mut start = head.identity.is_some().then_some(Ticks::ZERO);
        while at < len {
            window.position = at;
            let header = window.box_header(len)?;
            match &header.kind {
                b"moof" => {
                    let fragment = walk.check(window, header, looked_at_from)?;
                    if let Some(extent) = fragment.extent {
                        self.index.push(fragment.end - at, extent);
                        // FFmpeg's segments may go on with the times of the one before.
                        let start = *start.get_or_insert(extent.start.max(Ticks::ZERO));
                        self.duration = head.ticks(self.index.duration() - start);
                    }
                    self.fragments = self.fragments.saturating_add(1);
                    at = fragment.end;
                    self.whole_bytes = at;
                }
                // FFmpeg ends a file with `mfra`; other writers put the rest between fragments.
                b"mfra" | b"free" | b"skip" | b"uuid" | b"styp" | b"sidx" | b"emsg" | b"prft"
                    if head.identity.is_none() =>
                {
                    at = header.end;
                    if self.fragments > 0 {
                        self.whole_bytes = at;
                    }
                }
                // One that was made ours, and not closed by us.
                b"mfra" if head.layout.as_ref().is_some_and(|it| it.durations.is_none()) => {
                    at = header.end;
                }
                kind => return Err(damage(at, What::UnexpectedBox { kind: *kind })),
            }
        }
        // Ours are whole only when they were closed.
        let is_whole = head.identity.is_none() || head.is_closed(len);
        if is_whole && self.fragments > 0 { Ok(()) } else { Err(Fault::End) }
    }

    fn walk_plain(&mut self, window: &mut Window, head: &Head) -> Result<(), Fault> {
        let len = window.len();
        window.position = 0;
        while window.position < len {
            window.position = window.box_header(len)?.end;
        }
        self.whole_bytes = len;
        self.duration = head.duration.unwrap_or_default();
        Ok(())
    }
}

impl From<Fault> for State {
    fn from(fault: Fault) -> State {
        match fault {
            Fault::End => State::Cut,
            Fault::Damaged(damage) => State::Damaged(damage),
            Fault::Unreadable { at, error } => State::Unreadable { at, error },
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            What::NoFileType => write!(f, "no ftyp box in front, this is no MP4 file"),
            What::NoMovie => write!(f, "media without a moov box before it"),
            What::TooManyBoxes => write!(f, "a head of more boxes than any has"),
            What::BoxSize { kind, size } => {
                write!(f, "{} box of {size} bytes does not fit here", kind.escape_ascii())
            }
            What::UnexpectedBox { kind } => {
                write!(f, "{} box where none belongs", kind.escape_ascii())
            }
            What::SamplesBeyondRun { samples, run_bytes } => {
                write!(f, "{samples} samples in a trun box of {run_bytes} bytes")
            }
            What::MediaBytes { listed, present } => {
                write!(f, "samples of {listed} bytes in an mdat box of {present}")
            }
            What::MediaOffset { offset, media } => {
                write!(f, "samples said to begin at {offset}, media begins at {media}")
            }
            What::DecodeTime { time, before } => {
                write!(f, "decode time {time} after {before}")
            }
            What::NalUnit { bytes, left } => {
                write!(f, "NAL unit of {bytes} bytes with {left} left in its sample")
            }
            What::NalHeader(byte) => write!(f, "no NAL unit begins with {byte:#04x}"),
        }
    }
}

#[cfg(test)]
mod tests;
