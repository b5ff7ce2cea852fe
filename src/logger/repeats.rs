//! Repeated lines: which are written, and how many were left out.

use crate::limits::{LOG_KINDS_MAX, LOG_REPEATS_MAX, LOG_REPEATS_PERIOD};
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Instant,
};

/// Counts lines by kind: a place in the source and a camera.
#[derive(Default)]
pub(super) struct Repeats(Vec<Kind>);

struct Kind {
    key: u64,
    /// When its period began.
    since: Instant,
    lines: u32,
    /// The first line that was left out.
    example: String,
}

impl Repeats {
    /// Returns true if a line should be written. `place` is its file and line in the source.
    pub fn admits(&mut self, place: (&str, u32), text: &str, now: Instant) -> bool {
        let subject = text.split_whitespace().next().filter(|word| word.starts_with(SUBJECT));
        let mut hasher = DefaultHasher::new();
        (place, subject).hash(&mut hasher);
        let key = hasher.finish();
        let Repeats(kinds) = self;
        let Some(kind) = kinds.iter_mut().find(|kind| kind.key == key) else {
            if kinds.len() >= LOG_KINDS_MAX {
                let oldest = kinds.iter().enumerate().min_by_key(|(_, kind)| kind.since);
                kinds.swap_remove(oldest.map_or(0, |(index, _)| index));
            }
            kinds.push(Kind { key, since: now, lines: 1, example: String::new() });
            return true;
        };
        kind.lines = kind.lines.saturating_add(1);
        if kind.lines == LOG_REPEATS_MAX + 1 {
            kind.example = text.chars().take(EXAMPLE_CHARS).collect();
        }
        kind.lines <= LOG_REPEATS_MAX
    }

    /// Returns a summary of the lines left out in a finished period; call it until it returns
    /// `None`.
    pub fn left_out(&mut self, now: Instant) -> Option<String> {
        let Repeats(kinds) = self;
        let is_over = |kind: &Kind| now.saturating_duration_since(kind.since) >= LOG_REPEATS_PERIOD;
        let said = kinds.iter().find(|kind| is_over(kind) && kind.lines > LOG_REPEATS_MAX);
        let said = said.map(|kind| {
            let (count, example) = (kind.lines - LOG_REPEATS_MAX, &kind.example);
            let line = format!("{count} more lines like this one left out: {example}");
            (kind.key, line)
        });
        match said {
            Some((key, line)) => {
                kinds.retain(|kind| kind.key != key);
                Some(line)
            }
            None => {
                kinds.retain(|kind| !is_over(kind));
                None
            }
        }
    }
}

const SUBJECT: &str = "camera=";
const EXAMPLE_CHARS: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "a point to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_line_is_written_ten_times_a_minute_and_then_counted() {
        let (mut repeats, start) = (Repeats::default(), start());
        let mut written = 0;
        for nth in 0..1000 {
            let now = start + Duration::from_millis(50 * nth);
            assert_eq!(repeats.left_out(now), None);
            written += u32::from(repeats.admits(("a.rs", 1), &format!("camera=a n={nth}"), now));
        }
        assert_eq!(written, LOG_REPEATS_MAX);
        // Another camera and another place in the source are counted separately.
        assert!(repeats.admits(("a.rs", 1), "camera=b n=1", start));
        assert!(repeats.admits(("a.rs", 2), "camera=a n=1", start));
        let later = start + LOG_REPEATS_PERIOD;
        let line = repeats.left_out(later).unwrap();
        assert_eq!(line, "990 more lines like this one left out: camera=a n=10");
        assert_eq!(repeats.left_out(later), None);
        assert!(repeats.admits(("a.rs", 1), "camera=a n=1000", later));
    }

    #[test]
    fn kinds_without_end_take_a_bounded_room() {
        let (mut repeats, start) = (Repeats::default(), start());
        for nth in 0..1000 {
            repeats.admits(("a.rs", nth), "x", start);
            assert!(repeats.0.len() <= LOG_KINDS_MAX);
        }
    }
}
