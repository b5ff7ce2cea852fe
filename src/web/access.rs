//! Permissions: a request's head and where it came from in; admitted or refused out.
//!
//! ```text
//! access.rs     the rules in their order
//! ├─ form       bytes of a connection; a malformed request gets no further
//! ├─ head       the parts of a request that the rules use
//! ├─ host       the names this machine may be called by
//! ├─ origin     the pages that may make a browser send requests
//! ├─ sessions   logged-in browsers
//! ├─ delays     how long a password waits before it is judged
//! ├─ password   its hash, its file
//! ├─ checks     whether a password is right
//! ├─ attempt    a pending check of a password
//! ├─ secret     randomness, comparison
//! └─ refusal    a status and a message
//! ```
//! Checking a password is slow, so it is not done here: [`Access::admit`], [`Access::log_in`] and
//! [`Access::change_password`] may return [`Verdict::Verify`]. The caller runs the [`Attempt`] on
//! another thread, one at a time, and passes its [`AttemptResult`] to [`Access::verified`]. While
//! somebody guesses, they may return [`Verdict::Held`]: the caller keeps the [`Held`] for a while
//! and passes it to [`Access::proceed`].
//!
//! Knows nothing of: sockets, the server, what a route does, files other than the password's.

pub mod host;
pub mod password;
pub mod secret;

mod attempt;
mod checks;
mod delays;
mod form;
mod head;
mod origin;
mod refusal;
mod sessions;

pub use attempt::{Attempt, AttemptResult, Held};
pub use delays::Source;
pub use form::Form;
pub use head::{AccessHead, Class};
pub use refusal::{Challenge, Refusal};

use self::{
    attempt::Purpose,
    delays::Delays,
    host::Hosts,
    password::{LENGTH, Password},
    secret::{Key, Random, Trace},
    sessions::Sessions,
};
use crate::{
    config::{self, Auth},
    http::local::is_local,
    limits,
};
use std::{
    collections::VecDeque,
    fmt,
    net::IpAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::Instant,
};

/// The state that outlives a request. All of it is in memory and ends with the process, except the
/// password, whose file the caller reads and writes.
pub struct Access {
    auth: Auth,
    hosts: Hosts,
    /// Paths of the page's own files, which are public.
    assets: &'static [&'static str],
    password: Password,
    /// Permissions that come from no session end when this is dropped.
    life: Rc<()>,
    /// Of the password that was last correct, so that the slow check runs once.
    remembered: Option<Trace>,
    sessions: Sessions,
    delays: Delays,
    key: Option<Key>,
    random: Random,
    /// Cloned for each attempt that is under way; counts them even if one gets lost.
    attempts: Arc<()>,
    changes: Arc<()>,
    news: VecDeque<String>,
}

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The control socket, whose file permissions decide who may open it.
    Unix,
    Address(IpAddr),
}

/// How a request was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Unix,
    Session,
    Basic,
    /// `auth = "none"`.
    Anybody,
    /// The route is public.
    Stranger,
}

impl Peer {
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Peer::Unix => None,
            Peer::Address(address) => Some(address),
        }
    }
}

impl Who {
    /// What its places are counted for, where they are shared out by address; `None` if it keeps
    /// them.
    pub fn sharer(self, address: Option<IpAddr>) -> Option<Source> {
        address.filter(|_| !self.is_owner()).map(Source::of)
    }

    /// Returns `logged_in` of `/api/session`.
    pub fn is_logged_in(self) -> bool {
        self != Who::Stranger
    }

    /// Returns true if the client is known: others make way for it.
    pub fn is_owner(self) -> bool {
        matches!(self, Who::Unix | Who::Session | Who::Basic)
    }
}

/// The permission of a request, which its reply may outlive.
#[derive(Clone, Debug)]
pub struct Pass {
    pub who: Who,
    life: Weak<()>,
}

impl Pass {
    /// Returns true once it is no longer valid: its session ended, or the password changed.
    pub fn is_over(&self) -> bool {
        self.who.is_logged_in() && self.who != Who::Unix && self.life.strong_count() == 0
    }
}

