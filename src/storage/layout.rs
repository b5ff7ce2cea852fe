//! Names on the card: which files are recordings, which are ours otherwise, and which are foreign.
//!
//! A file's name in, its number out, and back.
//! Spec: docs/configuration.md, "Files on the card".
//! Knows nothing of: directories, file contents after the first box.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The name of a recording, `<3 to 9 digits>.mp4` in any case; ordered by number.
///
/// The old system wrote `000.mp4`, others may have written `0014.MP4`: the spelling is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name {
    /// Big-endian bytes, so that a name takes 5 bytes without padding.
    number: [u8; 4],
    form: Form,
}

/// The spelling of a number: the number of digits, and in the lowest two bits whether the `m` (1)
/// and the `p` (2) of `mp4` are capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Form(u8);

impl Form {
    fn new(digits: u8, capitals: u8) -> Form {
        Form(digits << 2 | capitals)
    }

    fn digits(self) -> usize {
        usize::from(self.0 >> 2)
    }
}

impl Name {
    /// The name `%03d.mp4`; `None` if the number needs more than nine digits.
    pub fn new(number: u32) -> Option<Name> {
        let form = Form::new(digits_of(number), 0);
        (number <= NUMBER_MAX).then_some(Name { number: number.to_be_bytes(), form })
    }

    /// Parses a recording's file name; `None` for other names.
    pub fn parse(file: &OsStr) -> Option<Name> {
        let (number, digits, extension) = numbered(file)?;
        let [m, p, b'4'] = extension else { return None };
        let is_mp4 = extension.eq_ignore_ascii_case(b"mp4");
        let capitals = u8::from(m.is_ascii_uppercase()) | u8::from(p.is_ascii_uppercase()) << 1;
        let form = Form::new(digits, capitals);
        is_mp4.then_some(Name { number: number.to_be_bytes(), form })
    }

    pub fn number(self) -> u32 {
        u32::from_be_bytes(self.number)
    }

    /// Returns another name of the same number, with one digit more; `None` if it has nine.
    pub fn longer(self) -> Option<Name> {
        let digits = u8::try_from(self.form.digits() + 1).ok().filter(|digits| *digits <= 9)?;
        Some(Name { form: Form::new(digits, 0), ..self })
    }

    /// Whether it has more digits than the usual name of its number.
    pub fn is_longer(self) -> bool {
        self.form.digits() > digits_of(self.number()).into()
    }

    /// Returns the name as 5 bytes, for [`Name::from_bytes`].
    pub fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.number;
        [a, b, c, d, self.form.0]
    }

    /// The inverse of [`Name::to_bytes`]; `None` for invalid bytes.
    pub fn from_bytes([a, b, c, d, form]: [u8; 5]) -> Option<Name> {
        let name = Name { number: [a, b, c, d], form: Form(form) };
        let digits = name.form.digits();
        let is_name = name.number() <= NUMBER_MAX && digits <= 9;
        (is_name && digits >= digits_of(name.number()).into()).then_some(name)
    }

    /// Returns the name as spelled in the directory.
    pub fn file_name(self) -> String {
        let m = if self.form.0 & 1 == 0 { 'm' } else { 'M' };
        let p = if self.form.0 & 2 == 0 { 'p' } else { 'P' };
        format!("{:0width$}.{m}{p}4", self.number(), width = self.form.digits())
    }

    /// The name to which a file beyond repair is moved; it is foreign from then on.
    pub fn set_aside(self) -> String {
        format!("{:0width$}.bad", self.number(), width = self.form.digits())
    }
}

/// A recording as requested by users: by number ([`super::catalog::Entry::address`]), or by its
/// exact name if that is not the usual one (`0014.mp4` and `014.MP4` may exist beside `014.mp4`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    Number(u32),
    Name(Name),
}

impl Asked {
    /// Parses `14`, `014.mp4`, `0014.MP4`, or `1000000014.mp4`.
    pub fn parse(text: &str) -> Option<Asked> {
        if let Some(name) = Name::parse(text.as_ref()) {
            let is_usual = Name::new(name.number()) == Some(name);
            return Some(if is_usual { Asked::Number(name.number()) } else { Asked::Name(name) });
        }
        // No name has ten digits, but an address may.
        let long = text.strip_suffix(".mp4").filter(|digits| digits.len() == 10);
        let text = long.unwrap_or(text);
        let is_number =
            (1..=10).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten().map(Asked::Number)
    }

    pub fn number(self) -> u32 {
        match self {
            Asked::Number(number) => number,
            Asked::Name(name) => name.number(),
        }
    }
}

/// The name of the empty file that stores the highest number ever used, once that recording has
/// been deleted.
///
/// A name instead of content: on FAT it is created and removed with one sector of the directory. A
/// power cut leaves the old one, the new one or both, of which the higher counts; no rename is
/// needed.
pub fn highest_marker(number: u32) -> String {
    format!("{number:03}.top")
}

