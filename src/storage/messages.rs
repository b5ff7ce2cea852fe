//! Messages between the main thread and the card thread.

use std::{fmt, io, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use super::{catalog::SegmentState, disk::RequireMount, layout::Name, marks::Mark};
use crate::{
    codec::{AudioFormat, ParameterSets},
    limits::SPAN_SEGMENTS_MAX,
    mp4::{
        fragment::Extent,
        identity::{Cause, ClockTrust},
    },
    units::WallTime,
};

/// The card's part of the configuration, with the cameras that record to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The first mounted one is used.
    pub paths: Vec<PathBuf>,
    pub require_mount: RequireMount,
    pub keep_free_percent: u8,
    /// 0: no age limit.
    pub keep_days: u32,
    /// Older recordings are reduced to their key frames; 0: none.
    pub thin_after_days: u32,
    /// Recordings in which something happened stay this long, if that is longer; 0: not.
    pub event_days: u32,
    /// Recordings so long before and after something that happens are part of it.
    pub event_before: Duration,
    pub event_after: Duration,
    /// The longest video that may not be durable yet.
    pub sync: Duration,
    /// Each records into a different folder.
    pub cameras: Vec<Place>,
    /// The card is released while this file exists: `/tmp/sysupgrade.lock`.
    pub lock_file: PathBuf,
    /// The kernel's boot id, which is stored in every segment.
    pub boot: [u8; 16],
}

/// Where a camera records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub id: CameraId,
    /// Stored in a segment's identity.
    pub name: String,
    /// Relative to the storage path; `.` is the path itself.
    pub folder: String,
}

/// One configuration of a camera, with the folder it records into. A changed configuration gets a
/// new id, so that no message about the old one is mistaken for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CameraId(pub usize);

/// The content of a segment's head, except what the card thread knows itself.
#[derive(Clone, Debug)]
pub struct SegmentStart {
    pub parameter_sets: Arc<ParameterSets>,
    /// The format of its sound, if it has sound.
    pub audio: Option<Arc<AudioFormat>>,
    /// UTC of the first frame.
    pub wall: WallTime,
    pub clock: ClockTrust,
    /// The machine's uptime then.
    pub up_ms: u64,
    /// Why nothing was recorded before, if there is a gap.
    pub cause: Cause,
    /// Distinguishes unbroken sessions of a camera.
    pub run: u64,
}

/// A `moof` and its `mdat`.
#[derive(Debug)]
pub struct Fragment {
    /// Returned by [`Event::Returned`].
    pub bytes: Vec<u8>,
    pub extent: Extent,
    /// The ring's numbers of its frames.
    pub frames: Range<u64>,
}

#[derive(Debug)]
pub enum Command {
    /// Opens a segment; an open one of the same camera is closed first.
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
    /// Lets another program write segments of a camera until `Unstage`; answered by
    /// [`Event::Staged`] or [`Event::OpenFailed`]. What it writes is reported like that of
    /// `Append`, without frames.
    Stage {
        camera: CameraId,
        run: u64,
    },
    /// That program has exited: its files are closed; answered by [`Event::Unstaged`].
    Unstage {
        camera: CameraId,
    },
    /// Deletes a file of a folder; answered by [`Event::Deleted`] or [`Event::DeleteFailed`].
    Delete {
        camera: CameraId,
        name: Name,
    },
    /// Writes a mark as soon as possible.
    Mark {
        camera: CameraId,
        mark: Box<Mark>,
    },
    /// Acts on all recordings in a span; answered by [`Event::SpanDone`].
    Span(SpanWish),
    /// Closes all files and releases the card; answered by [`CardState::Released`].
    Release,
    /// Takes the card back; answered by its state.
    Resume,
    /// Looks at the card now: a mount or the lock file changed.
    Look,
    /// Applies new settings. Segments of cameras whose ids are missing are closed, or all segments
    /// if the paths changed.
    Configure(Box<Settings>),
    /// Sets the time: at start-up, and when the clock is set or becomes trusted.
    Clock {
        wall: WallTime,
        clock: ClockTrust,
        /// The machine's uptime.
        up_ms: u64,
    },
    /// The ring overtook the recorder while it waited for the card.
    Overtaken {
        camera: CameraId,
    },
    /// A reader met an error in a recording, over which the card may turn read-only.
    ReadFailed {
        camera: CameraId,
        name: Name,
    },
    /// Closes all files; answered by [`Event::Ended`], the last event.
    Shutdown,
}

