//! The tables of a track (ISO/IEC 14496-12 §8.6.1, §8.6.2, §8.7): samples in, entries out.
//!
//! Every part starts new runs, so that its entries can be made from it alone; the same code counts
//! and makes them.

use super::{
    Clip, ReadSource,
    part::{Part, PartStep, Placed, Tally, into_io, walk},
};
use crate::mp4::{put_u32, scan::TrackKind};
use std::{io, ops::ControlFlow};

/// A table of a track: the index of `Tally::entries`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TableKind {
    /// `stts`: decode times.
    Times = 0,
    /// `ctts`: composition offsets.
    Offsets = 1,
    /// `stss`: key frames.
    Keys = 2,
    /// `stsc`: samples of each chunk.
    Chunks = 3,
    /// `stsz`: bytes of each sample.
    Sizes = 4,
    /// `stco` or `co64`: the positions of chunks.
    Places = 5,
}

pub(super) const KINDS: [TableKind; 6] = [
    TableKind::Times,
    TableKind::Offsets,
    TableKind::Keys,
    TableKind::Chunks,
    TableKind::Sizes,
    TableKind::Places,
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SampleTable {
    pub track: TrackKind,
    pub kind: TableKind,
    pub width: Width,
}

/// The width of chunk positions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

impl SampleTable {
    pub fn entry_bytes(self) -> usize {
        entry_bytes(self.kind, self.width)
    }

    pub fn entries(self, part: &Part) -> u32 {
        part.tally(self.track).entries[self.kind as usize]
    }
}

fn entry_bytes(kind: TableKind, width: Width) -> usize {
    match (kind, width) {
        (TableKind::Times | TableKind::Offsets, _) | (TableKind::Places, Width::Bits64) => 8,
        (TableKind::Chunks, _) => 12,
        (TableKind::Keys | TableKind::Sizes | TableKind::Places, _) => 4,
    }
}

impl Part {
    pub fn tally(&self, track: TrackKind) -> &Tally {
        &self.tallies[track as usize]
    }
}

/// Values carried from part to part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TableBase {
    pub samples: u32,
    pub chunks: u32,
    /// The start of the part's media in the clip.
    pub media: u64,
    /// Duration of the part's last sample.
    pub last_duration: u32,
    /// Makes every composition offset positive.
    pub offset: i32,
}

/// Makes the entries of one table for one part.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    kind: TableKind,
    width: Width,
    base: TableBase,
    samples: u32,
    chunks: u32,
    /// A run of equal values, and the previous sample or chunk, whose value is not known yet.
    run: Option<(u32, u32)>,
    before: Option<u64>,
    chunk_end: Option<u64>,
    in_chunk: u32,
    chunk_written: Option<u32>,
}

impl Writer {
    pub fn new(kind: TableKind, width: Width, base: TableBase) -> Writer {
        Writer {
            kind,
            width,
            base,
            samples: 0,
            chunks: 0,
            run: None,
            before: None,
            chunk_end: None,
            in_chunk: 0,
            chunk_written: None,
        }
    }

    /// Adds the next sample of the track, and appends entries that are now complete.
    pub fn sample(&mut self, placed: &Placed, out: &mut Vec<u8>) {
        let Placed { sample, media } = placed;
        self.samples += 1;
        match self.kind {
            TableKind::Times => {
                if let Some(before) = self.before.replace(sample.decode_time) {
                    let duration = sample.decode_time.saturating_sub(before);
                    self.extend_run(u32::try_from(duration).unwrap_or(u32::MAX), out);
                }
            }
            TableKind::Offsets => {
                let offset = sample.composition_offset.saturating_add(self.base.offset);
                // With a base of 0 it may be negative while counting: the runs are the same.
                self.extend_run(offset.cast_unsigned(), out);
            }
            TableKind::Keys if sample.is_key => put_u32(out, self.base.samples + self.samples),
            TableKind::Keys => {}
            TableKind::Sizes => put_u32(out, sample.bytes),
            TableKind::Chunks | TableKind::Places => {
                if self.chunk_end != Some(*media) {
                    self.begin_chunk(*media, out);
                }
                self.in_chunk += 1;
                self.chunk_end = Some(media + u64::from(sample.bytes));
            }
        }
    }

    /// Ends a fragment: its samples do not share a chunk with the next one's.
    pub fn fragment(&mut self) {
        self.chunk_end = None;
    }

