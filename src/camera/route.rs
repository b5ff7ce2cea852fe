//! A camera's address and transport, from one attempt to the next.
//!
//! Redirects are followed from the configured address, anew at every attempt; credentials are only
//! sent to its host. If a camera refuses the configured transport, or sends nothing over it, the
//! other one is tried at once. A slow camera gets more time with each attempt.

use super::{Connection, Connector, Error, connection::ConnectOptions};
use crate::{
    http::{auth::Authenticator, url::Target},
    limits,
    rtsp::{self, Greeting, LowerTransport, Metadata, Tracks},
};
use std::time::Duration;

/// The way to a camera.
pub struct Route {
    home: Target,
    /// Where redirects led, or `home`.
    target: Target,
    connector: Connector,
    tracks: Tracks,
    pub metadata: Metadata,
    redirects: usize,
    configured: LowerTransport,
    over: LowerTransport,
    /// Why the configured transport failed, while the other one is tried.
    refusal: Option<Error>,
    /// Index into [`limits::PATIENCE`].
    patience: usize,
    greeting: Greeting,
    /// For the next connection, after the last one was closed before the challenge could be
    /// answered.
    authenticator: Option<Box<Authenticator>>,
    /// The last attempt ended that way.
    closed_behind_challenge: bool,
}

/// When to retry, and why this attempt failed.
#[derive(Debug)]
pub enum Retry {
    /// At once, because the next attempt differs.
    AtOnce(String),
    /// After a pause. If both transports failed, the error is that of the configured one.
    Later(Error),
}

impl Route {
    pub fn new(home: Target, tracks: Tracks, over: LowerTransport) -> Route {
        Route {
            target: home.clone(),
            connector: Connector::new(&home),
            home,
            tracks,
            metadata: Metadata::No,
            redirects: 0,
            configured: over,
            over,
            refusal: None,
            patience: 0,
            greeting: Greeting::Options,
            authenticator: None,
            closed_behind_challenge: false,
        }
    }

    /// Connects. `seed` must differ each time. Cancel-safe, as [`Connector::connect`] is.
    ///
    /// # Errors
    /// Those of [`Connector::connect`] and [`Connection::new`].
    pub async fn connect(&mut self, seed: u64) -> Result<Connection, Error> {
        let socket = self.connector.connect().await?;
        let (reply, silence) = self.patience();
        let (over, tracks, metadata, greeting) =
            (self.over, self.tracks, self.metadata, self.greeting);
        let options = ConnectOptions { over, tracks, metadata, greeting, reply, silence, seed };
        Connection::new(socket, &self.target, options, self.authenticator.take())
    }

    /// The transport of the next attempt.
    pub fn over(&self) -> LowerTransport {
        self.over
    }

    /// Reports a failed attempt; `delivered` is true if packets arrived before.
    pub fn after(&mut self, error: Error, delivered: bool) -> Retry {
        if let Error::Session(rtsp::Error::Redirected { to: Some(to), .. }) = &error
            && self.redirects < limits::REDIRECTS_MAX
        {
            self.redirects += 1;
            self.go_to(self.target.redirected(to));
            return Retry::AtOnce(error.to_string());
        }
        if matches!(error, Error::NumbersMissing) {
            self.tracks = Tracks::VideoAndNumbers;
            return Retry::AtOnce(error.to_string());
        }
        let was_closed = std::mem::take(&mut self.closed_behind_challenge);
        if let Error::Session(rtsp::Error::ClosedBehindChallenge { authenticator }) = &error
            && !was_closed
        {
            self.authenticator = Some(authenticator.clone());
            self.closed_behind_challenge = true;
            return Retry::AtOnce(error.to_string());
        }
        // A camera that closes the connection after the response, too, most likely refuses the
        // password.
        let error = if was_closed && error.is_end_of_connection() {
            let user = self.target.credentials().map(|it| it.user.clone());
            Error::Session(rtsp::Error::Unauthorized { user })
        } else {
            error
        };
        if !delivered {
            self.greeting =
                if error.is_about_greeting() { Greeting::Describe } else { Greeting::Options };
        }
        if self.redirects > 0 {
            self.redirects = 0;
            self.go_to(self.home.clone());
        }
        let is_first = self.over == self.configured;
        if is_first && !delivered && error.is_about_transport() {
            self.over = self.over.other();
            return Retry::AtOnce(self.refusal.insert(error).to_string());
        }
        self.over = self.configured;
        let refusal = self.refusal.take().filter(|_| !delivered && !is_first);
        if delivered {
            // It may have been slow only once.
            self.patience = self.patience.saturating_sub(1);
        } else if error.is_slowness() || refusal.as_ref().is_some_and(Error::is_slowness) {
            self.patience = (self.patience + 1).min(limits::PATIENCE.len() - 1);
        }
        Retry::Later(match refusal {
            Some(refusal) if !error.is_about_the_way() => refusal,
            _ => error,
        })
    }

