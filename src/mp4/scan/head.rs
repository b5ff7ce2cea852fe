//! Reads what precedes the media: identity, codec, durations, index.

use std::ops::Range;

use super::{
    What,
    entry::{self, TrackContent, VideoEntry},
    window::{BoxHeader, ScanError, Window, damage},
};
use crate::{
    codec,
    mp4::{
        IDENTITY_UUID, TIMESCALE, TRACK_ID,
        fragment::NON_SYNC_SAMPLE_FLAGS,
        identity::{FLAGS_OFFSET, IDENTITY_BYTES_MAX, Identity},
        init::HeadLayout,
    },
    units::{TICKS_PER_SECOND, Ticks},
};

/// The content of a file's head.
#[derive(Clone, Debug)]
pub struct FileHead {
    pub form: FileForm,
    /// Only in our own files.
    pub identity: Option<Identity>,
    /// The position of its byte of flags, which contains the marks.
    pub flags_at: Option<u64>,
    /// The first video track, if it is H.264 or H.265.
    pub video: Option<VideoEntry>,
    /// As written when it was closed (`mehd`, else `mvhd`, else from the index); `None` while that
    /// is zero.
    pub duration: Option<Ticks>,
    /// Where the file should end, according to a `sidx` before the media.
    pub indexed_end: Option<u64>,
    /// Where a repair may write; only in our own files.
    pub layout: Option<HeadLayout>,
    /// In foreign files that can become ours.
    pub spare: Option<Spare>,
    /// The position of the first fragment; the file's end if there is none yet.
    pub media_begin: u64,
    pub(super) track: Defaults,
    /// The first sound track, if there is one.
    pub(super) audio: Option<Defaults>,
}

/// Space before the media: the user data (`udta`) at the end of FFmpeg's `moov`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spare {
    /// The position of the `moov`.
    pub movie: u64,
    pub room: Range<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileForm {
    Fragmented,
    /// One `moov` lists all samples.
    Plain,
}

/// The track being checked, with its defaults for fragments (`trex`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Defaults {
    pub id: u32,
    pub timescale: u32,
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

impl FileHead {
    /// Returns true if a file of `len` bytes has the index written at close, and everything it
    /// lists.
    pub fn is_closed(&self, len: u64) -> bool {
        self.identity.is_some() && self.indexed_end == Some(len)
    }

    /// Converts ticks of the track to ticks of 90 kHz.
    pub(super) fn ticks(&self, time: Ticks) -> Ticks {
        scale(time.0.max(0).cast_unsigned(), self.track.timescale)
    }
}

/// Reads from the start of the file to the first fragment, or to the end of a plain `moov`.
pub(super) fn read(window: &mut Window) -> Result<FileHead, ScanError> {
    let len = window.len();
    window.position = 0;
    if window.array::<8>()?[4..] != *b"ftyp" {
        return Err(damage(0, What::NoFileType));
    }
    window.position = 0;
    window.position = window.box_header(len)?.end;
    let mut movie: Option<Movie> = None;
    let (mut identity, mut flags_at, mut reserve, mut index) = (None, None, None, None);
    let mut media_begin = len;
    let mut boxes = 0;
    while window.position < len {
        let header = window.box_header(len)?;
        boxes += 1;
        if boxes > TOP_BOXES_MAX {
            return Err(damage(header.begin, What::TooManyBoxes));
        }
        match &header.kind {
            b"moov" => movie = Some(Movie::read(window, header)?),
            b"uuid" if identity.is_none() => {
                identity = read_identity(window, header)?;
                flags_at = identity.as_ref().map(|_| header.body + 16 + FLAGS_OFFSET);
            }
            b"free" => reserve = Some(header.begin..header.end),
            b"sidx" => {
                index = Some((header, read_index(window, header)?));
                if identity.is_some() {
                    media_begin = header.end; // as ours are: saves a read
                    break;
                }
            }
            b"moof" if movie.is_none() => return Err(damage(header.begin, What::NoMovie)),
            b"moof" => {
                media_begin = header.begin;
                break;
            }
            // A plain file: its moov may follow its media.
            b"mdat" if movie.is_some() => break,
            _ => {}
        }
        window.position = header.end;
    }
    let Some(mut movie) = movie else { return Err(ScanError::End) };
    if let (Some(room), Some((sidx, _))) = (&mut reserve, &index)
        && room.end == sidx.begin
    {
        room.end = sidx.end;
    }
    let layout = match (&identity, movie.has_our_ticks(), reserve) {
        (Some(_), true, Some(reserve)) if reserve.end == media_begin => {
            Some(HeadLayout { durations: movie.durations(), reserve })
        }
        _ => None,
    };
    let is_spare = identity.is_none() && index.is_none() && movie.has_our_ticks();
    let spare = movie.spare.take().filter(|it| is_spare && it.room.end == media_begin);
    Ok(FileHead {
        layout,
        spare,
        flags_at,
        ..movie.into_head(identity, index.map(|(_, it)| it), media_begin)
    })
}