#[derive(Debug)]
pub enum Event {
    /// Sent for every change, and once at the start.
    State(CardState),
    Opened {
        camera: CameraId,
        number: u32,
    },
    OpenFailed {
        camera: CameraId,
        reason: OpenError,
    },
    /// Another program may write files into this folder, named by [`super::layout::staged_name`],
    /// from this number on.
    Staged {
        camera: CameraId,
        directory: PathBuf,
        number: u32,
    },
    /// Its output reached the file system; it becomes durable later.
    Grown {
        camera: CameraId,
    },
    /// No file of the other program is open any more.
    Unstaged {
        camera: CameraId,
    },
    /// Returns the buffer of an `Append`, in every case.
    Returned {
        camera: CameraId,
        buffer: Vec<u8>,
        frames: Range<u64>,
        result: Result<(), Refused>,
    },
    /// Every appended frame of this run before `frames_end` is durable.
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
    /// A recording was reduced to its key frames.
    Thinned {
        file: Recording,
    },
    /// A mark was not written: too many had to wait for the card, or its camera has gone.
    MarkLost,
    /// Marks of a folder cannot be written; it is tried again.
    MarksUnwritten {
        path: PathBuf,
        error: io::Error,
    },
    /// The result of a request about a span.
    SpanDone {
        id: u64,
        result: Result<SpanDone, SpanError>,
    },
    /// Recordings seem older than `keep_days`, but other recordings do not support that: none is
    /// deleted for its age.
    AgeDoubtful,
    DeleteFailed {
        file: Recording,
        reason: DeleteError,
    },
    /// A file was repaired that was not closed, or over which the card turned read-only.
    Mended {
        file: Recording,
        mended: Mended,
    },
    /// This many recordings got their true times from a clock that is trusted now.
    Dated {
        recordings: usize,
    },
    /// The index was wrong about a file; `state` is its real state, `None` if it is not a recording
    /// or gone.
    Corrected {
        file: Recording,
        state: Option<SegmentState>,
    },
    /// The index of a folder is not used; the list is read from the recordings.
    IndexUnused {
        path: PathBuf,
        reason: IndexError,
    },
    /// The card turned read-only, over `file` if known, and was remounted writable.
    Remounted {
        file: Option<PathBuf>,
    },
    /// The card gave back other bytes of a recording than were written.
    Forgotten {
        file: Recording,
        offset: u64,
    },
    Ended,
}

/// A recording, as the card thread and users know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// The camera whose folder contains it.
    pub folder: CameraId,
    pub name: Name,
    /// Its camera, and its address ([`super::catalog::Entry::address`]). If it is not listed:
    /// empty, and the number in its name.
    pub camera: String,
    pub number: u32,
}

/// A request about all recordings of a camera that overlap a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanWish {
    /// Returned with the answer.
    pub id: u64,
    pub camera: String,
    pub from: WallTime,
    pub to: WallTime,
    pub action: SpanAction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanAction {
    Keep,
    /// Lets them expire again.
    Release,
    /// Except those kept or being written.
    Delete,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpanDone {
    /// Recordings changed, or already in that state.
    pub segments: u32,
    pub bytes: u64,
    /// Recordings in the span left as they were: they cannot be marked, or, for a deletion, are
    /// kept or being written.
    pub left: u32,
}

/// Why nothing, or not everything, was done in a span.
#[derive(Debug)]
pub enum SpanError {
    NothingThere,
    /// The card is still being read.
    Unread,
    /// Another request about a span is still running.
    Busy,
    TooMany {
        segments: usize,
    },
    /// None of them contains our identity.
    NoPlace,
    /// More bytes would be kept than allowed.
    Full {
        kept: u64,
        more: u64,
        allowed: u64,
    },
    /// See the card's state.
    Card,
    Failed(io::Error),
}

/// The state of the card, with the reason in words for the user. Spec: docs/configuration.md,
/// "Files on the card".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CardState {
    Ok,
    Absent(String),
    ReadOnly(String),
    Full(String),
    /// Opening a segment may still be tried.
    Failing(String),
    Released,
}

