//! Messages between the main thread and the card thread: what is asked, what is answered.
//!
//! Knows nothing of: how they travel, what is done about them.

use std::{fmt, io, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use super::{catalog::SegmentState, disk::RequireMount, layout::Name};
use crate::{
    codec::{AudioFormat, ParameterSets},
    limits::SPAN_SEGMENTS_MAX,
    mp4::{
        fragment::Extent,
        identity::{Cause, Clock},
    },
    units::WallTime,
};

/// What the configuration says of the card, and of whom it holds recordings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The first one that is mounted is used.
    pub paths: Vec<PathBuf>,
    pub require_mount: RequireMount,
    pub keep_free_percent: u8,
    /// 0: no limit by age.
    pub keep_days: u32,
    /// Older recordings are reduced to their key frames; 0: none.
    pub thin_after_days: u32,
    /// At most this much video is not yet durable.
    pub sync: Duration,
    /// No two record into one folder.
    pub cameras: Vec<Place>,
    /// While this file exists the card is let go of: `/tmp/sysupgrade.lock`.
    pub lock_file: PathBuf,
    /// The kernel's boot id, which goes into every segment.
    pub boot: [u8; 16],
}

/// Where a camera records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub id: CameraId,
    /// As it goes into the identity of a segment.
    pub name: String,
    /// Below the storage path; `.` is the path itself.
    pub folder: String,
}

/// A camera as it is configured once, and the folder that it records into: one that is configured
/// otherwise has another id, so that nothing that is said of the one before can be taken for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CameraId(pub usize);

/// What a segment begins with, beside what the card knows itself.
#[derive(Clone, Debug)]
pub struct SegmentStart {
    pub parameter_sets: Arc<ParameterSets>,
    /// Of its sound, if it is to have some.
    pub audio: Option<Arc<AudioFormat>>,
    /// UTC of the first frame.
    pub wall: WallTime,
    pub clock: Clock,
    /// How long the machine was up then.
    pub up_ms: u64,
    /// Why nothing was recorded before, where there is a gap.
    pub cause: Cause,
    /// Tells the unbroken sessions of a camera apart.
    pub run: u64,
}

/// A `moof` and its `mdat`.
#[derive(Debug)]
pub struct Fragment {
    /// Comes back in [`Event::Returned`].
    pub bytes: Vec<u8>,
    pub extent: Extent,
    /// Numbers of the frames in it, as the ring counts them.
    pub frames: Range<u64>,
}

#[derive(Debug)]
pub enum Command {
    /// Begins a segment; one of that camera that is still open is closed first.
    Open {
        camera: CameraId,
        start: SegmentStart,
    },
    /// Appends to the open segment; always answered by [`Event::Returned`].
    Append {
        camera: CameraId,
        fragment: Fragment,
    },
    Close {
        camera: CameraId,
    },
    /// Lets another program write segments of a camera, until `Unstage`; answered by [`Event::Staged`] or
    /// [`Event::OpenFailed`]. What it writes is told as that of `Append` is, without frames.
    Stage {
        camera: CameraId,
        run: u64,
    },
    /// That program has ended: what it wrote is closed; answered by [`Event::Unstaged`].
    Unstage {
        camera: CameraId,
    },
    /// Deletes a file of a folder; answered by [`Event::Deleted`] or [`Event::DeleteFailed`].
    Delete {
        camera: CameraId,
        name: Name,
    },
    /// Does something to all recordings of a span; answered by [`Event::SpanDone`].
    Span(SpanWish),
    /// Closes all files and lets go of the card; answered by [`CardState::Released`].
    Release,
    /// Takes the card back; answered by the state that it is found in.
    Resume,
    /// Takes up new settings: the segments of cameras whose ids are not among them are closed, and
    /// where paths differ all of them.
    Configure(Settings),
    /// Says what time it is: at start-up, and when the clock is set or becomes trusted.
    Clock {
        wall: WallTime,
        clock: Clock,
        /// How long the machine is up.
        up_ms: u64,
    },
    /// The ring overtook the recorder while it waited for the card.
    Overtaken {
        camera: CameraId,
    },
    /// Somebody else met an error while reading a recording (the card may turn read-only over it).
    ReadFailed {
        camera: CameraId,
        name: Name,
    },
    /// Closes all files; answered by [`Event::Ended`], the last of all.
    Shutdown,
}