/// The content of `moov`.
#[derive(Default)]
struct Movie {
    timescale: u32,
    /// `mvhd`, in its timescale, and `mehd`.
    duration: u64,
    fragment_duration: u64,
    has_fragments: bool,
    /// The positions of the 32-bit durations, in the order of [`HeadLayout::durations`].
    positions: [Option<u64>; 4],
    chosen: Option<MovieTrack>,
    /// The first that is sound.
    audio: Option<MovieTrack>,
    current: MovieTrack,
    defaults: Vec<Defaults>,
    spare: Option<Spare>,
}

#[derive(Default)]
struct MovieTrack {
    id: u32,
    timescale: u32,
    positions: [Option<u64>; 2],
    handler: [u8; 4],
    entry: Option<TrackContent>,
}

impl Movie {
    fn read(window: &mut Window, moov: BoxHeader) -> Result<Movie, ScanError> {
        let mut movie = Movie::default();
        let mut boxes = 0;
        let mut inner_end = moov.body;
        window.position = moov.body;
        while window.position < moov.end {
            let header = window.box_header(moov.end)?;
            boxes += 1;
            if boxes > MOVIE_BOXES_MAX {
                return Err(damage(header.begin, What::TooManyBoxes));
            }
            let mut next = header.end;
            match &header.kind {
                b"mdia" | b"minf" | b"stbl" => next = header.body,
                b"mvex" => {
                    movie.has_fragments = true;
                    (next, inner_end) = (header.body, header.end);
                }
                b"trak" => {
                    movie.choose();
                    (next, inner_end) = (header.body, header.end);
                }
                b"udta" if header.end == moov.end && header.begin >= inner_end => {
                    movie.spare = Some(Spare { movie: moov.begin, room: header.begin..header.end });
                }
                b"mvhd" => {
                    let times = Times::read(window)?;
                    (movie.timescale, movie.duration) = (times.timescale, times.duration);
                    movie.positions[0] = times.position;
                }
                b"tkhd" => {
                    let wide = window.u8()? == 1;
                    window.position += 3 + if wide { 16 } else { 8 };
                    movie.current.id = window.u32()?;
                    movie.current.positions[0] = (!wide).then_some(window.position + 4);
                }
                b"mdhd" => {
                    let times = Times::read(window)?;
                    movie.current.timescale = times.timescale;
                    movie.current.positions[1] = times.position;
                }
                b"hdlr" => {
                    window.position += 8;
                    movie.current.handler = window.array()?;
                }
                b"stsd" => movie.current.entry = entry::read(window, header)?,
                b"mehd" => {
                    let wide = window.u32()? >> 24 == 1;
                    movie.positions[3] = (!wide).then_some(window.position);
                    movie.fragment_duration =
                        if wide { window.u64()? } else { u64::from(window.u32()?) };
                }
                b"trex" if movie.defaults.len() < TRACKS_MAX => {
                    window.position += 4;
                    let id = window.u32()?;
                    window.position += 4;
                    let (duration, size, flags) = (window.u32()?, window.u32()?, window.u32()?);
                    movie.defaults.push(Defaults { id, timescale: 0, duration, size, flags });
                }
                _ => {}
            }
            window.position = next;
        }
        movie.choose();
        Ok(movie)
    }

    /// Ends a track: the first of each kind counts.
    fn choose(&mut self) {
        let track = std::mem::take(&mut self.current);
        match &track.handler {
            b"vide" if self.chosen.is_none() => {
                [self.positions[1], self.positions[2]] = track.positions;
                self.chosen = Some(track);
            }
            b"soun" if self.audio.is_none() => self.audio = Some(track),
            _ => {}
        }
    }

    /// Returns true if the video is the track our index refers to.
    fn has_our_ticks(&self) -> bool {
        let video = self.chosen.as_ref();
        video.is_some_and(|video| video.timescale == TIMESCALE && video.id == TRACK_ID)
    }

    /// The positions of the durations, if all exist and count 90 kHz.
    fn durations(&self) -> Option<[u64; 4]> {
        let [mvhd, tkhd, mdhd, mehd] = self.positions;
        (self.timescale == TIMESCALE).then_some(())?;
        Some([mvhd?, tkhd?, mdhd?, mehd?])
    }

