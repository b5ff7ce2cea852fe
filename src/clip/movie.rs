//! The head of a clip: the segments' heads in; `ftyp`, `moov` with placeholders for tables, and the
//! header of `mdat` out.

use super::{
    part::Part,
    tables::{KINDS, SampleTable, TableKind, Width},
};
use crate::mp4::{AUDIO_TRACK_ID, TRACK_ID, put_u16, put_u32, scan::TrackKind};

/// A segment's tracks according to its `moov`, which the next segment has to match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SegmentMovie {
    pub video: TrackHead,
    pub audio: Option<TrackHead>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TrackHead {
    pub timescale: u32,
    /// Of `tkhd`: the matrix, width and height.
    shape: Vec<u8>,
    /// The whole box.
    descriptions: Vec<u8>,
}

impl SegmentMovie {
    /// Parses a whole `moov`; `None` if it has no video or is damaged.
    pub fn read(moov: &[u8]) -> Option<SegmentMovie> {
        let (mut video, mut audio) = (None, None);
        for (kind, _, trak) in boxes(moov.get(8..)?) {
            if kind != *b"trak" {
                continue;
            }
            let mdia = find(trak, b"mdia")?;
            let handler = find(mdia, b"hdlr")?.get(8..12)?;
            let slot = match handler {
                b"vide" => &mut video,
                b"soun" => &mut audio,
                _ => continue,
            };
            if slot.is_none() {
                *slot = Some(TrackHead::read(trak, mdia)?);
            }
        }
        Some(SegmentMovie { video: video?, audio })
    }
}

impl TrackHead {
    fn read(trak: &[u8], mdia: &[u8]) -> Option<TrackHead> {
        let mdhd = find(mdia, b"mdhd")?;
        let at = if *mdhd.first()? == 1 { 20 } else { 12 };
        let timescale = u32::from_be_bytes(mdhd.get(at..at + 4)?.try_into().ok()?);
        let tkhd = find(trak, b"tkhd")?;
        let shape = tkhd.get(tkhd.len().checked_sub(SHAPE_BYTES)?..)?.to_vec();
        let table = find(find(mdia, b"minf")?, b"stbl")?;
        let (_, descriptions, _) = boxes(table).find(|(kind, ..)| kind == b"stsd")?;
        (timescale > 0).then(|| TrackHead { timescale, shape, descriptions: descriptions.to_vec() })
    }
}

/// Iterates over boxes: kind, the whole box, and its payload.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let kind = rest.get(4..8)?.try_into().ok()?;
        let whole = rest.get(..usize::try_from(size).ok()?)?;
        let payload = whole.get(8..)?;
        rest = rest.get(whole.len()..)?;
        Some((kind, whole, payload))
    })
}

fn find<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(kind, ..)| kind == wanted).map(|(.., payload)| payload)
}

/// The layout of the clip.
#[derive(Debug)]
pub(super) struct ClipLayout {
    blocks: Blocks,
    pub media_begin: u64,
    pub media_bytes: u64,
    /// Added to every composition offset, to make all of them non-negative.
    pub offset: i32,
    /// Ticks per second of video and sound.
    timescales: [u32; 2],
}

/// The part of the media shown, in ticks of the video from the first sample's decode time.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownSpan {
    pub from: i64,
    pub to: i64,
    /// The lowest composition offset, if there are any.
    pub offset_min: i32,
    pub has_offsets: bool,
}

#[derive(Debug)]
pub(super) enum MovieBlock {
    Bytes(Vec<u8>),
    /// Its entries alone.
    Table(SampleTable),
}

impl ClipLayout {
    pub fn new(movie: &SegmentMovie, parts: &[Part], shown: ShownSpan) -> ClipLayout {
        let media_bytes = parts.iter().map(|part| part.media_bytes).sum();
        let mut layout = ClipLayout {
            blocks: Blocks::default(),
            media_begin: 0,
            media_bytes,
            offset: shown.offset_min.min(0).saturating_neg(),
            timescales: [
                movie.video.timescale,
                movie.audio.as_ref().map_or(movie.video.timescale, |audio| audio.timescale),
            ],
        };
        let head = Head { movie, parts, shown, layout: &layout };
        let mut blocks = Blocks::default();
        blocks.bytes(&file_type());
        blocks.append(head.movie());
        blocks.bytes(&media_header(media_bytes));
        layout.media_begin = blocks.length;
        layout.blocks = blocks;
        layout
    }

