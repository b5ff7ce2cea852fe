//! The URL of a camera or server: `rtsp://`, `http://` or `mqtt://` as written by the user in;
//! host, port, request URI and credentials out.
//!
//! Spec: RFC 2326 §3.2, RFC 3986 §3.2, RFC 9110 §4.2.1. Printed forms never contain a password.
//! Knows nothing of: name resolution, sockets.

use std::{fmt, net::Ipv6Addr, ops::Range, str::FromStr};

/// A camera's URL. `Display` and `Debug` omit the credentials, and mask values in path or query
/// that look like passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    uri: String,
    path_start: usize,
    credentials: Option<Credentials>,
}

/// User and password, percent-decoded. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// What is wrong with a URL. No message quotes it, because any part may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    NotRtsp,
    Rtsps,
    NotHttp,
    NotMqtt,
    NoHost,
    Host,
    Port,
    Blank,
    Credentials,
}

impl Target {
    /// The host name or address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URI for requests: as written, byte for byte, without credentials.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Returns the target of a server's redirect: another path on the same host gets the
    /// credentials, another host does not.
    #[must_use]
    pub fn redirected(&self, to: &Target) -> Target {
        let is_same = self.host.eq_ignore_ascii_case(&to.host);
        let credentials = to.credentials.clone().or(self.credentials.clone().filter(|_| is_same));
        Target { credentials, ..to.clone() }
    }

    /// Parses an `http://` URL.
    ///
    /// # Errors
    /// As for `rtsp://` URLs, and `NotHttp`.
    pub fn http(url: &str) -> Result<Target, TargetError> {
        let rest = without_scheme(url, "http").ok_or(TargetError::NotHttp)?;
        Target::parse("http://", rest, HTTP_PORT)
    }

    /// Parses an `mqtt://` URL.
    ///
    /// # Errors
    /// As for `rtsp://` URLs, and `NotMqtt`.
    pub fn mqtt(url: &str) -> Result<Target, TargetError> {
        let rest = without_scheme(url, "mqtt").ok_or(TargetError::NotMqtt)?;
        Target::parse("mqtt://", rest, MQTT_PORT)
    }

    /// Returns an HTTP page on the same host at another port, for the same user. `path` starts with
    /// `/`.
    pub fn http_page(&self, port: u16, path: &str) -> Target {
        let authority = self.authority();
        let with_port = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        let host = with_port.map_or(authority, |(host, _)| host);
        let port_text = if port == HTTP_PORT { String::new() } else { format!(":{port}") };
        let uri = ["http://", host, &port_text, path].concat();
        Target {
            host: self.host.clone(),
            port,
            path_start: uri.len() - path.len(),
            uri,
            credentials: self.credentials.clone(),
        }
    }

    /// Returns the target of a redirect to `location`, for the same user; `None` for another host
    /// or scheme.
    pub fn page_moved(&self, location: &str) -> Option<Target> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(self.http_page(self.port, location))
                .filter(|_| !location.contains(|c: char| c.is_whitespace() || c.is_control()));
        }
        let target = Target::http(location).ok()?;
        let is_same_host = target.host.eq_ignore_ascii_case(&self.host);
        is_same_host.then(|| Target { credentials: self.credentials.clone(), ..target })
    }

    /// Host and port as written, without credentials: the value of `Host`.
    pub fn authority(&self) -> &str {
        let start = self.uri.find("://").map_or(0, |at| at + 3);
        self.uri.get(start..self.path_start).unwrap_or_default()
    }

    /// Path and query in HTTP's origin form (RFC 9112 §3.2.1).
    pub fn origin_form(&self) -> String {
        let path = self.uri.get(self.path_start..).unwrap_or_default();
        let path = path.split('#').next().unwrap_or_default();
        if path.starts_with('/') { path.to_owned() } else { ["/", path].concat() }
    }

    /// Path and query for messages, with passwords masked; `/` if the URL has none.
    pub fn masked_path(&self) -> String {
        match self.uri.get(self.path_start..) {
            Some(path) if !path.is_empty() => masked(path),
            _ => "/".to_owned(),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// Parses an `rtsp://` URL.
    fn from_str(url: &str) -> Result<Target, TargetError> {
        if without_scheme(url, "rtsps").is_some() {
            return Err(TargetError::Rtsps);
        }
        let rest = without_scheme(url, "rtsp").ok_or(TargetError::NotRtsp)?;
        Target::parse("rtsp://", rest, RTSP_PORT)
    }
}

impl Target {
    /// Parses what follows the scheme.
    fn parse(scheme: &str, rest: &str, default_port: u16) -> Result<Target, TargetError> {
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(TargetError::Blank);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // The last `@`: passwords containing one are common.
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(Credentials::from_userinfo(userinfo)?), address),
            None => (None, authority),
        };
        let (host, port) = host_and_port(address, default_port)?;
        let uri = [scheme, address, path].concat();
        Ok(Target { host, port, path_start: uri.len() - path.len(), uri, credentials })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.uri))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Credentials {
    fn from_userinfo(userinfo: &str) -> Result<Credentials, TargetError> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Ok(Credentials { user: percent_decoded(user)?, password: percent_decoded(password)? })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TargetError::NotRtsp => "a camera's URL must begin with rtsp://",
            TargetError::NotHttp => "the URL must begin with http://",
            TargetError::NotMqtt => "the URL must begin with mqtt://",
            TargetError::Rtsps => "rtsps:// is not supported, only rtsp://",
            TargetError::NoHost => "the URL has no host: rtsp://user:password@host:port/path, or http:// or mqtt://",
            TargetError::Host => "the URL's host is not a name, an IPv4 address or an [IPv6 address]",
            TargetError::Port => {
                "the URL's port must be 1 to 65535 (in a password, write / as %2F, ? as %3F, # as %23)"
            }
            TargetError::Blank => {
                "the URL has a blank or control character (write a blank as %20)"
            }
            TargetError::Credentials => {
                "user and password must be UTF-8 without control characters"
            }
        })
    }
}

