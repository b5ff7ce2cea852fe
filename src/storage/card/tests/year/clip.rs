//! A recording as it must be, and whether a file or an entry of the list is it.

use super::*;
use crate::{mp4::identity::SegmentMarks, storage::catalog::Entry};

/// Whether it is so; after a power cut only the card can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum May {
    No,
    Either,
    Yes,
}

/// A recording.
#[derive(Clone)]
pub struct Clip {
    pub owner: String,
    pub codec: Codec,
    pub boot: [u8; 16],
    /// By the board's clock, if that was trusted.
    pub wall: Option<i64>,
    pub truth: i64,
    /// Media, and where the frames of each fragment end.
    pub media: Vec<u8>,
    pub fragments: Vec<(usize, u64)>,
    pub key_frames: Vec<u8>,
    pub durable: usize,
    pub state: State,
    pub is_there: May,
    pub kept: May,
    pub event: May,
    pub thinned: May,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Open,
    Closed,
    /// Of its unsynced part anything may have survived.
    Torn,
    /// No frame of it was synced.
    Unborn,
}

pub type Checked = Result<(), String>;

pub fn ensure(is_so: bool, fault: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(fault()) }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Clip { owner, wall, truth, durable, state, is_there, kept, event, thinned, .. } = self;
        write!(
            f,
            "{owner} {wall:?} {truth} {durable} {state:?} there {is_there:?} kept {kept:?} event {event:?} thinned \
             {thinned:?}"
        )
    }
}

impl Clip {
    pub fn length(&self) -> i64 {
        60_000 * i64::try_from(self.fragments.len()).unwrap()
    }

    /// The earliest time at which it may have ended.
    pub fn end(&self) -> i64 {
        let length = match self.state {
            State::Torn => 60_000 * i64::try_from(self.durable).unwrap(),
            _ => self.length(),
        };
        self.truth + length
    }

    pub fn overlaps(&self, from: i64, to: i64) -> May {
        let (begin, end) = (self.truth, self.truth + self.length());
        if begin + SLACK < to && end - SLACK > from {
            May::Yes
        } else if begin - SLACK < to && end + SLACK > from {
            May::Either
        } else {
            May::No
        }
    }

    pub fn dates(
        &self,
        entry: &Entry,
        came: Option<i64>,
        is_current: bool,
        is_dated: bool,
    ) -> Checked {
        let start = entry.start.0;
        match self.wall {
            Some(wall) => {
                ensure(entry.clock_trusted && start == wall, || format!("{wall} by its clock"))
            }
            None if entry.clock_trusted => {
                let is_near = start.abs_diff(self.truth) < 60_000;
                ensure(came.is_some() && is_near, || format!("{} in truth, {came:?}", self.truth))
            }
            None => {
                let must = came.is_some() && (is_current || is_dated);
                ensure(!must, || format!("its boot is known, {came:?}"))
            }
        }
    }

    pub fn marked(&mut self, entry: &Entry, is_doubtful: bool) -> Checked {
        let marks = entry.marks();
        let is_event = marks.has(SegmentMarks::EVENT);
        if self.event == May::No && is_event && is_doubtful && self.wall.is_none() {
            self.event = May::Yes;
        }
        for (what, has, it) in [
            ("kept", marks.has(SegmentMarks::KEPT), &mut self.kept),
            ("event", is_event, &mut self.event),
            ("thinned", marks.has(SegmentMarks::THINNED), &mut self.thinned),
        ] {
            let is_so = if has { May::Yes } else { May::No };
            ensure(*it == May::Either || *it == is_so, || format!("{what}: {it:?}"))?;
            *it = is_so;
        }
        Ok(())
    }

    /// Compares the fragments of its file; of a torn one, those that had been synced.
    pub fn bytes(&mut self, file: &[u8]) -> Checked {
        let (media, frames) = fragments(file)?;
        if self.thinned == May::Yes {
            return ensure(frames == self.key_frames, || "other key frames".into());
        }
        if self.state == State::Torn {
            let count =
                self.fragments.iter().position(|it| it.0 == media.len()).ok_or("cut elsewhere")?
                    + 1;
            ensure(count >= self.durable, || format!("{count} of {} fragments", self.durable))?;
            let synced = self.fragments[self.durable - 1].0;
            ensure(media[..synced] == self.media[..synced], || "other bytes".into())?;
            self.fragments.truncate(count);
            self.durable = count;
            self.media = media;
            self.key_frames = key_frames_of(&frames);
            return Ok(());
        }
        ensure(media == self.media, || format!("{} bytes, not {}", media.len(), self.media.len()))
    }
}

/// All fragments, and the media in them.
fn fragments(file: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (mut fragments, mut media, mut at) = (Vec::new(), Vec::new(), 0);
    while at < file.len() {
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let whole = file.get(at..at + size).filter(|_| size >= 8).ok_or("a box beyond the end")?;
        match &whole[4..8] {
            b"moof" => fragments.extend(whole),
            b"mdat" => {
                fragments.extend(whole);
                media.extend(&whole[8..]);
            }
            _ => {}
        }
        at += size;
    }
    Ok((fragments, media))
}

/// Of a torn recording: each third fragment's first frame.
fn key_frames_of(media: &[u8]) -> Vec<u8> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some(size) = media.get(at..at + 4) {
        let end = at + 4 + u32::from_be_bytes(size.try_into().unwrap()) as usize;
        frames.push(&media[at..end.min(media.len())]);
        at = end;
    }
    frames.iter().step_by(6).flat_map(|it| it.iter().copied()).collect()
}

/// Clocks are set by less than that.
pub const SLACK: i64 = 60_000;
