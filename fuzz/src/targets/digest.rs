//! Challenges of a server, answered, and the answer checked as the server would.

use crate::source::Source;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use smolnvr::http::{
    auth::{Authenticator, Challenge},
    url::Credentials,
};

pub const WORDS: &[&str] = &[
    "Digest ",
    "Basic ",
    "realm=\"",
    "nonce=\"",
    "opaque=\"",
    "qop=\"auth\"",
    "qop=\"auth,auth-int\"",
    "qop=auth",
    "algorithm=MD5",
    "algorithm=MD5-sess",
    "algorithm=SHA-256",
    "algorithm=SHA-256-sess",
    "stale=true",
    "realm=IP Camera(1) ",
    "qop=auth,auth-int",
    "; ",
    "\", ",
    "\\\"",
    "=",
    ",",
    " = ",
];

/// Challenges of choices: which are answered, and how.
fn chosen(source: &mut Source<'_>) {
    let user = || Credentials { user: "u".to_owned(), password: "p".to_owned() };
    let qop = source.one(&["", "auth", "auth-int", "auth-int,auth", "AUTH", "token", "auth-conf"]);
    let algorithm =
        source.one(&["", "MD5", "md5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA"]);
    let names_qop = source.flag();
    let mut challenge = "Digest realm=\"r\", nonce=\"n\"".to_owned();
    if names_qop {
        challenge += &format!(", qop=\"{qop}\"");
    }
    if !algorithm.is_empty() {
        challenge += &format!(", algorithm={algorithm}");
    }
    let mut authenticator = Authenticator::new(Some(user()), 7);
    authenticator.challenged(&mut std::iter::once(challenge.as_str()));
    let answer = authenticator.authorization("PLAY", URI);
    let has_auth = qop.split(',').any(|it| it.eq_ignore_ascii_case("auth"));
    let is_known = !algorithm.starts_with("SHA-512") && algorithm != "SHA";
    let is_answered = is_known && (!names_qop || qop.is_empty() || has_auth);
    assert_eq!(answer.is_some(), is_answered, "{challenge}");
    if let Some(answer) = answer {
        check(&answer, &user(), 1);
        assert_eq!(answer.contains("qop="), names_qop && has_auth, "{challenge}: {answer}");
    }
}

/// A user and a password, each behind its length, then `WWW-Authenticate` values, one a line.
pub fn digest(data: &[u8]) {
    let mut source = Source::new(data);
    chosen(&mut source.clone());
    let credentials = Credentials { user: source.text(), password: source.text() };
    let text = String::from_utf8_lossy(source.rest()).into_owned();
    let values: Vec<&str> = text.split('\n').collect();
    let mut authenticator = Authenticator::new(Some(credentials.clone()), 7);
    assert_eq!(authenticator.authorization("PLAY", URI), None);
    let challenge = authenticator.challenged(&mut values.iter().copied());
    let Some(answer) = authenticator.authorization("PLAY", URI) else {
        assert_eq!(challenge, Challenge::Unknown);
        return;
    };
    assert!(matches!(challenge, Challenge::New | Challenge::Stale));
    check(&answer, &credentials, 1);
    let second = authenticator.authorization("PLAY", URI).expect("as before");
    check(&second, &credentials, 2);
    let again = authenticator.challenged(&mut values.iter().copied());
    assert_eq!(again == Challenge::Stale, challenge == Challenge::Stale, "{again:?}");
    assert!(again != Challenge::New && again != Challenge::Unknown);
    let mut nobody = Authenticator::new(None, 7);
    assert_eq!(nobody.challenged(&mut values.into_iter()), Challenge::NoCredentials);
}

fn check(answer: &str, credentials: &Credentials, count: u32) {
    let Credentials { user, password } = credentials;
    assert!(!answer.contains(['\r', '\n']) || user.contains(['\r', '\n']), "{answer:?}");
    if let Some(pair) = answer.strip_prefix("Basic ") {
        let pair = STANDARD.decode(pair).expect("is base64");
        assert_eq!(pair, [user, ":", password].concat().as_bytes());
        return;
    }
    let parameters = parameters(answer.strip_prefix("Digest ").expect("Basic or Digest"));
    let get =
        |name: &str| parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
    let hash = |parts: &[&str]| match get("algorithm") {
        Some(it) if it.to_ascii_lowercase().starts_with("sha-256") => {
            hex(&Sha256::digest(parts.join(":")))
        }
        _ => hex(&Md5::digest(parts.join(":"))),
    };
    let (realm, nonce) = (get("realm").expect("always"), get("nonce").expect("always"));
    let mut a1 = hash(&[user, realm, password]);
    if get("algorithm").is_some_and(|it| it.to_ascii_lowercase().ends_with("-sess")) {
        a1 = hash(&[&a1, nonce, get("cnonce").expect("sessions have one")]);
    }
    let a2 = hash(&["PLAY", URI]);
    let expected = match get("qop") {
        Some(qop) => {
            let nc = get("nc").expect("goes with qop");
            assert_eq!((qop, nc), ("auth", format!("{count:08x}").as_str()));
            hash(&[&a1, nonce, nc, get("cnonce").expect("goes with qop"), qop, &a2])
        }
        None => hash(&[&a1, nonce, &a2]),
    };
    assert_eq!((get("uri"), get("response")), (Some(URI), Some(expected.as_str())));
    let escaped = user.replace('\\', "\\\\").replace('"', "\\\"");
    assert_eq!(get("username"), Some(escaped.as_str()));
}

/// Names and values, the insides of quoted strings as they stand there.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let mut end = 0;
                let bytes = quoted.as_bytes();
                while bytes[end] != b'"' {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                (&quoted[..end], &quoted[end + 1..])
            }
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        out.push((name.trim_start_matches([',', ' ']).to_owned(), value.to_owned()));
        rest = after;
    }
    assert!(rest.is_empty(), "{rest:?} behind the parameters of {text:?}");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const URI: &str = "rtsp://10.0.0.2/live";
