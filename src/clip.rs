//! Clip: a span of a camera's recordings in, one progressive MP4 of known length out, at any
//! offset.
//!
//! A fragmented file is unfit for sharing: phones, chat programs and old players show only its
//! first fragment, or no length. So a clip consists of `ftyp`, `moov` with complete tables, and one
//! `mdat`. Neither the clip nor its tables are ever in memory: [`Planner`] counts what each segment
//! contributes, and [`Clip::read`] makes any part of the tables from the segments again.
//!
//! ```text
//! ftyp
//! moov
//! ├─ mvhd
//! └─ trak                    video, then sound
//!    ├─ tkhd
//!    ├─ edts ─ elst          from the frame shown at the span's start; players that know no edit
//!    │                       lists begin at the key frame before it
//!    └─ mdia … stbl
//!       ├─ stsd              that of the segments: where it changes, the clip ends
//!       ├─ stts ctts stss    times, made anew in each segment
//!       └─ stsc stsz stco    a chunk a fragment (co64 where the clip exceeds 4 GiB)
//! mdat                       the segments' media, one behind the other; gaps are closed up
//! ```
//! Spec: ISO/IEC 14496-12 §8.6, §8.7.

mod movie;
mod part;
mod planner;
mod tables;
#[cfg(test)]
mod tests;

pub use planner::{Added, Planner};

use crate::{mp4::scan::FileHead, units::WallTime};
use movie::{ClipLayout, MovieBlock};
pub use part::Cursor;
use part::Part;
use std::io;

/// Reads at most the buffer's length of a segment at an offset; the number is [`ClipSource::id`].
pub type ReadSource<'a> = &'a dyn Fn(u32, &mut [u8], u64) -> io::Result<usize>;

/// A segment that may contribute.
#[derive(Clone, Copy, Debug)]
pub struct ClipSource {
    /// The caller's name for it.
    pub id: u32,
    /// Wall time of its first frame.
    pub start: WallTime,
    /// Its length; if it is still being written, the end of a fragment.
    pub bytes: u64,
}

/// Which frames of the span a clip contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selection {
    All,
    /// A time-lapse: key frames alone, without sound, 25 a second.
    KeyFrames,
}

/// Why a clip ends before the end of its span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClipEnd {
    /// It ends with its span.
    Complete,
    /// The codec or its parameters change here; the rest is another clip.
    Parameters,
    /// A segment cannot be read to its end.
    Damage,
    /// More segments than a clip may have.
    Limit,
}

impl ClipEnd {
    /// The name used in the response's field `Clip-Ends`.
    pub fn name(self) -> &'static str {
        match self {
            ClipEnd::Complete => "complete",
            ClipEnd::Parameters => "parameters",
            ClipEnd::Damage => "damage",
            ClipEnd::Limit => "limit",
        }
    }
}

/// A planned clip: its length is known, and every byte of it can be made.
#[derive(Debug)]
pub struct Clip {
    /// The first segment's; the others list their samples in the same way.
    head: FileHead,
    selection: Selection,
    parts: Vec<Part>,
    layout: ClipLayout,
    /// Wall time of the first frame shown, and of the end of the last.
    pub from: WallTime,
    pub to: WallTime,
    pub ends: ClipEnd,
}

impl Clip {
    /// Bytes of the whole file.
    pub fn bytes(&self) -> u64 {
        self.layout.media_begin + self.layout.media_bytes
    }

    /// The segments it is made of, in order.
    pub fn sources(&self) -> impl Iterator<Item = u32> + '_ {
        self.parts.iter().map(|part| part.source)
    }

    /// Appends up to `count` bytes from `at` on; fewer only at the clip's end.
    ///
    /// *Cost*: reads one segment's fragment headers for some KB of tables; media is read as it
    /// lies, found by `cursor` where the last call ended there.
    ///
    /// # Errors
    /// The card's, or `UnexpectedEof` where a segment is no longer what it was.
    pub fn read(
        &self,
        cursor: &mut Cursor,
        mut at: u64,
        count: usize,
        out: &mut Vec<u8>,
        read: ReadSource,
    ) -> io::Result<()> {
        let goal = out.len() + count;
        while out.len() < goal && at < self.bytes() {
            let before = out.len();
            let room = goal - before;
            match self.layout.block(at) {
                Some((MovieBlock::Bytes(bytes), skip)) => {
                    let rest = bytes.get(skip as usize..).unwrap_or_default();
                    out.extend_from_slice(rest.get(..room).unwrap_or(rest));
                }
                Some((MovieBlock::Table(table), skip)) => {
                    self.write_table(*table, skip, room, out, read)?;
                }
                None => {
                    let position = at - self.layout.media_begin;
                    self.copy_media(cursor, position, room, out, read)?;
                }
            }
            if out.len() == before {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += (out.len() - before) as u64;
        }
        Ok(())
    }
}
