//! The playlist: recordings in order in, text out.

use crate::{limits, mp4::scan::Subsegments, units::WallTime};
use std::{fmt::Write as _, time::Duration};

/// One recording, as the catalogue knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedRecording {
    /// The number in its address.
    pub number: u32,
    /// Wall time of its first frame.
    pub start: WallTime,
    pub duration_ms: u32,
    /// The caller's number for the codecs: it differs when they do.
    pub codecs: u8,
    /// Whether it has the full length of a recording, so that its end is no sign of a change in the
    /// stream.
    pub is_full: bool,
}

/// Whether recordings may still be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    Ended,
    /// Yes; a recording may become this long.
    Growing(Duration),
}

/// The size of a piece. Either all pieces of a playlist are byte ranges or none is: FFmpeg requests
/// the previous range again for a piece that has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grain {
    /// A whole recording, so that none need be opened.
    Recordings,
    /// About [`limits::HLS_PIECE`] of a recording, cut by its index.
    Ranges,
}

/// The pieces of a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Playlist {
    camera: String,
    from: WallTime,
    to: WallTime,
    growth: Growth,
    grain: Grain,
    pieces: Vec<Piece>,
    last: Option<Last>,
}

/// One media segment of the playlist; 40 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    /// The recording's number, and the time in ms at which the recording begins in the playlist.
    number: u32,
    time: i32,
    start: WallTime,
    duration_us: u32,
    before: Before,
    /// A length in bytes, and the offset from the recording's first fragment; `None`: all of it.
    range: Option<(u32, u32)>,
}

/// The tags before a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    /// No tags: the piece continues the same recording.
    Nothing,
    /// The date.
    Time,
    /// The first map, and the date.
    Map,
    /// A discontinuity, another map, and the date.
    OtherMap,
}

/// The recording that was added last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Last {
    recording: ListedRecording,
    /// Hash of the init segment in force.
    init: u64,
    /// Its end in the playlist, in ms.
    end: i64,
}

impl Playlist {
    /// An empty playlist of the span from `from` up to `to`.
    pub fn new(
        camera: &str,
        (from, to): (WallTime, WallTime),
        growth: Growth,
        grain: Grain,
    ) -> Playlist {
        let camera = camera.to_owned();
        Playlist { camera, from, to, growth, grain, pieces: Vec::new(), last: None }
    }

    /// Whether the next recording's init segment may differ from the one before.
    pub fn must_see_init(&self, recording: &ListedRecording) -> bool {
        self.last.is_none_or(|last| {
            let before = &last.recording;
            !before.is_full || before.codecs != recording.codecs || is_gap(before, recording)
        })
    }

