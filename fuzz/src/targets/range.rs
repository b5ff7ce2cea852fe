//! A `Range` field, for a file of any length.

use crate::source::Source;
use smolnvr::http::range::{Part, part};

pub const WORDS: &[&str] = &["bytes=", "0-", "-1", "0-0", "-", ",", "18446744073709551615", " "];

pub fn range(data: &[u8]) {
    let mut source = Source::new(data);
    let length = source.u64() >> (source.u8() & 63);
    assert_eq!(part(None, length), Part::Whole);
    let text = String::from_utf8_lossy(source.rest());
    let found = part(Some(&text), length);
    assert_eq!(found, plainly(&text, length.into()), "{text:?} of {length}");
}

/// RFC 9110 §14.1.2 in numbers that are large enough.
fn plainly(text: &str, length: u128) -> Part {
    let Some((unit, set)) = text.split_once('=') else { return Part::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Part::Whole };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let number = |text: &str| text.parse::<u128>().unwrap_or(u128::MAX).min(u128::from(u64::MAX));
    let is_part = match (first, last) {
        ("", last) => is_number(last),
        (first, "") => is_number(first),
        (first, last) => is_number(first) && is_number(last) && number(first) <= number(last),
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || !is_part {
        return Part::Whole;
    }
    let (start, end) = match (first, last) {
        ("", last) => (length - number(last).min(length), length),
        (first, "") => (number(first), length),
        (first, last) => (number(first), (number(last) + 1).min(length)),
    };
    let narrow = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    if start < end { Part::Some(narrow(start)..narrow(end)) } else { Part::Unsatisfiable }
}
