//! Authentication for RTSP and HTTP: a server's challenges in, `Authorization` fields out.
//!
//! Spec: RFC 7617 (Basic), RFC 2069, 2617 and 7616 (Digest with MD5, SHA-256 and their session
//! variants; `qop=auth` or none).
//! Knows nothing of: messages, retries.

use super::url::Credentials;
use base64::{Engine, engine::general_purpose::STANDARD};
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// Credentials, and the last challenge to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticator {
    credentials: Option<Credentials>,
    seed: u64,
    scheme: Option<Scheme>,
    nonce_count: u32,
}

/// The result of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// It has not been answered yet: worth another attempt.
    New,
    /// The same, and the server says that only the nonce has expired (RFC 7616 §3.3 `stale`).
    Stale,
    /// It has been answered already: the credentials are wrong.
    Same,
    /// There are no credentials.
    NoCredentials,
    /// No supported scheme.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    Basic,
    Digest(Digest),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As written by the server; RFC 2069 servers omit it.
    algorithm: Option<String>,
    hash: Hash,
    variant: Variant,
    qop: Qop,
    stale: Stale,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hash {
    #[default]
    Md5,
    Sha256,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Variant {
    #[default]
    Plain,
    Session,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Qop {
    #[default]
    None,
    Auth,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stale {
    #[default]
    No,
    Yes,
}

impl Authenticator {
    /// `seed` generates the client nonces; it should differ from connection to connection.
    pub fn new(credentials: Option<Credentials>, seed: u64) -> Authenticator {
        Authenticator { credentials, seed, scheme: None, nonce_count: 0 }
    }

    /// The user name, for messages.
    pub fn user(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.user.as_str())
    }

    /// Processes the `WWW-Authenticate` values of a 401. The first supported Digest is chosen (RFC
    /// 7616 §3.7), or else Basic.
    pub fn challenged(&mut self, values: &mut dyn Iterator<Item = &str>) -> Challenge {
        if self.credentials.is_none() {
            return Challenge::NoCredentials;
        }
        let mut basic = None;
        let mut digest = None;
        for value in values {
            for scheme in schemes(value) {
                match scheme {
                    Scheme::Basic => basic = basic.or(Some(Scheme::Basic)),
                    Scheme::Digest(new) => digest = digest.or(Some(Scheme::Digest(new))),
                }
            }
        }
        let Some(new) = digest.or(basic) else {
            // A bare 401 after credentials were sent refuses them.
            return if self.scheme.is_some() { Challenge::Same } else { Challenge::Unknown };
        };
        let challenge = match (&self.scheme, &new) {
            (_, Scheme::Digest(new)) if new.stale == Stale::Yes => Challenge::Stale,
            (Some(Scheme::Basic), Scheme::Basic) => Challenge::Same,
            (Some(Scheme::Digest(old)), Scheme::Digest(new)) if old.nonce == new.nonce => {
                Challenge::Same
            }
            _ => Challenge::New,
        };
        self.scheme = Some(new);
        self.nonce_count = 0;
        challenge
    }

    /// Returns the `Authorization` value for a request; `None` before a challenge.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        match self.scheme.as_ref()? {
            Scheme::Basic => {
                let pair = [credentials.user.as_str(), ":", &credentials.password].concat();
                Some(["Basic ", &STANDARD.encode(pair)].concat())
            }
            Scheme::Digest(digest) => {
                self.nonce_count = self.nonce_count.wrapping_add(1);
                self.seed = split_mix(self.seed);
                let cnonce = format!("{:016x}", self.seed);
                Some(digest.authorization(credentials, method, uri, self.nonce_count, &cnonce))
            }
        }
    }
}

impl Digest {
    fn authorization(
        &self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        nonce_count: u32,
        cnonce: &str,
    ) -> String {
        let nonce_count = format!("{nonce_count:08x}");
        let response = self.response(credentials, method, uri, &nonce_count, cnonce);
        let user = credentials.user.replace('\\', "\\\\").replace('"', "\\\"");
        let mut out = [
            "Digest username=\"",
            &user,
            "\", realm=\"",
            &self.realm,
            "\", nonce=\"",
            &self.nonce,
            "\", uri=\"",
            uri,
            "\", response=\"",
            &response,
            "\"",
        ]
        .concat();
        let mut add = |parts: &[&str]| out.extend(parts.iter().copied());
        if let Some(algorithm) = &self.algorithm {
            add(&[", algorithm=", algorithm]);
        }
        if let Some(opaque) = &self.opaque {
            add(&[", opaque=\"", opaque, "\""]);
        }
        if self.qop == Qop::Auth {
            add(&[", qop=auth, nc=", &nonce_count, ", cnonce=\"", cnonce, "\""]);
        } else if self.variant == Variant::Session {
            add(&[", cnonce=\"", cnonce, "\""]);
        }
        out
    }

