//! Passwords: judged at once if possible, otherwise by an [`Attempt`] on another thread, or held
//! back while somebody guesses.
//!
//! Knows nothing of: routes, hosts, sessions beyond beginning one.

use super::{
    Access, AccessHead, Attempt, AttemptResult, Challenge, Held, Peer, Refusal, Source, Verdict,
    Who,
    attempt::{Finding, Purpose},
    delays::Delay,
    password::{Password, PasswordHash},
    secret::Key,
    sessions,
};
use crate::limits;
use std::{sync::Arc, time::Instant};

impl Access {
    /// Judges an attempt whose turn has come ([`Held::until`]).
    ///
    /// # Errors
    /// The password was wrong.
    pub fn proceed(&mut self, held: Held, now: Instant) -> Result<Verdict, Refusal> {
        let Password::Set(hash) = self.password else {
            return Err(Refusal::NotLoggedIn(Challenge::None));
        };
        self.delays.proceed(now);
        self.judge(Attempt { hash: Some(hash), ..held.attempt }, now)
    }

    /// Applies the answer of an attempt. A new password takes effect here, and ends all sessions.
    ///
    /// # Errors
    /// The password was wrong, or has changed meanwhile.
    pub fn verified(&mut self, answer: AttemptResult, now: Instant) -> Result<Verdict, Refusal> {
        let AttemptResult { attempt, finding, new } = answer;
        if finding == Finding::Wrong {
            return Err(self.wrong(&attempt, now));
        }
        let Some(new) = new else {
            if attempt.hash.is_some_and(|hash| self.password != Password::Set(hash)) {
                return Err(Refusal::NotLoggedIn(Challenge::None));
            }
            return self.right(&attempt, &attempt.password, now);
        };
        // The file was written before, and may have been read again by now.
        let first = match attempt.purpose {
            Purpose::Change { is_first: true, .. } => "the first password",
            _ => "a new password",
        };
        self.tell(format!("{first} was set from {}", attempt.peer));
        self.set_password(Password::Set(new));
        let password = match &attempt.purpose {
            Purpose::Change { new, .. } => new,
            _ => &attempt.password,
        };
        self.right(&attempt, password, now)
    }

