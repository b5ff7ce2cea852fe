//! Times as users type and read them, in the machine's local time ↔ UTC.

use super::Usage;
use crate::{
    units::{WallTime, days_of_civil},
    zone::Zone,
};

/// Parses two times, of which the second may be relative to the first (`+5m`).
///
/// # Errors
/// One of them is not a time, or the second is not later than the first.
pub(super) fn span(
    from: &str,
    to: &str,
    now: WallTime,
    zone: &Zone,
) -> Result<(WallTime, WallTime), Usage> {
    let begin = moment(from, now, zone)?;
    let end = match to.strip_prefix('+').and_then(millis) {
        Some(span) => WallTime(begin.0 + span),
        None => moment(to, now, zone)?,
    };
    if end <= begin {
        return Err(Usage(format!("{to} is not later than {from}")));
    }
    Ok((begin, end))
}

/// # Errors
/// The text is not a time.
pub(super) fn moment(text: &str, now: WallTime, zone: &Zone) -> Result<WallTime, Usage> {
    read(text, now, zone).ok_or_else(|| {
        Usage(format!("{text:?} is not a time: write 14:27, 2026-11-24T14:27 or -10m"))
    })
}

/// Formats a time as ISO 8601 with its offset from UTC: `2026-11-24T14:27:00+01:00`.
pub(super) fn local(time: WallTime, zone: &Zone) -> String {
    let ahead = zone.offset_minutes_at(time);
    let utc = WallTime(time.0.saturating_add(ahead * 60_000)).to_string();
    let sign = match ahead {
        0 => return utc,
        1.. => '+',
        _ => '-',
    };
    let (hours, minutes) = (ahead.abs() / 60, ahead.abs() % 60);
    format!("{}{sign}{hours:02}:{minutes:02}", utc.trim_end_matches('Z'))
}

fn read(text: &str, now: WallTime, zone: &Zone) -> Option<WallTime> {
    if text == "now" {
        return Some(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        return Some(WallTime(now.0 - millis(ago)?));
    }
    if (EPOCH_DIGITS_MIN..=EPOCH_DIGITS_MAX).contains(&text.len())
        && let Some(time) = number(text)
    {
        return Some(WallTime(time));
    }
    let (text, fixed) = split_zone(text);
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None if text.contains(':') => ("today", Some(text)),
        None => (text, None),
    };
    let today = zone.day_of(now);
    let day = match date {
        "today" => today,
        "yesterday" => today - 1,
        date => day(date)?,
    };
    let local = day * DAY_SECONDS + time.map_or(Some(0), time_of_day)?;
    let ahead = fixed.unwrap_or_else(|| {
        // The first guess may lie across a change of the clocks.
        let at = |ahead| zone.offset_minutes_at(WallTime((local - ahead) * 1000)) * 60;
        at(at(at(0)))
    });
    Some(WallTime((local - ahead) * 1000))
}

/// Splits `Z` or `+01:00` off a time; the offset in seconds.
fn split_zone(text: &str) -> (&str, Option<i64>) {
    if let Some(text) = text.strip_suffix('Z') {
        return (text, Some(0));
    }
    let split = text.len().checked_sub(6).and_then(|at| text.split_at_checked(at));
    let Some((rest, zone)) = split.filter(|(rest, _)| rest.contains(':')) else {
        return (text, None);
    };
    let seconds = zone.get(1..).and_then(time_of_day);
    match (zone.as_bytes().first(), seconds) {
        (Some(b'+'), Some(seconds)) => (rest, Some(seconds)),
        (Some(b'-'), Some(seconds)) => (rest, Some(-seconds)),
        _ => (text, None),
    }
}

/// Parses `2026-11-24` to days since 1970-01-01.
fn day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut part = |digits| parts.next().filter(|part| part.len() == digits).and_then(number);
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let is_date = parts.next().is_none() && (1..=12).contains(&month) && day >= 1;
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let day = days_of_civil(year, month, day);
    (is_date && day < days_of_civil(next.0, next.1, 1)).then_some(day)
}

/// Parses `14:27` or `14:27:30` to seconds.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let mut part = |below| {
        let number = parts.next().filter(|part| part.len() == 2).and_then(number);
        number.filter(|number| *number < below)
    };
    let (hour, minute) = (part(24)?, part(60)?);
    let second = if text.len() > 5 { part(60)? } else { 0 };
    parts.next().is_none().then_some(hour * 3600 + minute * 60 + second)
}

/// Parses `10m` to milliseconds.
fn millis(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY_SECONDS,
        _ => return None,
    };
    let count = number(count).filter(|_| count.len() <= 6)?;
    Some(count * seconds * 1000)
}

