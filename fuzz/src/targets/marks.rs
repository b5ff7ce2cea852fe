//! Lines of marks, as they may lie on a card: their checksums are made right, so that what is in
//! them counts.

use crate::source::Source;
use smolnvr::{
    limits::{MARK_WORD_BYTES_MAX, MARK_WORDS_BYTES_MAX},
    mp4::identity::ClockTrust,
    storage::marks::{
        self, Course, Line, Mark,
        rows::{self, Newest, Rows},
    },
    units::WallTime,
};

pub const WORDS: &[&str] = &[
    "m\tyard\tcamera\tmotion\t1795336200000\tT\t5000\t",
    "m\tyard\tcamera\twatched\t",
    "b\t",
    "\tU\t-\t-\t",
    "00000000000000000000000000000007",
    "-9223372036854775808",
    "9223372036854775807",
    "4294967295",
    "\t-\t",
    "\t+\t",
    "+",
    "\n",
    "\u{7f}",
];

/// Two times, how many rows are wanted, and lines without their checksums.
pub fn marks(data: &[u8]) {
    let mut source = Source::new(data);
    let (from, to) = (source.u64().cast_signed(), source.u64().cast_signed());
    let max = source.below(20);
    let text = source.rest();
    let mut file = Vec::new();
    for content in text.split(|byte| *byte == b'\n') {
        let content = [content, b"\t"].concat();
        file.extend(&content);
        file.extend(format!("{:08x}\n", checksum(&content)).bytes());
    }
    let read: Vec<Line> = marks::lines(&file).collect();
    assert!(read.len() <= text.split(|byte| *byte == b'\n').count());
    assert_eq!(marks::end(&file), file.len(), "all of it is taken");
    let (mut again, mut began) = (Vec::new(), Vec::new());
    for line in &read {
        match line {
            Line::Mark(mark) => {
                check(mark);
                mark.write(&mut again);
            }
            Line::Boot(boot, at) => {
                Line::write_boot(*boot, *at, &mut again);
                began.push((*boot, *at, ClockTrust::Trusted));
            }
        }
    }
    assert_eq!(marks::lines(&again).collect::<Vec<_>>(), read, "written as it was read");
    torn(&again, &read, &mut source);
    let mut cameras = read.iter().filter_map(|line| match line {
        Line::Mark(mark) => Some(mark.camera.clone()),
        Line::Boot(..) => None,
    });
    let camera = cameras.next_back().unwrap_or_default();
    let (from, to) = (WallTime(from.min(to)), WallTime(from.max(to)));
    let mut reduced = Rows::new(&camera, from, to, max);
    let mut newest = Newest::new(None, from, to, max.max(1));
    rows::gather([again].into_iter(), Vec::new(), |mark| {
        reduced.add(mark, &began);
        newest.add(mark, &began);
    });
    newest.settle();
    assert!(newest.marks.len() <= max.max(1));
    let (rows, watched, _) = reduced.finish(max, max);
    assert!(rows.len() <= max && watched.len() <= max);
    assert!(rows.is_sorted_by_key(|row| row.begin) && rows.iter().all(|row| row.begin <= row.end));
    assert!(watched.iter().all(|(begin, end)| begin <= end));
}

fn check(mark: &Mark) {
    for word in [&mark.source, &mark.kind] {
        assert!((1..=MARK_WORD_BYTES_MAX).contains(&word.as_str().len()));
    }
    assert!(mark.words.len() <= MARK_WORDS_BYTES_MAX && !mark.words.contains(char::is_control));
    assert!(mark.is_same(mark) && matches!(mark.course, Course::Over | Course::GoingOn));
}

/// A file that is cut has the lines before the cut, and no others.
fn torn(file: &[u8], whole: &[Line], source: &mut Source<'_>) {
    let cut = source.below(file.len().min(65_535) + 1);
    let left: Vec<Line> = marks::lines(&file[..cut]).collect();
    assert_eq!(left, whole[..left.len()]);
}

/// CRC-32 of IEEE 802.3.
fn checksum(bytes: &[u8]) -> u32 {
    let bit = |sum: u32| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}