    fn go_to(&mut self, target: Target) {
        self.connector = Connector::new(&target);
        self.target = target;
        self.authenticator = None;
    }

    /// Timeouts of a reply and of the first packet.
    fn patience(&self) -> (Duration, Duration) {
        let least = (limits::REPLY_TIMEOUT, limits::SILENCE_TIMEOUT);
        limits::PATIENCE.get(self.patience).copied().unwrap_or(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: LowerTransport = LowerTransport::Tcp;
    const UDP: LowerTransport = LowerTransport::Udp;

    fn route(over: LowerTransport) -> Route {
        Route::new("rtsp://admin:secret@camera/live".parse().unwrap(), Tracks::Video, over)
    }

    fn refused(over: LowerTransport) -> Error {
        Error::Session(rtsp::Error::NoTransport { over, status: 461 })
    }

    fn silent(over: LowerTransport) -> Error {
        Error::Silent { over, span: limits::SILENCE_TIMEOUT }
    }

    fn redirected(to: &str) -> Error {
        let to = Some(Box::new(to.parse().unwrap()));
        Error::Session(rtsp::Error::Redirected { status: 302, to })
    }

    fn no_answer() -> Error {
        let waited = limits::REPLY_TIMEOUT;
        Error::Session(rtsp::Error::NoAnswer { method: rtsp::Method::Describe, waited })
    }

    fn at_once(next: Retry) {
        assert!(matches!(next, Retry::AtOnce(_)), "{next:?}");
    }

    /// The error reported for an attempt that is followed by a pause.
    fn told(next: Retry) -> String {
        match next {
            Retry::Later(error) => error.to_string(),
            Retry::AtOnce(text) => panic!("at once: {text}"),
        }
    }

    #[test]
    fn a_transport_that_is_refused_or_silent_gives_way_to_the_other_at_once() {
        for configured in [TCP, UDP] {
            for error in [refused(configured), silent(configured)] {
                let mut route = route(configured);
                at_once(route.after(error, false));
                assert_eq!(route.over(), configured.other());
                // It works over the other one, and ends some day: then the configured one is tried
                // again.
                assert_eq!(told(route.after(Error::Bye, true)), Error::Bye.to_string());
                assert_eq!(route.over(), configured);
            }
        }
    }

    #[test]
    fn the_error_of_the_configured_transport_is_reported() {
        for configured in [TCP, UDP] {
            let other = configured.other();
            for second in [refused(other), silent(other), no_answer(), Error::Closed] {
                let mut route = route(configured);
                at_once(route.after(silent(configured), false));
                let told = told(route.after(second, false));
                assert_eq!(told, silent(configured).to_string());
                assert_eq!(route.over(), configured);
            }
        }
        // Unless the error says nothing about a transport.
        let mut route = route(TCP);
        at_once(route.after(refused(TCP), false));
        let gone = || Error::ConnectTimeout(([192, 0, 2, 1], 554).into());
        assert_eq!(told(route.after(gone(), false)), gone().to_string());
    }

    #[test]
    fn a_slow_camera_is_given_more_time_with_each_try_and_less_once_it_delivers() {
        let mut route = route(TCP);
        let mut seconds = |error: Error, delivered| {
            route.after(error, delivered);
            let (reply, silence) = route.patience();
            (reply.as_secs(), silence.as_secs())
        };
        assert_eq!(seconds(Error::Closed, false), (5, 3), "not slow");
        assert_eq!(seconds(no_answer(), false), (10, 10));
        assert_eq!(seconds(silent(TCP), false), (10, 10), "over UDP first");
        assert_eq!(seconds(refused(UDP), false), (20, 20));
        assert_eq!(seconds(no_answer(), false), (30, 30));
        assert_eq!(seconds(no_answer(), false), (30, 30));
        assert_eq!(seconds(Error::Closed, true), (20, 20));
        for _ in 0..3 {
            seconds(Error::Closed, true);
        }
        assert_eq!(seconds(Error::Closed, true), (5, 3));
    }

    #[test]
    fn a_connection_closed_behind_a_challenge_is_made_again_at_once_but_not_twice() {
        let authenticator = || Box::new(Authenticator::new(None, 1));
        let closed = || {
            Error::Session(rtsp::Error::ClosedBehindChallenge { authenticator: authenticator() })
        };
        let disconnected = || Error::Session(rtsp::Error::Disconnected { awaited: None });
        for second in [closed(), disconnected()] {
            let mut route = route(TCP);
            at_once(route.after(closed(), false));
            assert_eq!(route.authenticator, Some(authenticator()));
            route.authenticator = None;
            let Retry::Later(error) = route.after(second, false) else { panic!("at once again") };
            assert!(error.is_about_credentials(), "{error}");
            // The next attempt is like the first.
            at_once(route.after(closed(), false));
        }
    }

    #[test]
    fn a_server_that_does_not_take_options_is_greeted_with_describe() {
        let mut route = route(TCP);
        let options = || rtsp::Method::Options;
        let closed = rtsp::Error::Disconnected { awaited: Some(options()) };
        let silent = rtsp::Error::NoAnswer { method: options(), waited: limits::REPLY_TIMEOUT };
        for error in [closed, silent] {
            told(route.after(Error::Session(error), false));
            assert_eq!(route.greeting, Greeting::Describe);
            // It stays so where that works, and not where it does not.
            told(route.after(Error::Closed, true));
            assert_eq!(route.greeting, Greeting::Describe);
            told(route.after(no_answer(), false));
            assert_eq!(route.greeting, Greeting::Options);
        }
    }

    #[test]
    fn the_numbers_of_sound_are_received_from_the_next_connection_on() {
        let mut route = route(UDP);
        at_once(route.after(Error::NumbersMissing, true));
        assert_eq!((route.tracks, route.over()), (Tracks::VideoAndNumbers, UDP));
        told(route.after(Error::Closed, true));
        assert_eq!(route.tracks, Tracks::VideoAndNumbers);
    }

    #[test]
    fn a_redirect_is_followed_without_the_credentials_and_begins_at_home_next_time() {
        let mut route = route(TCP);
        at_once(route.after(redirected("rtsp://camera:8554/x"), false));
        assert_eq!(route.target.credentials(), route.home.credentials());
        at_once(route.after(redirected("rtsp://other/x"), false));
        assert_eq!((route.target.uri(), route.target.credentials()), ("rtsp://other/x", None));
        // Nor back home, if another host redirects there.
        at_once(route.after(redirected("rtsp://camera/y"), false));
        assert_eq!(route.target.credentials(), None);
        told(route.after(Error::Closed, true));
        assert_eq!(route.target, route.home);
    }

    #[test]
    fn redirects_in_a_circle_have_an_end() {
        let mut route = route(TCP);
        for _ in 0..limits::REDIRECTS_MAX {
            at_once(route.after(redirected("rtsp://camera/live"), false));
        }
        told(route.after(redirected("rtsp://camera/live"), false));
        at_once(route.after(redirected("rtsp://camera/live"), false));
    }
}
