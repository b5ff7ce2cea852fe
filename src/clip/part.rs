//! One segment's contribution to a clip, and its media.

use super::{Clip, ReadSource, Selection};
use crate::{
    limits,
    mp4::scan::{self, FileHead, FileState, ListedSample, TrackKind, WalkStep},
};
use std::{io, ops::ControlFlow};

/// Consecutive fragments of one segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub source: u32,
    /// The start of the first fragment and the end of the last one in the file.
    pub begin: u64,
    pub end: u64,
    pub media_bytes: u64,
    /// Added to its decode times, in ticks of 90 kHz.
    pub shift: i64,
    /// For video and sound.
    pub tallies: [Tally; 2],
}

/// A part's contribution to one track's tables.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Entries in each table, in the order of `tables::Kind`.
    pub entries: [u32; 6],
    pub samples: u32,
    pub chunks: u32,
    /// Decode times in the file, in ticks of the track.
    pub first: u64,
    pub last: u64,
    /// Duration of the last sample, until the next part starts.
    pub last_duration: u32,
}

/// A sample to be added to the tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub sample: ListedSample,
    /// Its position in the media of its part.
    pub media: u64,
}

/// The steps of a [`walk`].
#[derive(Clone, Debug)]
pub(super) enum PartStep {
    Sample(Placed),
    /// Bytes of the file that are media of the clip, in order; they contain the preceding samples.
    Media {
        at: u64,
        bytes: u64,
    },
    /// A fragment is complete: what precedes it is valid.
    Fragment {
        begin: u64,
        end: u64,
        extent: Option<crate::mp4::fragment::Extent>,
    },
}

/// Walks over a part's fragments from `begin` on.
///
/// # Errors
/// As [`scan::walk`].
pub(super) fn walk(
    read: scan::ReadAt,
    (begin, end): (u64, u64),
    head: &FileHead,
    selection: Selection,
    visit: &mut dyn FnMut(PartStep) -> ControlFlow<()>,
) -> Result<(), FileState> {
    let mut media = 0;
    let mut keys = 0;
    let key_frame_ticks = (head.timescale() / KEY_FRAMES_PER_SECOND).max(1);
    // Samples of this fragment, whose positions are known once its `mdat` is read.
    let mut samples = Vec::new();
    let mut too_many = false;
    let walked = scan::walk(read, end, head, begin, &mut |step| match step {
        WalkStep::Sample(sample) => {
            too_many |= samples.len() >= limits::CLIP_FRAGMENT_SAMPLES_MAX;
            let is_wanted = selection == Selection::All || is_key_frame(&sample);
            if is_wanted && !too_many {
                samples.push(sample);
            }
            ControlFlow::Continue(())
        }
        WalkStep::Fragment { .. } if too_many => ControlFlow::Break(()),
        WalkStep::Fragment { begin, media: payload, extent } => {
            for mut sample in samples.drain(..) {
                let placed = match selection {
                    Selection::All => Placed { sample, media: media + (sample.at - payload.start) },
                    Selection::KeyFrames => {
                        sample.decode_time = keys * u64::from(key_frame_ticks);
                        sample.duration = key_frame_ticks;
                        sample.composition_offset = 0;
                        keys += 1;
                        let placed = Placed { sample, media };
                        media += u64::from(sample.bytes);
                        placed
                    }
                };
                visit(PartStep::Sample(placed))?;
                if selection == Selection::KeyFrames {
                    visit(PartStep::Media { at: sample.at, bytes: sample.bytes.into() })?;
                }
            }
            if selection == Selection::All {
                let bytes = payload.end - payload.start;
                media += bytes;
                visit(PartStep::Media { at: payload.start, bytes })?;
            }
            visit(PartStep::Fragment { begin, end: payload.end, extent })
        }
    });
    if too_many { Err(FileState::Cut) } else { walked }
}

fn is_key_frame(sample: &ListedSample) -> bool {
    sample.is_key && sample.track == TrackKind::Video
}

/// Where the last piece of media ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    part: usize,
    /// Media of the clip before the part, and of the part before `fragment`.
    part_media: u64,
    fragment_media: u64,
    /// Where to continue in the file; 0 means the start of the part.
    fragment: u64,
}

impl Clip {
    /// Appends up to `room` bytes of media from one part.
    pub(super) fn copy_media(
        &self,
        cursor: &mut Cursor,
        position: u64,
        room: usize,
        out: &mut Vec<u8>,
        read: ReadSource,
    ) -> io::Result<()> {
        if position < cursor.part_media + cursor.fragment_media {
            *cursor = Cursor::default();
        }
        let part = loop {
            let Some(part) = self.parts.get(cursor.part) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            if position < cursor.part_media + part.media_bytes {
                break part;
            }
            *cursor = Cursor {
                part: cursor.part + 1,
                part_media: cursor.part_media + part.media_bytes,
                ..Cursor::default()
            };
        };
        let read_at = |buffer: &mut [u8], at: u64| read(part.source, buffer, at);
        let begin = part.begin.max(cursor.fragment);
        let position = position - cursor.part_media;
        let mut media = cursor.fragment_media;
        let goal = out.len() + room;
        let mut failed = None;
        let walked = walk(&read_at, (begin, part.end), &self.head, self.selection, &mut |piece| {
            match piece {
                PartStep::Sample(_) => {}
                PartStep::Media { at, bytes } => {
                    let skip = position.saturating_sub(media).min(bytes);
                    let left = (bytes - skip).min((goal - out.len()) as u64);
                    if let Err(error) = append(&read_at, at + skip, left, out) {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                    media += bytes;
                }
                PartStep::Fragment { begin, end, .. } => {
                    if out.len() >= goal {
                        return ControlFlow::Break(());
                    }
                    debug_assert!(begin < end);
                    (cursor.fragment, cursor.fragment_media) = (end, media);
                }
            }
            ControlFlow::Continue(())
        });
        match (failed, walked) {
            (Some(error), _) => Err(error),
            (None, walked) => walked.map_err(into_io),
        }
    }
}

fn append(read_at: scan::ReadAt, mut at: u64, left: u64, out: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = out.len();
    // At most one piece requested by the caller.
    let end = filled + usize::try_from(left).unwrap_or(0);
    out.resize(end, 0);
    while filled < end {
        let room = out.get_mut(filled..).unwrap_or_default();
        match read_at(room, at) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                out.truncate(filled);
                return Err(error);
            }
        }
    }
    out.truncate(filled);
    if filled == end { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The error for a segment that was planned but cannot be read now.
pub(super) fn into_io(state: FileState) -> io::Error {
    match state {
        FileState::Unreadable { error, .. } => error,
        _ => io::ErrorKind::UnexpectedEof.into(),
    }
}

/// Of a time-lapse.
const KEY_FRAMES_PER_SECOND: u32 = 25;
