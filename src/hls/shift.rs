//! A recording's media with shifted times.

use crate::{
    limits,
    mp4::scan::{self, DecodeTime, Durations, FileForm, FileState, ReadAt},
};
use std::{
    io,
    ops::{ControlFlow, Range},
};

/// The fragments of a recording, shifted so that its first frame is decoded at a given time of the
/// playlist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shift {
    /// The fragments' begin in the file.
    begin: u64,
    end: u64,
    /// Video, and sound.
    tracks: Vec<Track>,
    /// Offsets at which boxes begin, in order.
    marks: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Track {
    id: u32,
    timescale: u32,
    /// Added to each of its times.
    moved: i128,
}

/// The state of a pass over the fragments that looks for sound that ends before the pictures do.
struct Walk {
    /// The current box's offset.
    begin: u64,
    /// The last fragment with sound, if its durations may be wanted, and the time of its pictures.
    sound: Option<(u64, u64)>,
    /// The last fragment with pictures.
    pictures: (u64, u64),
}

impl Shift {
    /// `time_ms` is the time of the first frame; times that would be negative become 0. Where sound
    /// ends before the pictures, or pauses, its last frame is made to last, because Chromium and
    /// hls.js wait for ever at a hole in the sound. Chromium then plays the sound after a pause too
    /// early, until the viewer seeks; other players keep the times.
    ///
    /// *Cost*: a few reads of 4 KB.
    ///
    /// # Errors
    /// `Cut` if the file has no fragments; otherwise why its head cannot be read.
    pub fn read(read_at: ReadAt, len: u64, time_ms: i64) -> Result<Shift, FileState> {
        let head = scan::read_head(read_at, len)?;
        let begin = head.media_begin;
        if head.form != FileForm::Fragmented || begin >= len {
            return Err(FileState::Cut);
        }
        let video = head.tracks().next();
        // Our recordings begin at 0; FFmpeg's may continue the times of the previous one.
        let mut first = None;
        scan::decode_times(read_at, len, begin, Durations::Skipped, &mut |_, times| {
            let of_video = times.iter().find(|time| Some(time.track) == video.map(|(id, _)| id));
            first = of_video.map(|time| time.time);
            if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let (first, video_scale) = (i128::from(first.unwrap_or(0)), video.map_or(1, |it| it.1));
        let tracks = head.tracks().map(|(id, timescale)| {
            let ticks = i128::from(timescale);
            let moved = i128::from(time_ms) * ticks / 1000;
            let moved = moved - first * ticks / i128::from(video_scale.max(1));
            Track { id, timescale, moved }
        });
        let tracks = tracks.collect();
        let index = scan::read_subsegments(read_at, len)?;
        let marks = index.into_iter().flat_map(|index| index.list).map(|it| it.begin);
        let marks: Vec<_> = marks.filter(|mark| (begin..len).contains(mark)).collect();
        Ok(Shift { begin, end: len, tracks, marks })
    }

    /// Length of all fragments.
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }

    /// Appends up to `count` bytes from `at` on, an offset from the first fragment; fewer only at
    /// the end. `cursor` is 0 for the first call; a call that continues at the end of the last one
    /// passes it on.
    ///
    /// *Cost*: beside the bytes themselves, one read of 4 KB per fragment; with sound, also one of
    /// the next fragment, or of each one up to the next sound.
    ///
    /// # Errors
    /// Those of the card; `UnexpectedEof` if the file has changed.
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
        // At most `count`.
        out.resize(filled + usize::try_from(end.saturating_sub(at)).unwrap_or(0), 0);
        let room = out.get_mut(filled..).unwrap_or_default();
        read_exactly(read_at, at, room)?;
        let mut position = begin;
        let mut walk = Walk { begin, sound: None, pictures: (begin, 0) };
        let visit = &mut |box_end, times: &[DecodeTime]| {
            for time in times {
                self.patch(time, at, room);
            }
            if box_end <= end {
                position = box_end;
            }
            if let Some((fragment, until)) = walk.pass(&self.tracks, times, at..end, box_end) {
                self.prolong(fragment, until, at, room, read_at);
            }
            let is_wanted = box_end < end || walk.sound.is_some();
            if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let walked = scan::decode_times(read_at, self.end, begin, Durations::Skipped, visit);
        *cursor = position;
        if let (Ok(()), Some((fragment, _)), Some(video)) =
            (&walked, walk.sound, self.tracks.first())
            && let Some(last) = self.times_of(video, walk.pictures.0, read_at)
        {
            self.prolong(fragment, self.on_clock_of_sound(last.end), at, room, read_at);
        }
        match walked {
            // The bytes asked for are complete; what follows was only searched for sound.
            Err(_) if walk.begin >= end => Ok(()),
            Err(FileState::Unreadable { error, .. }) => Err(error),
            Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Makes the sound of a fragment last until a time, on the sound's clock, if it ends earlier.
    fn prolong(&self, fragment: u64, until: u64, begin: u64, bytes: &mut [u8], read_at: ReadAt) {
        let sound = self.tracks.get(1).and_then(|it| self.times_of(it, fragment, read_at));
        let Some((sound, hole)) = sound.and_then(|it| Some((it, until.checked_sub(it.end)?)))
        else {
            return;
        };
        let is_long = |ticks: u64, seconds: u64| {
            self.tracks.get(1).is_some_and(|it| ticks > seconds * u64::from(it.timescale))
        };
        // The samples share a duration, so they would also share the hole: in a long fragment they
        // would come far too late.
        if is_long(sound.end.saturating_sub(sound.time), 2) && is_long(hole, 1) {
            return;
        }
        let duration = sound.duration.filter(|it| it.samples > 0);
        let longer = duration.and_then(|it| u32::try_from(hole / u64::from(it.samples)).ok());
        if let (Some(duration), Some(longer)) = (duration, longer) {
            let ticks = duration.ticks.saturating_add(longer);
            write(&ticks.to_be_bytes(), duration.at, begin, bytes);
        }
    }

    /// The decode time of a track in a fragment.
    fn times_of(&self, track: &Track, fragment: u64, read_at: ReadAt) -> Option<DecodeTime> {
        let mut found = None;
        let visit = &mut |_, times: &[DecodeTime]| {
            found = times.iter().rfind(|time| time.track == track.id).copied();
            ControlFlow::Break(())
        };
        scan::decode_times(read_at, self.end, fragment, Durations::Read, visit).ok()?;
        found
    }

    fn on_clock_of_sound(&self, pictures: u64) -> u64 {
        let scale = |nth| self.tracks.get(nth).map_or(1, |it: &Track| u128::from(it.timescale));
        let time = u128::from(pictures) * scale(1) / scale(0).max(1);
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// Writes the shifted time into `bytes`, which begin at `begin` in the file.
    fn patch(&self, found: &DecodeTime, begin: u64, bytes: &mut [u8]) {
        let Some(track) = self.tracks.iter().find(|it| it.id == found.track) else { return };
        let time = (i128::from(found.time) + track.moved).max(0);
        let wide = u64::try_from(time).unwrap_or(u64::MAX).to_be_bytes();
        let narrow = u32::try_from(time).unwrap_or(u32::MAX).to_be_bytes();
        write(if found.is_wide { &wide } else { &narrow }, found.at, begin, bytes);
    }
}

/// Writes a number at `place` in the file into `bytes`, which begin at `begin`, as far as they
/// overlap.
fn write(number: &[u8], place: u64, begin: u64, bytes: &mut [u8]) {
    for (at, byte) in (place..).zip(number) {
        let at = at.checked_sub(begin).and_then(|at| usize::try_from(at).ok());
        if let Some(old) = at.and_then(|at| bytes.get_mut(at)) {
            *old = *byte;
        }
    }
}

impl Walk {
    /// Processes the next box, where `asked` are the requested bytes of the file. If it has sound,
    /// returns the last fragment with sound before it, if that is known, and the time at which this
    /// sound begins.
    fn pass(
        &mut self,
        tracks: &[Track],
        times: &[DecodeTime],
        asked: Range<u64>,
        box_end: u64,
    ) -> Option<(u64, u64)> {
        let box_begin = std::mem::replace(&mut self.begin, box_end);
        let of = |nth| {
            tracks.get(nth).and_then(|it: &Track| times.iter().find(|time| time.track == it.id))
        };
        let pictures = of(0).map_or(self.pictures.1, |it| it.time);
        if of(0).is_some() {
            self.pictures = (box_begin, pictures);
        }
        if let Some(sound) = of(1) {
            let is_asked_for = box_end > asked.start && box_begin < asked.end;
            let now = is_asked_for.then_some((box_begin, pictures));
            let before = std::mem::replace(&mut self.sound, now);
            return before.map(|(fragment, _)| (fragment, sound.time));
        }
        let scale = tracks.first().map_or(1, |it| u64::from(it.timescale));
        let longest = limits::HLS_SOUND_HOLE_MAX.as_secs() * scale;
        self.sound = self.sound.filter(|(_, since)| pictures.saturating_sub(*since) <= longest);
        None
    }
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
