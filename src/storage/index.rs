//! The index of a folder: what the list knows of each recording, in one file, so that a start need
//! not open them all.
//!
//! Rows in, records out, and back. A record has 32 bytes and its own checksum; the file is a log of
//! them in space allocated before, so that a record changes neither the file's size nor its
//! clusters. Of two records of one recording the later counts. If the log is full and mostly about
//! recordings that are gone, a new round begins at its front; records of the round before count
//! until they are overwritten, for recordings that the new round does not name yet.
//!
//! A cache: it may be lost, torn or wrong at any byte, and the files decide.
//! Spec: the drawing at [`IndexRow`]. Knows nothing of: files, the list.

use super::{catalog::SegmentState, layout::Name};
use crate::{
    bits::Bytes,
    codec::Codec,
    mp4::identity::{Cause, SegmentMarks},
    units::WallTime,
};

/// What a record says of a recording.
///
/// ```text
/// 0     1      2     7      8      9       10     16     22           26     27     28
/// kind, round, name, facts, owner, codecs, bytes, start, duration_ms, marks, cause, checksum
/// ```
/// Integers are big-endian. `facts`: bit 0 is a trusted clock, bits 1 and 2 the state, bits 3 and 4
/// the codec. Owner and codecs are numbers of texts, which have records of their own; 255 stands
/// for none. Marks and cause are as in an identity box.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct IndexRow<'a> {
    pub name: Name,
    /// Whole, cut or damaged.
    pub state: SegmentState,
    pub clock_trusted: bool,
    pub codec: Option<Codec>,
    /// The name of its camera, if known.
    pub owner: Option<&'a str>,
    /// Empty if unknown.
    pub codecs: &'a str,
    pub bytes: u64,
    pub start: WallTime,
    pub duration_ms: u32,
    pub marks: SegmentMarks,
    pub cause: Cause,
}

/// Whether a record belongs to the current round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    Current,
    Before,
}

/// The end of a log, and the texts of its numbers.
#[derive(Debug, Default)]
pub struct IndexLog {
    /// That of the first valid record: every round starts at the front.
    round: Option<u8>,
    /// Slots read so far.
    read: u32,
    /// The slot of the next record.
    next: u32,
    owners: Texts,
    codecs: Texts,
}

/// Texts by number, empty if unused.
#[derive(Debug, Default)]
struct Texts {
    known: Vec<Box<str>>,
    /// The number of the text being read, its length, and its parts so far.
    partial: (u8, u8, Vec<u8>),
}

impl IndexLog {
    /// Reads the next slot; `None` if it contains no valid row.
    pub fn read(&mut self, slot: &[u8; RECORD_BYTES]) -> Option<(IndexRow<'_>, Round)> {
        self.read += 1;
        let (record, sum) = slot.split_last_chunk::<4>()?;
        if *sum != checksum(record).to_be_bytes() {
            return None;
        }
        let mut record = Bytes(record);
        let (kind, round) = (record.u8()?, record.u8()?);
        let is_current = *self.round.get_or_insert(round) == round;
        let round = if is_current { Round::Current } else { Round::Before };
        if is_current {
            self.next = self.read;
        }
        match kind {
            SEGMENT => self.row(record).map(|row| (row, round)),
            OWNER => self.owners.read(record, round).and(None),
            CODECS => self.codecs.read(record, round).and(None),
            _ => None,
        }
    }

    fn row(&self, mut record: Bytes) -> Option<IndexRow<'_>> {
        let name = Name::from_bytes(record.array()?)?;
        let facts = record.u8()?;
        let owner = self.owners.get(record.u8()?)?;
        let codecs = self.codecs.get(record.u8()?)?;
        let [a, b, c, d, e, f] = record.array()?;
        let bytes = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let [a, b, c, d, e, f] = record.array()?;
        let start = WallTime(i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16);
        Some(IndexRow {
            name,
            state: *STATES.get(usize::from(facts >> 1 & 3))?,
            clock_trusted: facts & 1 != 0,
            codec: *CODEC_KINDS.get(usize::from(facts >> 3 & 3))?,
            owner: (!owner.is_empty()).then_some(owner),
            codecs,
            bytes,
            start,
            duration_ms: record.u32()?,
            marks: SegmentMarks::of_flags(record.u8()?),
            cause: Cause::of_number(record.u8()?),
        })
    }

    /// Appends the records of a row: new texts, then the row. Returns false if it cannot be
    /// represented.
    pub fn write(&mut self, row: &IndexRow, out: &mut Vec<u8>) -> bool {
        self.try_write(row, out).is_some()
    }

    fn try_write(&mut self, row: &IndexRow, out: &mut Vec<u8>) -> Option<()> {
        let state = STATES.iter().position(|it| *it == row.state)?;
        let codec = CODEC_KINDS.iter().position(|it| *it == row.codec)?;
        let [0, 0, bytes @ ..] = row.bytes.to_be_bytes() else { return None };
        let [start @ .., 0, 0] = row.start.0.checked_mul(1 << 16)?.to_be_bytes() else {
            return None;
        };
        let round = self.round();
        let owner = self.owners.number(OWNER, round, row.owner.unwrap_or(""), out)?;
        let codecs = self.codecs.number(CODECS, round, row.codecs, out)?;
        let facts = u8::from(row.clock_trusted) | (state as u8) << 1 | (codec as u8) << 3;
        let mut record = [0; RECORD_BYTES];
        let fields: [&[u8]; 7] = [
            &[SEGMENT, round],
            &row.name.to_bytes(),
            &[facts, owner, codecs],
            &bytes,
            &start,
            &row.duration_ms.to_be_bytes(),
            &[row.marks.flags(), row.cause as u8],
        ];
        fields.iter().copied().flatten().zip(&mut record).for_each(|(from, to)| *to = *from);
        seal(record, out);
        Some(())
    }

    /// Starts a new round at the front of the file: appends all texts.
    pub fn begin_anew(&mut self, out: &mut Vec<u8>) {
        let round = self.round().wrapping_add(1);
        (self.round, self.next) = (Some(round), 0);
        self.owners.write(OWNER, round, out);
        self.codecs.write(CODECS, round, out);
    }

    /// The slot of the next record.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Reports that so many records were written there.
    pub fn written(&mut self, records: u32) {
        self.round = Some(self.round());
        self.next += records;
    }

    fn round(&self) -> u8 {
        self.round.unwrap_or(0)
    }
}