/// Parses such a name.
pub fn parse_highest_marker(file: &OsStr) -> Option<u32> {
    let (number, _, extension) = numbered(file)?;
    extension.eq_ignore_ascii_case(b"top").then_some(number)
}

/// Parses the number of a file set aside, which remains used.
pub fn parse_number_set_aside(file: &OsStr) -> Option<u32> {
    let (number, _, extension) = numbered(file)?;
    extension.eq_ignore_ascii_case(b"bad").then_some(number)
}

/// The name under which another program writes a file, until it becomes a recording.
pub fn staged_name(number: u32) -> String {
    format!("{number:03}{STAGED}")
}

/// The same as a pattern for FFmpeg.
pub const STAGED_PATTERN: &str = "%03d.new";

/// Parses such a name.
pub fn parse_staged_name(file: &OsStr) -> Option<u32> {
    let (number, _, extension) = numbered(file)?;
    extension.eq_ignore_ascii_case(&STAGED.as_bytes()[1..]).then_some(number)
}

/// The index of a folder ([`super::index`]).
///
/// Named by a number like all else there, and sorted before the recordings: scripts that take a
/// number from each name, or the last name for the newest recording, go on working.
pub const INDEX: &str = "000.idx";
/// The count of bytes written to the card, beside the folders ([`super::facts`]).
pub const WRITTEN: &str = "000.cnt";

/// A file of marks ([`super::marks`]); ordered by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MarkFile {
    /// The newest recording when it was begun.
    pub first: u32,
    /// Tells files of the same recording apart.
    pub nth: u16,
}

impl MarkFile {
    /// The name `marks-000014-0.txt`.
    pub fn file_name(self) -> String {
        format!("{MARKS}{:06}-{}.txt", self.first, self.nth)
    }

    /// Parses such a name; `None` for other names.
    pub fn parse(file: &OsStr) -> Option<MarkFile> {
        let name = file.to_str()?.strip_prefix(MARKS)?.strip_suffix(".txt")?;
        let (first, nth) = name.split_once('-')?;
        let parsed = MarkFile { first: first.parse().ok()?, nth: nth.parse().ok()? };
        (file == OsStr::new(&parsed.file_name())).then_some(parsed)
    }
}

/// Returns true if a file that starts like this is a recording: its first box is `ftyp`.
pub fn begins_with_ftyp(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"ftyp")
}

/// Returns the path of a camera's folder as configured; `.` is the storage path itself, where the
/// old system recorded.
pub fn folder(root: &Path, folder: &str) -> PathBuf {
    if folder == "." { root.to_owned() } else { root.join(folder) }
}

/// Returns true if a folder of this name below the storage path may be a former camera's.
pub fn may_be_folder(file: &OsStr) -> bool {
    file.to_str().is_some_and(is_folder)
}

/// Returns true for a valid folder name: one level, and the same on every file system.
pub fn is_folder(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=FOLDER_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_fit)
}

/// The owner of recordings in the storage path that name no camera, if no camera claims it: the old
/// system's camera, as in the shipped configuration.
pub const NAMELESS: &str = "camera";

/// Parses number, number of digits and extension of `<3 to 9 digits>.<extension>`.
fn numbered(file: &OsStr) -> Option<(u32, u8, &[u8])> {
    let bytes = file.as_encoded_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at_checked(digits)?;
    let (b'.', extension) = rest.split_first()? else { return None };
    let number = std::str::from_utf8(number).ok()?;
    let digits = u8::try_from(digits).ok().filter(|digits| (3..=9).contains(digits))?;
    Some((number.parse().ok()?, digits, extension))
}

fn digits_of(number: u32) -> u8 {
    let digits = number.checked_ilog10().unwrap_or(0) + 1;
    u8::try_from(digits.max(3)).expect("a u32 has at most ten digits")
}

