//! Scan: a file in, read a little at a time; its type, and how much of it is complete, out.
//!
//! Accepts our files, FFmpeg's (fragmented or plain), and whatever a damaged card makes of them:
//! nothing is trusted, and no number from the file determines an allocation.
//! Spec: ISO/IEC 14496-12.
//! Knows nothing of: the card (it is given a function that reads).

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

pub use entry::VideoEntry;
#[cfg(feature = "pictures")]
pub use first::{First, read_first};
pub use fragments::{ListedSample, TrackKind};
pub use head::{FileForm, FileHead, Spare};
pub use pieces::{
    DecodeTime, Durations, SampleDuration, Subsegment, Subsegments, decode_times, read_boxes,
    read_subsegments,
};
pub use window::ReadAt;

use super::{fragment::Extent, index::Index};
use crate::{codec::ParameterSets, units::Ticks};
use window::{ScanError, Window, damage};

/// The result of scanning a whole file.
#[derive(Debug)]
pub struct Scan {
    /// `None` if even the head is invalid.
    pub head: Option<FileHead>,
    pub state: FileState,
    /// End of the last complete fragment, 0 if there is none. For a plain file: its end or 0.
    pub whole_bytes: u64,
    pub fragments: u32,
    /// Media time of the complete fragments or the plain file.
    pub duration: Ticks,
    /// Of the complete fragments, in ticks of the track; 90 kHz in our own files.
    pub index: Index,
}

#[derive(Debug)]
pub enum FileState {
    Whole,
    /// Ends too early. A file of ours that was not closed counts as cut even if its last fragment
    /// is complete.
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

/// How thoroughly media is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Only boxes: one read per fragment.
    Structure,
    /// Also every NAL unit's length and header in this many bytes at the end of the file.
    Tail(u64),
    /// Also every NAL unit of the file.
    Full,
}

/// Scans a file of `len` bytes.
///
/// *Cost*: 8 KB of memory; one read per fragment, and one for every checked NAL unit that is not
/// within 4 KB of the previous one.
pub fn scan(read_at: ReadAt, len: u64, depth: Depth) -> Scan {
    let mut scan = Scan {
        head: None,
        state: FileState::Whole,
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
                FileForm::Plain => scan.walk_plain(&mut window, &head),
                FileForm::Fragmented => scan.walk_fragments(read_at, &mut window, &head, depth),
            };
            scan.head = Some(head);
            state.map_or_else(FileState::from, |()| FileState::Whole)
        }
    };
    scan
}

/// Reads only the head, for the catalogue: one or two reads of 4 KB for a file of ours.
///
/// # Errors
/// Why there is no head; never `FileState::Whole`.
pub fn read_head(read_at: ReadAt, len: u64) -> Result<FileHead, FileState> {
    head::read(&mut Window::new(read_at, len)).map_err(FileState::from)
}

/// The steps of a [`walk`].
#[derive(Clone, Debug)]
pub enum WalkStep {
    Sample(ListedSample),
    /// The preceding samples are those of a complete fragment that starts at `begin`.
    Fragment {
        begin: u64,
        /// The payload of its `mdat`.
        media: Range<u64>,
        /// `None` if it contains no video.
        extent: Option<Extent>,
    },
}

/// Walks over the fragments of a file from `begin`, where one must start, and passes each sample
/// and then the fragment to `visit`; ends when that returns `Break`, or at `len`.
///
/// *Cost*: 8 KB of memory, one or two reads of 4 KB per fragment.
///
/// # Errors
/// A fragment is not complete; discard the samples passed since the last complete one.
pub fn walk(
    read_at: ReadAt,
    len: u64,
    head: &FileHead,
    begin: u64,
    visit: &mut dyn FnMut(WalkStep) -> ControlFlow<()>,
) -> Result<(), FileState> {
    let visit = RefCell::new(visit);
    let mut on_sample = |sample: &ListedSample| {
        // The fragment is processed to its end in any case.
        let _ = (visit.borrow_mut())(WalkStep::Sample(*sample));
    };
    let mut window = Window::new(read_at, len);
    let mut walk =
        fragments::FragmentWalk::new(head, Window::new(read_at, len)).visiting(&mut on_sample);
    let mut at = begin;
    while at < len {
        window.position = at;
        let header = window.box_header(len)?;
        if header.kind != *b"moof" {
            at = header.end;
            continue;
        }
        let fragment = walk.check(&mut window, header, len)?;
        let step = WalkStep::Fragment { begin: at, media: fragment.media, extent: fragment.extent };
        if (visit.borrow_mut())(step).is_break() {
            break;
        }
        at = fragment.end;
    }
    Ok(())
}

/// Returns the parameter sets of the video, if its samples have length prefixes like ours.
pub fn read_parameter_sets(
    read_at: ReadAt,
    len: u64,
    head: &FileHead,
) -> Option<Arc<ParameterSets>> {
    let video = head.video.as_ref().filter(|video| video.length_bytes == 4)?;
    entry::parameter_sets(&mut Window::new(read_at, len), video).ok()
}

