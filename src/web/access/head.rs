//! The parts of a request's head that the rules use.
//!
//! Spec: RFC 9110 (Host, Authorization, Upgrade), RFC 6265 §4.2 (Cookie), RFC 7617 (Basic), the
//! Fetch standard (Origin, Sec-Fetch-*). Knows nothing of: permissions.

use super::refusal::{
    Challenge,
    Refusal::{self, Malformed},
};
use crate::http::request;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A borrowed view of a request.
#[derive(Clone, Copy, Debug)]
pub struct AccessHead<'a> {
    pub method: &'a str,
    /// As sent, without the query.
    pub path: &'a str,
    pub(super) host: Option<&'a [u8]>,
    pub(super) origin: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`, `-Mode` and `-Dest`.
    pub(super) site: Option<&'a [u8]>,
    mode: Option<&'a [u8]>,
    destination: Option<&'a [u8]>,
    pub(super) authorization: Option<&'a [u8]>,
    cookie: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    sender: Sender,
    /// A proxy says that it forwards a request; what it says about the client is not believed.
    pub(super) is_forwarded: bool,
}

/// The purpose of a request, as far as the rules distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The page itself, and whether a browser is logged in: public.
    Public,
    /// Logs in or out, or sets the password: public, but not for every page.
    LogIn,
    Read,
    Change,
    WebSocket,
}

/// Browsers send `Sec-Fetch-*` to some addresses only; other clients never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Browser,
    Any,
}

impl<'a> AccessHead<'a> {
    /// # Errors
    /// A field that must occur once occurs twice.
    pub fn of(head: &request::Head<'a>) -> Result<AccessHead<'a>, Refusal> {
        AccessHead::read(head.method, head.path(), &mut head.fields())
    }

    /// Takes names and values of the header fields, values without surrounding space.
    ///
    /// # Errors
    /// A field that must occur once occurs twice.
    pub fn read(
        method: &'a str,
        path: &'a str,
        fields: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<AccessHead<'a>, Refusal> {
        let mut head = AccessHead {
            method,
            path,
            host: None,
            origin: None,
            site: None,
            mode: None,
            destination: None,
            authorization: None,
            cookie: None,
            upgrade: None,
            sender: Sender::Any,
            is_forwarded: false,
        };
        for (name, value) in fields {
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            let begins = |start: &[u8]| {
                name.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
            };
            if begins(SEC_FETCH) {
                head.sender = Sender::Browser;
            }
            head.is_forwarded |= begins(X_FORWARDED) || FORWARDED.into_iter().any(is);
            let field = if is("Host") {
                &mut head.host
            } else if is("Origin") {
                &mut head.origin
            } else if is("Sec-Fetch-Site") {
                &mut head.site
            } else if is("Sec-Fetch-Mode") {
                &mut head.mode
            } else if is("Sec-Fetch-Dest") {
                &mut head.destination
            } else if is("Authorization") {
                &mut head.authorization
            } else if is("Cookie") {
                &mut head.cookie
            } else if is("Upgrade") {
                &mut head.upgrade
            } else {
                continue;
            };
            if field.replace(value).is_some() {
                return Err(Malformed("a header field that stands alone comes twice"));
            }
        }
        Ok(head)
    }

    /// `assets` are the paths of the page's files. Unknown paths belong to the strictest class.
    pub fn class(&self, assets: &[&str]) -> Class {
        match (self.method, self.path) {
            ("GET" | "HEAD", _) if self.upgrade.is_some() => Class::WebSocket,
            ("GET" | "HEAD", SESSION) => Class::Public,
            ("GET" | "HEAD", path) if assets.contains(&path) => Class::Public,
            ("GET" | "HEAD", _) => Class::Read,
            ("POST" | "DELETE", SESSION) | ("PUT", PASSWORD) => Class::LogIn,
            _ => Class::Change,
        }
    }

    /// Returns true if it can only be a health check.
    pub(super) fn is_check(&self) -> bool {
        let is_plain = self.path == "/" && self.upgrade.is_none();
        is_plain && matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }

    /// The values of the page's cookie of that name; there may be one for each path.
    pub(super) fn cookies(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.pairs().filter_map(move |pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    fn pairs(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.cookie.unwrap_or_default().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
    }

    /// Returns true if a person followed a link or entered the address (Fetch standard §2.2.5): the
    /// reply is shown, and no other page can read it.
    pub(super) fn is_navigation(&self) -> bool {
        let is = |field: Option<&[u8]>, value: &[u8]| {
            field.is_some_and(|field| field.eq_ignore_ascii_case(value))
        };
        is(self.mode, b"navigate") && is(self.destination, b"document")
    }

    /// The password of Basic credentials; the user is ignored.
    pub(super) fn basic(&self) -> Option<Vec<u8>> {
        let (scheme, encoded) = self.authorization?.split_at_checked(BASIC.len())?;
        if !scheme.eq_ignore_ascii_case(BASIC) {
            return None;
        }
        let mut pair = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        pair.drain(..=colon);
        Some(pair)
    }

    /// Whether a 401 offers Basic: players and scripts need it, the page has its own form.
    pub(super) fn challenge(&self) -> Challenge {
        let for_players = PLAYER_PATHS.iter().any(|path| self.path.starts_with(path));
        if self.authorization.is_some() || for_players && self.sender == Sender::Any {
            Challenge::Basic
        } else {
            Challenge::None
        }
    }
}

const SESSION: &str = "/api/session";
const PASSWORD: &str = "/api/password";
const BASIC: &[u8] = b"Basic ";
const SEC_FETCH: &[u8] = b"Sec-Fetch-";
const X_FORWARDED: &[u8] = b"X-Forwarded-";
/// RFC 7239, RFC 9110 §7.6.3, and what nginx, Cloudflare and others send by default.
const FORWARDED: [&str; 8] = [
    "Forwarded",
    "Via",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Original-Forwarded-For",
    "CF-Connecting-IP",
    "True-Client-IP",
];
const PLAYER_PATHS: [&str; 6] = ["/recordings", "/clip", "/hls", "/live", "/snapshot", "/metrics"];