#[derive(Debug)]
pub enum Event {
    /// One for every change, and one to begin with.
    State(CardState),
    Opened {
        camera: CameraId,
        number: u32,
    },
    OpenFailed {
        camera: CameraId,
        reason: OpenError,
    },
    /// Another program may write files into this folder: of the names of
    /// [`super::layout::staged_name`], from this number on.
    Staged {
        camera: CameraId,
        directory: PathBuf,
        number: u32,
    },
    /// What it wrote reached the file system; durable it is later.
    Grown {
        camera: CameraId,
    },
    /// Nothing of the other program is open any more.
    Unstaged {
        camera: CameraId,
    },
    /// The buffer of an `Append` comes back, always.
    Returned {
        camera: CameraId,
        buffer: Vec<u8>,
        frames: Range<u64>,
        result: Result<(), Refused>,
    },
    /// Every frame of this run below `frames_end` that was appended is on the card for good.
    Durable {
        camera: CameraId,
        frames_end: u64,
    },
    Closed {
        camera: CameraId,
        number: u32,
        ending: Ending,
    },
    Deleted {
        file: Recording,
        reason: DeleteReason,
    },
    /// Only the key frames of a recording are left.
    Thinned {
        file: Recording,
    },
    /// What was wanted of a span is done, or not.
    SpanDone {
        id: u64,
        result: Result<SpanDone, SpanError>,
    },
    /// By the clock, recordings are older than `keep_days`, and the others do not bear it out: none goes for its age.
    AgeDoubtful,
    DeleteFailed {
        file: Recording,
        reason: DeleteError,
    },
    /// A file that was not closed, or over which the card turned read-only, was mended.
    Mended {
        file: Recording,
        mended: Mended,
    },
    /// By a clock that is trusted now, so many recordings got their true times.
    Dated {
        recordings: usize,
    },
    /// The index was wrong about a file; `state` is the true one, `None` if it is no recording or gone.
    Corrected {
        file: Recording,
        state: Option<SegmentState>,
    },
    /// The index of a folder is not used; the list is read from the recordings.
    IndexUnused {
        path: PathBuf,
        reason: IndexError,
    },
    /// The card had turned read-only, over `file` if that is known, and is writable again.
    Remounted {
        file: Option<PathBuf>,
    },
    Ended,
}

/// A recording, as the card thread and as people know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// Whose folder it lies in.
    pub folder: CameraId,
    pub name: Name,
    /// The camera that it is of, and its address ([`super::catalog::Entry::address`]); empty and the
    /// number of its name where it is not listed.
    pub camera: String,
    pub number: u32,
}

/// What people want done to all recordings of a camera that overlap a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanWish {
    /// Comes back with the answer.
    pub id: u64,
    pub camera: String,
    pub from: WallTime,
    pub to: WallTime,
    pub action: SpanAction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanAction {
    Keep,
    /// They may expire again.
    Release,
    /// Those that are not kept and not being written.
    Delete,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpanDone {
    /// Recordings to which it was done, or that were so before.
    pub segments: u32,
    pub bytes: u64,
    /// Those of the span that stay as they were: they have no place for the mark, or, where the rest is
    /// deleted, are kept or being written.
    pub left: u32,
}

/// Why nothing, or not all, was done to a span.
#[derive(Debug)]
pub enum SpanError {
    NothingThere,
    /// The card is still being read.
    Unread,
    /// Another span is not done yet.
    Busy,
    TooMany {
        segments: usize,
    },
    /// None of them holds our identity.
    NoPlace,
    /// More bytes would be kept than may be.
    Full {
        kept: u64,
        more: u64,
        allowed: u64,
    },
    /// The card's state says why.
    Card,
    Failed(io::Error),
}

/// How the card is, and why in words for the user. Spec: docs/configuration.md, "What lies on the card".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CardState {
    Ok,
    Absent(String),
    ReadOnly(String),
    Full(String),
    /// A new segment may be tried all the same.
    Failing(String),
    Released,
}

