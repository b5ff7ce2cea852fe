use super::*;

const COOKIE: (&str, &str) = ("Cookie", "smolnvr=AAAAAAAAAAAAAAAAAAAAAA");
const WEBSOCKET: (&str, &str) = ("Upgrade", "websocket");

#[test]
fn the_own_origin_is_host_behind_http_or_https() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for (host, origin) in [
        ("192.168.1.2:8080", "http://192.168.1.2:8080"),
        ("attic.local", "http://attic.local"),
        ("attic.local", "https://attic.local"),
        ("Attic.local", "HTTP://attic.LOCAL"),
        ("attic.local.:8080", "http://attic.local.:8080"),
        ("[fe80::1]:8080", "http://[fe80::1]:8080"),
        ("proxy.example:8443", "https://proxy.example:8443"),
        // A default port is no port.
        ("attic.local:80", "http://attic.local"),
        ("attic.local", "http://attic.local:80"),
        ("attic.local:443", "https://attic.local"),
        // Names of web.hosts, whatever a proxy makes of Host.
        ("127.0.0.1:8080", "https://camera.example.org"),
        ("camera.example.org", "https://camera.example.org:8443"),
        ("camera.example.org:8443", "https://camera.example.org:8443"),
        ("192.168.1.2", "https://proxy.example:8443"),
    ] {
        let fields = [("Host", host), ("Origin", origin)];
        let who = bench.who("POST", "/api/record/start", &fields);
        assert_eq!(who, Ok(Who::Anybody), "{origin}");
    }
}

#[test]
fn a_name_that_only_looks_like_one_of_ours_is_foreign() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for (host, origin) in [
        ("127.0.0.1:8080", "https://camera.example.org.evil.example"),
        ("127.0.0.1:8080", "https://evilcamera.example.org"),
        ("127.0.0.1:8080", "https://x@camera.example.org"),
        ("127.0.0.1:8080", "https://camera.example.org/"),
        ("127.0.0.1:8080", "https://proxy.example"),
        ("127.0.0.1:8080", "https://proxy.example:8444"),
        ("127.0.0.1:8080", "ftp://camera.example.org"),
        ("attic.local", "https://attic.local:80"),
        ("attic.local:443", "http://attic.local"),
        ("attic.local:8080", "http://attic.local:80"),
    ] {
        let fields = [("Host", host), ("Origin", origin)];
        assert_eq!(bench.who("POST", "/api/shutdown", &fields), Err(403), "{host} {origin}");
    }
}

#[test]
fn a_link_on_another_page_opens_ours_and_nothing_else() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for site in ["cross-site", "same-site"] {
        let mut ask = |method, path, mode, destination| {
            let fields = [
                HOST,
                ("Sec-Fetch-Site", site),
                ("Sec-Fetch-Mode", mode),
                ("Sec-Fetch-Dest", destination),
            ];
            bench.who(method, path, &fields)
        };
        assert_eq!(ask("GET", "/", "navigate", "document"), Ok(Who::Anybody));
        for (method, path, mode, destination) in [
            ("GET", "/", "navigate", "iframe"),
            ("GET", "/", "cors", "document"),
            ("GET", "/app.js", "no-cors", "script"),
            ("GET", "/api/status", "navigate", "document"),
            ("GET", "/recordings/yard/001.mp4", "navigate", "document"),
            ("GET", "/snapshot/yard.jpg", "no-cors", "image"),
            ("POST", "/api/shutdown", "navigate", "document"),
            ("PUT", "/api/password", "navigate", "document"),
        ] {
            let who = ask(method, path, mode, destination);
            assert_eq!(who, Err(403), "{site} {method} {path} {mode} {destination}");
        }
    }
}

#[test]
fn a_foreign_origin_is_refused_whatever_it_asks_for() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for origin in [
        "null",
        "",
        "http://",
        "http://evil.example",
        "http://192.168.1.2",
        "http://192.168.1.2:8081",
        "http://192.168.1.2:8080.evil.example",
        "http://192.168.1.2:8080/",
        "http://x@192.168.1.2:8080",
        "ftp://192.168.1.2:8080",
        "192.168.1.2:8080",
        "chrome-extension://192.168.1.2:8080",
        "http://192.168.1.2:8080 http://192.168.1.2:8080",
    ] {
        for (method, path) in [
            ("POST", "/api/record/stop"),
            ("PUT", "/api/config"),
            ("DELETE", "/api/recordings/yard/1"),
            ("POST", "/api/session"),
            ("DELETE", "/api/session"),
            ("PUT", "/api/password"),
            ("GET", "/api/status"),
            ("GET", "/recordings/yard/001.mp4"),
            ("OPTIONS", "/api/shutdown"),
            ("GET", "/"),
        ] {
            let who = bench.who(method, path, &[HOST, ("Origin", origin)]);
            assert_eq!(who, Err(403), "{origin} {method} {path}");
        }
    }
}

