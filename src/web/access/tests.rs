mod any;
mod basic;
mod corpus;
mod first_password;
mod form;
mod hosts;
mod origins;
mod sessions;
mod waits;

use super::{password::PasswordHash, *};
use std::time::Duration;

const ASSETS: &[&str] = &["/", "/app.js"];
/// The password, and its hash as made by Python's hashlib; few rounds, so that tests are fast.
const PASSWORD: &str = "correct horse";
const STORED: &str =
    "$pbkdf2-sha256$i=1000$AAECAwQFBgcICQoLDA0ODw$yRTMTwbMbo9G0VfjobWqerzuuxe7BETNTErBbKKumGQ";

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Access, its clock, and the client.
struct Bench {
    access: Access,
    now: Instant,
    peer: Peer,
    /// What the browser sends along when it logs in.
    cookie: String,
}

impl Bench {
    fn new(password: Password) -> Bench {
        Bench::with(Auth::Password, password)
    }

    fn with(auth: Auth, password: Password) -> Bench {
        let hosts = vec!["Camera.Example.org".to_owned(), "proxy.example:8443".to_owned()];
        let web = config::Web { auth, hosts, ..config::Web::default() };
        Bench {
            access: Access::new(&web, "attic", password, ASSETS, secret::random),
            now: crate::runtime::now(),
            peer: peer("192.168.1.7"),
            cookie: String::new(),
        }
    }

    fn protected() -> Bench {
        Bench::new(Password::Set(PasswordHash::parse(STORED).unwrap()))
    }

    /// Sends one request; its password is checked if necessary.
    fn ask(&mut self, method: &str, path: &str, fields: Fields) -> Result<Verdict, Refusal> {
        let mut all = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head = AccessHead::read(method, path, &mut all)?;
        let verdict = self.access.admit(&head, self.peer, self.now)?;
        self.settle(verdict)
    }

    fn settle(&mut self, verdict: Verdict) -> Result<Verdict, Refusal> {
        match verdict {
            Verdict::Verify(attempt) => self.access.verified(attempt.run(), self.now),
            verdict => Ok(verdict),
        }
    }

    /// How a request is admitted, or the status of its refusal.
    fn who(&mut self, method: &str, path: &str, fields: Fields) -> Result<Who, u16> {
        match self.ask(method, path, fields) {
            Ok(Verdict::Admitted(who)) => Ok(who),
            Ok(verdict) => panic!("{verdict:?}"),
            Err(refusal) => Err(refusal.status()),
        }
    }

    /// The page's cookie, or why there is none.
    fn log_in(&mut self, password: &str) -> Result<String, Refusal> {
        let verdict = self.begin_log_in(password)?;
        self.settle(verdict).map(|verdict| cookie(&verdict))
    }

    fn begin_log_in(&mut self, password: &str) -> Result<Verdict, Refusal> {
        let fields = [(&b"Cookie"[..], self.cookie.as_bytes())];
        let head = AccessHead::read("POST", "/api/session", &mut fields.into_iter()).unwrap();
        self.access.log_in(password, &head, self.peer, self.now)
    }

    fn change_password(&mut self, old: Option<&str>, new: &str) -> Result<Verdict, Refusal> {
        let verdict = self.begin_change(old, new)?;
        self.settle(verdict)
    }

    fn begin_change(&mut self, old: Option<&str>, new: &str) -> Result<Verdict, Refusal> {
        let fields = [(&b"Cookie"[..], self.cookie.as_bytes())];
        let head = AccessHead::read("PUT", "/api/password", &mut fields.into_iter()).unwrap();
        self.access.change_password(old, new, &head, self.peer, self.now)
    }

    fn wait(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    fn news(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.access.poll_news()).collect()
    }
}

/// What a browser sends back of `Set-Cookie`.
fn cookie(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Begun(cookie) => cookie.split(';').next().unwrap().to_owned(),
        verdict => panic!("{verdict:?}"),
    }
}

fn peer(address: &str) -> Peer {
    Peer::Address(address.parse().unwrap())
}

fn basic(pair: &str) -> String {
    use base64::Engine as _;
    ["Basic ", &base64::engine::general_purpose::STANDARD.encode(pair)].concat()
}

const HOST: (&str, &str) = ("Host", "192.168.1.2:8080");
const ORIGIN: (&str, &str) = ("Origin", "http://192.168.1.2:8080");
