//! Who may do what: a request's head and where it came from in, admitted or refused out.
//!
//! ```text
//! access.rs     the rules in their order
//! ├─ form       bytes of a connection: what is no clean request never gets further
//! ├─ head       what the rules look at in a request
//! ├─ host       by which names this machine may be called
//! ├─ origin     which pages may make a browser ask
//! ├─ sessions   who is logged in
//! ├─ delays     who waits before a password is judged
//! ├─ password   its hash, its file
//! ├─ checks     whether a password is right
//! ├─ attempt    a password to be checked elsewhere
//! ├─ secret     randomness, comparison
//! └─ refusal    a status and words
//! ```
//! Checking a password is slow, so it is not done here: [`Access::admit`], [`Access::log_in`] and
//! [`Access::change_password`] may answer [`Verdict::Verify`]; the [`Attempt`] is run on another
//! thread, one after the other, and its [`Answer`] brought to [`Access::verified`]. Where somebody
//! guesses they may answer [`Verdict::Held`]: the [`Held`] is kept for a while and brought to
//! [`Access::proceed`].
//!
//! Knows nothing of: sockets, the server, what a route does, files but the password's.

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

pub use attempt::{Answer, Attempt, Held};
pub use delays::Source;
pub use form::Form;
pub use head::{Class, Head};
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

/// What is remembered between requests. All of it is in memory and ends with the process, but for
/// the password's file, which the caller reads and writes.
pub struct Access {
    auth: Auth,
    hosts: Hosts,
    /// Paths of the page's own files, which everybody may have.
    assets: &'static [&'static str],
    password: Password,
    /// What is admitted otherwise than by a session looks whether this is still there.
    life: Rc<()>,
    /// Of the password that was found right: the slow check is made once.
    remembered: Option<Trace>,
    sessions: Sessions,
    delays: Delays,
    key: Option<Key>,
    random: Random,
    /// One clone for each attempt that is under way, wherever it gets lost.
    attempts: Arc<()>,
    changes: Arc<()>,
    news: VecDeque<String>,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The control socket: the file system says who may open it.
    Unix,
    Address(IpAddr),
}

/// Whom a request was admitted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Unix,
    Session,
    Basic,
    /// Anybody: `auth = "none"`.
    Anybody,
    /// Nobody: the route is for everybody.
    Stranger,
}

impl Who {
    /// What `logged_in` of `/api/session` says.
    pub fn is_logged_in(self) -> bool {
        self != Who::Stranger
    }

    /// Whether he is known: others make way for him.
    pub fn is_owner(self) -> bool {
        matches!(self, Who::Unix | Who::Session | Who::Basic)
    }
}

/// What a request was admitted by, for as long as its answer takes.
#[derive(Clone, Debug)]
pub struct Pass {
    pub who: Who,
    life: Weak<()>,
}

impl Pass {
    /// Whether it counts no more: the session ended, or there is another password.
    pub fn is_over(&self) -> bool {
        self.who.is_logged_in() && self.who != Who::Unix && self.life.strong_count() == 0
    }
}

#[derive(Debug)]
pub enum Verdict {
    Admitted(Who),
    /// A session begins: the value of `Set-Cookie`.
    Begun(String),
    /// See [`Access::verified`].
    Verify(Attempt),
    /// See [`Access::proceed`].
    Held(Held),
}

impl Access {
    /// `own_name` is the machine's ([`host::own_name`]); `random` is [`secret::random`] but in
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

    /// Takes a changed configuration over; who is logged in stays so.
    pub fn configure(&mut self, web: &config::Web, own_name: &str) {
        if self.auth != web.auth {
            self.auth = web.auth;
            self.life = Rc::default();
        }
        self.hosts = Hosts::new(own_name, &web.hosts);
        self.delays.configure(connections(web));
    }

    /// Takes over what the password's file holds now; where it is another one, all sessions end.
    pub fn set_password(&mut self, password: Password) {
        if self.password != password {
            self.password = password;
            self.remembered = None;
            self.life = Rc::default();
            self.sessions.end_all();
            self.delays.forget_right();
        }
    }

    /// What `auth` of `/api/session` says.
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// What `password_set` of `/api/session` says; also where the password can not be read.
    pub fn is_password_set(&self) -> bool {
        self.password != Password::Unset
    }

    /// What happened since the last call, for the log and the page, oldest first: until `None`.
    pub fn poll_news(&mut self) -> Option<String> {
        self.news.pop_front()
    }

    /// Judges a request by its head, whose form is in order ([`Form`]); before its body is read.
    ///
    /// # Errors
    /// What to answer instead of what was asked for.
    pub fn admit(&mut self, head: &Head<'_>, peer: Peer, now: Instant) -> Result<Verdict, Refusal> {
        if peer == Peer::Unix {
            return Ok(Verdict::Admitted(Who::Unix));
        }
        let Some(host) = head.host else {
            // No browser leaves it out: by HTTP/1.0 a proxy asks whether somebody is there.
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
            // Wherever the proxy is, who asks it may be anywhere.
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

    /// What a request that was admitted as `who` goes on by.
    pub fn pass(&mut self, who: Who, head: &Head<'_>, now: Instant) -> Pass {
        let of_session = if who == Who::Session { self.session(head, now) } else { None };
        Pass { who, life: of_session.unwrap_or_else(|| Rc::downgrade(&self.life)) }
    }

    /// `POST /api/session`, once it is admitted.
    ///
    /// # Errors
    /// Where no session begins.
    pub fn log_in(
        &mut self,
        password: &str,
        head: &Head<'_>,
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

    /// `DELETE /api/session`, once it is admitted; the value of `Set-Cookie`.
    pub fn log_out(&mut self, head: &Head<'_>) -> String {
        let name = self.cookie_name();
        if let Some(key) = &self.key {
            let tokens = head.cookies(&name).take(limits::COOKIES_MAX);
            tokens.for_each(|token| self.sessions.end(key, token));
        }
        sessions::no_cookie(&name)
    }

    /// Cookies know no ports: two recorders of one host have each its own.
    fn cookie_name(&self) -> String {
        match &self.password {
            Password::Set(hash) => format!("{COOKIE}-{:08x}", hash.tag()),
            Password::Unset | Password::Unreadable(_) => COOKIE.to_owned(),
        }
    }

    /// `PUT /api/password`, once it is admitted. Whoever comes by the control socket needs no
    /// `old`.
    ///
    /// # Errors
    /// Where the password stays as it is.
    pub fn change_password(
        &mut self,
        old: Option<&str>,
        new: &str,
        head: &Head<'_>,
        peer: Peer,
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        if !LENGTH.contains(&new.chars().count()) {
            return Err(Refusal::PasswordLength);
        }
        // One at a time: the file and what is remembered of it change together.
        if Arc::strong_count(&self.changes) > 1 {
            return Err(Refusal::Busy);
        }
        let random = (self.random)().ok_or(Refusal::NoRandomness)?;
        let salt = *random.first_chunk().expect("32 bytes hold 16");
        let place = Arc::clone(&self.changes);
        let purpose = Purpose::Change { new: new.into(), salt, _place: place };
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

    fn session(&mut self, head: &Head<'_>, now: Instant) -> Option<Weak<()>> {
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

/// Whether an address is of this machine or of a network that is not the Internet: RFC 1918, RFC
/// 3927, RFC 4193, RFC 4291 §2.5.6. Not those of a provider's NAT (RFC 6598), where strangers are.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// What the name of the cookie begins with.
const COOKIE: &str = "smolnvr";

#[cfg(test)]
mod tests;