impl std::error::Error for TargetError {}

/// Masks all values in `text`, part of a URL, that look like passwords.
pub(super) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for value in secret_values(text) {
        out.push_str(text.get(at..value.start).unwrap_or_default());
        out.push_str("***");
        at = value.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The values in `text`, part of a URL, that look like passwords, in order. Cameras end a value
/// with `&` or, like XiongMai, with `_`, which a password may contain: only `&` counts.
pub fn secret_values(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    text.split_inclusive('&').filter_map(move |part| {
        let start = end;
        end += part.len();
        let part = part.strip_suffix('&').unwrap_or(part);
        let value = part.match_indices('=').map(|(at, _)| at + 1).find(|&value| {
            let key = part.get(..value - 1).unwrap_or_default().to_ascii_lowercase();
            SECRET_KEYS.iter().any(|secret| key.ends_with(secret))
        })?;
        Some(start + value..start + part.len())
    })
}

/// Returns what follows `scheme://`.
fn without_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = url.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn host_and_port(address: &str, default_port: u16) -> Result<(String, u16), TargetError> {
    let (host, rest) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(TargetError::Host)?;
            let (ip, zone) = host.split_once('%').map_or((host, ""), |(ip, zone)| (ip, zone));
            ip.parse::<Ipv6Addr>().map_err(|_| TargetError::Host)?;
            // RFC 6874 §2: the zone's `%` is written `%25`.
            let zone = zone.strip_prefix("25").unwrap_or(zone);
            let mut host = ip.to_owned();
            if !zone.is_empty() {
                host.push('%');
                host.push_str(zone);
            }
            (host, rest)
        }
        None => {
            let (host, rest) = address.split_at(address.find(':').unwrap_or(address.len()));
            (host.to_owned(), rest)
        }
    };
    if host.is_empty() {
        return Err(TargetError::NoHost);
    }
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| TargetError::Port)?
        }
        None if rest.is_empty() => default_port,
        _ => return Err(TargetError::Port),
    };
    if port == 0 {
        return Err(TargetError::Port);
    }
    Ok((host, port))
}

/// Decodes `%41`; a `%` without two hexadecimal digits stays as it is.
///
/// # Errors
/// It is not UTF-8, or has control characters.
pub fn percent_decoded(text: &str) -> Result<String, TargetError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*first),
        }
    }
    let decoded = String::from_utf8(out).map_err(|_| TargetError::Credentials)?;
    if decoded.contains(char::is_control) {
        return Err(TargetError::Credentials);
    }
    Ok(decoded)
}

/// Encodes a path as signatures of S3 want it: all but unreserved characters and `/`.
pub fn percent_encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte.into());
        } else {
            let digits = [byte >> 4, byte & 15].map(u32::from);
            let digits = digits.into_iter().filter_map(|it| char::from_digit(it, 16));
            out.push('%');
            out.extend(digits.map(|it| it.to_ascii_uppercase()));
        }
    }
    out
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 2326 §3.2.
pub const RTSP_PORT: u16 = 554;
/// As registered with IANA.
const MQTT_PORT: u16 = 1883;
/// RFC 9110 §4.2.1.
pub const HTTP_PORT: u16 = 80;

