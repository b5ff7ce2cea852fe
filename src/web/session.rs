//! Requests about logging in and out, and the password.
//!
//! Spec: docs/access.md.
//! Knows nothing of: the rules.

use super::{
    Web,
    access::{self, Attempt, Held, Pass, Peer, Refusal, Verdict, Who, password},
    answer::Answer,
    link::{Link, Occupation},
    places::Client,
    routes::Asked,
};
use crate::{
    config::Auth,
    daemon::history::ChangeKind,
    http::request::Head,
    limits,
    runtime::{self, FileWatch},
};
use serde::Deserialize;
use serde_json::json;
use std::{net::IpAddr, rc::Rc};

#[derive(Deserialize)]
struct LogIn {
    password: String,
}

#[derive(Deserialize)]
struct NewPassword {
    password: String,
    old: Option<String>,
}

impl Web {
    /// Decides whether a request may be answered, checking its password on another thread if that
    /// is slow.
    pub(super) async fn admit(
        self: &Rc<Self>,
        head: &Head<'_>,
        link: &Link,
    ) -> Result<Pass, Refusal> {
        let view = access::AccessHead::of(head)?;
        let verdict = self.access.borrow_mut().admit(&view, link.peer, runtime::now());
        let who = match self.settle(verdict, link).await? {
            Verdict::Admitted(who) => who,
            Verdict::Begun(_) | Verdict::Verify(_) | Verdict::Held(_) => Who::Stranger,
        };
        Ok(self.access.borrow_mut().pass(who, &view, runtime::now()))
    }

    /// Decides by its `Authorization` whether an RTSP client may watch, by the rules of `GET
    /// /live`.
    pub(crate) async fn admit_player(
        self: &Rc<Self>,
        authorization: Option<&str>,
        peer: IpAddr,
        client: &dyn Client,
    ) -> Result<Pass, Refusal> {
        // No web page can make a browser speak RTSP, so the host does not matter.
        let host = (&b"Host"[..], &b"127.0.0.1"[..]);
        let field = authorization.map(|it| (&b"Authorization"[..], it.as_bytes()));
        let view = access::AccessHead::read("GET", "/live", &mut [host].into_iter().chain(field))?;
        let verdict = self.access.borrow_mut().admit(&view, Peer::Address(peer), runtime::now());
        match self.settle(verdict, client).await? {
            Verdict::Admitted(who) => Ok(self.access.borrow_mut().pass(who, &view, runtime::now())),
            Verdict::Begun(_) | Verdict::Verify(_) | Verdict::Held(_) => Err(Refusal::Busy),
        }
    }

    /// Carries out a verdict, which the client waits for, and reports what happened.
    async fn settle(
        self: &Rc<Self>,
        verdict: Result<Verdict, Refusal>,
        client: &dyn Client,
    ) -> Result<Verdict, Refusal> {
        let verdict = match verdict {
            Ok(Verdict::Held(held)) => self.hold(held, client).await,
            other => other,
        };
        let verdict = match verdict {
            Ok(Verdict::Verify(attempt)) => self.check(attempt).await,
            other => other,
        };
        let mut access = self.access.borrow_mut();
        while let Some(news) = access.poll_news() {
            log::info!("web: {news}");
            self.daemon.note(ChangeKind::Access, None, news);
        }
        drop(access);
        // A new password may have ended it.
        self.slots.end_what_is_over();
        verdict
    }

    /// Keeps a password until its turn has come or its client is gone.
    async fn hold(self: &Rc<Self>, held: Held, client: &dyn Client) -> Result<Verdict, Refusal> {
        client.occupy(Occupation::Turn);
        loop {
            let left = held.until.saturating_duration_since(runtime::now());
            if left.is_zero() {
                break;
            }
            if client.is_hung_up() {
                return Err(Refusal::Wait(left));
            }
            runtime::sleep(left.min(limits::HELD_PASSWORD_LOOK_INTERVAL)).await;
        }
        client.occupy(Occupation::Work);
        self.access.borrow_mut().proceed(held, runtime::now())
    }