    /// RFC 7616 §3.4.1, or RFC 2617 §3.2.2.1 if the server sent no `qop`.
    fn response(
        &self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        nonce_count: &str,
        cnonce: &str,
    ) -> String {
        let Credentials { user, password } = credentials;
        let mut a1 = self.hash.hex(&[user, &self.realm, password]);
        if self.variant == Variant::Session {
            a1 = self.hash.hex(&[&a1, &self.nonce, cnonce]);
        }
        let a2 = self.hash.hex(&[method, uri]);
        match self.qop {
            Qop::Auth => self.hash.hex(&[&a1, &self.nonce, nonce_count, cnonce, "auth", &a2]),
            Qop::None => self.hash.hex(&[&a1, &self.nonce, &a2]),
        }
    }

    /// Sets a parameter of the challenge; `None` if that makes it unsupported.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        if name.eq_ignore_ascii_case("realm") {
            self.realm = value.to_owned();
        } else if name.eq_ignore_ascii_case("nonce") {
            self.nonce = value.to_owned();
        } else if name.eq_ignore_ascii_case("opaque") {
            self.opaque = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("stale") && value.eq_ignore_ascii_case("true") {
            self.stale = Stale::Yes;
        } else if name.eq_ignore_ascii_case("qop") {
            // A list without `auth` has only `auth-int`, which is not supported.
            let mut listed = value.split([',', ';', ' ']).filter(|qop| !qop.is_empty()).peekable();
            if listed.peek().is_some() {
                listed.find(|qop| qop.eq_ignore_ascii_case("auth"))?;
                self.qop = Qop::Auth;
            }
        } else if name.eq_ignore_ascii_case("algorithm") && !value.is_empty() {
            let (_, hash, variant) = ALGORITHMS
                .into_iter()
                .find(|(algorithm, ..)| algorithm.eq_ignore_ascii_case(value))?;
            (self.hash, self.variant) = (hash, variant);
            self.algorithm = Some(value.to_owned());
        }
        Some(())
    }
}

impl Hash {
    /// Hashes `parts` joined by colons, to lower-case hexadecimal digits.
    fn hex(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        let mut out = String::with_capacity(64);
        let mut push = |bytes: &[u8]| {
            for byte in bytes {
                for nibble in [byte >> 4, byte & 15] {
                    out.extend(char::from_digit(u32::from(nibble), 16));
                }
            }
        };
        match self {
            Hash::Md5 => push(&Md5::digest(text.as_bytes())),
            Hash::Sha256 => push(&Sha256::digest(text.as_bytes())),
        }
        out
    }
}

