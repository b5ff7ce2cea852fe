//! The wall clock, whether it can be trusted, and the identity of this boot.
//!
//! Boards have no battery-backed clock: they boot at their firmware's build date, and NTP sets them
//! later, by years.

#![expect(clippy::disallowed_methods, reason = "this file reads the clock for all others")]

use crate::{sys, units::WallTime};
use std::{
    fs,
    path::Path,
    time::{Instant, SystemTime},
};

/// Watches the wall clock from the boot's first daemon on.
pub struct Clock {
    /// When the machine booted, by the wall clock's first reading.
    boot_ms: i64,
    /// The uptime at the start, and that instant.
    uptime_ms: i64,
    started: Instant,
}

impl Clock {
    /// Starts watching. `memory` is a file that lasts until the next boot, which tells a restarted
    /// daemon what the clock said before it was set. Without that file, the clock counts as not set
    /// so far.
    pub fn start(memory: &Path) -> Clock {
        let (uptime_ms, started) = (uptime_ms(), Instant::now());
        let boot_ms = now().0 - uptime_ms;
        let boot = format!("{:032x}", u128::from_be_bytes(boot_id()));
        Clock { boot_ms: remembered(memory, &boot, boot_ms), uptime_ms, started }
    }

    /// Returns the wall time. *Cost*: no system call.
    pub fn now(&self) -> WallTime {
        now()
    }

    /// Returns true if the kernel reports the clock as synchronised, or if it was set since boot to
    /// a time after this program was built.
    ///
    /// *Cost*: one system call.
    pub fn is_trusted(&self) -> bool {
        let stepped = self.stepped_ms().saturating_abs() > STEP_MIN_MS;
        sys::clock_is_synchronised() || stepped && now() > built()
    }

    /// How long the machine has been up, in milliseconds.
    ///
    /// *Cost*: no system call.
    pub fn up_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        u64::try_from(self.uptime_ms).unwrap_or(0).saturating_add(elapsed)
    }

    /// How far the clock was set since its first reading, in milliseconds.
    pub fn stepped_ms(&self) -> i64 {
        now().0 - i64::try_from(self.up_ms()).unwrap_or(i64::MAX) - self.boot_ms
    }
}

/// Returns the kernel's identifier of this boot, or zeroes if it has none.
pub fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

/// What the wall clock says, trusted or not.
pub fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the boot time stored for this boot; if there is none, stores and returns `boot_ms`.
fn remembered(memory: &Path, boot: &str, boot_ms: i64) -> i64 {
    let text = fs::read_to_string(memory).unwrap_or_default();
    let known = text.trim_end().split_once(' ').filter(|(of, _)| *of == boot);
    known.and_then(|(_, millis)| millis.parse().ok()).unwrap_or_else(|| {
        // If writing fails, the next daemon of this boot just knows less.
        let _ = fs::write(memory, format!("{boot} {boot_ms}\n"));
        boot_ms
    })
}

/// Uptime from proc(5): the first of two numbers, in seconds with two decimals. Parsed without
/// floating point, which would take 14 KB of code.
fn uptime_ms() -> i64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    millis(text.split(' ').next().unwrap_or_default())
}

/// `12.34` → 12340
fn millis(seconds: &str) -> i64 {
    let (whole, hundredths) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    number(whole) * 1000 + number(hundredths) * 10
}

/// When the program was built: `SOURCE_DATE_EPOCH`, which keeps builds reproducible.
fn built() -> WallTime {
    let seconds = option_env!("SOURCE_DATE_EPOCH").and_then(|text| text.parse::<i64>().ok());
    WallTime(seconds.unwrap_or(RELEASED_S).saturating_mul(1000))
}

/// NTP slews by less than this; more is a step.
const STEP_MIN_MS: i64 = 2000;
/// 2026-11-01: a correct clock is never earlier.
const RELEASED_S: i64 = 1_793_491_200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_read_to_the_hundredth() {
        assert_eq!(millis("812345.07"), 812_345_070);
        assert_eq!((millis("3"), millis("")), (3000, 0));
        assert!(uptime_ms() > 0);
    }

    #[test]
    fn a_clock_that_was_set_to_after_the_build_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let mut clock = Clock::start(&directory.path().join("clock"));
        assert_eq!(clock.is_trusted(), sys::clock_is_synchronised());
        clock.boot_ms -= 3_600_000;
        assert_eq!(clock.is_trusted(), sys::clock_is_synchronised() || now() > built());
    }

    #[test]
    fn a_daemon_that_is_started_again_knows_that_the_clock_was_set_before() {
        let directory = tempfile::tempdir().unwrap();
        let memory = directory.path().join("clock");
        let first = Clock::start(&memory);
        assert!(first.stepped_ms().abs() < STEP_MIN_MS);
        let boot = format!("{:032x}", u128::from_be_bytes(boot_id()));
        fs::write(&memory, format!("{boot} {}\n", first.boot_ms - 3_600_000)).unwrap();
        assert!((3_598_000..3_602_000).contains(&Clock::start(&memory).stepped_ms()));
    }

    #[test]
    fn what_was_remembered_of_another_boot_or_is_broken_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let memory = directory.path().join("clock");
        for text in ["", "x", "0123 77\n", "this-boot seven\n"] {
            fs::write(&memory, text).unwrap();
            assert_eq!(remembered(&memory, "this-boot", 5), 5, "{text:?}");
            assert_eq!(remembered(&memory, "this-boot", 6), 5, "it is written down");
        }
    }
}