impl CardState {
    /// The name used in `/api/status`.
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

    /// Returns why it is not `ok`; empty if the name says it all.
    pub fn reason(&self) -> &str {
        match self {
            CardState::Ok | CardState::Released => "",
            CardState::Absent(reason)
            | CardState::ReadOnly(reason)
            | CardState::Full(reason)
            | CardState::Failing(reason) => reason,
        }
    }

    /// Returns true if a segment may be opened. In `Failing`, it is tried once a second.
    pub fn takes_segments(&self) -> bool {
        matches!(self, CardState::Ok | CardState::Failing(_))
    }
}

impl Default for CardState {
    fn default() -> CardState {
        CardState::Absent("not checked yet".into())
    }
}

/// Why a fragment was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The camera has no open segment; a new one has to start at a key frame.
    NotOpen,
    /// Writing failed and the segment was abandoned; see the card's state.
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
    /// See the card's state.
    Card,
    NoSuchCamera,
    /// All nine-digit numbers are used up, because of a file put there by someone else.
    NoNumberLeft,
    Failed(io::Error),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Closed normally, with an index.
    Whole,
    /// Closed normally, but by another program, which left no space for an index.
    Unindexed,
    /// Nothing was appended; the file was removed.
    Empty,
    /// Abandoned after an error; it is repaired when the card responds again.
    GivenUp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteReason {
    Asked,
    Room,
    /// The folder cannot hold more names.
    Count,
    Age,
    /// It was started before a power cut, and no frame of it reached the card.
    Empty,
}

#[derive(Debug)]
pub enum DeleteError {
    NotThere,
    /// It is being written.
    Recording,
    Kept,
    /// It is part of a clip that is being sent.
    Exported,
    /// See the card's state.
    Card,
    Failed(io::Error),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mended {
    /// The index was written; everything after the last complete fragment was cut off.
    Trimmed { bytes: u64, removed_bytes: u64 },
    /// Renamed to this; it is foreign from then on.
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
            OpenError::Card => f.write_str("the card accepts no segment at present"),
            OpenError::NoSuchCamera => f.write_str("no such camera"),
            OpenError::NoNumberLeft => f.write_str("no number is left: move 999999999.mp4 away"),
            OpenError::Failed(error) => write!(f, "cannot create the segment: {error}"),
        }
    }
}

impl fmt::Display for DeleteError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            DeleteError::NotThere => f.write_str("no such recording"),
            DeleteError::Recording => f.write_str("the recording is being written"),
            DeleteError::Kept => f.write_str("the recording is kept: release it first"),
            DeleteError::Exported => {
                f.write_str("the recording is being exported: delete it when that is finished")
            }
            DeleteError::Card => f.write_str("the card is not writable at present"),
            DeleteError::Failed(error) => write!(f, "cannot delete the recording: {error}"),
        }
    }
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SpanError::NothingThere => f.write_str("nothing was recorded then"),
            SpanError::Unread => f.write_str(
                "the card is still being read and that time has not been reached: try again",
            ),
            SpanError::Busy => f.write_str("another request about a span is running: try again"),
            SpanError::TooMany { segments } => write!(
                f,
                "there are {segments} recordings in that span, but at most {SPAN_SEGMENTS_MAX} are \
                 possible at a time: choose a shorter one"
            ),
            SpanError::NoPlace => f.write_str(
                "these recordings were made by another program and cannot be marked: download them \
                 instead",
            ),
            SpanError::Full { kept, more, allowed } => write!(
                f,
                "this would keep {more} more bytes; {kept} are kept and {allowed} are allowed, to leave \
                 room for recording: release others first"
            ),
            SpanError::Card => f.write_str("the card is not writable at present"),
            SpanError::Failed(error) => write!(f, "the card reports: {error}"),
        }
    }
}
