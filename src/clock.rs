//! The wall clock, whether it can be trusted, and the identity of this boot.
//!
//! Boards have no battery-backed clock: they boot at their firmware's build date, and NTP sets them
//! later, by years.

#![expect(clippy::disallowed_methods, reason = "this file reads the clock for all others")]

use crate::{sys, units::WallTime};
use std::{
    cell::Cell,
    fmt, fs,
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
    told: Cell<Option<Told>>,
}

/// A time set from a user's browser.
#[derive(Clone, Copy)]
struct Told {
    /// How far it is ahead of the machine's clock, if we may not set that.
    ahead_ms: i64,
    /// [`Clock::machine_stepped_ms`] at that moment: once something else sets the clock, this time
    /// is outdated.
    stepped_ms: i64,
}

/// What keeps the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeper {
    /// NTP, through the kernel.
    Kernel,
    /// It was set since boot, and nothing is known to correct it.
    Stepped,
    /// A user's browser set the time.
    Browser,
    Nobody,
}

/// Why a time is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeRefused {
    /// Something keeps the clock already.
    Kept(Keeper),
    /// No correct clock shows that time.
    Absurd(WallTime),
}

impl Clock {
    /// Starts watching. `memory` is a file that lasts until the next boot, which tells a restarted
    /// daemon what the clock said before it was set. Without that file, the clock counts as not set
    /// so far.
    pub fn start(memory: &Path) -> Clock {
        // The wall clock first: if other programs run in between, what is dated by the uptime is
        // behind the wall clock, and never in its future.
        let wall_ms = now().0;
        let (uptime_ms, started) = (uptime_ms(), Instant::now());
        let boot_ms = wall_ms - uptime_ms;
        let boot = format!("{:032x}", u128::from_be_bytes(boot_id()));
        let boot_ms = remembered(memory, &boot, boot_ms);
        Clock { boot_ms, uptime_ms, started, told: Cell::new(None) }
    }

    /// Returns the wall time. *Cost*: no system call.
    pub fn now(&self) -> WallTime {
        let ahead_ms = self.told.get().map_or(0, |told| told.ahead_ms);
        WallTime(now().0.saturating_add(ahead_ms))
    }

    /// Returns what keeps the clock: the kernel, or a step since boot to a time after this program
    /// was built, or a browser. It is trusted unless nobody keeps it.
    ///
    /// *Cost*: one system call.
    pub fn keeper(&self) -> Keeper {
        self.keeper_where(sys::clock_is_synchronised())
    }

    fn keeper_where(&self, is_synchronised: bool) -> Keeper {
        let stepped_ms = self.machine_stepped_ms();
        let is_step = |span: i64| span.saturating_abs() > STEP_MIN_MS;
        let is_outdated = |told: Told| is_synchronised || is_step(stepped_ms - told.stepped_ms);
        if self.told.get().is_some_and(is_outdated) {
            self.told.set(None);
        }
        match self.told.get() {
            _ if is_synchronised => Keeper::Kernel,
            Some(_) => Keeper::Browser,
            None if is_step(stepped_ms) && now() > built() => Keeper::Stepped,
            None => Keeper::Nobody,
        }
    }

    /// Takes the time from a browser: sets the machine's clock, or remembers the difference if that
    /// is not permitted.
    ///
    /// # Errors
    /// Something keeps the clock, or the time is before this program was built, or ten years later.
    pub fn take(&self, wall: WallTime) -> Result<(), TimeRefused> {
        self.take_by(wall, self.keeper(), sys::set_clock)
    }

    fn take_by(
        &self,
        wall: WallTime,
        keeper: Keeper,
        set: impl FnOnce(WallTime) -> bool,
    ) -> Result<(), TimeRefused> {
        // A browser may correct what a browser set.
        if !matches!(keeper, Keeper::Nobody | Keeper::Browser) {
            return Err(TimeRefused::Kept(keeper));
        }
        if !(built().0..built().0.saturating_add(TOLD_AHEAD_MAX_MS)).contains(&wall.0) {
            return Err(TimeRefused::Absurd(wall));
        }
        let ahead_ms = wall.0 - now().0;
        let ahead_ms = if set(wall) { 0 } else { ahead_ms };
        self.told.set(Some(Told { ahead_ms, stepped_ms: self.machine_stepped_ms() }));
        Ok(())
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
        self.told.get().map_or(0, |told| told.ahead_ms).saturating_add(self.machine_stepped_ms())
    }

