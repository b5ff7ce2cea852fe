//! Marks, and the lines of the text files that contain them. A mark says that something happened in
//! front of a camera, or that a detector was watching.
//!
//! A folder's marks lie in small files of lines beside its recordings (`marks-000014-0.txt`: begun
//! while recording 14 was the newest). A file takes all its room at once, filled with line feeds,
//! so that a line changes neither its size nor its clusters. Each line ends in a checksum: a line
//! that a power cut tore is skipped. A later line about the same mark replaces the earlier one,
//! which is how a mark ends. Spec: the drawing at [`Mark`]. Knows nothing of: files, HTTP.

pub mod rows;
#[cfg(test)]
mod tests;

use super::{catalog::SegmentTime, index::checksum};
use crate::{
    limits::{MARK_WORD_BYTES_MAX, MARK_WORDS_BYTES_MAX, MARKS_UNSETTLED_MAX},
    mp4::identity::ClockTrust,
    units::WallTime,
};
use std::{collections::VecDeque, fmt};

/// Something that happened, or is going on.
///
/// ```text
/// m ⇥ camera ⇥ source ⇥ kind ⇥ begin, ms ⇥ T|U ⇥ uptime, ms ⇥ boot ⇥ length, ms ⇥ -|+ ⇥ words
///   ⇥ checksum
/// b ⇥ boot ⇥ when it began, ms ⇥ checksum
/// ```
/// `T` is a trusted clock; `+` a mark that was still going on. Uptime and boot date a mark that was
/// made while the clock was wrong; both are `-` if the sender gave the time. A line of `b` gives
/// the true start of a boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    pub camera: String,
    /// What noticed it.
    pub source: Word,
    /// What it was: `motion`, `person`, `door`.
    pub kind: Word,
    /// Without control characters.
    pub words: String,
    pub begin: SegmentTime,
    pub length_ms: u32,
    pub course: Course,
}

/// Whether a mark has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    Over,
    /// It lasted at least as long as it says.
    GoingOn,
}

/// A short name: 1 to [`MARK_WORD_BYTES_MAX`] of a-z, 0-9, `-` and `_`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word(Box<str>);

/// A line of a file of marks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    Mark(Mark),
    /// When a boot began.
    Boot([u8; 16], WallTime),
}

/// The boots whose beginning is known, and whether it can be trusted.
pub type Began = Vec<([u8; 16], WallTime, ClockTrust)>;