    /// Checks a password in a separate task, because the result counts even if the client
    /// disconnects. One at a time, so that the pool keeps a thread for the resolver.
    async fn check(self: &Rc<Self>, attempt: Attempt) -> Result<Verdict, Refusal> {
        let web = Rc::clone(self);
        let checked = self.to_its_end(async move {
            let _turn = web.checking.lock().await;
            let file = password::path(&web.daemon.options.config_file);
            let answer = runtime::unblock(move || {
                let answer = attempt.run();
                let written = answer.new_password().map(|hash| password::write(&file, hash));
                written.transpose().map(|_| answer).map_err(|error| {
                    Refusal::PasswordUnwritable(format!("{}: {error}", file.display()))
                })
            });
            let answer = answer.await;
            answer.and_then(|it| web.access.borrow_mut().verified(it, runtime::now()))
        });
        checked.await
    }

    /// `GET /api/session`.
    pub(super) fn session(&self, who: Who) -> Answer {
        let access = self.access.borrow();
        let auth = match access.auth() {
            Auth::Password => "password",
            Auth::None => "none",
        };
        let (set, logged_in) = (access.is_password_set(), who.is_logged_in());
        Answer::json(&json!({"auth": auth, "password_set": set, "logged_in": logged_in}))
    }

    /// `POST /api/session`.
    pub(super) async fn log_in(self: &Rc<Self>, asked: &Asked<'_>) -> Answer {
        let Ok(LogIn { password }) = serde_json::from_slice(asked.body) else {
            return Answer::error(400, "expected {\"password\":\"...\"}");
        };
        let link = asked.link;
        let verdict = access::AccessHead::of(&asked.head).and_then(|view| {
            let mut access = self.access.borrow_mut();
            access.log_in(&password, &view, link.peer, runtime::now())
        });
        self.begin_session(verdict, link).await
    }

    /// `DELETE /api/session`.
    pub(super) fn log_out(&self, head: &Head<'_>) -> Answer {
        let answer = self.session(Who::Stranger);
        match access::AccessHead::of(head) {
            Ok(view) => {
                let gone = self.access.borrow_mut().log_out(&view);
                self.slots.end_what_is_over();
                answer.with("Set-Cookie", gone)
            }
            Err(refusal) => refusal.into(),
        }
    }

    /// `PUT /api/password`.
    pub(super) async fn change_password(self: &Rc<Self>, asked: &Asked<'_>) -> Answer {
        let Ok(NewPassword { password, old }) = serde_json::from_slice(asked.body) else {
            return Answer::error(400, "expected {\"password\":\"...\",\"old\":\"...\"}");
        };
        let link = asked.link;
        let verdict = access::AccessHead::of(&asked.head).and_then(|view| {
            let mut access = self.access.borrow_mut();
            access.change_password(old.as_deref(), &password, &view, link.peer, runtime::now())
        });
        self.begin_session(verdict, link).await
    }

    async fn begin_session(
        self: &Rc<Self>,
        verdict: Result<Verdict, Refusal>,
        link: &Link,
    ) -> Answer {
        match self.settle(verdict, link).await {
            Ok(Verdict::Begun(cookie)) => self.session(Who::Session).with("Set-Cookie", cookie),
            Ok(Verdict::Admitted(who)) => self.session(who),
            Ok(Verdict::Verify(_) | Verdict::Held(_)) => self.session(Who::Stranger),
            Err(refusal) => refusal.into(),
        }
    }

    /// Applies changes of the configuration and of the password file.
    pub(super) async fn follow_config(self: Rc<Self>) {
        let file = password::path(&self.daemon.options.config_file);
        let watch = FileWatch::content(&file);
        if let Err(error) = &watch {
            log::debug!("web: {} is not watched: {error}", file.display());
        }
        loop {
            let reloaded = self.daemon.reloaded.changed();
            match &watch {
                Ok(watch) => smol::future::or(reloaded, watch.changed()).await,
                Err(_) => reloaded.await,
            }
            let file = file.clone();
            let (password, own_name) =
                runtime::unblock(move || (password::read(&file), access::host::own_name())).await;
            let config = self.daemon.config.borrow();
            let mut access = self.access.borrow_mut();
            access.configure(&config.web, &own_name);
            access.set_password(password);
            drop((config, access));
            self.slots.end_what_is_over();
        }
    }
}
