//! HLS: recordings in, as they are on the card; out come a playlist of their pieces, and the pieces
//! on one time line.
//!
//! The decode times of each recording start at 0. In a playlist they run on: every piece is sent
//! with its times shifted ([`Shift`]) by an amount that the address contains, so no state is kept
//! between requests. A shift changes no length, so pieces are byte ranges of the recordings. Times
//! also run on over gaps, which show in the dates. A discontinuity, and another `EXT-X-MAP`
//! ([`init`]), come only where the codec or its parameters change. Spec: RFC 8216. Knows nothing
//! of: HTTP, which recordings there are.

mod playlist;
mod shift;
#[cfg(test)]
mod tests;

pub use playlist::{Grain, Growth, ListedRecording, Playlist};
pub use shift::Shift;

use crate::{
    limits,
    mp4::scan::{self, ReadAt},
};
use std::ops::Range;

/// What a player needs before the pieces of a recording: `ftyp` and `moov`, without the recording's
/// durations, which are not the playlist's. `None` if the file has no `moov`, or one that is too
/// long.
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
                // A duration of 0 is not valid here, so the whole box must go.
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

/// Sets a duration to 0. It is `at` bytes after the begin of a box of version 0; in version 1,
/// which has 64-bit times, 8 bytes further.
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

/// Stops at the first box that does not fit.
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
