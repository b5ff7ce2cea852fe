//! How long a password waits before it is judged: by address after wrong ones, and all guessers
//! together.
//!
//! With delays per address alone, somebody with a hundred addresses could guess a hundred times as
//! fast. So all sources that were never right share one allowance of tries, and those that already
//! guessed wrong cannot exhaust it. The first try of a source is not taken from it while the table
//! of guessers has room: so those who guess from a new address each time delay no new source, and
//! gain one guess per address.
//!
//! Many clients may share an address, behind NAT or a proxy. If tries were refused while the
//! address waits, every free moment would go to the most frequent client, which is the guesser. So
//! from the third wrong password in a row on, tries are held instead: each is judged a moment after
//! it came, regardless of others. A client has one connection for each held try, and connections
//! are few: this bounds the guesses, and everybody gets a turn.
//!
//! All tables are bounded; an entry that still waits is never replaced by a newer one. Knows
//! nothing of: sessions, which never wait.

use crate::limits;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

#[derive(Debug)]
pub struct Delays {
    wrong: Vec<Entry>,
    /// Sources that sent the right password, most recent last.
    right: Vec<Source>,
    /// Held tries.
    held: Vec<(Source, Weak<()>)>,
    held_max: usize,
    /// Tries left to all other sources, as of that time.
    tries: u32,
    counted: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    from: Source,
    wrong: u32,
    until: Instant,
}

/// Why a try is not judged now.
#[derive(Debug)]
pub enum Delay {
    /// Refused; contains how long until the next one may be judged.
    Wait(Duration),
    /// Held for this long, then judged. Keeps its place while it lives.
    Turn(Arc<()>, Duration),
}

/// What tries are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// One host, as far as its address tells: an IPv4 address, or an IPv6 /64. Or a network: an
    /// IPv4 /24, or the /48 that a provider assigns to one customer.
    Network { address: IpAddr, bits: u32 },
    /// A browser that was logged in before, by the number in its cookie.
    Browser(u128),
}

impl Source {
    pub fn of(address: IpAddr) -> Source {
        Source::within(address, 32, 64)
    }

    fn neighbourhood(self) -> Option<Source> {
        match self {
            Source::Network { address, .. } => Some(Source::within(address, 24, 48)),
            Source::Browser(_) => None,
        }
    }

    fn within(address: IpAddr, v4_bits: u32, v6_bits: u32) -> Source {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let network = address.to_bits() & !(u32::MAX.checked_shr(v4_bits).unwrap_or(0));
                Source::Network { address: Ipv4Addr::from_bits(network).into(), bits: v4_bits }
            }
            IpAddr::V6(address) => {
                let network = address.to_bits() & !(u128::MAX >> v6_bits);
                Source::Network { address: Ipv6Addr::from_bits(network).into(), bits: v6_bits }
            }
        }
    }
}

impl Delays {
    /// For a server with this many connections, each of which can hold one try.
    pub fn new(connections_max: usize) -> Delays {
        let (tries, held_max) = (limits::PASSWORD_TRIES_MAX, Delays::held_max(connections_max));
        Delays { wrong: vec![], right: vec![], held: vec![], held_max, tries, counted: None }
    }

    pub fn configure(&mut self, connections_max: usize) {
        self.held_max = Delays::held_max(connections_max);
    }

    fn held_max(connections_max: usize) -> usize {
        limits::HELD_PASSWORDS_MAX.min(connections_max)
    }

