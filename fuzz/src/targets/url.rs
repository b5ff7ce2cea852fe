//! A camera's address as the user, or a redirect, writes it.

use smolnvr::http::url::{Target, secret_values};

pub const WORDS: &[&str] = &[
    "rtsp://",
    "RTSP://",
    "rtsps://",
    "http://",
    "://",
    "user:secret@",
    "[::1]",
    "[fe80::1%25eth0]",
    ":554",
    ":65535",
    ":0",
    "%41",
    "%",
    "?pwd=",
    "&password=",
    "_password=",
    "auth=",
    "#",
    "//",
    "@",
    "..",
    "/live",
];

pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, location) = text.split_once('\n').unwrap_or((&text, ""));
    for target in [text.parse::<Target>(), Target::http(text)].into_iter().flatten() {
        check(&target);
        for to in [location.parse::<Target>(), Target::http(location)].into_iter().flatten() {
            check_redirect(&target, &to);
        }
        if let Some(moved) = target.page_moved(location) {
            assert!(moved.host().eq_ignore_ascii_case(target.host()), "{moved:?}");
            assert_eq!(moved.credentials(), target.credentials());
            check(&moved);
        }
        check(&target.http_page(8080, "/image.jpg"));
    }
    check_secrets(text);
}

fn check(target: &Target) {
    assert!(!target.host().is_empty() && target.port() > 0);
    assert!(!target.uri().contains(|c: char| c.is_whitespace() || c.is_control()));
    let (_, rest) = target.uri().split_once("://").expect("has a scheme");
    assert!(rest.starts_with(target.authority()));
    assert!(!target.authority().contains(['@', '/', '?', '#']), "{}", target.authority());
    let path = target.origin_form();
    assert!(path.starts_with('/') && !path.contains('#'), "{path}");
    // The URI is the address without its user.
    let again = if target.uri().starts_with("rtsp") {
        target.uri().parse()
    } else {
        Target::http(target.uri())
    };
    let again: Target = again.expect("it was one");
    assert_eq!((again.host(), again.port()), (target.host(), target.port()));
    assert_eq!((again.uri(), again.credentials()), (target.uri(), None));
    // Showing a shown address changes nothing, and no `pwd=` has a value.
    let shown = target.to_string();
    for range in secret_values(&shown) {
        assert_eq!(&shown[range], "***", "{shown}");
    }
}

/// Credentials go to no other host.
fn check_redirect(target: &Target, to: &Target) {
    let redirected = target.redirected(to);
    assert_eq!((redirected.host(), redirected.port()), (to.host(), to.port()));
    let is_same = target.host().eq_ignore_ascii_case(to.host());
    let expected = to.credentials().or(target.credentials().filter(|_| is_same));
    assert_eq!(redirected.credentials(), expected);
}

fn check_secrets(text: &str) {
    let mut end = 0;
    for range in secret_values(text) {
        assert!(range.start >= end && text.get(range.clone()).is_some(), "{range:?} of {text:?}");
        assert!(text[..range.start].ends_with('='));
        end = range.end;
    }
}