    fn into_head(
        self,
        identity: Option<Identity>,
        indexed: Option<Indexed>,
        media_begin: u64,
    ) -> FileHead {
        let defaults = |track: &MovieTrack| Defaults {
            id: track.id,
            timescale: track.timescale,
            ..self.defaults.iter().find(|it| it.id == track.id).copied().unwrap_or(UNLISTED)
        };
        let audio = self.audio.as_ref().map(defaults);
        let track = self.chosen.as_ref().map_or(UNLISTED, defaults);
        let mut video = match self.chosen.and_then(|chosen| chosen.entry) {
            Some(TrackContent::Video(video)) => Some(video),
            _ => None,
        };
        if let (Some(video), Some(TrackContent::Audio { codecs })) =
            (&mut video, self.audio.and_then(|audio| audio.entry))
        {
            video.codecs = codec::join(std::mem::take(&mut video.codecs), codecs);
        }
        let written = match self.fragment_duration {
            0 => self.duration,
            duration => duration,
        };
        let written = (written != 0).then(|| scale(written, self.timescale));
        FileHead {
            form: if self.has_fragments { FileForm::Fragmented } else { FileForm::Plain },
            identity,
            flags_at: None,
            video,
            duration: written.or(indexed.map(|indexed| indexed.duration)),
            indexed_end: indexed.map(|indexed| indexed.end),
            layout: None,
            spare: None,
            media_begin,
            track,
            audio,
        }
    }
}

/// The common part of `mvhd` and `mdhd`.
struct Times {
    timescale: u32,
    duration: u64,
    /// Of the duration, where it has 32 bits.
    position: Option<u64>,
}

impl Times {
    fn read(window: &mut Window) -> Result<Times, ScanError> {
        let wide = window.u8()? == 1;
        window.position += 3 + if wide { 16 } else { 8 };
        let timescale = window.u32()?;
        let position = (!wide).then_some(window.position);
        let duration = if wide { window.u64()? } else { u64::from(window.u32()?) };
        Ok(Times { timescale, duration, position })
    }
}

fn read_identity(window: &mut Window, header: BoxHeader) -> Result<Option<Identity>, ScanError> {
    if header.end - header.body < 16 || window.array()? != IDENTITY_UUID {
        return Ok(None);
    }
    let left = header.end - window.position;
    let count = usize::try_from(left).unwrap_or(IDENTITY_BYTES_MAX).min(IDENTITY_BYTES_MAX);
    Ok(Identity::read(window.slice(count)?))
}

/// The content of a `sidx` (§8.16.3).
#[derive(Clone, Copy)]
struct Indexed {
    /// The end of the last subsegment.
    end: u64,
    /// Counted from the start of the first one.
    duration: Ticks,
}

fn read_index(window: &mut Window, header: BoxHeader) -> Result<Indexed, ScanError> {
    let wide = window.u32()? >> 24 != 0;
    window.position += 4;
    let timescale = window.u32()?;
    window.position += if wide { 8 } else { 4 };
    let first_offset = if wide { window.u64()? } else { u64::from(window.u32()?) };
    window.position += 2;
    let count = window.u16()?;
    let mut end = header.end.saturating_add(first_offset);
    let mut duration = 0_u64;
    for _ in 0..count {
        end = end.saturating_add(u64::from(window.u32()? & 0x7fff_ffff));
        duration = duration.saturating_add(window.u32()?.into());
        window.position += 4;
    }
    if window.position > header.end {
        let size = header.end - header.begin;
        return Err(damage(header.begin, What::BoxSize { kind: header.kind, size }));
    }
    Ok(Indexed { end, duration: scale(duration, timescale) })
}

fn scale(time: u64, timescale: u32) -> Ticks {
    let ticks =
        u128::from(time) * TICKS_PER_SECOND.cast_unsigned() as u128 / u128::from(timescale.max(1));
    Ticks(i64::try_from(ticks).unwrap_or(i64::MAX))
}

/// A track without stated defaults.
const UNLISTED: Defaults =
    Defaults { id: 0, timescale: 0, duration: 0, size: 0, flags: NON_SYNC_SAMPLE_FLAGS };
/// Boxes before the media; real files have fewer than ten.
pub(super) const TOP_BOXES_MAX: u32 = 64;
/// Boxes of a `moov`; a track has about 20.
const MOVIE_BOXES_MAX: u32 = 512;
/// Tracks whose defaults are kept.
pub(super) const TRACKS_MAX: usize = 4;