    /// Takes a try.
    ///
    /// # Errors
    /// It must not be judged now.
    pub fn begin(&mut self, from: Source, now: Instant) -> Result<(), Delay> {
        let entry = self.entry(from).filter(|entry| !entry.is_old(now));
        let wait = entry.map_or(Duration::ZERO, |entry| entry.until.saturating_duration_since(now));
        let wrong = entry.map_or(0, |entry| entry.wrong);
        let is_held = wrong >= limits::HELD_FROM_WRONG_PASSWORDS && from.neighbourhood().is_some();
        if !wait.is_zero() {
            return Err(if is_held { self.hold(from, wait) } else { Delay::Wait(wait) });
        }
        let is_new = wrong == 0 && self.has_room(now);
        if self.right.contains(&from) || from.neighbourhood().is_none() || is_new {
            return Ok(());
        }
        self.refill(now);
        // Reserved for sources with a better record: people mistype once or twice.
        let kept = if is_held {
            2 * limits::PASSWORD_TRIES_MAX / 3
        } else if wrong > 0 {
            limits::PASSWORD_TRIES_MAX / 2
        } else if from.neighbourhood().is_some_and(|network| self.is_guilty(network, now)) {
            limits::PASSWORD_TRIES_MAX / 3
        } else {
            0
        };
        match self.tries.checked_sub(kept + 1) {
            Some(_) => {
                self.tries -= 1;
                Ok(())
            }
            None => {
                let wait = limits::PASSWORD_TRY_INTERVAL * (kept + 1 - self.tries);
                Err(if is_held { self.hold(from, wait) } else { Delay::Wait(wait) })
            }
        }
    }

    /// Returns a place for a held try; if there is none, the try is refused.
    fn hold(&mut self, from: Source, wait: Duration) -> Delay {
        self.held.retain(|(_, place)| place.strong_count() > 0);
        let of_source = self.held.iter().filter(|(source, _)| *source == from).count();
        // One address must leave some to others.
        if self.held.len() >= self.held_max || of_source >= self.held_max * 11 / 12 {
            return Delay::Wait(wait);
        }
        let place = Arc::default();
        self.held.push((from, Arc::downgrade(&place)));
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let turn = limits::HELD_PASSWORD_DELAY.max(limits::HELD_PASSWORD_INTERVAL * held);
        Delay::Turn(place, turn)
    }

    /// A held try gets its turn: it counts like all others.
    pub fn proceed(&mut self, now: Instant) {
        self.refill(now);
        self.tries = self.tries.saturating_sub(1);
    }

    /// Counts a wrong password; returns how many came in a row, and how long the next has to wait.
    pub fn wrong(&mut self, from: Source, now: Instant) -> (u32, Duration) {
        // A network never waits: it contains others.
        if let Some(network) = from.neighbourhood() {
            self.count(network, now, |_| Duration::ZERO);
        }
        self.count(from, now, |wrong| {
            Duration::from_secs(1 << (wrong - 1).min(8)).min(limits::WRONG_PASSWORD_DELAY_MAX)
        })
    }

    /// Returns how many wrong passwords in a row a source sent recently.
    pub fn wrong_in_a_row(&self, from: Source, now: Instant) -> u32 {
        self.entry(from).filter(|entry| !entry.is_old(now)).map_or(0, |entry| entry.wrong)
    }

    /// The right password came. Clears the count, unless others at the same source wait after wrong
    /// ones.
    pub fn right(&mut self, from: Source) {
        let is_waiting =
            |(source, place): &(Source, Weak<()>)| *source == from && place.strong_count() > 0;
        if !self.held.iter().any(is_waiting) {
            self.wrong.retain(|entry| entry.from != from);
        }
        if from.neighbourhood().is_none() {
            return;
        }
        self.right.retain(|known| *known != from);
        if self.right.len() >= limits::RIGHT_PASSWORD_ADDRESSES_MAX {
            self.right.remove(0);
        }
        self.right.push(from);
    }

    /// The password changed: no source has been right yet.
    pub fn forget_right(&mut self) {
        self.right.clear();
    }

    /// The number of sources, without networks, that sent a wrong password recently.
    pub fn guilty(&self) -> usize {
        let is_network = |source| match source {
            Source::Network { address, .. } => source != Source::of(address),
            Source::Browser(_) => false,
        };
        self.wrong.iter().filter(|entry| !is_network(entry.from)).count()
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

    /// Whether a source that guesses wrong, and its network, can be remembered without forgetting
    /// others.
    fn has_room(&self, now: Instant) -> bool {
        let recent = self.wrong.iter().filter(|entry| !entry.is_old(now)).count();
        recent + 2 <= limits::WRONG_PASSWORD_ADDRESSES_MAX
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