#[test]
fn sec_fetch_site_refuses_and_never_allows() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for site in ["cross-site", "same-site", "", "Same-Origin, none", "anything"] {
        for fields in
            [&[HOST, ORIGIN, ("Sec-Fetch-Site", site)][..], &[HOST, ("sec-fetch-site", site)]]
        {
            assert_eq!(bench.who("GET", "/api/status", fields), Err(403), "{site}");
            assert_eq!(bench.who("POST", "/api/shutdown", fields), Err(403), "{site}");
        }
    }
    for site in ["same-origin", "none"] {
        let field = ("Sec-Fetch-Site", site);
        assert_eq!(bench.who("GET", "/api/status", &[HOST, field]), Ok(Who::Anybody));
        let foreign = ("Origin", "http://evil.example");
        assert_eq!(bench.who("POST", "/api/shutdown", &[HOST, field, foreign]), Err(403));
        let change = bench.who("POST", "/api/shutdown", &[HOST, field, COOKIE]);
        assert_eq!(change, Err(403), "a cookie still needs an Origin");
    }
}

#[test]
fn a_change_with_a_cookie_needs_an_origin_and_one_without_may_lack_it() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for (method, path) in [
        ("POST", "/api/record/stop"),
        ("DELETE", "/api/session"),
        ("PUT", "/api/password"),
        ("POST", "/api/session"),
    ] {
        assert_eq!(bench.who(method, path, &[HOST, COOKIE]), Err(403), "{method} {path}");
        assert_eq!(bench.who(method, path, &[HOST, COOKIE, ORIGIN]), Ok(Who::Anybody));
        assert_eq!(bench.who(method, path, &[HOST]), Ok(Who::Anybody));
        let other = ("Cookie", "theme=dark; smolnvrx=1; xsmolnvr=2; smolnvr; smolnvr-01020304=2");
        assert_eq!(bench.who(method, path, &[HOST, other]), Ok(Who::Anybody));
    }
    assert_eq!(bench.who("GET", "/api/status", &[HOST, COOKIE]), Ok(Who::Anybody));
}

#[test]
fn a_websocket_with_a_cookie_needs_an_origin() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    let cookie = ("Cookie", cookie.as_str());
    let path = "/live/yard";
    assert_eq!(bench.who("GET", path, &[HOST, WEBSOCKET, cookie, ORIGIN]), Ok(Who::Session));
    assert_eq!(bench.who("GET", path, &[HOST, WEBSOCKET, cookie]), Err(403));
    let foreign = ("Origin", "http://evil.example");
    assert_eq!(bench.who("GET", path, &[HOST, WEBSOCKET, cookie, foreign]), Err(403));
    let null = ("Origin", "null");
    assert_eq!(bench.who("GET", path, &[HOST, WEBSOCKET, cookie, null]), Err(403));
    assert_eq!(bench.who("GET", path, &[HOST, WEBSOCKET, ORIGIN]), Err(401));
    let player = basic(&["viewer:", PASSWORD].concat());
    let player = ("Authorization", player.as_str());
    assert_eq!(bench.who("GET", path, &[HOST, WEBSOCKET, player]), Ok(Who::Basic));
}

#[test]
fn a_form_of_another_site_changes_nothing_with_a_browsers_credentials() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    let player = basic(&["viewer:", PASSWORD].concat());
    let evil = ("Origin", "http://evil.example");
    let form = ("Content-Type", "text/plain");
    for credentials in [("Cookie", cookie.as_str()), ("Authorization", player.as_str())] {
        for origin in [evil, ("Origin", "null")] {
            let fields = [HOST, credentials, origin, form];
            assert_eq!(bench.who("POST", "/api/shutdown", &fields), Err(403));
        }
    }
}

#[test]
fn two_origins_are_malformed() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    assert_eq!(bench.who("POST", "/api/shutdown", &[HOST, ORIGIN, ORIGIN]), Err(400));
}

#[test]
fn the_control_socket_is_exempt() {
    let mut bench = Bench::protected();
    bench.peer = Peer::Unix;
    let foreign = [("Host", "smolnvr"), ("Origin", "http://evil.example")];
    assert_eq!(bench.who("POST", "/api/shutdown", &foreign), Ok(Who::Unix));
    assert_eq!(bench.who("POST", "/api/shutdown", &[]), Ok(Who::Unix));
}
