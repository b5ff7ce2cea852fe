//! Where a camera is looked for and over which transport, from one try to the next.
//!
//! Redirects are followed from the configured address, at every try anew; the credentials stay with
//! its host. A camera that refuses the configured transport, or sends nothing over it, is tried over
//! the other one at once. Knows nothing of: sessions, frames.

use super::{Connection, Connector, Error, connection::Manner};
use crate::{
    limits,
    rtsp::{self, LowerTransport, Target, Tracks},
};
use std::time::Duration;

pub struct Route {
    home: Target,
    /// Where redirects led to, if they did.
    target: Target,
    connector: Connector,
    tracks: Tracks,
    redirects: usize,
    configured: LowerTransport,
    over: LowerTransport,
    /// Neither transport brought a packet so far: each gets more time.
    neither: bool,
}

/// When the next try is worth it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It differs from this one.
    AtOnce,
    Later,
}

impl Route {
    pub fn new(home: Target, tracks: Tracks, over: LowerTransport) -> Route {
        Route {
            target: home.clone(),
            connector: Connector::new(&home),
            home,
            tracks,
            redirects: 0,
            configured: over,
            over,
            neither: false,
        }
    }

    /// Connects; `seed`: another one each time. Cancel-safe, as [`Connector::connect`] is.
    ///
    /// # Errors
    /// Those of [`Connector::connect`] and [`Connection::new`].
    pub async fn connect(&mut self, seed: u64) -> Result<Connection, Error> {
        let socket = self.connector.connect().await?;
        let (over, tracks) = (self.over, self.tracks);
        let manner = Manner { over, tracks, silence: self.silence(), seed };
        Connection::new(socket, &self.target, manner)
    }

    /// What the next try uses.
    pub fn over(&self) -> LowerTransport {
        self.over
    }

    /// A try failed; `delivered`: it brought packets before.
    pub fn after(&mut self, error: &Error, delivered: bool) -> Next {
        if let Error::Session(rtsp::Error::Redirected { to: Some(to), .. }) = error
            && self.redirects < limits::REDIRECTS_MAX
        {
            self.redirects += 1;
            self.go_to(self.target.redirected(to));
            return Next::AtOnce;
        }
        if self.redirects > 0 {
            self.redirects = 0;
            self.go_to(self.home.clone());
        }
        if delivered {
            self.neither = false;
            self.over = self.configured;
        } else if error.is_about_transport() {
            self.over = self.over.other();
            if self.over != self.configured {
                return Next::AtOnce;
            }
            self.neither = true;
        }
        Next::Later
    }

    fn go_to(&mut self, target: Target) {
        self.connector = Connector::new(&target);
        self.target = target;
    }

    fn silence(&self) -> Duration {
        if self.neither { limits::FRAME_TIMEOUT } else { limits::SILENCE_TIMEOUT }
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

    #[test]
    fn a_transport_that_is_refused_or_silent_gives_way_to_the_other_at_once() {
        for configured in [TCP, UDP] {
            for error in [refused(configured), silent(configured)] {
                let mut route = route(configured);
                assert_eq!(route.after(&error, false), Next::AtOnce);
                assert_eq!(route.over(), configured.other());
                // It works over that one, and ends some day: the configured one is tried again.
                assert_eq!(route.after(&Error::Closed, true), Next::Later);
                assert_eq!(route.over(), configured);
            }
        }
    }

    #[test]
    fn a_camera_that_answers_over_neither_is_given_more_time_by_turns() {
        let mut route = route(TCP);
        assert_eq!(route.silence(), limits::SILENCE_TIMEOUT);
        assert_eq!(route.after(&silent(TCP), false), Next::AtOnce);
        assert_eq!(route.silence(), limits::SILENCE_TIMEOUT);
        assert_eq!(route.after(&silent(UDP), false), Next::Later);
        assert_eq!((route.over(), route.silence()), (TCP, limits::FRAME_TIMEOUT));
        route.after(&Error::Closed, true);
        assert_eq!(route.silence(), limits::SILENCE_TIMEOUT);
    }

    #[test]
    fn other_failures_change_nothing() {
        let mut route = route(TCP);
        route.after(&refused(TCP), false);
        assert_eq!(route.after(&Error::Closed, false), Next::Later);
        assert_eq!(route.over(), UDP);
    }

    #[test]
    fn a_redirect_is_followed_without_the_credentials_and_begins_at_home_next_time() {
        let mut route = route(TCP);
        assert_eq!(route.after(&redirected("rtsp://camera:8554/x"), false), Next::AtOnce);
        assert_eq!(route.target.credentials(), route.home.credentials());
        assert_eq!(route.after(&redirected("rtsp://other/x"), false), Next::AtOnce);
        assert_eq!((route.target.uri(), route.target.credentials()), ("rtsp://other/x", None));
        // Nor back again, where somebody else sends us home.
        assert_eq!(route.after(&redirected("rtsp://camera/y"), false), Next::AtOnce);
        assert_eq!(route.target.credentials(), None);
        assert_eq!(route.after(&Error::Closed, true), Next::Later);
        assert_eq!(route.target, route.home);
    }

    #[test]
    fn redirects_in_a_circle_have_an_end() {
        let mut route = route(TCP);
        for _ in 0..limits::REDIRECTS_MAX {
            assert_eq!(route.after(&redirected("rtsp://camera/live"), false), Next::AtOnce);
        }
        assert_eq!(route.after(&redirected("rtsp://camera/live"), false), Next::Later);
        assert_eq!(route.after(&redirected("rtsp://camera/live"), false), Next::AtOnce);
    }
}
