//! Names of files on a card.

use smolnvr::storage::layout::{self, Name};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

pub const WORDS: &[&str] =
    &["000", "014", "999999999", ".mp4", ".MP4", ".mP4", ".top", ".bad", "."];

pub fn names(data: &[u8]) {
    let file = OsStr::from_bytes(data);
    let number = number(data);
    let name = Name::parse(file);
    let is = |end: &str| number.filter(|_| data.to_ascii_lowercase().ends_with(end.as_bytes()));
    assert_eq!(name.map(Name::number), is(".mp4"));
    assert_eq!(layout::parse_highest_marker(file), is(".top"));
    assert_eq!(layout::parse_number_set_aside(file), is(".bad"));
    if let Some(name) = name {
        assert_eq!(name.file_name().as_bytes(), data, "the name is kept");
        let aside = name.set_aside();
        assert_eq!(layout::parse_number_set_aside(OsStr::new(&aside)), Some(name.number()));
        assert_eq!(Name::parse(OsStr::new(&aside)), None);
        let plain = Name::new(name.number()).expect("nine digits hold it");
        assert_eq!(Name::parse(OsStr::new(&plain.file_name())), Some(plain));
        let marker = layout::highest_marker(name.number());
        assert_eq!(layout::parse_highest_marker(OsStr::new(&marker)), Some(name.number()));
        let later = Name::new(name.number() + 1);
        assert!(later.is_none_or(|later| later > name), "numbers order names");
    }
}

/// Three to nine digits and an extension of three characters.
fn number(name: &[u8]) -> Option<u32> {
    let digits = name.strip_suffix(name.get(name.len().checked_sub(4)?..)?)?;
    let is_number = (3..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number && name[digits.len()] == b'.')?
        .parse()
        .ok()
}