impl Texts {
    fn get(&self, number: u8) -> Option<&str> {
        match number {
            NONE => Some(""),
            number => {
                let text = self.known.get(usize::from(number))?;
                Some(&**text).filter(|text| !text.is_empty())
            }
        }
    }

    /// Reads a part of a text: its number, its total length, the offset, and up to [`PART_BYTES`]
    /// of it.
    fn read(&mut self, mut record: Bytes, round: Round) -> Option<()> {
        let (number, length, begin) = (record.u8()?, record.u8()?, record.u8()?);
        if begin == 0 {
            self.partial = (number, length, Vec::new());
        }
        let (of, whole, text) = &mut self.partial;
        if (*of, *whole, text.len()) != (number, length, begin.into()) || number == NONE {
            return None;
        }
        let part = usize::from(length.checked_sub(begin)?).min(PART_BYTES);
        text.extend_from_slice(record.take(part)?);
        if text.len() == usize::from(length) {
            let text = str::from_utf8(text).ok()?.into();
            let at = usize::from(number);
            if self.known.len() <= at {
                self.known.resize(at + 1, "".into());
            }
            let known = self.known.get_mut(at)?;
            if round == Round::Current || known.is_empty() {
                *known = text;
            }
        }
        Some(())
    }

    /// Returns the number of a text; a new one is appended.
    fn number(&mut self, kind: u8, round: u8, text: &str, out: &mut Vec<u8>) -> Option<u8> {
        if text.is_empty() {
            return Some(NONE);
        }
        let known = self.known.iter().position(|known| **known == *text);
        let number = known.unwrap_or(self.known.len());
        let number = u8::try_from(number).ok().filter(|&number| number != NONE)?;
        if known.is_none() {
            let length = u8::try_from(text.len()).ok()?;
            self.known.push(text.into());
            write_text(kind, round, (number, length), text, out);
        }
        Some(number)
    }

    fn write(&self, kind: u8, round: u8, out: &mut Vec<u8>) {
        for (number, text) in (0..NONE).zip(&self.known) {
            let length = u8::try_from(text.len()).unwrap_or(0); // as they were read
            write_text(kind, round, (number, length), text, out);
        }
    }
}

fn write_text(kind: u8, round: u8, (number, length): (u8, u8), text: &str, out: &mut Vec<u8>) {
    for (begin, part) in (0_u8..).step_by(PART_BYTES).zip(text.as_bytes().chunks(PART_BYTES)) {
        let mut record = [0; RECORD_BYTES];
        let head = [kind, round, number, length, begin];
        head.iter().chain(part).zip(&mut record).for_each(|(from, to)| *to = *from);
        seal(record, out);
    }
}

/// Appends a record with its checksum.
fn seal(mut record: [u8; RECORD_BYTES], out: &mut Vec<u8>) {
    if let Some((content, sum)) = record.split_last_chunk_mut::<4>() {
        *sum = checksum(content).to_be_bytes();
    }
    out.extend_from_slice(&record);
}

/// CRC-32 of IEEE 802.3, by half bytes: about 10 ms for 30,000 records on a board.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let half = |sum: u32| sum >> 4 ^ TABLE[(sum & 15) as usize];
    !bytes.iter().fold(!0, |sum, byte| half(half(sum ^ u32::from(*byte))))
}

/// The remainder of four bits.
const TABLE: [u32; 16] = {
    let (mut table, mut index) = ([0; 16], 0);
    while index < 16 {
        let (mut sum, mut bit) = (index as u32, 0);
        while bit < 4 {
            sum = if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0xedb8_8320 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
};

pub const RECORD_BYTES: usize = 32;
/// Kinds of records; unknown ones are skipped. 0 is space never written.
const SEGMENT: u8 = 1;
const OWNER: u8 = 2;
const CODECS: u8 = 3;
const STATES: [SegmentState; 3] = [SegmentState::Whole, SegmentState::Cut, SegmentState::Damaged];
const CODEC_KINDS: [Option<Codec>; 3] = [None, Some(Codec::H264), Some(Codec::H265)];
/// The number for no text.
const NONE: u8 = u8::MAX;
/// Bytes of a text in one record.
const PART_BYTES: usize = RECORD_BYTES - 5 - 4;

#[cfg(test)]
mod tests;
