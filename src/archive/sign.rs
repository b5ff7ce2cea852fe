//! S3 signatures: a request's method, path and fields in, its `Authorization` out.
//!
//! The signature covers the body's checksum, so that a store refuses a body damaged on the way. The
//! file is read twice for that. Signed chunks would need one pass, but not every store understands
//! them (s3rver stores the chunk signatures in the file). Spec: AWS Signature Version 4,
//! "Authenticating Requests: Using the Authorization Header". Knows nothing of: sockets, files, the
//! clock.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The keys of a signature and the region it is for.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub id: &'a str,
    pub secret: &'a str,
    pub region: &'a str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Keys<'_> {
    /// Signs a request without a query.
    ///
    /// *Shape*: `time` is `20130524T000000Z`, `path` percent-encoded; `fields` are in order of
    /// their lower-case names and contain `x-amz-date` and `x-amz-content-sha256`, whose value is
    /// `payload`.
    pub fn sign(
        self,
        time: &str,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        payload: &str,
    ) -> String {
        let day = time.get(..8).unwrap_or_default();
        let scope = [day, self.region, "s3", "aws4_request"].join("/");
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = [method, "\n", path, "\n\n"].concat();
        for (name, value) in fields {
            canonical.extend([*name, ":", value, "\n"]);
        }
        canonical.extend(["\n", &names, "\n", payload]);
        let canonical = sum(canonical.as_bytes());
        let mut key = hmac(&[b"AWS4", self.secret.as_bytes()].concat(), day);
        for part in [self.region, "s3", "aws4_request"] {
            key = hmac(&key, part);
        }
        let text = [ALGORITHM, time, &scope, &canonical].join("\n");
        let signature = hex(&hmac(&key, &text));
        [
            ALGORITHM,
            " Credential=",
            self.id,
            "/",
            &scope,
            ",SignedHeaders=",
            &names,
            ",Signature=",
            &signature,
        ]
        .concat()
    }
}

pub(super) fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is accepted");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's published examples are signed with these.
    const KEYS: Keys<'_> = Keys {
        id: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
    };
    const TIME: &str = "20130524T000000Z";

    #[test]
    fn aws_get_object_example() {
        let nothing = sum(b"");
        let fields = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", &nothing),
            ("x-amz-date", TIME),
        ];
        let field = KEYS.sign(TIME, "GET", "/test.txt", &fields, &nothing);
        assert_eq!(
            field,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn aws_put_object_example() {
        let payload = sum(b"Welcome to Amazon S3.");
        let fields = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", &payload),
            ("x-amz-date", TIME),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let field = KEYS.sign(TIME, "PUT", "/test%24file.text", &fields, &payload);
        let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert!(field.ends_with(signature), "{field}");
    }
}