/// The supported challenges in a `WWW-Authenticate` value, which may contain several (RFC 7235
/// §4.1).
///
/// Quirk: cameras write them with `;` instead of `,`, or nothing, between parameters, with unquoted
/// values that contain blanks or commas, in single quotes, and with Digest parameters without a
/// scheme.
fn schemes(value: &str) -> Vec<Scheme> {
    let mut out = Vec::new();
    // Collects a Digest while its parameters are read, unless one is unsupported.
    let mut digest = Some(Digest::default());
    // Only the blanks of folded lines are kept, because values are sent back in a field.
    let value = value.replace('\t', " ").replace(char::is_control, "");
    let mut rest = value.as_str();
    loop {
        rest = rest.trim_start_matches(is_separator);
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c == '=' || is_separator(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let Some(after) = tail.trim_start().strip_prefix('=') else {
            let scheme = word.trim_end_matches(':');
            // A lone word is the rest of an unquoted list: `qop=auth,auth-int`.
            if is_known(scheme) || !is_lone(tail) {
                out.extend(digest.take().filter(Digest::is_whole).map(Scheme::Digest));
            }
            if scheme.eq_ignore_ascii_case(DIGEST) {
                digest = Some(Digest::default());
            } else if scheme.eq_ignore_ascii_case(BASIC) {
                out.push(Scheme::Basic);
            }
            rest = tail;
            continue;
        };
        let (parameter, tail) = parameter_value(after.trim_start());
        if let Some(mut whole) = digest.take() {
            digest = whole.set(word, &parameter).map(|()| whole);
        }
        rest = tail;
    }
    out.extend(digest.filter(Digest::is_whole).map(Scheme::Digest));
    out
}

fn is_known(scheme: &str) -> bool {
    [DIGEST, BASIC].iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// Returns true if a word is followed by neither parameters nor anything else.
fn is_lone(tail: &str) -> bool {
    let tail = tail.trim_start();
    tail.is_empty() || tail.starts_with([',', ';'])
}

impl Digest {
    fn is_whole(&self) -> bool {
        !self.nonce.is_empty()
    }
}

/// Splits off a token or the inside of a quoted string, with its escapes (RFC 2617 §3.2.2.1 `unq`).
/// It is sent back in quotes, so whatever would end them is removed: quotes and backslashes in a
/// token, and a lone escape at the end.
fn parameter_value(text: &str) -> (String, &str) {
    let single = text.strip_prefix('\'').and_then(|text| text.split_once('\''));
    if let Some((value, rest)) = single {
        return (value.replace(['"', '\\'], ""), rest);
    }
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_at(token_len(text));
        return (token.replace(['"', '\\'], ""), rest);
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let (value, rest) = quoted.split_at(end.unwrap_or(quoted.len()));
    let value = if escaped { value.strip_suffix('\\').unwrap_or(value) } else { value };
    (value.to_owned(), rest.strip_prefix('"').unwrap_or_default())
}

/// The length of an unquoted value, which may contain blanks (`realm=IP Camera(C1234), nonce=…`): a
/// blank ends it if a parameter or a known scheme follows.
fn token_len(text: &str) -> usize {
    let end = text.find([',', ';']).unwrap_or(text.len());
    let value = text.get(..end).unwrap_or_default();
    let ends_value = |blank: &usize| {
        let after = value.get(*blank..).unwrap_or_default().trim_start();
        let word = after.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(after.len());
        let (word, tail) = after.split_at(word);
        tail.trim_start().starts_with('=') || is_known(word)
    };
    let blanks = value.match_indices(char::is_whitespace).map(|(at, _)| at);
    let end = blanks.take(BLANKS_MAX).find(ends_value).unwrap_or(end);
    text.get(..end).map_or(0, |value| value.trim_end().len())
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';') || c.is_whitespace()
}

const DIGEST: &str = "Digest";
const BASIC: &str = "Basic";
/// Blanks examined in an unquoted value; names of cameras have one or two.
const BLANKS_MAX: usize = 16;

/// One step of SplitMix64.
fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// RFC 7616 §3.3.
const ALGORITHMS: [(&str, Hash, Variant); 4] = [
    ("MD5", Hash::Md5, Variant::Plain),
    ("MD5-sess", Hash::Md5, Variant::Session),
    ("SHA-256", Hash::Sha256, Variant::Plain),
    ("SHA-256-sess", Hash::Sha256, Variant::Session),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator() -> Authenticator {
        let credentials = Credentials { user: "admin".into(), password: "secret".into() };
        Authenticator::new(Some(credentials), 1)
    }

    fn challenged(authenticator: &mut Authenticator, values: &[&str]) -> Challenge {
        authenticator.challenged(&mut values.iter().copied())
    }

    fn mufasa(password: &str) -> Credentials {
        Credentials { user: "Mufasa".into(), password: password.into() }
    }

    fn only_digest(value: &str) -> Digest {
        match schemes(value).into_iter().next() {
            Some(Scheme::Digest(digest)) => digest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn characters_that_would_end_a_quoted_string_are_not_sent_back() {
        for (nonce, sent) in [
            ("opaque=\"x", "nonce=\"opaque=x\""),
            ("a\\", "nonce=\"a\""),
            ("\"a\\", "nonce=\"a\""),
            ("\"a\\\r\n \\\"b\"", "nonce=\"a\\ \\\"b\""),
        ] {
            let digest = only_digest(&format!("Digest realm=\"r\", nonce={nonce}"));
            let line = digest.authorization(&mufasa("x"), "GET", "/", 1, "c");
            assert!(line.contains(&format!(", {sent}, uri=")), "{nonce}: {line}");
        }
    }

    #[test]
    fn the_example_of_rfc_2617_section_3_5() {
        let digest = only_digest(
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        );
        let credentials = mufasa("Circle Of Life");
        let line = digest.authorization(&credentials, "GET", "/dir/index.html", 1, "0a4f113b");
        assert_eq!(
            line,
            "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
             response=\"6629fae49393a05397450978507c4ef1\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", qop=auth, nc=00000001, cnonce=\"0a4f113b\""
        );
    }

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_1() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let digest = only_digest(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ));
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let credentials = mufasa("Circle of Life");
            let line = digest.authorization(&credentials, "GET", "/dir/index.html", 1, cnonce);
            assert!(line.contains(&["response=\"", response, "\""].concat()), "{line}");
            assert!(line.contains(&["algorithm=", algorithm, ","].concat()), "{line}");
        }
    }

    #[test]
    fn a_server_without_qop_gets_the_answer_of_rfc_2069() {
        let mut authenticator = authenticator();
        assert_eq!(
            challenged(&mut authenticator, &["Digest realm=\"r\", nonce=\"n\""]),
            Challenge::New
        );
        // printf '%s' "$(md5 admin:r:secret):n:$(md5 DESCRIBE:rtsp://h/)" | md5sum
        assert_eq!(
            authenticator.authorization("DESCRIBE", "rtsp://h/").unwrap(),
            "Digest username=\"admin\", realm=\"r\", nonce=\"n\", uri=\"rtsp://h/\", \
             response=\"fc2770def090ec97b325d01b1f69faf6\""
        );
    }

    #[test]
    fn basic_is_base64_of_user_and_password() {
        let mut authenticator = authenticator();
        assert_eq!(authenticator.authorization("OPTIONS", "*"), None);
        assert_eq!(challenged(&mut authenticator, &["Basic realm=\"x\""]), Challenge::New);
        let line = authenticator.authorization("OPTIONS", "*").unwrap();
        assert_eq!(line, "Basic YWRtaW46c2VjcmV0");
        assert_eq!(challenged(&mut authenticator, &["Basic realm=\"x\""]), Challenge::Same);
    }

    #[test]
    fn digest_is_preferred_wherever_it_stands() {
        for values in [
            &["Basic realm=\"a, b\", Digest realm=\"r\", nonce=\"n\""][..],
            &["Digest realm=\"r\",nonce=\"n\",Basic realm=\"a\""],
            &["Basic realm=\"a\"", "Digest realm=\"r\", nonce=\"n\""],
            &["Digest realm=\"r\", nonce=\"n\"", "Basic realm=\"a\""],
            &["Negotiate abc==, Basic realm=a, digest Realm = \"r\" , Nonce=n"],
            &["Digest realm=\"r\",\r\n nonce=\"n\""],
            &["Digest nonce=\"x\", algorithm=SHA-512-256, Digest realm=\"r\", nonce=\"n\""],
            &["Digest nonce=\"x\", qop=\"auth-int\"", "Digest realm=\"r\", nonce=\"n\""],
        ] {
            let mut authenticator = authenticator();
            assert_eq!(challenged(&mut authenticator, values), Challenge::New, "{values:?}");
            let line = authenticator.authorization("PLAY", "u").unwrap();
            assert!(
                line.starts_with("Digest username=\"admin\", realm=\"r\", nonce=\"n\""),
                "{line}"
            );
        }
    }

    #[test]
    fn a_challenge_is_read_however_a_camera_writes_it() {
        for (value, realm) in [
            ("Digest realm=r, nonce=n", "r"),
            ("DIGEST REALM=\"r\",NONCE=\"n\"", "r"),
            ("digest realm = r ; nonce = n ;", "r"),
            ("Digest realm=\"r\" nonce=\"n\" stale=\"FALSE\"", "r"),
            ("Digest realm=\"r\"nonce=\"n\"", "r"),
            ("Digest,realm=\"r\",,nonce=\"n\",", "r"),
            ("Digest: realm=\"r\"; nonce=\"n\"", "r"),
            ("Digest\trealm=\"r\",\r\n\tnonce=\"n\"", "r"),
            ("realm=\"r\", nonce=\"n\"", "r"),
            ("Digest realm=IP Camera(C1234), nonce=n", "IP Camera(C1234)"),
            ("Digest nonce=n realm=IP Camera(C1234)", "IP Camera(C1234)"),
            ("Digest realm=IP Camera nonce=n algorithm=MD5", "IP Camera"),
            ("Digest qop=auth,auth-int, realm=r, nonce=n", "r"),
            ("Digest qop=\"auth, auth-int\", realm=r, nonce=n", "r"),
            ("Digest realm=\"r\", qop=\"\", algorithm=\"\", nonce=\"n\", opaque=\"\"", "r"),
            ("Digest realm=\"r\", algorithm=\"md5\", nonce=\"n\", charset=UTF-8", "r"),
            ("Digest realm=\"r\", domain=\"/a,/b\", nonce=\"n\"", "r"),
            ("Basic realm=IP Camera Digest realm=r nonce=n", "r"),
            ("Negotiate, Digest realm=r, nonce=n", "r"),
            ("Digest realm='IP Camera, \"1\"', nonce='n'", "IP Camera, 1"),
            ("Digest realm=\"r\", nonce=\"n\", Bearer realm=\"other\"", "r"),
        ] {
            let mut authenticator = authenticator();
            assert_eq!(challenged(&mut authenticator, &[value]), Challenge::New, "{value}");
            let line = authenticator.authorization("PLAY", "u").unwrap();
            let begin = format!("Digest username=\"admin\", realm=\"{realm}\", nonce=\"n\", ");
            assert!(line.starts_with(&begin), "{value} makes {line}");
        }
    }

    #[test]
    fn the_first_known_digest_of_several_wins() {
        let digest =
            only_digest("Digest nonce=a, algorithm=SHA-256, Digest nonce=b, algorithm=MD5");
        assert_eq!((digest.nonce.as_str(), digest.hash), ("a", Hash::Sha256));
    }

    #[test]
    fn a_nonce_that_was_answered_is_not_tried_again() {
        let mut authenticator = authenticator();
        let old = ["Digest realm=\"r\", nonce=\"1\""];
        assert_eq!(challenged(&mut authenticator, &old), Challenge::New);
        assert_eq!(challenged(&mut authenticator, &old), Challenge::Same);
        assert_eq!(
            challenged(&mut authenticator, &["Digest realm=\"r\", nonce=\"2\""]),
            Challenge::New
        );
        let stale = ["Digest realm=\"r\", nonce=\"3\", stale=TRUE"];
        assert_eq!(challenged(&mut authenticator, &stale), Challenge::Stale);
        assert_eq!(challenged(&mut authenticator, &[]), Challenge::Same);
    }

    #[test]
    fn an_unsupported_challenge_is_reported() {
        let mut nobody = Authenticator::new(None, 1);
        assert_eq!(challenged(&mut nobody, &["Basic realm=x"]), Challenge::NoCredentials);
        for values in
            [&[][..], &["Bearer x"], &["Digest realm=\"r\""], &["Digest"], &["=,=\"", "\""]]
        {
            assert_eq!(challenged(&mut authenticator(), values), Challenge::Unknown, "{values:?}");
        }
    }

    #[test]
    fn the_nonce_count_grows_and_the_client_nonce_changes() {
        let mut authenticator = authenticator();
        challenged(&mut authenticator, &["Digest realm=\"r\", nonce=\"n\", qop=auth"]);
        let first = authenticator.authorization("OPTIONS", "u").unwrap();
        let second = authenticator.authorization("OPTIONS", "u").unwrap();
        assert!(first.contains("nc=00000001") && second.contains("nc=00000002"));
        let cnonce = |line: &str| line.split_once("cnonce=").unwrap().1.to_owned();
        assert_ne!(cnonce(&first), cnonce(&second));
    }

    #[test]
    fn quotes_in_realm_and_user_stay_inside_their_strings() {
        let credentials = Credentials { user: "a\"b".into(), password: "p".into() };
        let mut authenticator = Authenticator::new(Some(credentials), 1);
        challenged(&mut authenticator, &["Digest realm=\"x\\\"y\", nonce=\"n\""]);
        let line = authenticator.authorization("PLAY", "u").unwrap();
        assert!(
            line.starts_with("Digest username=\"a\\\"b\", realm=\"x\\\"y\", nonce=\"n\""),
            "{line}"
        );
    }

    #[test]
    fn debug_output_holds_no_password() {
        assert!(!format!("{:?}", authenticator()).contains("secret"));
    }
}