    /// Returns the block containing the byte at `at`, and the byte's offset in it; `None` where the
    /// media starts.
    pub fn block(&self, at: u64) -> Option<(&MovieBlock, u64)> {
        let index = self.blocks.list.partition_point(|(begin, _)| *begin <= at).checked_sub(1)?;
        let (begin, block) = self.blocks.list.get(index)?;
        (at < self.media_begin).then_some((block, at - begin))
    }

    /// Converts ticks of the video to those of a track.
    pub fn ticks(&self, track: TrackKind, video: i64) -> i64 {
        let [of_video, of_audio] = self.timescales.map(i128::from);
        match track {
            TrackKind::Video => video,
            TrackKind::Audio => {
                i64::try_from((i128::from(video) * of_audio).div_euclid(of_video)).unwrap_or(0)
            }
        }
    }
}

/// Blocks in order, each with its start.
#[derive(Debug, Default)]
struct Blocks {
    list: Vec<(u64, MovieBlock)>,
    length: u64,
}

impl Blocks {
    fn bytes(&mut self, bytes: &[u8]) {
        match self.list.last_mut() {
            Some((_, MovieBlock::Bytes(last))) => last.extend_from_slice(bytes),
            _ => self.list.push((self.length, MovieBlock::Bytes(bytes.to_vec()))),
        }
        self.length += bytes.len() as u64;
    }

    fn table(&mut self, table: SampleTable, entries: u32) {
        if entries > 0 {
            self.list.push((self.length, MovieBlock::Table(table)));
            self.length += u64::from(entries) * table.entry_bytes() as u64;
        }
    }

    fn append(&mut self, other: Blocks) {
        let mut lengths = other.list.iter().skip(1).map(|(begin, _)| *begin).collect::<Vec<_>>();
        lengths.push(other.length);
        for ((begin, block), end) in other.list.into_iter().zip(lengths) {
            match block {
                MovieBlock::Bytes(bytes) => self.bytes(&bytes),
                MovieBlock::Table(table) => {
                    self.list.push((self.length, MovieBlock::Table(table)));
                    self.length += end - begin;
                }
            }
        }
    }

    /// Appends a box with the given content.
    fn boxed(&mut self, kind: &[u8; 4], content: impl FnOnce(&mut Blocks)) {
        let mut inner = Blocks::default();
        content(&mut inner);
        // The tables of a day's frames have a few MB.
        let size = u32::try_from(inner.length + 8).unwrap_or(u32::MAX);
        self.bytes(&size.to_be_bytes());
        self.bytes(kind);
        self.append(inner);
    }
}

/// The data from which `moov` is written.
struct Head<'a> {
    movie: &'a SegmentMovie,
    parts: &'a [Part],
    shown: ShownSpan,
    layout: &'a ClipLayout,
}