#[derive(Debug)]
pub enum Verdict {
    Admitted(Who),
    /// A session begins; contains the value of `Set-Cookie`.
    Begun(String),
    /// See [`Access::verified`].
    Verify(Attempt),
    /// See [`Access::proceed`].
    Held(Held),
}

impl Access {
    /// `own_name` is the machine's ([`host::own_name`]); `random` is [`secret::random`] except in
    /// tests.
    pub fn new(
        web: &config::Web,
        own_name: &str,
        password: Password,
        assets: &'static [&'static str],
        random: Random,
    ) -> Access {
        Access {
            auth: web.auth,
            hosts: Hosts::new(own_name, &web.hosts),
            assets,
            password,
            life: Rc::default(),
            remembered: None,
            sessions: Sessions::default(),
            delays: Delays::new(connections(web)),
            key: None,
            random,
            attempts: Arc::default(),
            changes: Arc::default(),
            news: VecDeque::new(),
        }
    }

    /// Applies a changed configuration; sessions continue.
    pub fn configure(&mut self, web: &config::Web, own_name: &str) {
        if self.auth != web.auth {
            self.auth = web.auth;
            self.life = Rc::default();
        }
        self.hosts = Hosts::new(own_name, &web.hosts);
        self.delays.configure(connections(web));
    }

    /// Applies the content of the password's file; if it changed, all sessions end.
    pub fn set_password(&mut self, password: Password) {
        if self.password != password {
            self.password = password;
            self.remembered = None;
            self.life = Rc::default();
            self.sessions.end_all();
            self.delays.forget_right();
        }
    }

    /// Returns `auth` of `/api/session`.
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// Returns `password_set` of `/api/session`; true also if the password cannot be read.
    pub fn is_password_set(&self) -> bool {
        self.password != Password::Unset
    }

    /// Returns the next event for log and page, oldest first, until `None`.
    pub fn poll_news(&mut self) -> Option<String> {
        self.news.pop_front()
    }

    /// Judges a request by its head, whose form has been checked ([`Form`]), before its body is
    /// read.
    ///
    /// # Errors
    /// The reply to send instead.
    pub fn admit(
        &mut self,
        head: &AccessHead<'_>,
        peer: Peer,
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        if peer == Peer::Unix {
            return Ok(Verdict::Admitted(Who::Unix));
        }
        let Some(host) = head.host else {
            // Every browser sends it; a proxy's health check over HTTP/1.0 does not.
            return if head.is_check() {
                Ok(Verdict::Admitted(Who::Stranger))
            } else {
                Err(Refusal::Malformed("a request has one Host"))
            };
        };
        self.hosts.check(host)?;
        let class = head.class(self.assets);
        origin::check(head, class, &self.cookie_name(), &self.hosts)?;
        if self.auth == Auth::None {
            return Ok(Verdict::Admitted(Who::Anybody));
        }
        if self.session(head, now).is_some() {
            return Ok(Verdict::Admitted(Who::Session));
        }
        match (class, &self.password) {
            // A local proxy forwards clients from anywhere.
            (Class::LogIn, Password::Unset) if head.is_forwarded => Err(Refusal::Forwarded),
            (Class::Public | Class::LogIn, _) => Ok(Verdict::Admitted(Who::Stranger)),
            (_, Password::Unset) => Err(Refusal::NoPassword),
            (_, Password::Unreadable(why)) => Err(Refusal::PasswordUnreadable(why.clone())),
            (_, Password::Set(hash)) => {
                let challenge = head.challenge();
                let password = head.basic().ok_or(Refusal::NotLoggedIn(challenge))?;
                self.check(Purpose::Basic(challenge), password, *hash, (head, peer), now)
            }
        }
    }

    /// Returns the permission of a request that was admitted as `who`.
    pub fn pass(&mut self, who: Who, head: &AccessHead<'_>, now: Instant) -> Pass {
        let of_session = if who == Who::Session { self.session(head, now) } else { None };
        Pass { who, life: of_session.unwrap_or_else(|| Rc::downgrade(&self.life)) }
    }

    /// `POST /api/session`, once admitted.
    ///
    /// # Errors
    /// Why no session begins.
    pub fn log_in(
        &mut self,
        password: &str,
        head: &AccessHead<'_>,
        peer: Peer,
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        match (&self.password, peer) {
            (_, Peer::Unix) => Ok(Verdict::Admitted(Who::Unix)),
            _ if self.auth == Auth::None => Ok(Verdict::Admitted(Who::Anybody)),
            (Password::Unset, _) => Err(Refusal::NoPassword),
            (Password::Unreadable(why), _) => Err(Refusal::PasswordUnreadable(why.clone())),
            (Password::Set(hash), _) => {
                self.check(Purpose::LogIn, password.into(), *hash, (head, peer), now)
            }
        }
    }

    /// `DELETE /api/session`, once admitted; returns the value of `Set-Cookie`.
    pub fn log_out(&mut self, head: &AccessHead<'_>) -> String {
        let name = self.cookie_name();
        if let Some(key) = &self.key {
            let tokens = head.cookies(&name).take(limits::COOKIES_MAX);
            tokens.for_each(|token| self.sessions.end(key, token));
        }
        sessions::no_cookie(&name)
    }

    /// The cookie's name. Cookies ignore ports, so two recorders on one host need different names.
    fn cookie_name(&self) -> String {
        match &self.password {
            Password::Set(hash) => format!("{COOKIE}-{:08x}", hash.tag()),
            Password::Unset | Password::Unreadable(_) => COOKIE.to_owned(),
        }
    }

    /// `PUT /api/password`, once admitted. Over the control socket, `old` is not needed.
    ///
    /// # Errors
    /// Why the password stays unchanged.
    pub fn change_password(
        &mut self,
        old: Option<&str>,
        new: &str,
        head: &AccessHead<'_>,
        peer: Peer,
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        if !LENGTH.contains(&new.chars().count()) {
            return Err(Refusal::PasswordLength);
        }
        // One at a time, because the file and the remembered password change together.
        if Arc::strong_count(&self.changes) > 1 {
            return Err(Refusal::Busy);
        }
        let random = (self.random)().ok_or(Refusal::NoRandomness)?;
        let salt = *random.first_chunk().expect("32 bytes hold 16");
        let place = Arc::clone(&self.changes);
        let is_first = self.password == Password::Unset;
        let purpose = Purpose::Change { new: new.into(), salt, is_first, _place: place };
        match (&self.password, peer) {
            (_, Peer::Unix) => self.attempt(purpose, Vec::new(), None, peer, None),
            (Password::Unset, Peer::Address(address)) if is_local(address) => {
                self.attempt(purpose, Vec::new(), None, peer, None)
            }
            (Password::Unset, Peer::Address(address)) => Err(Refusal::NotLocal(address)),
            (Password::Unreadable(why), _) => Err(Refusal::PasswordUnreadable(why.clone())),
            (Password::Set(hash), _) => {
                let old = old.ok_or(Refusal::Malformed("the old password is missing"))?;
                self.check(purpose, old.into(), *hash, (head, peer), now)
            }
        }
    }

    fn session(&mut self, head: &AccessHead<'_>, now: Instant) -> Option<Weak<()>> {
        let key = self.key.as_ref()?;
        let name = self.cookie_name();
        let mut tokens = head.cookies(&name).take(limits::COOKIES_MAX);
        tokens.find_map(|token| self.sessions.find(key, token, now))
    }

    fn tell(&mut self, news: String) {
        if self.news.len() >= limits::ACCESS_NEWS_MAX {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Unix => f.write_str("the machine itself"),
            Peer::Address(address) => address.to_canonical().fmt(f),
        }
    }
}

fn connections(web: &config::Web) -> usize {
    usize::try_from(web.connections_max.get()).unwrap_or(usize::MAX)
}

/// The beginning of the cookie's name.
const COOKIE: &str = "smolnvr";

#[cfg(test)]
mod tests;
