//! Units: the times and sizes that layers exchange, and their arithmetic.

use std::{
    fmt,
    ops::{Add, AddAssign, Neg, Sub},
};

/// A time stamp of the camera's RTP clock: 32 bits that wrap (RFC 3550 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// Returns the ticks from `earlier` to `self`, which must be less than 2^31 ticks apart.
    pub fn since(self, earlier: RtpTime) -> Ticks {
        Ticks(i64::from(self.0.wrapping_sub(earlier.0).cast_signed()))
    }
}

/// Media time or a span of it, in ticks of the 90 kHz video clock; zero is the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Ticks(pub i64);

/// Ticks of media time in a second (RFC 6184 §8.2.1, RFC 7798 §7.1: the video clock is 90 kHz).
pub const TICKS_PER_SECOND: i64 = 90_000;

impl Ticks {
    pub const ZERO: Ticks = Ticks(0);

    pub const fn from_seconds(seconds: i64) -> Ticks {
        Ticks(seconds * TICKS_PER_SECOND)
    }

    /// The same moment in ticks of another clock, rounded up.
    pub fn at_rate(self, clock_rate: u32) -> i64 {
        let ticks = i128::from(self.0) * i128::from(clock_rate);
        let ticks = (ticks + i128::from(TICKS_PER_SECOND) - 1).div_euclid(TICKS_PER_SECOND.into());
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    /// Whole milliseconds, rounded to the nearest.
    pub const fn as_millis(self) -> i64 {
        (self.0 * 1000 + TICKS_PER_SECOND / 2).div_euclid(TICKS_PER_SECOND)
    }
}

impl Add for Ticks {
    type Output = Ticks;
    fn add(self, other: Ticks) -> Ticks {
        Ticks(self.0 + other.0)
    }
}

impl AddAssign for Ticks {
    fn add_assign(&mut self, other: Ticks) {
        self.0 += other.0;
    }
}

impl Sub for Ticks {
    type Output = Ticks;
    fn sub(self, other: Ticks) -> Ticks {
        Ticks(self.0 - other.0)
    }
}

impl Neg for Ticks {
    type Output = Ticks;
    fn neg(self) -> Ticks {
        Ticks(-self.0)
    }
}

/// Wall time: milliseconds since 1970-01-01 00:00 UTC, as the board believes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct WallTime(pub i64);

impl WallTime {
    /// `Mon, 23 Nov 2026 08:15:00 GMT` (RFC 9110 §5.6.7).
    pub fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let seconds = self.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        // 1970-01-01 was a Thursday.
        let weekday = days.rem_euclid(7);
        let name = |names: &[&'static str], at: i64| {
            usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
        };
        let (weekday, month) = (name(&DAYS, weekday), name(&MONTHS, month - 1));
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// The inverse of [`WallTime::http_date`], which reads that form alone.
    pub fn from_http_date(text: &str) -> Option<WallTime> {
        let mut words = text.split([' ', ':']).skip(1);
        let number = |word: &str| word.parse::<u16>().ok().map(i64::from);
        let day = number(words.next()?)?;
        let name = words.next()?;
        let month = (1..).zip(MONTHS).find(|(_, it)| *it == name)?.0;
        let mut next = || number(words.next()?);
        let (year, hour, minute, second) = (next()?, next()?, next()?, next()?);
        let seconds = days_of_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(WallTime(seconds * 1000))
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl WallTime {
    /// Formats the date alone, in UTC: `2026-11-23`.
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.0.div_euclid(86_400_000));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Formats the time for a file name, in UTC: `2026-11-23_08-15-00`.
    pub fn file_name(self) -> String {
        let text: String = self.to_string().trim_end_matches('Z').replace('T', "_");
        text.replace(':', "-")
    }
}

impl fmt::Display for WallTime {
    /// ISO 8601 in UTC, to the second: `2026-11-23T08:15:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Converts a day counted from 1970-01-01 to year, month and day of the Gregorian calendar. Eras of
/// 400 years begin in March, so that the leap day is their last.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Converts a date to a day counted from 1970-01-01: the inverse of [`civil`].
pub fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_time_goes_on_over_its_wrap() {
        assert_eq!(RtpTime(10).since(RtpTime(u32::MAX - 9)), Ticks(20));
        assert_eq!(RtpTime(u32::MAX - 9).since(RtpTime(10)), Ticks(-20));
    }

    #[test]
    fn wall_time_is_written_as_iso_8601() {
        let written = |millis| WallTime(millis).to_string();
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(951_827_696_999), "2000-02-29T12:34:56Z");
        assert_eq!(written(4_107_542_400_000), "2100-03-01T00:00:00Z");
        assert_eq!(written(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn wall_time_is_written_as_http_has_it() {
        let written = |millis| WallTime(millis).http_date();
        assert_eq!(written(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT"); // RFC 9110 §5.6.7
        assert_eq!(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        for millis in [0, 784_111_777_000, 951_827_696_000, 253_402_300_799_000] {
            assert_eq!(WallTime::from_http_date(&written(millis)), Some(WallTime(millis)));
        }
        for wrong in ["", "120", "Sun, 06 Nov 1994", "Sun, 06 November 1994 08:49:37 GMT"] {
            assert_eq!(WallTime::from_http_date(wrong), None, "{wrong}");
        }
        assert_eq!(written(4_107_542_400_000), "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    #[test]
    fn a_date_and_its_day_lead_to_each_other() {
        for day in (-1_000_000..1_000_000).step_by(97).chain(18_262..19_724) {
            let (year, month, day_of_month) = civil(day);
            assert_eq!(days_of_civil(year, month, day_of_month), day);
        }
    }

    #[test]
    fn ticks_round_to_the_nearest_millisecond() {
        assert_eq!(Ticks(3600).as_millis(), 40);
        assert_eq!(Ticks(3003).as_millis(), 33);
        assert_eq!(Ticks(-3003).as_millis(), -33);
    }
}
