//! HLS: recordings as they lie on the card in; a playlist of their pieces, and these in one time,
//! out.
//!
//! Each recording counts its decode times from 0. In a playlist they run on: every piece is sent
//! with its times moved ([`Shift`]), by what the address says, so that nothing is remembered
//! between two requests. That changes no length, so pieces are byte ranges of the recordings. Times
//! go on over gaps as well, which the dates tell: there is a discontinuity, and another `EXT-X-MAP`
//! ([`init`]), only where the codec or its parameters change.
//! Spec: RFC 8216. Knows nothing of: HTTP, which recordings there are.

mod playlist;
mod shift;
#[cfg(test)]
mod tests;

pub use playlist::{Grain, Growth, Playlist, Recording};
pub use shift::Shift;

use crate::{
    limits,
    mp4::scan::{self, ReadAt},
};
use std::ops::Range;

/// What a player needs before the pieces of a recording: `ftyp` and `moov`, without the durations
/// of the recording, which are not those of the playlist. `None` where the file has none, or one
/// that is too long.
pub fn init(read_at: ReadAt, len: u64) -> Option<Vec<u8>> {
    let kinds = [*b"ftyp", *b"moov"];
    let mut init = scan::read_boxes(read_at, len, &kinds, limits::CLIP_MOVIE_BYTES_MAX)?;
    let mut open = vec![Range { start: 0, end: init.len() }];
    while let Some(within) = open.pop() {
        for child in children(&init, within).collect::<Vec<_>>() {
            match &child.kind {
                b"moov" | b"trak" | b"mdia" | b"mvex" => open.push(child.begin + 8..child.end),
                b"mvhd" | b"mdhd" => blank(&mut init, &child, 24),
                b"tkhd" => blank(&mut init, &child, 28),
                // Its duration must be none: it must not be.
                b"mehd" => {
                    let body = init.get_mut(child.begin + 4..child.end)?;
                    body.fill(0);
                    body.first_chunk_mut::<4>()?.copy_from_slice(b"free");
                }
                _ => {}
            }
        }
    }
    Some(init)
}

/// Makes a duration 0 that lies `at` bytes behind the begin of a box of version 0, and 8 more in
/// one of version 1, where it has 64 bits.
fn blank(init: &mut [u8], child: &Child, at: usize) {
    let is_wide = init.get(child.begin + 8) == Some(&1);
    let (at, bytes) = if is_wide { (at + 8, 8) } else { (at, 4) };
    let begin = child.begin + at;
    let place = init.get_mut(begin..begin + bytes).filter(|_| begin + bytes <= child.end);
    place.into_iter().for_each(|duration| duration.fill(0));
}

/// A box in memory.
struct Child {
    kind: [u8; 4],
    begin: usize,
    end: usize,
}

/// Ends at the first that does not fit.
fn children(bytes: &[u8], within: Range<usize>) -> impl Iterator<Item = Child> + '_ {
    let mut begin = within.start;
    std::iter::from_fn(move || {
        let head = bytes.get(begin..begin + 8)?;
        let size = u32::from_be_bytes(*head.first_chunk()?);
        let kind = *head.last_chunk()?;
        let end = begin.checked_add(usize::try_from(size).ok()?)?;
        (size >= 8 && end <= within.end).then(|| {
            let child = Child { kind, begin, end };
            begin = end;
            child
        })
    })
}
