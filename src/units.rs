//! Units: the times and sizes that the layers hand to each other, and their arithmetic.
//!
//! Knows nothing of: clocks, codecs, files.

use std::ops::{Add, AddAssign, Neg, Sub};

/// A time stamp of the camera's RTP clock: 32 bits that wrap (RFC 3550 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// Ticks from `earlier` to `self`, right while they lie less than 2^31 ticks apart.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_time_goes_on_over_its_wrap() {
        assert_eq!(RtpTime(10).since(RtpTime(u32::MAX - 9)), Ticks(20));
        assert_eq!(RtpTime(u32::MAX - 9).since(RtpTime(10)), Ticks(-20));
    }

    #[test]
    fn ticks_round_to_the_nearest_millisecond() {
        assert_eq!(Ticks(3600).as_millis(), 40);
        assert_eq!(Ticks(3003).as_millis(), 33);
        assert_eq!(Ticks(-3003).as_millis(), -33);
    }
}
