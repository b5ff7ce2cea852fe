//! A camera's HTTP reply, in any pieces.

use crate::{random::Random, source::pieces};
use smolnvr::{
    http::response::{Response, ResponseError},
    limits::SNAPSHOT_BYTES_MAX,
};

pub const WORDS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.0 401 Unauthorized\r\n",
    "Content-Length: 4\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Type: multipart/x-mixed-replace; boundary=--b\r\n",
    "\r\n\r\n",
    "--b\r\n",
    "\r\n--b",
    "Content-Type: image/jpeg\r\n",
    "\u{ff}",
    "4\r\n",
    "0\r\n\r\n",
    "ffffffff\r\n",
    "Location: /a\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
];

/// The result of a reply.
#[derive(Debug, PartialEq)]
struct Heard {
    status: u16,
    challenges: Vec<String>,
    location: Option<String>,
    /// Of a whole one.
    body: Result<Vec<u8>, ResponseError>,
}

pub fn snapshot(data: &[u8]) {
    let whole = hear([data].into_iter());
    assert_eq!(hear(pieces(data)), whole, "another split, another reply");
    // It takes its time.
    if Random::of(data).below(64) == 0 {
        check_long(data);
    }
    let Ok(body) = &whole.body else { return };
    assert!(body.len() <= SNAPSHOT_BYTES_MAX && body.len() <= data.len());
    assert!((200..1000).contains(&whole.status));
    let text = String::from_utf8_lossy(data);
    assert!(text.starts_with("HTTP/1."));
    for challenge in &whole.challenges {
        assert!(text.contains(challenge.as_str()));
    }
    // Without chunks, the body is a piece of the input.
    if !text.to_ascii_lowercase().contains("chunked") && !body.is_empty() {
        assert!(data.windows(body.len()).any(|window| window == body));
    }
}

/// A reply that goes on and on ends.
fn check_long(data: &[u8]) {
    let mut response = Response::default();
    let mut taken = response.handle_bytes(data);
    let more = vec![b'x'; 64 * 1024];
    for _ in 0..SNAPSHOT_BYTES_MAX / more.len() + 1 {
        if taken != Ok(false) {
            break;
        }
        taken = response.handle_bytes(&more);
    }
    assert_ne!(taken, Ok(false), "it is still waited for");
    assert!(response.into_body().len() <= SNAPSHOT_BYTES_MAX);
}

fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let mut response = Response::default();
    let mut end = None;
    for piece in pieces {
        match response.handle_bytes(piece) {
            Ok(false) => {}
            Ok(true) => {
                end = Some(Ok(()));
                break;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                end = Some(Err(error));
                break;
            }
        }
    }
    let end = end.unwrap_or_else(|| response.handle_close());
    Heard {
        status: response.status,
        challenges: response.challenges.clone(),
        location: response.location.clone(),
        body: end.map(|()| response.into_body()),
    }
}