/// Reads the head with the true length, for lists: the head of a foreign fragmented file does not
/// contain it. Takes about five further reads, or one per fragment if the file was cut; none for
/// our own files.
///
/// # Errors
/// Why there is no head; never `FileState::Whole`.
pub fn read_head_and_length(read_at: ReadAt, len: u64) -> Result<FileHead, FileState> {
    let mut head = read_head(read_at, len)?;
    if head.form == FileForm::Fragmented && head.identity.is_none() {
        head.duration = length::measure(read_at, len, &head).or(head.duration);
    }
    Ok(head)
}

/// The end of the last complete `mdat` within `len` bytes, searching from `begin`; returns `begin`
/// if there is none.
///
/// # Errors
/// Any error of the card.
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
            Err(ScanError::Unreadable { error, .. }) => return Err(error),
            Err(_) => break,
        }
    }
    Ok(end)
}

impl FileHead {
    /// Ticks per second of the video's times.
    pub fn timescale(&self) -> u32 {
        self.track.timescale
    }

    /// Returns true if samples of both files are read the same way.
    pub fn lists_like(&self, other: &FileHead) -> bool {
        self.identity.is_some() == other.identity.is_some()
            && self.track == other.track
            && self.audio == other.audio
    }
}

impl Scan {
    pub fn is_whole(&self) -> bool {
        matches!(self.state, FileState::Whole)
    }

    fn walk_fragments(
        &mut self,
        read_at: ReadAt,
        window: &mut Window,
        head: &FileHead,
        depth: Depth,
    ) -> Result<(), ScanError> {
        let len = window.len();
        let looked_at_from = match depth {
            Depth::Structure => len,
            Depth::Tail(bytes) => len.saturating_sub(bytes),
            Depth::Full => 0,
        };
        let mut walk = fragments::FragmentWalk::new(head, Window::new(read_at, len));
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
                        // FFmpeg's segments may continue the times of the previous one.
                        let start = *start.get_or_insert(extent.start.max(Ticks::ZERO));
                        self.duration = head.ticks(self.index.duration() - start);
                    }
                    self.fragments = self.fragments.saturating_add(1);
                    at = fragment.end;
                    self.whole_bytes = at;
                }
                // FFmpeg ends a file with `mfra`; other writers put the others between fragments.
                b"mfra" | b"free" | b"skip" | b"uuid" | b"styp" | b"sidx" | b"emsg" | b"prft"
                    if head.identity.is_none() =>
                {
                    at = header.end;
                    if self.fragments > 0 {
                        self.whole_bytes = at;
                    }
                }
                // A file that became ours and was not closed by us.
                b"mfra" if head.layout.as_ref().is_some_and(|it| it.durations.is_none()) => {
                    at = header.end;
                }
                kind => return Err(damage(at, What::UnexpectedBox { kind: *kind })),
            }
        }
        // Our files are only complete once they are closed.
        let is_whole = head.identity.is_none() || head.is_closed(len);
        if is_whole && self.fragments > 0 { Ok(()) } else { Err(ScanError::End) }
    }

    fn walk_plain(&mut self, window: &mut Window, head: &FileHead) -> Result<(), ScanError> {
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

impl From<ScanError> for FileState {
    fn from(fault: ScanError) -> FileState {
        match fault {
            ScanError::End => FileState::Cut,
            ScanError::Damaged(damage) => FileState::Damaged(damage),
            ScanError::Unreadable { at, error } => FileState::Unreadable { at, error },
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
            What::NoFileType => write!(f, "not an MP4 file: it does not start with an ftyp box"),
            What::NoMovie => write!(f, "media without a moov box before it"),
            What::TooManyBoxes => write!(f, "too many boxes in the head"),
            What::BoxSize { kind, size } => {
                write!(f, "{} box of {size} bytes does not fit", kind.escape_ascii())
            }
            What::UnexpectedBox { kind } => {
                write!(f, "unexpected {} box", kind.escape_ascii())
            }
            What::SamplesBeyondRun { samples, run_bytes } => {
                write!(f, "{samples} samples in a trun box of {run_bytes} bytes")
            }
            What::MediaBytes { listed, present } => {
                write!(f, "samples of {listed} bytes in an mdat box of {present}")
            }
            What::MediaOffset { offset, media } => {
                write!(f, "samples listed at {offset}, but the media starts at {media}")
            }
            What::DecodeTime { time, before } => {
                write!(f, "decode time {time} after {before}")
            }
            What::NalUnit { bytes, left } => {
                write!(f, "NAL unit of {bytes} bytes with {left} left in its sample")
            }
            What::NalHeader(byte) => write!(f, "invalid NAL unit header {byte:#04x}"),
        }
    }
}

#[cfg(test)]
mod tests;
