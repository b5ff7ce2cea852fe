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
    attempt::{Finding, Purpose},
    delays::{Delay, Delays},
    host::Hosts,
    password::{Hash, LENGTH, Password},
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

    /// Judges a try whose turn has come ([`Held::until`]).
    ///
    /// # Errors
    /// Where the password was wrong.
    pub fn proceed(&mut self, held: Held, now: Instant) -> Result<Verdict, Refusal> {
        let Password::Set(hash) = self.password else {
            return Err(Refusal::NotLoggedIn(Challenge::None));
        };
        self.delays.proceed(now);
        self.judge(Attempt { hash: Some(hash), ..held.attempt }, now)
    }

    /// Takes the answer of an attempt. A new password counts from here on, and ends all sessions.
    ///
    /// # Errors
    /// Where the password was wrong, or is another one by now.
    pub fn verified(&mut self, answer: Answer, now: Instant) -> Result<Verdict, Refusal> {
        let Answer { attempt, finding, new } = answer;
        if finding == Finding::Wrong {
            return Err(self.wrong(&attempt, now));
        }
        let Some(new) = new else {
            if attempt.hash.is_some_and(|hash| self.password != Password::Set(hash)) {
                return Err(Refusal::NotLoggedIn(Challenge::None));
            }
            return self.right(&attempt, &attempt.password, now);
        };
        let first =
            if self.password == Password::Unset { "the first password" } else { "a new password" };
        self.tell(format!("{first} was set from {}", attempt.peer));
        self.set_password(Password::Set(new));
        let password = match &attempt.purpose {
            Purpose::Change { new, .. } => new,
            _ => &attempt.password,
        };
        self.right(&attempt, password, now)
    }

    /// Checks a password: at once where that can be, else by an attempt, or in its turn.
    fn check(
        &mut self,
        purpose: Purpose,
        password: Vec<u8>,
        hash: Hash,
        (head, peer): (&Head<'_>, Peer),
        now: Instant,
    ) -> Result<Verdict, Refusal> {
        let source = self.source(head, peer, hash, now);
        let is_known = matches!(source, Some(Source::Browser(_)));
        // A try that can not be judged is none; guessers do not make somebody known wait.
        if self.remembered.is_none() && self.is_busy() && !is_known {
            return Err(Refusal::Busy);
        }
        let place = if is_known { Arc::default() } else { Arc::clone(&self.attempts) };
        let mut attempt = Attempt { purpose, password, hash: Some(hash), peer, source, place };
        // Also for the right one: else the wait would tell which one is right.
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

    fn attempt(
        &self,
        purpose: Purpose,
        password: Vec<u8>,
        hash: Option<Hash>,
        peer: Peer,
        source: Option<Source>,
    ) -> Result<Verdict, Refusal> {
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        let place = Arc::clone(&self.attempts);
        Ok(Verdict::Verify(Attempt { purpose, password, hash, peer, source, place }))
    }

    /// Whom a try is counted for: a browser that was logged in before, or an address.
    fn source(&self, head: &Head<'_>, peer: Peer, hash: Hash, now: Instant) -> Option<Source> {
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

    /// What is known of a password without the slow check; nothing before the first right one came.
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
        // A guesser shall not fill the log, nor many.
        let guilty = self.delays.guilty();
        if wrong.is_power_of_two() && (wrong > 1 || guilty.is_power_of_two()) {
            self.tell(match guilty {
                0..GUILTY_FEW => format!("wrong password from {peer}, {wrong} in a row"),
                _ => format!("wrong passwords from {guilty} addresses, {wrong} from {peer}"),
            });
        }
        Refusal::WrongPassword { wait, challenge }
    }

    /// `password` is the one that counts from now on.
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
/// From so many addresses on they are counted rather than named.
const GUILTY_FEW: usize = 9;

#[cfg(test)]
mod tests;
