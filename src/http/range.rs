//! Ranges: the part of a file that a player requests.
//!
//! Spec: RFC 9110 §14.

use std::ops::Range;

/// The part of a file to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it: no range was requested, or none that is valid.
    Whole,
    Some(Range<u64>),
    /// It starts beyond the end.
    Unsatisfiable,
}

impl Part {
    /// Limits the part to this many bytes: sending less than requested is allowed (RFC 9110
    /// §15.3.7).
    pub fn within(self, bytes_max: u64) -> Part {
        match self {
            Part::Some(range) => {
                Part::Some(range.start..range.end.min(range.start.saturating_add(bytes_max)))
            }
            part => part,
        }
    }
}

/// Parses a `Range` field for a file of `length` bytes. Several ranges count as none, as RFC 9110
/// §14.2 allows: players request one.
pub fn part(field: Option<&str>, length: u64) -> Part {
    let Some(field) = field else { return Part::Whole };
    let Some((unit, range)) = field.split_once('=') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let Some((first, last)) = range.trim().split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Some(first), _) if first >= length && last.is_empty() => Part::Unsatisfiable,
        (Some(first), None) if last.is_empty() => Part::Some(first..length),
        (Some(first), Some(last)) if first > last => Part::Whole,
        (Some(first), Some(_)) if first >= length => Part::Unsatisfiable,
        (Some(first), Some(last)) => Part::Some(first..last.saturating_add(1).min(length)),
        (None, Some(0)) if first.is_empty() => Part::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && length == 0 => Part::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => {
            Part::Some(length.saturating_sub(suffix)..length)
        }
        _ => Part::Whole,
    }
}

/// Parses any number of digits; a number too large is beyond every end.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_get_what_they_ask_for() {
        for (field, wanted) in [
            ("bytes=0-", Part::Some(0..1000)), // Chromium, Firefox, VLC, ffplay
            ("bytes=0-1", Part::Some(0..2)),   // Safari's first question
            ("bytes=500-", Part::Some(500..1000)), // curl -C -
            ("bytes=500-599", Part::Some(500..600)),
            ("bytes=500-9999", Part::Some(500..1000)),
            ("bytes=-100", Part::Some(900..1000)),
            ("bytes=-9999", Part::Some(0..1000)),
            ("BYTES= 1-2 ", Part::Some(1..3)),
            ("bytes=999-999", Part::Some(999..1000)),
            ("bytes=0-18446744073709551615", Part::Some(0..1000)),
        ] {
            assert_eq!(part(Some(field), 1000), wanted, "{field}");
        }
    }

    #[test]
    fn a_range_beyond_the_end_is_refused() {
        for field in ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(part(Some(field), 1000), Part::Unsatisfiable, "{field}");
        }
        for field in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(part(Some(field), 0), Part::Unsatisfiable, "{field}");
        }
    }

    #[test]
    fn data_that_cannot_be_understood_is_malformed() {
        let fields = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=+1-2",
            "bytes=0x1-2",
            "items=0-1",
            "bytes=1-2-3",
            "bytes=-1-",
        ];
        for field in fields {
            assert_eq!(part(Some(field), 1000), Part::Whole, "{field}");
        }
        assert_eq!(part(None, 1000), Part::Whole);
    }

    #[test]
    fn a_range_is_no_longer_than_one_answer_may_be() {
        let part = |field, most| part(Some(field), 6 << 30).within(most);
        assert_eq!(part("bytes=5-", 1 << 20), Part::Some(5..(1 << 20) + 5));
        assert_eq!(part("bytes=5-9", 1 << 20), Part::Some(5..10));
        assert_eq!(part("bytes=-4", u64::MAX), Part::Some((6 << 30) - 4..6 << 30));
        assert_eq!(part("bytes=a", 1), Part::Whole);
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_within_the_file(field in "bytes=[0-9]{0,21}-[0-9]{0,21}", length: u64) {
            if let Part::Some(range) = part(Some(&field), length) {
                proptest::prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
