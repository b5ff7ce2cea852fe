//! Browsers logged in by the page: tokens in, whether they are valid out.
//!
//! Sessions live in memory and end with the process, at log-out and when the password changes. The
//! table is bounded: if it is full, the session unused for longest ends.
//!
//! A token is a random number and the password's signature of it. A browser whose session ended is
//! therefore recognized, even after a restart: guessers do not delay it.
//!
//! Spec: RFC 6265 §4.1 (Set-Cookie).

use super::secret::{Key, Random, Trace};
use crate::limits;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use std::{
    rc::{Rc, Weak},
    time::Instant,
};

#[derive(Default)]
pub struct Sessions(Vec<Session>);

struct Session {
    token: Trace,
    used: Instant,
    /// Permissions from this session end when this is dropped.
    life: Rc<()>,
}

impl Sessions {
    /// Begins a session and returns its token; `None` without randomness.
    pub fn begin(
        &mut self,
        key: &Key,
        password: &Key,
        random: Random,
        now: Instant,
    ) -> Option<String> {
        let number = *random()?.first_chunk::<NUMBER_BYTES>()?;
        let token = BASE64.encode([&number[..], password.trace(&number).bytes()].concat());
        self.end_old(now);
        if self.0.len() >= limits::SESSIONS_MAX {
            let idle = self.0.iter().enumerate().min_by_key(|(_, session)| session.used);
            if let Some((index, _)) = idle {
                self.0.swap_remove(index);
            }
        }
        self.0.push(Session { token: key.trace(token.as_bytes()), used: now, life: Rc::default() });
        Some(token)
    }

    /// Returns the life of a token's session, and notes that it was used.
    pub fn find(&mut self, key: &Key, token: &[u8], now: Instant) -> Option<Weak<()>> {
        if self.0.is_empty() || token.len() != TOKEN_LENGTH {
            return None;
        }
        self.end_old(now);
        let trace = key.trace(token);
        let session = self.0.iter_mut().find(|session| session.token.is(&trace))?;
        session.used = now;
        Some(Rc::downgrade(&session.life))
    }

    pub fn end(&mut self, key: &Key, token: &[u8]) {
        let trace = key.trace(token);
        self.0.retain(|session| !session.token.is(&trace));
    }

    pub fn end_all(&mut self) {
        self.0.clear();
    }

    fn end_old(&mut self, now: Instant) {
        let is_new = |session: &Session| {
            // A page that only watches uses it as well.
            Rc::weak_count(&session.life) > 0
                || now.saturating_duration_since(session.used) <= limits::SESSION_IDLE_MAX
        };
        self.0.retain(is_new);
    }
}

/// Returns the number in a token that was issued under that password, even if its session has
/// ended.
pub fn number(token: &[u8], password: &Key) -> Option<u128> {
    if token.len() != TOKEN_LENGTH {
        return None;
    }
    let bytes = BASE64.decode(token).ok()?;
    let (number, signature) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    let is_ours = password.trace(number).is(&Trace::of(signature.try_into().ok()?));
    is_ours.then_some(u128::from_be_bytes(*number))
}

/// `Set-Cookie` of a new session. Its lifetime is decided here, not by the browser, which keeps
/// cookies as long as it can (400 days).
pub fn cookie(name: &str, token: &str) -> String {
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=34560000")
}

/// `Set-Cookie` that ends a session.
pub fn no_cookie(name: &str) -> String {
    format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// 128 bits: cannot be guessed.
const NUMBER_BYTES: usize = 16;
/// The number and its signature, 48 bytes, in base64.
const TOKEN_LENGTH: usize = 64;
