//! The POSIX `TZ` string: standard time, daylight saving time, and when they change.
//!
//! Format: `std offset [dst [offset] [,start[/time],end[/time]]]`. Spec: POSIX.1-2024 §8.3; RFC
//! 9636 §3.3.1 for times from -167 to 167 hours.

use crate::units::{civil, days_of_civil};

/// The rule of a zone, which repeats every year.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    /// East of UTC.
    standard_minutes: i64,
    daylight: Option<Daylight>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Daylight {
    minutes: i64,
    /// In standard time.
    start: Change,
    /// In daylight saving time.
    end: Change,
}

/// A time in each year, in local time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Change {
    day: Day,
    /// Since that day's midnight; may be negative, or more than a day.
    seconds: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Day {
    /// `Jn`, 1 to 365: 29 February is never counted.
    Julian(i64),
    /// `n`, 0 to 365: 29 February is counted.
    OfYear(i64),
    /// `Mm.w.d`: the weekday (0: Sunday) of the month's week; week 5 is the last.
    OfMonth { month: i64, week: i64, weekday: i64 },
}

impl Rule {
    pub fn parse(text: &str) -> Option<Rule> {
        let mut parser = Parser(text.trim().as_bytes());
        let (rule, rest) = (parser.rule()?, parser.0);
        rest.is_empty().then_some(rule)
    }

    pub fn offset_minutes_at(&self, seconds: i64) -> i64 {
        let standard = self.standard_minutes;
        let Some(Daylight { minutes, start, end }) = &self.daylight else { return standard };
        let local = seconds.saturating_add(standard * 60);
        let (year, _, _) = civil(local.div_euclid(SECONDS_PER_DAY));
        let start = start.in_year(year).saturating_sub(standard * 60);
        let end = end.in_year(year).saturating_sub(minutes * 60);
        let is_daylight = match start < end {
            true => (start..end).contains(&seconds),
            // South of the equator summer includes the turn of the year.
            false => !(end..start).contains(&seconds),
        };
        if is_daylight { *minutes } else { standard }
    }
}

impl Change {
    /// In seconds of local time since 1970.
    fn in_year(self, year: i64) -> i64 {
        let new_year = days_of_civil(year, 1, 1);
        let day = match self.day {
            Day::Julian(day) if day >= 60 => days_of_civil(year, 3, 1) + day - 60,
            Day::Julian(day) => new_year + day - 1,
            Day::OfYear(day) => new_year + day,
            Day::OfMonth { month, week, weekday } => {
                let first = days_of_civil(year, month, 1);
                let next_month = days_of_civil(year + month / 12, month % 12 + 1, 1);
                // 1970-01-01 was a Thursday.
                let first = first + (weekday - (first + 4)).rem_euclid(7);
                let last = first + (next_month - 1 - first) / 7 * 7;
                (first + (week - 1) * 7).min(last)
            }
        };
        day.saturating_mul(SECONDS_PER_DAY).saturating_add(self.seconds)
    }
}

/// The rest of the text.
struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    fn rule(&mut self) -> Option<Rule> {
        self.name()?;
        // Offsets are positive west of UTC here.
        let standard_minutes = -self.time(HOURS_OF_OFFSET_MAX)? / 60;
        if self.0.is_empty() {
            return Some(Rule { standard_minutes, daylight: None });
        }
        self.name()?;
        let minutes = match self.0.first() {
            None | Some(b',') => standard_minutes + 60,
            Some(_) => -self.time(HOURS_OF_OFFSET_MAX)? / 60,
        };
        let (start, end) = match self.0.is_empty() {
            // POSIX leaves this open; C libraries use the rule of the United States.
            true => (Change::of_month(3, 2), Change::of_month(11, 1)),
            false => (self.change()?, self.change()?),
        };
        Some(Rule { standard_minutes, daylight: Some(Daylight { minutes, start, end }) })
    }

    /// Parses three or more letters, or anything in `<>`.
    fn name(&mut self) -> Option<()> {
        let length = match self.0.first()? {
            b'<' => self.0.iter().position(|byte| *byte == b'>')? + 1,
            _ => self.0.iter().take_while(|byte| byte.is_ascii_alphabetic()).count(),
        };
        self.0 = self.0.get(length..).filter(|_| length >= 3)?;
        Some(())
    }

    /// Parses `,date[/time]`.
    fn change(&mut self) -> Option<Change> {
        self.byte(b',')?;
        let day = if self.byte(b'M').is_some() {
            let month = self.number(1, 12)?;
            self.byte(b'.')?;
            let week = self.number(1, 5)?;
            self.byte(b'.')?;
            Day::OfMonth { month, week, weekday: self.number(0, 6)? }
        } else if self.byte(b'J').is_some() {
            Day::Julian(self.number(1, 365)?)
        } else {
            Day::OfYear(self.number(0, 365)?)
        };
        let seconds = match self.byte(b'/') {
            Some(()) => self.time(HOURS_OF_CHANGE_MAX)?,
            None => TWO_O_CLOCK,
        };
        Some(Change { day, seconds })
    }

    /// Parses `[+-]hh[:mm[:ss]]` to seconds.
    fn time(&mut self, hours_max: i64) -> Option<i64> {
        let is_negative = self.byte(b'-').is_some();
        if !is_negative {
            let _ = self.byte(b'+');
        }
        let mut seconds = self.number(0, hours_max)? * 3600;
        for unit in [60, 1] {
            if self.byte(b':').is_none() {
                break;
            }
            seconds += self.number(0, 59)? * unit;
        }
        Some(if is_negative { -seconds } else { seconds })
    }

    fn number(&mut self, min: i64, max: i64) -> Option<i64> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        let number = str::from_utf8(digits).ok()?.parse().ok()?;
        self.0 = rest;
        (min..=max).contains(&number).then_some(number)
    }

    /// Skips this byte if it is next.
    fn byte(&mut self, wanted: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[wanted])?;
        Some(())
    }
}

impl Change {
    const fn of_month(month: i64, week: i64) -> Change {
        Change { day: Day::OfMonth { month, week, weekday: 0 }, seconds: TWO_O_CLOCK }
    }
}

const SECONDS_PER_DAY: i64 = 86_400;
const TWO_O_CLOCK: i64 = 7200;
const HOURS_OF_OFFSET_MAX: i64 = 24;
const HOURS_OF_CHANGE_MAX: i64 = 167;