impl CardState {
    /// As in `/api/status`.
    pub fn name(&self) -> &'static str {
        match self {
            CardState::Ok => "ok",
            CardState::Absent(_) => "absent",
            CardState::ReadOnly(_) => "read-only",
            CardState::Full(_) => "full",
            CardState::Failing(_) => "failing",
            CardState::Released => "released",
        }
    }

    /// Why it is not `ok`; empty where the name says all.
    pub fn reason(&self) -> &str {
        match self {
            CardState::Ok | CardState::Released => "",
            CardState::Absent(reason)
            | CardState::ReadOnly(reason)
            | CardState::Full(reason)
            | CardState::Failing(reason) => reason,
        }
    }

    /// Whether a segment may be opened; in `Failing` it is worth a try, a second apart.
    pub fn takes_segments(&self) -> bool {
        matches!(self, CardState::Ok | CardState::Failing(_))
    }
}

impl Default for CardState {
    fn default() -> CardState {
        CardState::Absent("not yet looked".into())
    }
}

/// Why a fragment was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The camera has no open segment: a new one begins at a key frame.
    NotOpen,
    /// The write failed and the segment is given up; the card's state says why.
    Failed,
}

/// Why an index is not used.
#[derive(Debug)]
pub enum IndexError {
    /// It is of other recordings.
    Wrong,
    Failed(io::Error),
}

/// Why a segment could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The card's state says why.
    Card,
    NoSuchCamera,
    /// Nine digits are used up, by a file that somebody put there.
    NoNumberLeft,
    Failed(io::Error),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Closed in order, its index filled in.
    Whole,
    /// Closed in order, by another program, which left no room for an index.
    Unindexed,
    /// Nothing was appended; the file is gone.
    Empty,
    /// Given up over an error; it is mended when the card answers again.
    GivenUp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteReason {
    Asked,
    Room,
    /// The folder holds no more names.
    Count,
    Age,
    /// It was begun before a power cut, and no frame of it reached the card.
    Empty,
}

#[derive(Debug)]
pub enum DeleteError {
    NotThere,
    /// It is being written.
    Recording,
    Kept,
    /// The card's state says why.
    Card,
    Failed(io::Error),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mended {
    /// The index was filled in, what followed the last whole fragment cut off.
    Trimmed { bytes: u64, removed_bytes: u64 },
    /// Renamed to this; from then on it is foreign.
    SetAside(String),
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Mended::Trimmed { bytes, removed_bytes } => {
                write!(f, "{removed_bytes} bytes cut off, {bytes} kept")
            }
            Mended::SetAside(name) => write!(f, "set aside as {name}"),
        }
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            IndexError::Wrong => f.write_str("it is of other recordings"),
            IndexError::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            OpenError::Card => f.write_str("the card takes no segment now"),
            OpenError::NoSuchCamera => f.write_str("no such camera"),
            OpenError::NoNumberLeft => f.write_str("no number is left: move 999999999.mp4 away"),
            OpenError::Failed(error) => write!(f, "the segment can not be created: {error}"),
        }
    }
}

impl fmt::Display for DeleteError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            DeleteError::NotThere => f.write_str("no such recording"),
            DeleteError::Recording => f.write_str("the recording is being written"),
            DeleteError::Kept => f.write_str("the recording is kept: release it first"),
            DeleteError::Card => f.write_str("the card can not be written to now"),
            DeleteError::Failed(error) => write!(f, "the recording can not be deleted: {error}"),
        }
    }
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SpanError::NothingThere => f.write_str("nothing was recorded then"),
            SpanError::Unread => f.write_str(
                "the card is still being read, and not yet back to that time: try again",
            ),
            SpanError::Busy => f.write_str("another span is not done yet: try again"),
            SpanError::TooMany { segments } => write!(
                f,
                "{segments} recordings lie in that span, and at most {SPAN_SEGMENTS_MAX} are possible at a time: \
                 take a shorter one"
            ),
            SpanError::NoPlace => f.write_str(
                "these recordings were made by another program and have no place for the mark: \
                 download them instead",
            ),
            SpanError::Full { kept, more, allowed } => write!(
                f,
                "{more} bytes more would be kept; {kept} are, and {allowed} may be, so that recording has \
                 room: release others first"
            ),
            SpanError::Card => f.write_str("the card can not be written to now"),
            SpanError::Failed(error) => write!(f, "the card answers: {error}"),
        }
    }
}
