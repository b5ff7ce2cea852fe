//! Access: a request's method, address and `Authorization` in, a verdict and a challenge out.
//!
//! Spec: RFC 2617 (Basic, Digest with MD5), RFC 7616 (SHA-256). Knows nothing of: sockets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;

/// How a client authenticates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    Basic,
    /// MD5 without `qop`, as most cameras use it.
    Digest,
    /// SHA-256, with `qop="auth"`.
    DigestSha256,
}

/// The one account of a camera.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auth {
    pub scheme: Scheme,
    pub user: String,
    pub password: String,
}

impl Auth {
    pub fn new(scheme: Scheme, user: &str, password: &str) -> Auth {
        Auth { scheme, user: user.into(), password: password.into() }
    }

    /// The value of `WWW-Authenticate`.
    pub(crate) fn challenge(&self, nonce: &str) -> String {
        match self.scheme {
            Scheme::Basic => format!("Basic realm=\"{REALM}\""),
            Scheme::Digest => format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\""),
            Scheme::DigestSha256 => format!(
                "Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\""
            ),
        }
    }

    /// Whether `authorization` answers the challenge for this request.
    pub(crate) fn accepts(
        &self,
        nonce: &str,
        method: &str,
        uri: &str,
        authorization: Option<&str>,
    ) -> bool {
        let Some((scheme, rest)) = authorization.and_then(|value| value.trim().split_once(' '))
        else {
            return false;
        };
        if self.scheme == Scheme::Basic {
            let expected = STANDARD.encode(format!("{}:{}", self.user, self.password));
            return scheme.eq_ignore_ascii_case("Basic") && rest.trim() == expected;
        }
        let parameters = Parameters::parse(rest);
        scheme.eq_ignore_ascii_case("Digest")
            && parameters.get("username") == self.user
            && parameters.get("realm") == REALM
            && parameters.get("nonce") == nonce
            && parameters.get("uri") == uri
            && parameters.get("response") == self.response(&parameters, method, uri)
    }

    fn response(&self, parameters: &Parameters, method: &str, uri: &str) -> String {
        let account = self.hash(&format!("{}:{REALM}:{}", self.user, self.password));
        let request = self.hash(&format!("{method}:{uri}"));
        let nonce = parameters.get("nonce");
        match self.scheme {
            Scheme::DigestSha256 => {
                let (count, cnonce) = (parameters.get("nc"), parameters.get("cnonce"));
                self.hash(&format!("{account}:{nonce}:{count}:{cnonce}:auth:{request}"))
            }
            _ => self.hash(&format!("{account}:{nonce}:{request}")),
        }
    }

    fn hash(&self, text: &str) -> String {
        match self.scheme {
            Scheme::DigestSha256 => hex(&Sha256::digest(text)),
            _ => hex(&Md5::digest(text)),
        }
    }
}

/// `name=value, name="value"`.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(mut text: &str) -> Parameters {
        let mut pairs = Vec::new();
        while let Some((name, rest)) = text.split_once('=') {
            let name = name.trim_matches([',', ' ', '\t']).to_ascii_lowercase();
            let (value, rest) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => rest.split_once(',').unwrap_or((rest, "")),
            };
            pairs.push((name, value.trim().to_owned()));
            text = rest;
        }
        Parameters(pairs)
    }

    /// Empty if there is none.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

const REALM: &str = "test camera";

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "rtsp://127.0.0.1:8554/cam/";

    #[test]
    fn basic_requires_the_exact_name_and_password() {
        let auth = Auth::new(Scheme::Basic, "admin", "a:b");
        let accepts = |value| auth.accepts("n", "DESCRIBE", URI, value);
        assert!(accepts(Some("Basic YWRtaW46YTpi")));
        assert!(!accepts(Some("Basic YWRtaW46YTpj")));
        assert!(!accepts(Some("Digest YWRtaW46YTpi")));
        assert!(!accepts(None));
        assert_eq!(auth.challenge("n"), "Basic realm=\"test camera\"");
    }

    #[test]
    fn digest_with_md5_is_bound_to_method_address_and_nonce() {
        let auth = Auth::new(Scheme::Digest, "admin", "secret");
        // printf 'admin:test camera:secret' | md5sum; printf 'DESCRIBE:URI' | md5sum;
        // printf "$first:0123456789abcdef:$second" | md5sum
        let answer = "Digest username=\"admin\", realm=\"test camera\", nonce=\"0123456789abcdef\", \
             uri=\"rtsp://127.0.0.1:8554/cam/\", response=\"bf67eb6b499ac3d000819f73d40e553c\"";
        let accepts = |nonce, method, uri| auth.accepts(nonce, method, uri, Some(answer));
        assert!(accepts("0123456789abcdef", "DESCRIBE", URI));
        assert!(!accepts("0123456789abcdee", "DESCRIBE", URI));
        assert!(!accepts("0123456789abcdef", "SETUP", URI));
        assert!(!accepts("0123456789abcdef", "DESCRIBE", "rtsp://127.0.0.1:8554/cam"));
        assert!(!Auth::new(Scheme::Digest, "admin", "Secret").accepts(
            "0123456789abcdef",
            "DESCRIBE",
            URI,
            Some(answer)
        ));
    }

    #[test]
    fn digest_with_sha_256_takes_count_and_client_nonce() {
        let auth = Auth::new(Scheme::DigestSha256, "admin", "secret");
        let answer = "Digest username=\"admin\", realm=\"test camera\", nonce=\"0123456789abcdef\", \
             uri=\"rtsp://127.0.0.1:8554/cam/\", algorithm=SHA-256, qop=auth, nc=00000001, \
             cnonce=\"0a4f113b\", response=\"cc7d10e4b33742c08e12a3083f4cc17d2c5c0e4900302aa49edcb02b294f184a\"";
        assert!(auth.accepts("0123456789abcdef", "DESCRIBE", URI, Some(answer)));
        let other = answer.replace("nc=00000001", "nc=00000002");
        assert!(!auth.accepts("0123456789abcdef", "DESCRIBE", URI, Some(&other)));
    }

    #[test]
    fn every_truncated_answer_is_refused() {
        let auth = Auth::new(Scheme::Basic, "admin", "secret");
        let answer = "Basic YWRtaW46c2VjcmV0";
        assert!(auth.accepts("n", "PLAY", URI, Some(answer)));
        for length in 0..answer.len() {
            assert!(!auth.accepts("n", "PLAY", URI, Some(&answer[..length])));
        }
        for text in ["", "=", "a=\"", "a=\"b", ",,=,", "a=b,c"] {
            assert_eq!(Parameters::parse(text).get("c"), "");
        }
    }
}