    /// Ends the part and appends its remaining entries. The last sample's duration is a separate
    /// entry, because it depends on the next part.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self.kind {
            TableKind::Times => {
                self.end_run(out);
                if self.before.is_some() {
                    put_u32(out, 1);
                    put_u32(out, self.base.last_duration);
                }
            }
            TableKind::Offsets => self.end_run(out),
            TableKind::Chunks => self.end_chunk(out),
            TableKind::Keys | TableKind::Sizes | TableKind::Places => {}
        }
    }

    pub fn entry_bytes(&self) -> usize {
        entry_bytes(self.kind, self.width)
    }

    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    fn extend_run(&mut self, value: u32, out: &mut Vec<u8>) {
        match &mut self.run {
            Some((count, of)) if *of == value => *count += 1,
            _ => {
                self.end_run(out);
                self.run = Some((1, value));
            }
        }
    }

    fn end_run(&mut self, out: &mut Vec<u8>) {
        if let Some((count, value)) = self.run.take() {
            put_u32(out, count);
            put_u32(out, value);
        }
    }

    fn begin_chunk(&mut self, media: u64, out: &mut Vec<u8>) {
        let place = self.base.media + media;
        match (self.kind, self.width) {
            (TableKind::Places, Width::Bits64) => out.extend_from_slice(&place.to_be_bytes()),
            // A clip with 32-bit positions is smaller than 4 GiB.
            (TableKind::Places, Width::Bits32) => put_u32(out, u32::try_from(place).unwrap_or(0)),
            _ => self.end_chunk(out),
        }
        self.chunks += 1;
        self.in_chunk = 0;
    }

    fn end_chunk(&mut self, out: &mut Vec<u8>) {
        if self.chunks > 0 && self.chunk_written != Some(self.in_chunk) {
            put_u32(out, self.base.chunks + self.chunks);
            put_u32(out, self.in_chunk);
            put_u32(out, 1); // sample_description_index
            self.chunk_written = Some(self.in_chunk);
        }
    }
}

impl Clip {
    /// Appends up to `room` bytes of a table's entries, from its byte `skip` on.
    pub(super) fn write_table(
        &self,
        table: SampleTable,
        skip: u64,
        room: usize,
        out: &mut Vec<u8>,
        read: ReadSource,
    ) -> io::Result<()> {
        let goal = out.len() + room;
        let entry_bytes = table.entry_bytes() as u64;
        let mut base = TableBase {
            media: self.layout.media_begin,
            offset: self.layout.offset,
            ..TableBase::default()
        };
        let mut begin = 0; // of the part's entries, in bytes of the table
        let mut written = Vec::new();
        for (nth, part) in self.parts.iter().enumerate() {
            let end = begin + u64::from(table.entries(part)) * entry_bytes;
            if end > skip && out.len() < goal {
                base.last_duration = self.last_duration(nth, table.track);
                written.clear();
                self.write_part(table, part, base, &mut written, read)?;
                if written.len() as u64 != end - begin {
                    return Err(io::ErrorKind::UnexpectedEof.into()); // the file has changed
                }
                let from = usize::try_from(skip.saturating_sub(begin)).unwrap_or(usize::MAX);
                let rest = written.get(from..).unwrap_or_default();
                out.extend_from_slice(rest.get(..goal - out.len()).unwrap_or(rest));
            } else if begin > skip {
                break;
            }
            begin = end;
            let tally = part.tally(table.track);
            base.samples += tally.samples;
            base.chunks += tally.chunks;
            base.media += part.media_bytes;
        }
        Ok(())
    }

    fn write_part(
        &self,
        table: SampleTable,
        part: &Part,
        base: TableBase,
        out: &mut Vec<u8>,
        read: ReadSource,
    ) -> io::Result<()> {
        let mut writer = Writer::new(table.kind, table.width, base);
        let read_at = |buffer: &mut [u8], at: u64| read(part.source, buffer, at);
        let range = (part.begin, part.end);
        let walked = walk(&read_at, range, &self.head, self.selection, &mut |piece| {
            match piece {
                PartStep::Sample(placed) if placed.sample.track == table.track => {
                    writer.sample(&placed, out);
                }
                PartStep::Sample(_) | PartStep::Media { .. } => {}
                PartStep::Fragment { .. } => writer.fragment(),
            }
            ControlFlow::Continue(())
        });
        walked.map_err(into_io)?;
        writer.finish(out);
        Ok(())
    }

    /// The duration of a part's last sample in ticks of the track, up to the start of the next part
    /// if there is one.
    fn last_duration(&self, nth: usize, track: TrackKind) -> u32 {
        let Some(part) = self.parts.get(nth) else { return 0 };
        let tally = part.tally(track);
        let mut after = self.parts.iter().skip(nth + 1);
        let Some(next) = after.find(|next| next.tally(track).samples > 0) else {
            return tally.last_duration;
        };
        let time = |part: &Part, in_file: u64| {
            self.layout.ticks(track, part.shift).saturating_add_unsigned(in_file)
        };
        let duration = time(next, next.tally(track).first) - time(part, tally.last);
        u32::try_from(duration.max(1)).unwrap_or(u32::MAX)
    }
}
