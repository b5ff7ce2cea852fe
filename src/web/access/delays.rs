//! Who waits before a password is judged: by address after wrong ones, and all guessers together.
//!
//! Delays alone let somebody with a hundred addresses guess a hundred times as fast. So all who were
//! never right share one allowance of tries, and those who already guessed wrong may not use it up:
//! somebody new finds a try left, and most of all from a network that nobody guesses from.
//!
//! Both tables have a bound; an entry that still waits is never forgotten for a newer one. Knows
//! nothing of: sessions, which never wait.

use crate::limits;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

#[derive(Debug)]
pub struct Delays {
    wrong: Vec<Entry>,
    /// Sources that sent the right password, the one that did so last at the end.
    right: Vec<Source>,
    /// Tries left to all others, as of then.
    tries: u32,
    counted: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    from: Source,
    wrong: u32,
    until: Instant,
}

/// One host, as far as an address tells: an IPv4 address, or the /64 of IPv6 that a host has to itself.
/// Or the network of many: /24, and the /48 that a provider gives to one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    network: IpAddr,
    bits: u32,
}

impl Source {
    pub fn of(address: IpAddr) -> Source {
        Source::within(address, 32, 64)
    }

    fn neighbourhood(self) -> Source {
        Source::within(self.network, 24, 48)
    }

    fn within(address: IpAddr, v4_bits: u32, v6_bits: u32) -> Source {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let network = address.to_bits() & !(u32::MAX.checked_shr(v4_bits).unwrap_or(0));
                Source { network: Ipv4Addr::from_bits(network).into(), bits: v4_bits }
            }
            IpAddr::V6(address) => {
                let network = address.to_bits() & !(u128::MAX >> v6_bits);
                Source { network: Ipv6Addr::from_bits(network).into(), bits: v6_bits }
            }
        }
    }
}

impl Default for Delays {
    fn default() -> Self {
        let tries = limits::PASSWORD_TRIES_MAX;
        Delays { wrong: Vec::new(), right: Vec::new(), tries, counted: None }
    }
}

impl Delays {
    /// Takes a try.
    ///
    /// # Errors
    /// How long to wait for one.
    pub fn begin(&mut self, from: Source, now: Instant) -> Result<(), Duration> {
        if let Some(entry) = self.entry(from) {
            let wait = entry.until.saturating_duration_since(now);
            if !wait.is_zero() {
                return Err(wait);
            }
        }
        if self.right.contains(&from) {
            return Ok(());
        }
        self.refill(now);
        // What is left for those who have a better name.
        let kept = if self.is_guilty(from, now) {
            2 * limits::PASSWORD_TRIES_MAX / 3
        } else if self.is_guilty(from.neighbourhood(), now) {
            limits::PASSWORD_TRIES_MAX / 3
        } else {
            0
        };
        match self.tries.checked_sub(kept + 1) {
            Some(_) => {
                self.tries -= 1;
                Ok(())
            }
            None => Err(limits::PASSWORD_TRY_INTERVAL * (kept + 1 - self.tries)),
        }
    }

    /// Counts a wrong password: how many came in a row, and how long the next has to wait.
    pub fn wrong(&mut self, from: Source, now: Instant) -> (u32, Duration) {
        // A network does not wait: others are in it.
        self.count(from.neighbourhood(), now, |_| Duration::ZERO);
        self.count(from, now, |wrong| {
            Duration::from_secs(1 << (wrong - 1).min(8)).min(limits::WRONG_PASSWORD_DELAY_MAX)
        })
    }

    /// The right password came.
    pub fn right(&mut self, from: Source) {
        self.wrong.retain(|entry| entry.from != from);
        self.right.retain(|known| *known != from);
        if self.right.len() >= limits::RIGHT_PASSWORD_ADDRESSES_MAX {
            self.right.remove(0);
        }
        self.right.push(from);
    }

    /// There is another password: nobody was right yet.
    pub fn forget_right(&mut self) {
        self.right.clear();
    }

    /// Sources that sent a wrong password lately, networks not counted.
    pub fn guilty(&self) -> usize {
        self.wrong.iter().filter(|entry| entry.from == Source::of(entry.from.network)).count()
    }

    fn refill(&mut self, now: Instant) {
        let since = *self.counted.get_or_insert(now);
        let interval = limits::PASSWORD_TRY_INTERVAL;
        let more = now.saturating_duration_since(since).as_millis() / interval.as_millis();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.tries = self.tries.saturating_add(more).min(limits::PASSWORD_TRIES_MAX);
        let is_full = self.tries == limits::PASSWORD_TRIES_MAX;
        self.counted = Some(if is_full { now } else { since + interval * more });
    }

    fn entry(&self, from: Source) -> Option<&Entry> {
        self.wrong.iter().find(|entry| entry.from == from)
    }

    fn is_guilty(&self, from: Source, now: Instant) -> bool {
        self.entry(from).is_some_and(|entry| !entry.is_old(now))
    }

    fn count(
        &mut self,
        from: Source,
        now: Instant,
        delay: impl Fn(u32) -> Duration,
    ) -> (u32, Duration) {
        let found = self.wrong.iter().position(|entry| entry.from == from);
        let before = found.map(|index| self.wrong.swap_remove(index));
        let wrong = before.filter(|entry| !entry.is_old(now)).map_or(0, |entry| entry.wrong);
        let wrong = wrong.saturating_add(1);
        if self.wrong.len() >= limits::WRONG_PASSWORD_ADDRESSES_MAX {
            let first = self.wrong.iter().enumerate().min_by_key(|(_, entry)| entry.until);
            if let Some((index, _)) = first {
                self.wrong.swap_remove(index);
            }
        }
        let delay = delay(wrong);
        self.wrong.push(Entry { from, wrong, until: now + delay });
        (wrong, delay)
    }
}

impl Entry {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.until) > limits::WRONG_PASSWORD_MEMORY
    }
}