    /// Checks a password: at once if possible, otherwise by an attempt, or when its turn comes.
    pub(super) fn check(
        &mut self,
        purpose: Purpose,
        password: Vec<u8>,
        hash: PasswordHash,
        (head, peer): (&AccessHead<'_>, Peer),
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        let source = self.source(head, peer, hash, now);
        let is_known = matches!(source, Some(Source::Browser(_)));
        // A try that cannot be judged does not count; guessers do not delay a known browser.
        if self.remembered.is_none() && self.is_busy() && !is_known {
            return Err(Refusal::Busy);
        }
        let place = if is_known { Arc::default() } else { Arc::clone(&self.attempts) };
        let mut attempt = Attempt { purpose, password, hash: Some(hash), peer, source, place };
        // Applies to the right password too; otherwise the delay would reveal it.
        match source.map_or(Ok(()), |source| self.delays.begin(source, now)) {
            Ok(()) => self.judge(attempt, now),
            Err(Delay::Wait(wait)) => Err(Refusal::Wait(wait)),
            Err(Delay::Turn(place, hold)) => {
                attempt.place = place;
                Ok(Verdict::Held(Held { until: now + hold, attempt }))
            }
        }
    }

    fn judge(&mut self, attempt: Attempt, now: Instant) -> Result<Verdict, Refusal> {
        match self.recall(&attempt.password) {
            Some(Finding::Wrong) => Err(self.wrong(&attempt, now)),
            Some(Finding::Right) if !matches!(attempt.purpose, Purpose::Change { .. }) => {
                self.right(&attempt, &attempt.password, now)
            }
            Some(Finding::Right) => Ok(Verdict::Verify(Attempt { hash: None, ..attempt })),
            None => Ok(Verdict::Verify(attempt)),
        }
    }

    pub(super) fn attempt(
        &self,
        purpose: Purpose,
        password: Vec<u8>,
        hash: Option<PasswordHash>,
        peer: Peer,
        source: Option<Source>,
    ) -> Result<Verdict, Refusal> {
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        let place = Arc::clone(&self.attempts);
        Ok(Verdict::Verify(Attempt { purpose, password, hash, peer, source, place }))
    }

    /// The source a try is counted for: a browser that was logged in before, or an address.
    fn source(
        &self,
        head: &AccessHead<'_>,
        peer: Peer,
        hash: PasswordHash,
        now: Instant,
    ) -> Option<Source> {
        let Peer::Address(address) = peer else { return None };
        let (name, key) = (self.cookie_name(), hash.key());
        let mut tokens = head.cookies(&name).take(limits::COOKIES_MAX);
        let browser = tokens.find_map(|token| sessions::number(token, &key)).map(Source::Browser);
        // Its cookie may have been stolen.
        let is_trusted = |source: &Source| {
            self.delays.wrong_in_a_row(*source, now) < limits::KNOWN_BROWSER_TRIES_MAX
        };
        Some(browser.filter(is_trusted).unwrap_or(Source::of(address)))
    }

    fn is_busy(&self) -> bool {
        Arc::strong_count(&self.attempts) > limits::PASSWORD_CHECKS_MAX
    }

    /// Compares with the remembered password, without the slow check; `None` before the first
    /// correct one.
    fn recall(&self, password: &[u8]) -> Option<Finding> {
        let trace = self.key.as_ref()?.trace(password);
        let is_right = self.remembered.as_ref()?.is(&trace);
        Some(if is_right { Finding::Right } else { Finding::Wrong })
    }

    fn wrong(&mut self, attempt: &Attempt, now: Instant) -> Refusal {
        let challenge = match attempt.purpose {
            Purpose::Basic(challenge) => challenge,
            Purpose::LogIn | Purpose::Change { .. } => Challenge::None,
        };
        let Some(source) = attempt.source else { return Refusal::NotLoggedIn(challenge) };
        let (wrong, wait) = self.delays.wrong(source, now);
        let peer = attempt.peer;
        // Guessers must not fill the log.
        let guilty = self.delays.guilty();
        if wrong.is_power_of_two() && (wrong > 1 || guilty.is_power_of_two()) {
            self.tell(match guilty {
                0..GUILTY_FEW => format!("wrong password from {peer}, {wrong} in a row"),
                _ => format!("wrong passwords from {guilty} addresses, {wrong} from {peer}"),
            });
        }
        Refusal::WrongPassword { wait, challenge }
    }

    /// `password` is the one now in effect.
    fn right(
        &mut self,
        attempt: &Attempt,
        password: &[u8],
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        let Peer::Address(address) = attempt.peer else {
            return Ok(Verdict::Admitted(Who::Unix));
        };
        self.delays.right(attempt.source.unwrap_or(Source::of(address)));
        if self.key.is_none() {
            self.key = Key::new(self.random);
        }
        self.remembered = self.key.as_ref().map(|key| key.trace(password));
        if matches!(attempt.purpose, Purpose::Basic(_)) {
            return Ok(Verdict::Admitted(Who::Basic));
        }
        let key = self.key.as_ref().ok_or(Refusal::NoRandomness)?;
        let Password::Set(hash) = self.password else { return Err(Refusal::NoPassword) };
        let token = self.sessions.begin(key, &hash.key(), self.random, now);
        let token = token.ok_or(Refusal::NoRandomness)?;
        self.tell(format!("logged in from {}", attempt.peer));
        Ok(Verdict::Begun(sessions::cookie(&self.cookie_name(), &token)))
    }
}

/// From this many addresses on, the log counts them instead of naming them.
const GUILTY_FEW: usize = 9;
