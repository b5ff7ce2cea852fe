//! Logging in to a camera: refusals in, how to send the next request out.
//!
//! Cameras accept HTTP Digest (or Basic), or a token in the request, dated by a clock that may be
//! wrong; some accept only one of the two. They count wrong passwords and lock the account, so
//! after two refusals no more are sent.
//!
//! Spec: ONVIF Core §5.9. Knows nothing of: messages.

use super::soap::Token;
use crate::{
    http::{
        auth::{Authenticator, Challenge},
        url::Credentials,
    },
    limits::FIND_REFUSALS_MAX,
    units::WallTime,
};

/// How to send requests to one camera.
pub struct Ladder {
    credentials: Option<Credentials>,
    http: Authenticator,
    way: Way,
    /// A request with credentials was answered.
    is_proven: bool,
    /// The nonce of HTTP Digest was renewed for the current request.
    is_renewed: bool,
    /// Requests with credentials that were refused.
    refusals: usize,
    /// The camera's clock minus ours.
    offset_ms: i64,
    is_over: bool,
    is_locked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Nothing,
    Http,
    /// By the camera's clock.
    Token,
    /// By our own clock, because some firmware reports local time as UTC.
    OwnClockToken,
}

/// The credentials of a request; never both.
pub struct Dress<'a> {
    pub authorization: Option<String>,
    pub token: Option<Token<'a>>,
}

impl Ladder {
    /// `seed` is for nonces.
    pub fn new(credentials: Option<Credentials>, seed: u64) -> Ladder {
        Ladder {
            http: Authenticator::new(credentials.clone(), seed),
            credentials,
            way: Way::Nothing,
            is_proven: false,
            is_renewed: false,
            refusals: 0,
            offset_ms: 0,
            is_over: false,
            is_locked: false,
        }
    }

    pub fn set_offset_ms(&mut self, offset_ms: i64) {
        self.offset_ms = offset_ms;
    }

    /// Forgets refusals, long after them.
    pub fn begin_anew(&mut self) {
        (self.refusals, self.is_over, self.is_locked) = (0, false, false);
        self.way = if self.is_proven { self.way } else { Way::Nothing };
    }

    /// Returns true if no more requests may be sent: the credentials are wrong.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// How many requests with credentials were refused.
    pub fn refusals(&self) -> usize {
        self.refusals
    }

    /// Returns true if the camera wants credentials, or other ones.
    pub fn was_refused(&self) -> bool {
        self.is_over || self.refusals > 0
    }

    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Returns the credentials of a POST to `path`; `nonce` must be new each time, `now` is our
    /// clock.
    pub fn dress(&mut self, path: &str, nonce: [u8; 16], now: WallTime) -> Dress<'_> {
        let token = |created| {
            let credentials = self.credentials.as_ref()?;
            Some(Token { credentials, nonce, created })
        };
        match self.way {
            Way::Nothing => Dress { authorization: None, token: None },
            Way::Http => {
                Dress { authorization: self.http.authorization("POST", path), token: None }
            }
            Way::Token => {
                let created = WallTime(now.0.saturating_add(self.offset_ms));
                Dress { authorization: None, token: token(created) }
            }
            Way::OwnClockToken => Dress { authorization: None, token: token(now) },
        }
    }

    /// A request was answered.
    pub fn accepted(&mut self) {
        self.is_proven |= self.way != Way::Nothing;
        self.is_renewed = false;
    }

    /// A request was given up before its answer.
    pub fn interrupted(&mut self) {
        self.is_renewed = false;
    }

    /// A request was answered by nothing that is known. Cameras may count its password all the same.
    pub fn ignored(&mut self) {
        if self.way != Way::Nothing && !self.is_proven {
            self.refusals += 1;
            self.is_over |= self.refusals >= FIND_REFUSALS_MAX;
        }
    }

    /// The account is locked.
    pub fn locked(&mut self) {
        (self.is_over, self.is_locked) = (true, true);
    }

    /// A request was refused, with these challenges. Returns true if it is to be sent once more.
    pub fn refused(&mut self, challenges: &[String]) -> bool {
        let challenge = self.http.challenged(&mut challenges.iter().map(String::as_str));
        let is_http = matches!(challenge, Challenge::New | Challenge::Stale);
        // Its nonce may be that of last time.
        let is_offered = is_http || challenge == Challenge::Same && !challenges.is_empty();
        if self.way == Way::Nothing && self.is_renewed && !is_offered {
            // That was not it: the request is forbidden with credentials and without.
            self.way = Way::Http;
        }
        let next = match self.way {
            _ if self.credentials.is_none() => None,
            Way::Nothing if is_offered => Some(Way::Http),
            Way::Nothing => Some(Way::Token),
            // The nonce is used up; the password was right before, or has not been looked at.
            Way::Http
                if !self.is_renewed
                    && (challenge == Challenge::Stale
                        || self.is_proven && challenge == Challenge::New) =>
            {
                self.is_renewed = true;
                return true;
            }
            // Quirk: some recorders forbid a nonce that was given for another request, and give one to
            // a request without (rroller/dahua#647).
            Way::Http if !self.is_renewed && self.is_proven && challenges.is_empty() => {
                self.is_renewed = true;
                Some(Way::Nothing)
            }
            way => {
                self.refusals += 1;
                self.is_renewed = false;
                self.is_over |= self.refusals >= FIND_REFUSALS_MAX;
                match way {
                    // The user may not make this request.
                    _ if self.is_over || self.is_proven => return false,
                    Way::Http => Some(Way::Token),
                    Way::Token if is_http => Some(Way::Http),
                    Way::Token if self.offset_ms.abs() > SKEW_MS => Some(Way::OwnClockToken),
                    _ => None,
                }
            }
        };
        match next {
            Some(way) => self.way = way,
            None => self.is_over = true,
        }
        next.is_some()
    }
}

/// Clocks that differ by less are not why a token is refused.
const SKEW_MS: i64 = 5000;
