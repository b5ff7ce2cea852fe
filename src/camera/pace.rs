//! How long to let a camera's bytes accumulate before they are read: long enough to be worth a
//! system call, short enough that the socket's buffer still has room for a key frame's burst.

use crate::limits;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// A slow average of the camera's byte rate.
pub struct Pace {
    /// The most that may accumulate between two reads.
    gulp_bytes: u64,
    interval_max: Duration,
    bytes_a_second: u64,
    window_start: Option<Instant>,
    window_bytes: u64,
}

impl Pace {
    /// For a TCP connection: all connections share the kernel's memory for them.
    pub fn of_stream() -> Pace {
        CONNECTIONS.set(CONNECTIONS.get() + 1);
        Pace::new(limits::GULP_BYTES, limits::GULP_INTERVAL_MAX)
    }

    /// For datagrams, which the kernel keeps in `buffer_bytes`: most of that stays free for a key
    /// frame.
    pub fn of_datagrams(buffer_bytes: usize) -> Pace {
        CONNECTIONS.set(CONNECTIONS.get() + 1);
        Pace::new(buffer_bytes / DATAGRAM_BUFFER_PART, limits::DATAGRAM_INTERVAL_MAX)
    }

    fn new(gulp_bytes: usize, interval_max: Duration) -> Pace {
        Pace {
            gulp_bytes: gulp_bytes as u64,
            interval_max,
            bytes_a_second: RATE_ASSUMED,
            window_start: None,
            window_bytes: 0,
        }
    }

    pub fn read(&mut self, bytes: usize, now: Instant) {
        let start = *self.window_start.get_or_insert(now);
        self.window_bytes += bytes as u64;
        let elapsed = now.duration_since(start);
        if elapsed >= WINDOW {
            let millis = elapsed.as_millis().max(1) as u64;
            let rate = self.window_bytes.saturating_mul(1000) / millis;
            // Rises at once and falls slowly: a burst must fit.
            self.bytes_a_second = rate.max(self.bytes_a_second - self.bytes_a_second / 8);
            self.window_start = Some(now);
            self.window_bytes = 0;
        }
    }

    /// The time to wait before the next read.
    pub fn interval(&self) -> Duration {
        let share = limits::GULPS_BYTES as u64 / CONNECTIONS.get().max(1);
        let millis = (self.gulp_bytes.min(share) * 1000).checked_div(self.bytes_a_second);
        let interval = Duration::from_millis(millis.unwrap_or(0));
        interval.clamp(limits::GULP_INTERVAL_MIN, self.interval_max)
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        CONNECTIONS.set(CONNECTIONS.get().saturating_sub(1));
    }
}

thread_local! {
    /// Cameras that are connected.
    static CONNECTIONS: Cell<u64> = const { Cell::new(0) };
}

/// 4 Mbit/s, until the camera's rate is known.
const RATE_ASSUMED: u64 = 500_000;
const WINDOW: Duration = Duration::from_secs(1);
/// The kernel counts a datagram about twice, and a key frame is six times as large as what arrives
/// between two reads.
const DATAGRAM_BUFFER_PART: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval after ten seconds of a steady rate.
    fn settled(bytes_a_second: usize) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "a point to count from")]
        let start = Instant::now();
        let mut pace = Pace::of_stream();
        for tick in 0..100 {
            pace.read(bytes_a_second / 10, start + Duration::from_millis(100 * tick));
        }
        pace.interval()
    }

    #[test]
    fn slow_cameras_are_read_at_the_longest_interval() {
        assert_eq!(settled(50_000), limits::GULP_INTERVAL_MAX);
    }

    #[test]
    fn a_gulp_stays_near_its_size_at_four_megabit() {
        let interval = settled(1_000_000);
        let gulp = 1_000_000 * interval.as_millis() as usize / 1000;
        assert!((limits::GULP_BYTES / 2..=limits::GULP_BYTES).contains(&gulp), "{gulp}");
    }

    #[test]
    fn many_cameras_share_the_memory_that_one_may_fill() {
        let alone = settled(500_000);
        let others = [(); 15].map(|()| Pace::of_stream());
        let share = limits::GULPS_BYTES / 16;
        assert!(settled(500_000) <= Duration::from_micros(share as u64 * 2));
        drop(others);
        assert_eq!(settled(500_000), alone);
    }

    #[test]
    fn a_flood_is_read_without_a_long_wait() {
        assert_eq!(settled(100_000_000), limits::GULP_INTERVAL_MIN);
    }
}