    /// Adds the next recording. `init` identifies its init segment and is needed if
    /// [`Playlist::must_see_init`] says so; `index` is needed for [`Grain::Ranges`].
    pub fn add(
        &mut self,
        recording: ListedRecording,
        init: Option<u64>,
        index: Option<&Subsegments>,
    ) {
        let index = index.filter(|index| !index.list.is_empty());
        let is_other = self.last.is_none_or(|last| init.is_some_and(|init| init != last.init));
        let mut before = match &self.last {
            None => Before::Map,
            Some(_) if is_other => Before::OtherMap,
            Some(_) => Before::Time,
        };
        let known = self.last.map_or(0, |last| last.init);
        let mut begin = self.last.map(|last| last.end);
        let first = index.and_then(|index| index.list.first()).map_or(0, |it| it.begin);
        for part in parts(&recording, index) {
            let start = recording.start.0.saturating_add(micros_to_millis(part.begin_us));
            let end = start.saturating_add(micros_to_millis(part.duration_us));
            if end <= self.from.0 || start >= self.to.0 {
                continue;
            }
            let time = *begin.get_or_insert_with(|| match self.growth {
                // The first piece begins at time 0 of the playlist.
                Growth::Ended => -micros_to_millis(part.begin_us),
                // An address must not change when the oldest recording is deleted (RFC 8216
                // §6.2.1), so times are counted from the span's start; the longest recording
                // before it keeps them positive.
                Growth::Growing(longest) => {
                    let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
                    recording.start.0.saturating_sub(self.from.0).saturating_add(longest).max(0)
                }
            });
            self.pieces.push(Piece {
                number: recording.number,
                time: i32::try_from(time).unwrap_or(i32::MAX),
                start: WallTime(start),
                duration_us: u32::try_from(part.duration_us).unwrap_or(u32::MAX),
                before: std::mem::replace(&mut before, Before::Nothing),
                range: part.range.map(|(begin, bytes)| {
                    (bytes, u32::try_from(begin.saturating_sub(first)).unwrap_or(u32::MAX))
                }),
            });
        }
        if let Some(begin) = begin {
            let end = begin.saturating_add(recording.duration_ms.into());
            self.last = Some(Last { recording, init: init.unwrap_or(known), end });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Appends a part of the text, counted from 0; returns false after the last.
    pub fn write(&self, part: usize, out: &mut Vec<u8>) -> bool {
        let mut text = String::new();
        let is_part = match part.checked_sub(1) {
            None => self.write_head(&mut text),
            Some(nth) => match self.pieces.get(nth) {
                Some(piece) => self.write_piece(piece, &mut text),
                None if nth == self.pieces.len() && self.growth == Growth::Ended => {
                    text.push_str("#EXT-X-ENDLIST\n");
                    true
                }
                None => false,
            },
        };
        out.extend_from_slice(text.as_bytes());
        is_part
    }

    /// Writing to a String cannot fail.
    fn write_head(&self, text: &mut String) -> bool {
        let longest = self.pieces.iter().map(|piece| piece.duration_us).max().unwrap_or(0);
        let longest = longest.saturating_add(500_000) / 1_000_000;
        let (kind, target, begin) = match self.growth {
            Growth::Ended => ("VOD", longest.max(1), String::new()),
            // The target duration must never change, and new pieces come as often as recordings
            // end. If the oldest recordings are deleted meanwhile, the media sequence says how many
            // pieces are gone.
            Growth::Growing(recording) => {
                let target = u32::try_from(recording.as_secs()).unwrap_or(u32::MAX);
                let first = self.pieces.first().filter(|_| self.grain == Grain::Recordings);
                let first = first.map_or(0, |piece| piece.number);
                let begin = format!("#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-START:TIME-OFFSET=0\n");
                ("EVENT", target.max(longest), begin)
            }
        };
        let _ = write!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n\
             #EXT-X-PLAYLIST-TYPE:{kind}\n{begin}#EXT-X-INDEPENDENT-SEGMENTS\n"
        );
        true
    }

    fn write_piece(&self, piece: &Piece, text: &mut String) -> bool {
        let Piece { number, time, .. } = piece;
        let camera = &self.camera;
        if piece.before == Before::OtherMap {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if matches!(piece.before, Before::Map | Before::OtherMap) {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{camera}/{number}.mp4\"");
        }
        if piece.before != Before::Nothing {
            let seconds = piece.start.to_string();
            let (seconds, millis) = (seconds.trim_end_matches('Z'), piece.start.0.rem_euclid(1000));
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{seconds}.{millis:03}Z");
        }
        let (seconds, micros) = (piece.duration_us / 1_000_000, piece.duration_us % 1_000_000);
        let _ = writeln!(text, "#EXTINF:{seconds}.{micros:06},");
        if let Some((bytes, at)) = piece.range {
            let _ = writeln!(text, "#EXT-X-BYTERANGE:{bytes}@{at}");
        }
        let _ = writeln!(text, "{camera}/{number}.m4s?t={time}");
        true
    }
}

/// A part of a recording; times are in µs from the recording's begin.
struct Part {
    begin_us: u64,
    duration_us: u64,
    /// Its offset in the file, and its length in bytes.
    range: Option<(u64, u32)>,
}

/// Cuts a recording at key frames, about [`limits::HLS_PIECE`] apart.
fn parts(recording: &ListedRecording, index: Option<&Subsegments>) -> Vec<Part> {
    let Some(index) = index else {
        let duration_us = u64::from(recording.duration_ms) * 1000;
        return vec![Part { begin_us: 0, duration_us, range: None }];
    };
    let (piece, timescale) = (limits::HLS_PIECE.as_micros(), u64::from(index.timescale));
    let mut parts: Vec<Part> = Vec::new();
    let (mut ticks, mut begin_us) = (0, 0);
    for subsegment in &index.list {
        ticks += u64::from(subsegment.duration);
        let end_us = ticks * 1_000_000 / timescale;
        let duration_us = end_us - begin_us;
        match parts.last_mut() {
            Some(last) if !subsegment.opens_on_key || u128::from(last.duration_us) < piece => {
                last.duration_us += duration_us;
                last.range =
                    last.range.map(|(at, bytes)| (at, bytes.saturating_add(subsegment.bytes)));
            }
            _ => {
                let range = Some((subsegment.begin, subsegment.bytes));
                parts.push(Part { begin_us, duration_us, range });
            }
        }
        begin_us = end_us;
    }
    // A short rest is added to the piece before.
    if parts.len() > 1
        && let Some(rest) = parts.pop_if(|rest| u128::from(rest.duration_us) < piece / 2)
        && let Some(last) = parts.last_mut()
    {
        last.duration_us += rest.duration_us;
        let bytes = rest.range.map_or(0, |(_, bytes)| bytes);
        last.range = last.range.map(|(at, before)| (at, before.saturating_add(bytes)));
    }
    parts
}

fn is_gap(before: &ListedRecording, next: &ListedRecording) -> bool {
    let end = before.start.0.saturating_add(before.duration_ms.into());
    let gap = next.start.0.saturating_sub(end).unsigned_abs();
    u128::from(gap) >= limits::HLS_GAP_MIN.as_millis()
}

fn micros_to_millis(micros: u64) -> i64 {
    i64::try_from(micros / 1000).unwrap_or(i64::MAX)
}