impl Head<'_> {
    fn movie(&self) -> Blocks {
        let mut out = Blocks::default();
        out.boxed(b"moov", |out| {
            out.boxed(b"mvhd", |out| {
                let tail = |bytes: &mut Vec<u8>| {
                    put_u32(bytes, 0x0001_0000); // rate 1.0
                    put_u16(bytes, 0x0100); // volume 1.0
                    bytes.extend_from_slice(&[0; 10]);
                    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
                        put_u32(bytes, value);
                    }
                    bytes.extend_from_slice(&[0; 24]);
                    put_u32(bytes, AUDIO_TRACK_ID + 1); // next_track_ID
                };
                let timescale = self.movie.video.timescale;
                let mut bytes = times(0, self.shown_ticks(), &[timescale]);
                tail(&mut bytes);
                out.bytes(&bytes);
            });
            self.track(TrackKind::Video, &self.movie.video, out);
            if let Some(audio) = &self.movie.audio
                && self.samples(TrackKind::Audio) > 0
            {
                self.track(TrackKind::Audio, audio, out);
            }
        });
        out
    }

    fn track(&self, track: TrackKind, head: &TrackHead, out: &mut Blocks) {
        let (id, volume, handler, name) = match track {
            TrackKind::Video => (TRACK_ID, 0, b"vide", &b"VideoHandler\0"[..]),
            TrackKind::Audio => (AUDIO_TRACK_ID, 0x0100, b"soun", &b"SoundHandler\0"[..]),
        };
        out.boxed(b"trak", |out| {
            out.boxed(b"tkhd", |out| {
                let mut bytes = times(TRACK_ENABLED_IN_MOVIE, self.shown_ticks(), &[id, 0]);
                bytes.extend_from_slice(&[0; 12]); // layer, alternate_group
                put_u16(&mut bytes, volume);
                put_u16(&mut bytes, 0);
                bytes.extend_from_slice(&head.shape);
                out.bytes(&bytes);
            });
            out.boxed(b"edts", |out| {
                out.boxed(b"elst", |out| out.bytes(&self.edits(track)));
            });
            out.boxed(b"mdia", |out| {
                out.boxed(b"mdhd", |out| {
                    let mut bytes = times(0, self.media_ticks(track), &[head.timescale]);
                    put_u16(&mut bytes, 0x55c4); // language: und
                    put_u16(&mut bytes, 0);
                    out.bytes(&bytes);
                });
                out.boxed(b"hdlr", |out| {
                    out.bytes(&[0; 8]);
                    out.bytes(handler);
                    out.bytes(&[0; 12]);
                    out.bytes(name);
                });
                out.boxed(b"minf", |out| self.media_information(track, head, out));
            });
        });
    }

    fn media_information(&self, track: TrackKind, head: &TrackHead, out: &mut Blocks) {
        match track {
            TrackKind::Video => {
                out.boxed(b"vmhd", |out| out.bytes(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
            }
            TrackKind::Audio => out.boxed(b"smhd", |out| out.bytes(&[0; 8])),
        }
        out.boxed(b"dinf", |out| {
            out.boxed(b"dref", |out| {
                out.bytes(&[0, 0, 0, 0, 0, 0, 0, 1]);
                out.boxed(b"url ", |out| out.bytes(&[0, 0, 0, 1])); // media in this file
            });
        });
        out.boxed(b"stbl", |out| {
            out.bytes(&head.descriptions);
            for kind in KINDS {
                self.table(SampleTable { track, kind, width: self.width() }, out);
            }
        });
    }

    fn table(&self, table: SampleTable, out: &mut Blocks) {
        let kind = match (table.kind, table.width) {
            (TableKind::Offsets, _)
                if table.track == TrackKind::Audio || !self.shown.has_offsets =>
            {
                return;
            }
            (TableKind::Keys, _) if table.track == TrackKind::Audio => return,
            (TableKind::Times, _) => b"stts",
            (TableKind::Offsets, _) => b"ctts",
            (TableKind::Keys, _) => b"stss",
            (TableKind::Chunks, _) => b"stsc",
            (TableKind::Sizes, _) => b"stsz",
            (TableKind::Places, Width::Bits32) => b"stco",
            (TableKind::Places, Width::Bits64) => b"co64",
        };
        let entries = self.parts.iter().map(|part| table.entries(part)).sum();
        out.boxed(kind, |out| {
            out.bytes(&[0; 4]); // version and flags
            if table.kind == TableKind::Sizes {
                out.bytes(&[0; 4]); // sample_size: in the table
            }
            out.bytes(&u32::to_be_bytes(entries));
            out.table(table, entries);
        });
    }

    /// Writes an edit list (§8.6.6). If sound starts later than the picture, an empty edit precedes
    /// it.
    fn edits(&self, track: TrackKind) -> Vec<u8> {
        let mut edits = Vec::new();
        let mut shown = self.shown_ticks();
        let from = self.shown.from;
        let media_time = match track {
            TrackKind::Video => from + i64::from(self.layout.offset),
            TrackKind::Audio => {
                let late = self.audio_begin() - self.layout.ticks(TrackKind::Audio, from);
                if late > 0 {
                    let [of_video, of_audio] = self.layout.timescales.map(i64::from);
                    let empty = (late * of_video / of_audio).cast_unsigned().min(shown);
                    edits.push((empty, -1));
                    shown -= empty;
                }
                (-late).max(0)
            }
        };
        edits.push((shown, media_time));
        let is_wide = edits.iter().any(|(shown, _)| u32::try_from(*shown).is_err());
        let mut out = vec![u8::from(is_wide), 0, 0, 0];
        put_u32(&mut out, edits.len() as u32);
        for (shown, media_time) in edits {
            if is_wide {
                out.extend_from_slice(&shown.to_be_bytes());
                out.extend_from_slice(&media_time.to_be_bytes());
            } else {
                put_u32(&mut out, u32::try_from(shown).unwrap_or(u32::MAX));
                // At most a picture group, or -1.
                put_u32(&mut out, i32::try_from(media_time).unwrap_or(0).cast_unsigned());
            }
            put_u32(&mut out, 0x0001_0000); // media_rate 1
        }
        out
    }

    fn shown_ticks(&self) -> u64 {
        (self.shown.to - self.shown.from).max(0).cast_unsigned()
    }

    /// The start of the first audio sample, in its ticks.
    fn audio_begin(&self) -> i64 {
        let first = self.parts.iter().find(|part| part.tally(TrackKind::Audio).samples > 0);
        first
            .map_or(0, |part| self.time(TrackKind::Audio, part, part.tally(TrackKind::Audio).first))
    }

    /// Converts a time in a part's file to the clip's time line, in ticks of the track.
    fn time(&self, track: TrackKind, part: &Part, in_file: u64) -> i64 {
        self.layout.ticks(track, part.shift).saturating_add_unsigned(in_file)
    }

    /// Of all samples of a track.
    fn media_ticks(&self, track: TrackKind) -> u64 {
        let begin = if track == TrackKind::Audio { self.audio_begin() } else { 0 };
        let last = self.parts.iter().rfind(|part| part.tally(track).samples > 0);
        let end = last.map_or(0, |part| {
            let tally = part.tally(track);
            self.time(track, part, tally.last) + i64::from(tally.last_duration)
        });
        (end - begin).max(0).cast_unsigned()
    }

    fn samples(&self, track: TrackKind) -> u32 {
        self.parts.iter().map(|part| part.tally(track).samples).sum()
    }

    /// Tables stay far below the rest of 4 GiB: 24 hours of frames take 40 MB.
    fn width(&self) -> Width {
        let is_small = self.layout.media_bytes < u64::from(u32::MAX) - (64 << 20);
        if is_small { Width::Bits32 } else { Width::Bits64 }
    }
}

/// The common start of `mvhd`, `tkhd` and `mdhd`, with 64-bit times if 32 bits are too few.
fn times(flags: u8, duration: u64, between: &[u32]) -> Vec<u8> {
    let narrow = u32::try_from(duration);
    let mut out = vec![u8::from(narrow.is_err()), 0, 0, flags];
    out.resize(if narrow.is_ok() { 12 } else { 20 }, 0); // creation and modification time
    between.iter().for_each(|value| put_u32(&mut out, *value));
    match narrow {
        Ok(duration) => put_u32(&mut out, duration),
        Err(_) => out.extend_from_slice(&duration.to_be_bytes()),
    }
    out
}

fn file_type() -> Vec<u8> {
    b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2mp41".to_vec()
}

fn media_header(media_bytes: u64) -> Vec<u8> {
    match u32::try_from(media_bytes + 8) {
        Ok(size) => [&size.to_be_bytes()[..], b"mdat"].concat(),
        Err(_) => [&[0, 0, 0, 1], &b"mdat"[..], &(media_bytes + 16).to_be_bytes()].concat(),
    }
}

const TRACK_ENABLED_IN_MOVIE: u8 = 3;
/// Matrix, width and height at the end of `tkhd` (§8.3.2).
const SHAPE_BYTES: usize = 44;