impl Word {
    pub fn new(text: &str) -> Option<Word> {
        let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let is_word = (1..=MARK_WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_fit);
        is_word.then(|| Word(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Mark {
    /// The kind of a mark that says only that its source was able to notice something.
    pub const WATCHED: &str = "watched";

    pub fn is_watch(&self) -> bool {
        self.kind.as_str() == Mark::WATCHED
    }

    /// Whether both are about the same thing, so that the later one counts.
    pub fn is_same(&self, other: &Mark) -> bool {
        let key = |it: &Mark| (it.begin.wall, it.begin.up_ms, it.begin.boot);
        key(self) == key(other)
            && (&self.source, &self.kind, &self.camera)
                == (&other.source, &other.kind, &other.camera)
    }

    /// When it began, corrected by what is known of its boot, and whether that can be trusted.
    pub fn began(&self, began: &Began) -> (WallTime, ClockTrust) {
        let SegmentTime { boot, up_ms, wall, clock } = self.begin;
        let known = began.iter().find(|(of, ..)| *of == boot && boot != [0; 16]);
        match (clock, up_ms, known) {
            (ClockTrust::Untrusted, Some(up_ms), Some((_, began, clock))) => {
                let up_ms = i64::try_from(up_ms).unwrap_or(i64::MAX);
                (WallTime(began.0.saturating_add(up_ms)), *clock)
            }
            _ => (wall, clock),
        }
    }

    /// Appends its line.
    pub fn write(&self, out: &mut Vec<u8>) {
        let SegmentTime { boot, up_ms, wall, clock } = self.begin;
        let clock = if clock == ClockTrust::Trusted { 'T' } else { 'U' };
        let up = up_ms.map_or("-".to_owned(), |up_ms| up_ms.to_string());
        let boot = if boot == [0; 16] { "-".to_owned() } else { hex(boot) };
        let course = if self.course == Course::Over { '-' } else { '+' };
        let (camera, source, kind) = (&self.camera, &*self.source.0, &*self.kind.0);
        let (wall, length, words) = (wall.0, self.length_ms, &self.words);
        seal(
            out,
            format_args!(
                "m\t{camera}\t{source}\t{kind}\t{wall}\t{clock}\t{up}\t{boot}\t{length}\t{course}\t{words}"
            ),
        );
    }
}

impl Line {
    /// Parses a line without its line feed; `None` if it is incomplete, or of a later version.
    pub fn parse(line: &[u8]) -> Option<Line> {
        let (content, sum) = line.split_at_checked(line.len().checked_sub(SUM_BYTES)?)?;
        let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
        if checksum(content) != sum {
            return None;
        }
        let mut fields = std::str::from_utf8(content).ok()?.split('\t');
        let mut next = || fields.next();
        match next()? {
            "m" => {
                let camera = next()?.to_owned();
                let (source, kind) = (Word::new(next()?)?, Word::new(next()?)?);
                let wall = WallTime(next()?.parse().ok()?);
                let clock =
                    if next()? == "T" { ClockTrust::Trusted } else { ClockTrust::Untrusted };
                let up_ms = next()?.parse().ok();
                let boot = boot(next()?);
                let length_ms = next()?.parse().ok()?;
                let course = if next()? == "-" { Course::Over } else { Course::GoingOn };
                let words = words(next()?)?;
                let begin = SegmentTime { boot, up_ms, wall, clock };
                let mark = Mark { camera, source, kind, words, begin, length_ms, course };
                (mark.camera.len() <= CAMERA_BYTES_MAX).then_some(Line::Mark(mark))
            }
            "b" => Some(Line::Boot(boot(next()?), WallTime(next()?.parse().ok()?))),
            _ => None,
        }
    }

    /// Appends the line that says when a boot began.
    pub fn write_boot(boot: [u8; 16], began: WallTime, out: &mut Vec<u8>) {
        seal(out, format_args!("b\t{}\t{}", hex(boot), began.0));
    }
}

/// Checks the words of a mark; `None` if they have control characters or more than
/// [`MARK_WORDS_BYTES_MAX`] bytes.
pub fn words(text: &str) -> Option<String> {
    let is_fit = text.len() <= MARK_WORDS_BYTES_MAX && !text.contains(|it: char| it.is_control());
    is_fit.then(|| text.to_owned())
}

/// The complete lines of a file, in order.
pub fn lines(file: &[u8]) -> impl Iterator<Item = Line> {
    file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).filter_map(Line::parse)
}

/// Returns where the next line goes: after everything ever written.
pub fn end(file: &[u8]) -> usize {
    file.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 2).min(file.len())
}

/// Marks in the order of their lines: of those about the same thing, the last one. Each is passed
/// on once, when [`MARKS_UNSETTLED_MAX`] others followed it.
pub struct Settled<F> {
    unsettled: VecDeque<Mark>,
    sink: F,
}

impl<F: FnMut(&Mark)> Settled<F> {
    pub fn new(sink: F) -> Settled<F> {
        Settled { unsettled: VecDeque::new(), sink }
    }

    pub fn take(&mut self, mark: Mark) {
        if let Some(known) = self.unsettled.iter_mut().find(|known| known.is_same(&mark)) {
            *known = mark;
            return;
        }
        if self.unsettled.len() >= MARKS_UNSETTLED_MAX
            && let Some(first) = self.unsettled.pop_front()
        {
            (self.sink)(&first);
        }
        self.unsettled.push_back(mark);
    }

    pub fn finish(mut self) {
        self.unsettled.iter().for_each(&mut self.sink);
    }
}

fn seal(out: &mut Vec<u8>, content: fmt::Arguments) {
    let content = format!("{content}\t");
    out.extend_from_slice(content.as_bytes());
    out.extend_from_slice(format!("{:08x}\n", checksum(content.as_bytes())).as_bytes());
}

fn hex(boot: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(boot))
}

fn boot(text: &str) -> [u8; 16] {
    u128::from_str_radix(text, 16).unwrap_or(0).to_be_bytes()
}

/// The checksum in hexadecimal digits.
const SUM_BYTES: usize = 8;
/// As in the configuration.
const CAMERA_BYTES_MAX: usize = 32;