const STAGED: &str = ".new";
const MARKS: &str = "marks-";
/// As for a camera's name.
const FOLDER_BYTES_MAX: usize = 32;
/// Nine digits.
const NUMBER_MAX: u32 = 999_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Option<Name> {
        Name::parse(OsStr::new(name))
    }

    #[test]
    fn three_to_nine_digits_and_mp4_in_any_case_are_a_recording() {
        for name in ["000.mp4", "014.MP4", "0014.Mp4", "1000.mP4", "999999999.mp4"] {
            assert_eq!(parse(name).unwrap().file_name(), name);
        }
        assert_eq!(parse("0014.mp4").unwrap().number(), 14);
    }

    #[test]
    fn everything_else_is_foreign() {
        for name in [
            "",
            ".mp4",
            "14.mp4",
            "1234567890.mp4",
            "014.mp",
            "014.mp44",
            "014mp4",
            "a14.mp4",
            "014.mp4.bak",
            "014.top",
            "014.bad",
            "-14.mp4",
            "+14.mp4",
            " 14.mp4",
            "014 .mp4",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(Name::parse(OsStr::from_bytes(b"\xff\xfe.mp4")), None);
    }

    #[test]
    fn numbers_have_three_digits_until_they_need_more() {
        let name = |number| Name::new(number).unwrap().file_name();
        assert_eq!(name(0), "000.mp4");
        assert_eq!(name(99), "099.mp4");
        assert_eq!(name(1000), "1000.mp4");
        assert_eq!(name(NUMBER_MAX), "999999999.mp4");
        assert_eq!(Name::new(NUMBER_MAX + 1), None);
        for number in [0, 9, 10, 999, 1000, 123_456, NUMBER_MAX] {
            assert_eq!(parse(&name(number)), Name::new(number));
        }
    }

    #[test]
    fn a_name_in_five_bytes_is_that_name_and_other_bytes_are_none() {
        for file in ["000.mp4", "014.MP4", "0014.Mp4", "1000.mP4", "999999999.mp4"] {
            let name = parse(file).unwrap();
            assert_eq!(Name::from_bytes(name.to_bytes()), Some(name), "{file}");
            assert_eq!(size_of_val(&name), 5);
        }
        let form = |form: u8| Name::from_bytes([0, 0, 4, 210, form]); // 1234
        let forms: Vec<_> = (0..=255).filter_map(form).map(Name::file_name).collect();
        assert_eq!(forms.len(), 6 * 4, "four to nine digits: {forms:?}");
        assert!(forms.iter().all(|file| parse(file).is_some()));
        assert_eq!(Name::from_bytes([255, 0, 0, 0, 9 << 2]), None);
    }

    #[test]
    fn a_recording_is_asked_for_by_number_or_by_a_name_that_is_not_the_usual_one() {
        for text in ["14", "014", "0014", "014.mp4"] {
            assert_eq!(Asked::parse(text), Some(Asked::Number(14)), "{text}");
        }
        for text in ["0014.mp4", "014.MP4"] {
            assert_eq!(Asked::parse(text), parse(text).map(Asked::Name), "{text}");
        }
        for text in ["1234567890", "1234567890.mp4"] {
            assert_eq!(Asked::parse(text), Some(Asked::Number(1_234_567_890)), "{text}");
        }
        for text in ["", "-1", "14.mp4", "9876543210", "12345678901.mp4", "014.jpg", "../014.mp4"] {
            assert_eq!(Asked::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_marker_of_the_highest_number_is_read_back_in_any_case() {
        assert_eq!(parse_highest_marker(OsStr::new(&highest_marker(1234))), Some(1234));
        assert_eq!(parse_highest_marker(OsStr::new("014.TOP")), Some(14));
        assert_eq!(parse_highest_marker(OsStr::new("014.mp4")), None);
    }

    /// As of scripts: `int(name[:-4])`, `sorted(os.listdir(folder))[-1]`.
    #[test]
    fn index_and_count_are_named_by_a_number_before_all_recordings() {
        let first = Name::new(0).unwrap().file_name();
        for file in [INDEX, WRITTEN] {
            let (number, kind) = file.split_once('.').unwrap();
            assert_eq!((number, kind.len()), ("000", 3));
            assert!(file < first.as_str() && parse(file).is_none());
        }
    }

    #[test]
    fn a_file_being_written_by_another_program_is_no_recording_yet() {
        for number in [0, 14, 1234] {
            let name = staged_name(number);
            assert_eq!(parse_staged_name(name.as_ref()), Some(number));
            assert_eq!((parse(&name), parse_number_set_aside(name.as_ref())), (None, None));
        }
        assert_eq!(STAGED_PATTERN.replace("%03d", "007"), staged_name(7));
        assert_eq!(parse_staged_name("014.mp4".as_ref()), None);
    }

    #[test]
    fn a_file_of_marks_is_read_back_and_nothing_else_is_one() {
        for (first, nth) in [(0, 0), (14, 9), (999_999_999, 65_535)] {
            let file = MarkFile { first, nth };
            assert_eq!(MarkFile::parse(file.file_name().as_ref()), Some(file));
            assert_eq!(parse(&file.file_name()), None);
        }
        for name in [
            "marks.txt",
            "marks-1-0.txt",
            "marks-000001-00.txt",
            "marks-000001.txt",
            "marks-+00001-0.txt",
        ] {
            assert_eq!(MarkFile::parse(name.as_ref()), None, "{name}");
        }
    }

    #[test]
    fn a_recording_begins_with_ftyp() {
        assert!(begins_with_ftyp(b"\0\0\0\x18ftypiso5"));
        let file = b"\0\0\0\x18ftyp";
        for len in 0..file.len() {
            assert!(!begins_with_ftyp(&file[..len]));
        }
    }

    #[test]
    fn a_dot_is_the_path_itself() {
        assert_eq!(folder(Path::new("/mnt/c"), "."), Path::new("/mnt/c"));
        assert_eq!(folder(Path::new("/mnt/c"), "gate"), Path::new("/mnt/c/gate"));
    }
}