/// Ends of parameter names whose values are not shown.
const SECRET_KEYS: [&str; 10] =
    ["password", "passwd", "passwort", "pass", "pas", "pwd", "psw", "auth", "token", "secret"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_has_one_encoded_form() {
        for path in ["/a b+c/\u{e9}(%)", "/a%20b%2bc/%c3%a9%28%25)"] {
            let decoded = percent_decoded(path).unwrap();
            assert_eq!(percent_encoded(&decoded), "/a%20b%2Bc/%C3%A9%28%25%29", "{path}");
        }
    }

    #[test]
    fn a_redirect_takes_no_credentials_to_another_host() {
        let home = target("rtsp://admin:secret@Camera:8554/live");
        let credentials = |to: &str| home.redirected(&target(to)).credentials().cloned();
        assert_eq!(credentials("rtsp://camera/other"), home.credentials().cloned());
        for elsewhere in ["rtsp://camera.evil/live", "rtsp://10.0.0.2:8554/live", "rtsp://camer"] {
            assert_eq!(credentials(elsewhere), None, "{elsewhere}");
        }
        // A value that only the camera uses is not our secret.
        assert_eq!(credentials("rtsp://u:p@10.0.0.2/").unwrap().user, "u");
        assert_eq!(home.redirected(&target("rtsp://other/x")).uri(), "rtsp://other/x");
    }

    fn target(url: &str) -> Target {
        url.parse().unwrap()
    }

    #[test]
    fn a_full_url_comes_apart() {
        let target = target("RTSP://admin:s%40c%2Fret@192.168.1.20:8554/live/ch0?x=1&y=%20");
        assert_eq!(target.host(), "192.168.1.20");
        assert_eq!(target.port(), 8554);
        assert_eq!(target.uri(), "rtsp://192.168.1.20:8554/live/ch0?x=1&y=%20");
        assert_eq!(target.masked_path(), "/live/ch0?x=1&y=%20");
        let credentials = target.credentials().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.password.as_str()),
            ("admin", "s@c/ret")
        );
    }

    #[test]
    fn a_missing_key_has_a_default() {
        let target = target("rtsp://camera.lan");
        assert_eq!((target.host(), target.port()), ("camera.lan", 554));
        assert_eq!(target.uri(), "rtsp://camera.lan");
        assert_eq!(target.masked_path(), "/");
        assert_eq!(target.credentials(), None);
    }

    #[test]
    fn an_http_url_comes_apart() {
        let target = Target::http("http://admin:secret@cam.lan:8080/a.jpg?width=640#x").unwrap();
        assert_eq!((target.host(), target.port()), ("cam.lan", 8080));
        assert_eq!(
            (target.authority(), &*target.origin_form()),
            ("cam.lan:8080", "/a.jpg?width=640")
        );
        assert_eq!(target.credentials().unwrap().user, "admin");
        let bare = Target::http("http://cam").unwrap();
        assert_eq!((bare.port(), &*bare.origin_form()), (80, "/"));
        assert_eq!(Target::http("http://cam?x").unwrap().origin_form(), "/?x");
        assert_eq!(Target::http("https://cam/"), Err(TargetError::NotHttp));
        assert_eq!(Target::http("http://cam:99999/"), Err(TargetError::Port));
        assert_eq!(Target::http("http://"), Err(TargetError::NoHost));
    }

    #[test]
    fn a_page_of_the_same_host_keeps_host_and_user() {
        for (url, page) in [
            ("rtsp://admin:x@10.0.0.2:8554/live", "http://10.0.0.2/image.jpg"),
            ("rtsp://admin:x@[fe80::1%25eth0]:554/", "http://[fe80::1%25eth0]/image.jpg"),
            ("rtsp://admin:x@[::1]", "http://[::1]/image.jpg"),
            ("rtsp://admin:x@cam?channel=1", "http://cam/image.jpg"),
        ] {
            let (target, rtsp) = (target(url).http_page(80, "/image.jpg"), target(url));
            assert_eq!((target.uri(), target.port()), (page, 80));
            assert_eq!((target.host(), target.credentials()), (rtsp.host(), rtsp.credentials()));
            assert_eq!(target.origin_form(), "/image.jpg");
        }
        assert_eq!(target("rtsp://cam/").http_page(8080, "/x").uri(), "http://cam:8080/x");
    }

    #[test]
    fn a_page_that_moved_stays_on_the_host_and_keeps_the_user() {
        let target = Target::http("http://admin:x@cam:8080/a").unwrap();
        for (location, expected) in [
            ("/b?c", Some("http://cam:8080/b?c")),
            ("http://CAM/b", Some("http://CAM/b")),
            ("http://other:y@cam:81/b", Some("http://cam:81/b")),
            ("http://elsewhere/b", None),
            ("//elsewhere/b", None),
            ("https://cam/b", None),
            ("b", None),
            ("/b\r\nX: y", None),
        ] {
            let to = target.page_moved(location);
            assert_eq!(to.as_ref().map(Target::uri), expected, "{location}");
            assert!(to.is_none_or(|to| to.credentials() == target.credentials()));
        }
    }

    #[test]
    fn odd_paths_are_kept_byte_for_byte() {
        for path in [
            "/stream=0",
            "/user=admin&password=&channel=1&stream=0.sdp?real_stream--rtp-caching=100",
            "?channel=1",
            "//av0_0",
            "/a#b",
            "/kamera-tür",
        ] {
            assert_eq!(target(&["rtsp://h", path].concat()).uri(), ["rtsp://h", path].concat());
        }
    }

    #[test]
    fn an_ipv6_host_stands_in_brackets() {
        let with_zone = target("rtsp://u@[fe80::1%25eth0]:555/x");
        assert_eq!((with_zone.host(), with_zone.port()), ("fe80::1%eth0", 555));
        assert_eq!(with_zone.uri(), "rtsp://[fe80::1%25eth0]:555/x");
        assert_eq!(target("rtsp://[::1]").port(), 554);
        assert_eq!("rtsp://[::1".parse::<Target>(), Err(TargetError::Host));
        assert_eq!("rtsp://[camera]/".parse::<Target>(), Err(TargetError::Host));
        assert_eq!("rtsp://[::1]554/".parse::<Target>(), Err(TargetError::Port));
    }

    #[test]
    fn each_wrong_url_has_its_error() {
        for (url, error) in [
            ("", TargetError::NotRtsp),
            ("camera", TargetError::NotRtsp),
            ("http://camera/", TargetError::NotRtsp),
            ("rtsps://camera/", TargetError::Rtsps),
            ("rtsp://", TargetError::NoHost),
            ("rtsp://admin:x@/live", TargetError::NoHost),
            ("rtsp://:554/", TargetError::NoHost),
            ("rtsp://camera:/", TargetError::Port),
            ("rtsp://camera:0/", TargetError::Port),
            ("rtsp://camera:65536/", TargetError::Port),
            ("rtsp://camera:+554/", TargetError::Port),
            ("rtsp://admin:se/cret@camera/", TargetError::Port),
            ("rtsp://camera/a b", TargetError::Blank),
            ("rtsp://camera/\r\nX: y", TargetError::Blank),
            ("rtsp://a%0d%0ab:c@camera/", TargetError::Credentials),
            ("rtsp://a:%ff@camera/", TargetError::Credentials),
        ] {
            assert_eq!(url.parse::<Target>(), Err(error), "{url}");
        }
    }

    #[test]
    fn a_password_may_hold_what_should_have_been_escaped() {
        let credentials = target("rtsp://admin:p@ss:100%@camera/").credentials().cloned().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.password.as_str()),
            ("admin", "p@ss:100%")
        );
    }

    #[test]
    fn nothing_that_is_printed_holds_a_password() {
        for (url, shown) in [
            ("rtsp://admin:hunter2@camera/live", "rtsp://camera/live"),
            (
                "rtsp://camera/user=admin&password=hunter2&channel=1",
                "rtsp://camera/user=admin&password=***&channel=1",
            ),
            (
                "rtsp://camera/user=admin_password=hunter2_channel=1_stream=0.sdp",
                "rtsp://camera/user=admin_password=***",
            ),
            ("rtsp://camera/11?usr=a&PWD=hunter2&x=1", "rtsp://camera/11?usr=a&PWD=***&x=1"),
            (
                "rtsp://camera/?loginuse=a&loginpas=hunter2",
                "rtsp://camera/?loginuse=a&loginpas=***",
            ),
            ("rtsp://camera/101?auth=hunter2", "rtsp://camera/101?auth=***"),
            ("rtsp://camera/stream=0", "rtsp://camera/stream=0"),
        ] {
            let target = target(url);
            assert_eq!(target.to_string(), shown);
            assert_eq!(format!("{target:?}"), shown);
            assert!(!format!("{:?}", target.credentials()).contains("hunter2"));
            assert!(!target.masked_path().contains("hunter2"));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(rtsp://)?\\PC{0,60}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert!(!target.host().is_empty());
                prop_assert!(target.uri().starts_with("rtsp://"));
                let page = target.http_page(80, "/image.jpg");
                prop_assert_eq!(page.origin_form(), "/image.jpg");
                prop_assert!(page.page_moved(&text).is_none());
                let _ = (target.to_string(), target.masked_path());
            }
        }
    }
}
