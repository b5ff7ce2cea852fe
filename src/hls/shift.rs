//! The media of a recording in another time.

use crate::{
    limits,
    mp4::scan::{self, DecodeTime, Durations, Form, ReadAt, State},
};
use std::{io, ops::ControlFlow};

/// The fragments of a recording, whose first frame is decoded at a given time of the playlist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shift {
    /// Where the fragments lie in the file.
    begin: u64,
    end: u64,
    /// What is added to the times of each track, by its number.
    tracks: Vec<(u32, i128)>,
    /// Places where a box begins, in order.
    marks: Vec<u64>,
    /// Where the last duration of the sound lies, and what it is sent as.
    last_sound: Option<(u64, u32)>,
}

impl Shift {
    /// `time_ms`: that of the first frame; what would lie before 0 begins at 0. The last sound lasts
    /// until the pictures end: it often ends earlier where a run does, and Chromium and hls.js wait
    /// for ever in a hole of the sound.
    ///
    /// *Cost*: some reads of 4 KB, and one a fragment behind the last place in the index.
    ///
    /// # Errors
    /// `Cut` where the file has no fragments; else why its head cannot be read.
    pub fn read(read_at: ReadAt, len: u64, time_ms: i64) -> Result<Shift, State> {
        let head = scan::read_head(read_at, len)?;
        let begin = head.media_begin;
        if head.form != Form::Fragmented || begin >= len {
            return Err(State::Cut);
        }
        let video = head.tracks().next();
        // Ours begin at 0; FFmpeg's may go on with the times of the one before.
        let mut first = None;
        scan::decode_times(read_at, len, begin, Durations::Skipped, &mut |_, times| {
            let of_video = times.iter().find(|time| Some(time.track) == video.map(|(id, _)| id));
            first = of_video.map(|time| time.time);
            if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let (first, video_scale) = (i128::from(first.unwrap_or(0)), video.map_or(1, |it| it.1));
        let tracks = head.tracks().map(|(id, timescale)| {
            let timescale = i128::from(timescale);
            let moved = i128::from(time_ms) * timescale / 1000;
            (id, moved - first * timescale / i128::from(video_scale.max(1)))
        });
        let index = scan::read_subsegments(read_at, len)?;
        let marks = index.into_iter().flat_map(|index| index.list).map(|it| it.begin);
        let marks: Vec<_> = marks.filter(|mark| (begin..len).contains(mark)).collect();
        let tracks = tracks.collect();
        let from = marks.last().copied().unwrap_or(begin);
        let last_sound = last_sound(read_at, len, from, head.tracks());
        Ok(Shift { begin, end: len, tracks, marks, last_sound })
    }

    /// Of all the fragments.
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }

    /// Appends up to `count` bytes from `at` on, which counts from the first fragment; fewer only
    /// at the end. `cursor` is 0 at first, and what the last call made of it where that ended at
    /// `at`.
    ///
    /// *Cost*: one read of 4 KB a fragment, beside that of the bytes.
    ///
    /// # Errors
    /// The card's, or `UnexpectedEof` where the file is no longer what it was.
    pub fn copy(
        &self,
        cursor: &mut u64,
        at: u64,
        count: usize,
        out: &mut Vec<u8>,
        read_at: ReadAt,
    ) -> io::Result<()> {
        let at = self.begin.saturating_add(at);
        let end = at.saturating_add(count as u64).min(self.end);
        let mark = self.marks.partition_point(|mark| *mark <= at).checked_sub(1);
        let mark = mark.and_then(|nth| self.marks.get(nth)).copied().unwrap_or(self.begin);
        let begin = mark.max(*cursor);
        let filled = out.len();
        // At most what the caller asked for.
        out.resize(filled + usize::try_from(end.saturating_sub(at)).unwrap_or(0), 0);
        let room = out.get_mut(filled..).unwrap_or_default();
        read_exactly(read_at, at, room)?;
        let mut position = begin;
        let visit = &mut |box_end, times: &[DecodeTime]| {
            for time in times {
                self.patch(time, at, room);
            }
            if box_end <= end {
                position = box_end;
            }
            if box_end < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let walked = scan::decode_times(read_at, self.end, begin, Durations::Skipped, visit);
        *cursor = position;
        if let Some((place, ticks)) = self.last_sound {
            write(&ticks.to_be_bytes(), place, at, room);
        }
        walked.map_err(|state| match state {
            State::Unreadable { error, .. } => error,
            _ => io::ErrorKind::UnexpectedEof.into(),
        })
    }

    /// Writes a time over that in `bytes`, which lie at `begin` in the file.
    fn patch(&self, found: &DecodeTime, begin: u64, bytes: &mut [u8]) {
        let moved = self.tracks.iter().find(|(id, _)| *id == found.track);
        let Some((_, moved)) = moved else { return };
        let time = (i128::from(found.time) + moved).max(0);
        let wide = u64::try_from(time).unwrap_or(u64::MAX).to_be_bytes();
        let narrow = u32::try_from(time).unwrap_or(u32::MAX).to_be_bytes();
        write(if found.is_wide { &wide } else { &narrow }, found.at, begin, bytes);
    }
}

/// Writes a number that lies at `place` in the file over that in `bytes`, which lie at `begin`.
fn write(number: &[u8], place: u64, begin: u64, bytes: &mut [u8]) {
    for (at, byte) in (place..).zip(number) {
        let at = at.checked_sub(begin).and_then(|at| usize::try_from(at).ok());
        if let Some(old) = at.and_then(|at| bytes.get_mut(at)) {
            *old = *byte;
        }
    }
}

/// Where the last duration of the sound lies, and what it must be so that the sound of the fragments
/// from `from` on ends with the pictures; `None` where it ends no earlier, or far earlier.
fn last_sound(
    read_at: ReadAt,
    len: u64,
    from: u64,
    mut tracks: impl Iterator<Item = (u32, u32)>,
) -> Option<(u64, u32)> {
    let (video, sound) = (tracks.next()?, tracks.next()?);
    // Durations are read from the last fragment with sound on: nobody needs the others'.
    let (mut begin, mut from_sound) = (from, from);
    let visit = &mut |end, times: &[DecodeTime]| {
        if times.iter().any(|time| time.track == sound.0) {
            from_sound = begin;
        }
        begin = end;
        ControlFlow::Continue(())
    };
    scan::decode_times(read_at, len, from, Durations::Skipped, visit).ok()?;
    let (mut pictures_end, mut last) = (0, None);
    scan::decode_times(read_at, len, from_sound, Durations::Read, &mut |_, times| {
        for time in times {
            match time.track {
                id if id == video.0 => pictures_end = time.end,
                id if id == sound.0 => last = Some(*time),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    })
    .ok()?;
    let (last, scale) = (last?, u128::from(sound.1));
    let end = u128::from(pictures_end) * scale / u128::from(video.1.max(1));
    let hole = end.checked_sub(last.end.into())?;
    let is_near = hole <= limits::HLS_SOUND_HOLE_MAX.as_millis() * scale / 1000;
    let duration = last.duration.filter(|it| is_near && it.samples > 0)?;
    let longer = u32::try_from(hole / u128::from(duration.samples)).ok()?;
    Some((duration.at, duration.ticks.saturating_add(longer)))
}

fn read_exactly(read_at: ReadAt, mut at: u64, mut room: &mut [u8]) -> io::Result<()> {
    while !room.is_empty() {
        match read_at(room, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                room = room.get_mut(count..).unwrap_or_default();
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
