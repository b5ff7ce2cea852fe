//! How long an address waits after wrong passwords.
//!
//! A table with a bound: when it is full, the address whose wait ends first is forgotten. Knows
//! nothing of: sessions, which never wait.

use crate::limits;
use std::{
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
pub struct Delays(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    from: Source,
    wrong: u32,
    until: Instant,
}

/// Who waits: an IPv4 address, or a network of IPv6 (/64), which one host has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(IpAddr);

impl Source {
    pub fn of(address: IpAddr) -> Source {
        Source(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        })
    }
}

impl Delays {
    /// How long this one still waits.
    pub fn wait(&self, from: Source, now: Instant) -> Option<Duration> {
        let entry = self.0.iter().find(|entry| entry.from == from)?;
        let wait = entry.until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a wrong password: how many came in a row, and how long the next has to wait.
    pub fn wrong(&mut self, from: Source, now: Instant) -> (u32, Duration) {
        let before = self.forget(from);
        let is_old = |entry: &Entry| {
            now.saturating_duration_since(entry.until) > limits::WRONG_PASSWORD_MEMORY
        };
        let wrong = before.filter(|entry| !is_old(entry)).map_or(0, |entry| entry.wrong);
        let wrong = wrong.saturating_add(1);
        let delay =
            Duration::from_secs(1 << (wrong - 1).min(8)).min(limits::WRONG_PASSWORD_DELAY_MAX);
        if self.0.len() >= limits::WRONG_PASSWORD_ADDRESSES_MAX {
            let first = self.0.iter().enumerate().min_by_key(|(_, entry)| entry.until);
            if let Some((index, _)) = first {
                self.0.swap_remove(index);
            }
        }
        self.0.push(Entry { from, wrong, until: now + delay });
        (wrong, delay)
    }

    /// The right password came.
    pub fn right(&mut self, from: Source) {
        self.forget(from);
    }

    fn forget(&mut self, from: Source) -> Option<Entry> {
        let index = self.0.iter().position(|entry| entry.from == from)?;
        Some(self.0.swap_remove(index))
    }
}
