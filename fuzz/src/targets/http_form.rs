//! Bytes of a client's connection, up to where they are no requests; and what the routes and the
//! rules then read in them.

use crate::source::pieces;
use smolnvr::{
    http::request::{self, Head},
    limits,
    web::access::{self, Form},
};

pub const WORDS: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /api/record/start?camera=yard HTTP/1.1\r\n",
    "HEAD ",
    "PUT ",
    "DELETE ",
    "Host: nvr\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: Upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Cookie: smolnvr=abc; smolnvr=def\r\n",
    "Authorization: Basic OnA=\r\n",
    "Origin: http://nvr\r\n",
    "Range: bytes=0-1\r\n",
    "\r\n\r\n",
    "\r\n ",
    "\n",
    "%2e%2f",
    "%00",
    "..",
    "HTTP/1.0\r\n",
];

pub fn http_form(data: &[u8]) {
    let whole = Form::default().take(data);
    let mut form = Form::default();
    let mut taken = Ok(());
    for piece in pieces(data) {
        taken = form.take(piece);
        if taken.is_err() {
            assert_eq!(form.take(b"GET / HTTP/1.1\r\n"), taken, "what is refused stays so");
            break;
        }
        assert!(form.body_left() <= limits::HTTP_BODY_BYTES_MAX as u64);
    }
    assert_eq!(taken, whole, "another split, another answer");
    match whole {
        Ok(()) => read(data),
        Err(refusal) => {
            assert!((400..=505).contains(&refusal.status()));
            assert!(!refusal.to_string().contains(char::is_control), "{refusal}");
        }
    }
}

/// The requests one by one: each head is what it is by the plainest reading.
fn read(mut rest: &[u8]) {
    while let Some(length) = request::length(rest) {
        let (bytes, after) = rest.split_at(length);
        assert!(bytes.ends_with(b"\r\n\r\n") && length <= limits::HTTP_HEAD_BYTES_MAX);
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let head = Head::read(bytes).expect("its form is in order");
        let fields: Vec<_> = head.fields().collect();
        assert!(fields.len() <= limits::HTTP_FIELDS_MAX);
        assert_eq!(fields.len(), bytes.windows(2).filter(|two| two == b"\r\n").count() - 2);
        assert!(head.path().starts_with('/') && !head.path().contains(['?', ' ', '\\', '#']));
        if !text.is_empty() {
            let line = text.lines().next().unwrap_or_default();
            assert!(line.starts_with(&[head.method, " ", head.path()].concat()), "{line}");
            for (nth, (name, value)) in fields.iter().enumerate() {
                let line = text.split("\r\n").nth(nth + 1).unwrap_or_default().as_bytes();
                assert!(line.starts_with(name) && line.trim_ascii_end().ends_with(value));
            }
        }
        let body = head.field("Content-Length").map_or(0, |it| it.parse().expect("is a number"));
        assert!(body == 0 || !matches!(head.method, "GET" | "HEAD"));
        assert_eq!(head.field("Transfer-Encoding"), None);
        check_access(&head);
        let Some(next) = after.get(body..) else { return };
        rest = next;
    }
    // What is left is the beginning of a head, or of a body.
    assert!(rest.len() <= limits::HTTP_HEAD_BYTES_MAX);
}

fn check_access(head: &Head<'_>) {
    let count = |name: &str| {
        head.fields().filter(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes())).count()
    };
    let alone = ["Host", "Origin", "Sec-Fetch-Site", "Authorization", "Cookie", "Upgrade"];
    let is_twice = alone.iter().any(|name| count(name) > 1);
    let read = access::AccessHead::read(head.method, head.path(), &mut head.fields());
    assert_eq!(read.is_err(), is_twice);
    let Ok(read) = read else { return };
    let class = read.class(&["/"]);
    let is_reading = matches!(head.method, "GET" | "HEAD");
    let changes = matches!(class, access::Class::Change | access::Class::LogIn);
    assert_eq!(changes, !is_reading, "{class:?} by {}", head.method);
    assert!(!head.is_upgrade() || class == access::Class::WebSocket);
}