fn number(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

const DAY_SECONDS: i64 = 86_400;
/// From 1973 to the year 9999.
const EPOCH_DIGITS_MIN: usize = 12;
const EPOCH_DIGITS_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-24 15:00 in Berlin, in winter.
    const NOW: WallTime = WallTime(1_795_528_800_000);
    fn berlin() -> Zone {
        Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn utc(text: &str) -> String {
        read(text, NOW, &berlin()).map_or_else(|| "none".into(), |time| time.to_string())
    }

    #[test]
    fn moments_are_taken_as_people_type_them() {
        for (text, time) in [
            ("now", "2026-11-24T14:00:00Z"),
            ("14:27", "2026-11-24T13:27:00Z"),
            ("00:00:30", "2026-11-23T23:00:30Z"),
            ("today 14:27", "2026-11-24T13:27:00Z"),
            ("yesterday 14:27", "2026-11-23T13:27:00Z"),
            ("yesterday", "2026-11-22T23:00:00Z"),
            ("2026-11-24", "2026-11-23T23:00:00Z"),
            ("2026-11-24T14:27", "2026-11-24T13:27:00Z"),
            ("2026-11-24 14:27:59", "2026-11-24T13:27:59Z"),
            ("2026-11-24T14:27Z", "2026-11-24T14:27:00Z"),
            ("2026-11-24T14:27:00+01:00", "2026-11-24T13:27:00Z"),
            ("2026-11-24T14:27-05:00", "2026-11-24T19:27:00Z"),
            ("2028-02-29", "2028-02-28T23:00:00Z"),
            ("2026-07-01T12:00", "2026-07-01T10:00:00Z"),
            ("-10m", "2026-11-24T13:50:00Z"),
            ("-2d", "2026-11-22T14:00:00Z"),
            ("1795528800000", "2026-11-24T14:00:00Z"),
        ] {
            assert_eq!(utc(text), time, "{text}");
        }
    }

    #[test]
    fn an_invalid_time_is_refused() {
        for text in [
            "",
            "-",
            "10m",
            "-10",
            "-10w",
            "--1m",
            "-1000000d",
            "24:00",
            "14:60",
            "1:00",
            "14:27:",
            "14:27:60",
            "14:27:00:00",
            "2026-13-01",
            "2026-02-29",
            "2026-11-31",
            "2026-11-00",
            "26-11-24",
            "2026-11-24T",
            "2026-11-24T14",
            "2026-11-24T14:27+1",
            "tomorrow",
            "12345",
            "Z",
            "é:é:é",
            "+01:00",
            "2026-11-24-01",
            "9999999999999999",
        ] {
            assert_eq!(utc(text), "none", "{text}");
        }
    }

    #[test]
    fn the_night_on_which_clocks_change_has_every_hour() {
        for (text, time) in [
            ("2026-10-25T01:59", "2026-10-24T23:59:00Z"),
            ("2026-10-25T03:00", "2026-10-25T02:00:00Z"),
            ("2026-10-25T04:00", "2026-10-25T03:00:00Z"),
        ] {
            assert_eq!(utc(text), time, "{text}");
        }
        let twice = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"];
        assert!(twice.contains(&&*utc("2026-10-25T02:30")));
    }

    #[test]
    fn a_time_can_be_typed_as_it_is_shown() {
        for (zone, shown) in [
            (berlin(), "2026-11-24T15:00:00+01:00"),
            (Zone::posix("NST3:30").unwrap(), "2026-11-24T10:30:00-03:30"),
            (Zone::UTC, "2026-11-24T14:00:00Z"),
        ] {
            assert_eq!(local(NOW, &zone), shown);
            assert_eq!(read(shown, WallTime(0), &zone), Some(NOW));
        }
    }

    #[test]
    fn a_span_has_a_begin_before_its_end() {
        let span = |from, to| {
            let span = span(from, to, NOW, &berlin()).map_err(|Usage(wrong)| wrong);
            span.map(|(from, to)| to.0 - from.0)
        };
        assert_eq!(span("14:27", "14:28"), Ok(60_000));
        assert_eq!(span("14:27", "+5m"), Ok(300_000));
        assert_eq!(span("-1h", "now"), Ok(3_600_000));
        assert_eq!(span("14:27", "14:27").unwrap_err(), "14:27 is not later than 14:27");
        assert!(span("+5m", "14:27").unwrap_err().contains("is not a time"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_panics(text in "[-+0-9:TZ dmhs]{0,26}") {
            let _ = read(&text, NOW, &berlin());
        }

        #[test]
        fn every_second_can_be_typed(seconds in -60_000_000_000_i64..200_000_000_000) {
            let time = WallTime(seconds * 1000);
            let text = time.to_string();
            if text.len() == 20 {
                prop_assert_eq!(read(&text, NOW, &berlin()), Some(time));
            }
        }
    }
}