    fn machine_stepped_ms(&self) -> i64 {
        now().0 - i64::try_from(self.up_ms()).unwrap_or(i64::MAX) - self.boot_ms
    }
}

impl Keeper {
    /// As in `/api/status`.
    pub fn name(self) -> &'static str {
        match self {
            Keeper::Kernel => "kernel",
            Keeper::Stepped => "stepped",
            Keeper::Browser => "browser",
            Keeper::Nobody => "nobody",
        }
    }
}

impl fmt::Display for TimeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeRefused::Kept(Keeper::Kernel) => f.write_str("the clock is kept by NTP"),
            TimeRefused::Kept(_) => f.write_str("the clock was set since the machine was booted"),
            TimeRefused::Absurd(wall) => {
                write!(f, "the browser says that it is {wall}: set the clock of its machine")
            }
        }
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
/// Ten years: a browser whose clock is further ahead is wrong.
const TOLD_AHEAD_MAX_MS: i64 = 3652 * 86_400_000;
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

    fn never_set() -> (tempfile::TempDir, Clock) {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::start(&directory.path().join("clock"));
        (directory, clock)
    }

    #[test]
    fn a_browser_tells_the_time_where_nothing_else_does() {
        let (_directory, mut clock) = never_set();
        let wall = WallTime(built().0 + 86_400_000);
        assert_eq!(clock.keeper_where(false), Keeper::Nobody);
        assert_eq!(clock.take_by(wall, Keeper::Nobody, |_| false), Ok(()));
        assert!((clock.now().0 - wall.0).abs() < STEP_MIN_MS, "kept as a difference");
        assert!((clock.stepped_ms() - (wall.0 - now().0)).abs() < STEP_MIN_MS);
        assert_eq!(clock.keeper_where(false), Keeper::Browser);
        // It is corrected, and set where that is permitted.
        assert_eq!(clock.take_by(wall, Keeper::Browser, |_| true), Ok(()));
        assert!((clock.now().0 - now().0).abs() < STEP_MIN_MS);
        // Then something else sets it.
        clock.boot_ms -= 3_600_000;
        assert_eq!(clock.keeper_where(false), Keeper::Stepped);
        assert_eq!(clock.take_by(wall, Keeper::Browser, |_| false), Ok(()));
        assert_eq!(clock.keeper_where(true), Keeper::Kernel);
        assert!((clock.now().0 - now().0).abs() < STEP_MIN_MS, "the difference is gone");
    }

    #[test]
    fn a_time_that_is_absurd_or_not_wanted_is_refused() {
        let (_directory, clock) = never_set();
        let is_set = |_| -> bool { panic!("it is set") };
        for wall in [i64::MIN, 0, built().0 - 1, built().0 + TOLD_AHEAD_MAX_MS, i64::MAX] {
            let refused = Err(TimeRefused::Absurd(WallTime(wall)));
            assert_eq!(clock.take_by(WallTime(wall), Keeper::Nobody, is_set), refused);
        }
        for keeper in [Keeper::Kernel, Keeper::Stepped] {
            let wall = WallTime(built().0 + 1);
            assert_eq!(clock.take_by(wall, keeper, is_set), Err(TimeRefused::Kept(keeper)));
        }
        assert_eq!(clock.keeper_where(false), Keeper::Nobody);
    }

    #[test]
    fn a_clock_that_was_set_to_after_the_build_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let mut clock = Clock::start(&directory.path().join("clock"));
        assert_eq!(clock.keeper_where(false), Keeper::Nobody);
        clock.boot_ms -= 3_600_000;
        let stepped = if now() > built() { Keeper::Stepped } else { Keeper::Nobody };
        assert_eq!(clock.keeper_where(false), stepped);
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
    fn a_remembered_boot_that_is_another_or_broken_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let memory = directory.path().join("clock");
        for text in ["", "x", "0123 77\n", "this-boot seven\n"] {
            fs::write(&memory, text).unwrap();
            assert_eq!(remembered(&memory, "this-boot", 5), 5, "{text:?}");
            assert_eq!(remembered(&memory, "this-boot", 6), 5, "it is written down");
        }
    }
}
