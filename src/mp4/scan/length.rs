//! The length of a foreign fragmented file, such as FFmpeg's, whose head was written before it was
//! known.

use super::{
    fragments,
    head::{FileHead, TRACKS_MAX},
    window::{BoxHeader, ReadAt, ScanError, Window},
};
use crate::{
    limits::{LENGTH_BOXES_MAX, MOOF_BYTES_MAX},
    units::Ticks,
};

/// Returns the media time from the first frame to the end of the last complete `moof`, even if its
/// media is cut; `None` without one. After [`LENGTH_BOXES_MAX`] boxes the rest is estimated by its
/// bytes.
///
/// *Cost*: about five reads if the file ends with an index (`mfra`), else one per fragment.
pub(super) fn measure(read_at: ReadAt, len: u64, head: &FileHead) -> Option<Ticks> {
    let mut window = Window::new(read_at, len);
    let times = |moof: BoxHeader| {
        let is_small = moof.end - moof.begin <= MOOF_BYTES_MAX;
        is_small.then(|| fragments::times(read_at, len, head, moof).ok().flatten()).flatten()
    };
    // If a moov lists the first frames itself, their media follows it.
    let moov_has_frames = head.media_begin == len;
    let mut moofs = Moofs::from(if moov_has_frames { 0 } else { head.media_begin });
    // A moof may contain only one track.
    let (first, opening) = (0..TRACKS_MAX)
        .map_while(|_| moofs.next(&mut window))
        .find_map(|moof| Some((moof, times(moof)?)))?;
    // FFmpeg's segments may continue the times of the previous one.
    let start = if moov_has_frames { Ticks::ZERO } else { opening.start };

    let mut last = [first; TRACKS_MAX];
    let indexed = last_indexed(&mut window, head.track.id).ok().flatten();
    if let Some(at) = indexed.filter(|&at| at > first.begin) {
        let mut behind = Moofs::from(at);
        if let Some(moof) = behind.next(&mut window).filter(|moof| moof.begin == at) {
            (last, moofs) = ([moof; TRACKS_MAX], behind);
        }
    }
    while let Some(moof) = moofs.next(&mut window) {
        last.rotate_right(1);
        last[0] = moof;
    }
    let closing = last.into_iter().find_map(times).unwrap_or(opening);
    let span = (closing.end.max(opening.end) - start).0.max(0);
    Some(head.ticks(Ticks(moofs.with_the_rest(span, first.begin, len))))
}

/// Iterates over the `moof` boxes of the file.
struct Moofs {
    at: u64,
    boxes_left: u32,
}

impl Moofs {
    fn from(at: u64) -> Moofs {
        Moofs { at, boxes_left: LENGTH_BOXES_MAX }
    }

    /// The next complete one; `None` at the end of the file or if it is invalid.
    fn next(&mut self, window: &mut Window) -> Option<BoxHeader> {
        while self.boxes_left > 0 {
            window.position = self.at;
            let header = window.box_header(window.len()).ok()?;
            self.at = header.end;
            self.boxes_left -= 1;
            if header.kind == *b"moof" {
                return Some(header);
            }
        }
        None
    }

    /// Extends a time span from `begin` in proportion to the bytes not examined.
    fn with_the_rest(&self, span: i64, begin: u64, len: u64) -> i64 {
        let (walked, all) = (self.at.saturating_sub(begin), len.saturating_sub(begin));
        if self.boxes_left > 0 || walked == 0 {
            return span;
        }
        let whole = i128::from(span) * i128::from(all) / i128::from(walked);
        i64::try_from(whole).unwrap_or(i64::MAX)
    }
}

/// The position of a track's last fragment according to the index at the file's end (§8.8.9 to
/// §8.8.11).
fn last_indexed(window: &mut Window, track: u32) -> Result<Option<u64>, ScanError> {
    let len = window.len();
    window.position = len.saturating_sub(MFRO_BYTES);
    if window.box_header(len)?.kind != *b"mfro" {
        return Ok(None);
    }
    window.u32()?; // version and flags
    window.position = len.saturating_sub(window.u32()?.into());
    let mfra = window.box_header(len)?;
    for _ in 0..TRACKS_MAX {
        let tfra = window.box_header(mfra.end)?;
        let wide = window.u32()? >> 24 != 0;
        let of_track = window.u32()? == track;
        let lengths = window.u32()?;
        let entries = u64::from(window.u32()?);
        let number_bytes: u32 = [4, 2, 0].map(|shift| (lengths >> shift & 3) + 1).iter().sum();
        let time_bytes = if wide { 8 } else { 4 };
        let entry_bytes = 2 * time_bytes + u64::from(number_bytes);
        let fits = entries * entry_bytes <= tfra.end.saturating_sub(window.position);
        if tfra.kind == *b"tfra" && of_track && entries > 0 && fits {
            window.position += (entries - 1) * entry_bytes + time_bytes;
            let at = if wide { window.u64()? } else { window.u32()?.into() };
            return Ok(Some(at));
        }
        window.position = tfra.end;
    }
    Ok(None)
}

const MFRO_BYTES: u64 = 16;
