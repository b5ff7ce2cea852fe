//! Any bytes, and hostile requests with some of their bytes changed.

use super::{corpus::parts, *};
use proptest::{collection::vec, prelude::*, sample, test_runner::TestRunner};
use std::cell::RefCell;

/// A request of the corpus, or a clean one, with bytes changed, taken out and put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = corpus::files().into_iter().map(|(_, bytes)| bytes).collect();
    for clean in [
        "POST /api/record/stop?camera=yard HTTP/1.1\r\nHost: attic\r\nContent-Length: 3\r\n\r\nabc",
        "GET /recordings/yard/014.mp4 HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nCookie: smolnvr=x\r\n\r\n",
        "GET /live/yard HTTP/1.1\r\nHost: attic.local\r\nUpgrade: websocket\r\n\r\n",
    ] {
        seeds.extend(std::iter::repeat_n(clean.as_bytes().to_vec(), 20));
    }
    let edit = (any::<sample::Index>(), 0..3usize, vec(telling_byte(), 0..3));
    (sample::select(seeds), vec(edit, 0..4)).prop_map(|(mut bytes, edits)| {
        for (index, removed, put) in edits {
            let at = index.index(bytes.len() + 1);
            let end = bytes.len().min(at + removed);
            bytes.splice(at..end, put);
        }
        bytes
    })
}

fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![sample::select(&b"\r\n \t:/%?#\\\0.,;=01aGP\x7f\x80\xff"[..]), any::<u8>()]
}

/// A head that may be of anybody, most of it plausible.
fn asked() -> impl Strategy<Value = (String, String, Vec<(&'static str, String)>)> {
    let method = sample::select(
        &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "PATCH", ""][..],
    );
    let path = prop_oneof![
        sample::select(
            &[
                "/",
                "/app.js",
                "/api/session",
                "/api/password",
                "/api/status",
                "/api/shutdown",
                "/live/yard",
                "/recordings/yard/014.mp4",
                "/metrics",
                "/api/session/../status",
                "/%61pi/session",
            ][..]
        )
        .prop_map(str::to_owned),
        ".{0,40}",
    ];
    let field = prop_oneof![
        sample::select(&["192.168.1.2:8080", "attic", "localhost", "evil.example"][..])
            .prop_map(|host| ("Host", host.to_owned())),
        sample::select(&["http://192.168.1.2:8080", "http://attic", "null"][..])
            .prop_map(|origin| ("Origin", origin.to_owned())),
        sample::select(&["same-origin", "none", "cross-site"][..])
            .prop_map(|site| ("Sec-Fetch-Site", site.to_owned())),
        "(smolnvr=[A-Za-z0-9+/]{0,30}(; )?){0,3}".prop_map(|cookie| ("Cookie", cookie)),
        ".{0,20}".prop_map(|pair| ("Authorization", basic(&pair))),
        "(Basic )?.{0,20}".prop_map(|value| ("Authorization", value)),
        sample::select(&["websocket", "h2c", ""][..]).prop_map(|to| ("Upgrade", to.to_owned())),
        ".{0,30}".prop_map(|value| ("Host", value)),
        ".{0,30}".prop_map(|value| ("Origin", value)),
    ];
    (method.prop_map(str::to_owned), path, vec(field, 0..6)).prop_map(
        |(method, path, mut fields)| {
            if fields.iter().all(|(name, _)| *name != "Host") {
                fields.push(("Host", "attic".into()));
            }
            (method, path, fields)
        },
    )
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
        sample::select(&["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.168.1.7"][..])
            .prop_map(|address| address.parse().unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_split_get_one_answer(
        bytes in prop_oneof![vec(any::<u8>(), 0..300), vec(telling_byte(), 0..300), mutated()],
        pieces in vec(1..50usize, 1..20),
    ) {
        let whole = Form::default().take(&bytes);
        let mut form = Form::default();
        let mut rest = &bytes[..];
        let mut taken = Ok(());
        for piece in pieces.into_iter().cycle() {
            if rest.is_empty() || taken.is_err() {
                break;
            }
            let (here, after) = rest.split_at(piece.min(rest.len()));
            taken = form.take(here);
            rest = after;
        }
        prop_assert_eq!(taken, whole);
    }

    /// What passes reads the same to a parser that knows nothing of Transfer-Encoding, takes the
    /// first Content-Length and ends a head at the first empty line: there is no second reading.
    #[test]
    fn an_accepted_request_has_one_reading(bytes in mutated()) {
        if Form::default().take(&bytes).is_ok() {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Ok(());
            };
            let head = String::from_utf8_lossy(&bytes[..end + 2]).into_owned();
            let (method, path, fields) = parts(&head);
            prop_assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
            let named = |name: &[u8]| {
                fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).collect::<Vec<_>>()
            };
            prop_assert!(named(b"Host").len() <= 1);
            prop_assert!(named(b"Transfer-Encoding").is_empty());
            let lengths = named(b"Content-Length");
            prop_assert!(lengths.len() <= 1);
            if let Some((_, length)) = lengths.first() {
                let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
                prop_assert!(length <= limits::HTTP_BODY_BYTES_MAX);
                prop_assert!(length == 0 || !matches!(method, "GET" | "HEAD"));
            }
            let is_clean = |line: &str| !line.starts_with([' ', '\t']) && !line.contains(['\r', '\n', '\0']);
            prop_assert!(head.trim_end_matches("\r\n").split("\r\n").all(is_clean));
        }
    }

    #[test]
    fn any_host_is_judged(host in vec(any::<u8>(), 0..300), text in "[a-zA-Z0-9.:\\[\\]%-]{0,60}") {
        let hosts = Hosts::new("attic", &[]);
        let _ = hosts.check(&host);
        let _ = hosts.check(text.as_bytes());
    }

    #[test]
    fn any_password_file_is_read(line in "\\$pbkdf2-sha256\\$i=[0-9]{0,10}\\$[A-Za-z0-9+/=]{0,24}\\$.{0,45}", any in ".{0,200}") {
        for text in [line, any] {
            if let Some(hash) = PasswordHash::parse(&text) {
                prop_assert_eq!(hash.to_string(), text);
            }
        }
    }
}

#[test]
fn without_the_password_nobody_reads_or_changes_anything() {
    let bench = RefCell::new(Bench::protected());
    // From here on every password is judged at once.
    bench.borrow_mut().log_in(PASSWORD).unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: 5000, ..ProptestConfig::default() });
    let ran = runner.run(&(asked(), address()), |((method, path, fields), from)| {
        let mut bench = bench.borrow_mut();
        bench.wait(10.0);
        let now = bench.now;
        let all = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let Ok(head) = AccessHead::read(&method, &path, &mut all.into_iter()) else {
            return Ok(());
        };
        let Ok(verdict) = bench.access.admit(&head, Peer::Address(from), now) else {
            return Ok(());
        };
        prop_assert!(matches!(verdict, Verdict::Admitted(Who::Stranger)), "{verdict:?}");
        let no_host = head.host.is_none() && path == "/";
        let for_all = no_host || ASSETS.contains(&path.as_str()) || path == "/api/session";
        let class = head.class(ASSETS);
        prop_assert!(no_host || matches!(class, Class::Public | Class::LogIn));
        prop_assert!(for_all || path == "/api/password" && method == "PUT", "{method} {path}");
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}
