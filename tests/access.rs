//! Permissions, over the wire: the first password, sessions, Basic, waits, the control socket.

#![expect(clippy::disallowed_methods, reason = "waits that are promised are measured")]

use crate::support::{
    Nvr, SHORT_SEGMENTS, config,
    http::{Client, HOST, ORIGIN, ask},
    let_pass,
    port::Port,
    watch::Watch,
    with_password,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

const PASSWORD: &str = r#"{"password":"correct horse"}"#;
const WRONG: &str = r#"{"password":"wrong password"}"#;
/// `x:correct horse` and `x:wrong password`.
const BASIC: &str = "Authorization: Basic eDpjb3JyZWN0IGhvcnNl";
const WRONG_BASIC: &str = "Authorization: Basic eDp3cm9uZyBwYXNzd29yZA==";

/// A daemon whose camera is off, its address, and the port reserved for the camera.
fn nvr() -> (Nvr, String, Port) {
    nvr_with("")
}

fn nvr_with(web: &str) -> (Nvr, String, Port) {
    let port = Port::closed();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &port.url("cam"))]);
    let text = with_password(&text).replace("[web]\n", &["[web]\n", web].concat());
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    (nvr, address, port)
}

/// The same with the password set; the cookie of the browser that set it.
fn protected() -> (Nvr, String, Port, String) {
    let (nvr, address, port) = nvr();
    let answer = ask(&address, "PUT", "/api/password", &[ORIGIN], PASSWORD);
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = ["Cookie: ", &answer.cookie()].concat();
    (nvr, address, port, cookie)
}

#[test]
fn the_first_password_is_set_by_the_page_and_opens_everything_for_its_browser() {
    let (nvr, address, _port) = nvr();
    let session = ask(&address, "GET", "/api/session", &[], "").json();
    assert_eq!((&session["auth"], &session["password_set"]), (&"password".into(), &false.into()));
    // Not from this machine either: clients of a proxy on it look the same.
    let refused = ask(&address, "GET", "/api/status", &[], "");
    assert_eq!(refused.status, 403, "{refused:?}");
    let through = [ORIGIN, "X-Forwarded-For: 203.0.113.9"];
    let refused = ask(&address, "PUT", "/api/password", &through, PASSWORD);
    assert_eq!(refused.status, 403, "{refused:?}");

    let short = ask(&address, "PUT", "/api/password", &[ORIGIN], r#"{"password":"seven77"}"#);
    assert_eq!(short.status, 400, "{short:?}");
    let set = ask(&address, "PUT", "/api/password", &[ORIGIN], PASSWORD);
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.json()["logged_in"], true);
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.field("Set-Cookie").unwrap().contains(attribute), "{set:?}");
    }
    nvr.wait_for_log("the first password was set from 127.0.0.1");
    assert!(!nvr.log().contains("correct horse"));

    let file = nvr.directory.path().join("smolnvr.passwd");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().starts_with("$pbkdf2-sha256$i="));

    let cookie = ["Cookie: ", &set.cookie()].concat();
    assert_eq!(ask(&address, "GET", "/api/status", &[&cookie], "").status, 200);
    let mine = ask(&address, "GET", "/api/session", &[&cookie], "").json();
    assert_eq!((&mine["password_set"], &mine["logged_in"]), (&true.into(), &true.into()));
    let others = ask(&address, "GET", "/api/session", &[], "").json();
    assert_eq!((&others["password_set"], &others["logged_in"]), (&true.into(), &false.into()));
}

#[test]
fn without_login_there_is_the_page_and_nothing_else() {
    let (_nvr, address, _port, cookie) = protected();
    let page = ask(&address, "GET", "/", &[], "");
    assert_eq!(page.status, 200, "{page:?}");
    for (method, target) in [
        ("GET", "/api/status"),
        ("HEAD", "/api/status"),
        ("GET", "/api/events"),
        ("POST", "/api/record/start"),
        ("POST", "/api/record/stop"),
        ("POST", "/api/shutdown"),
        ("POST", "/api/storage/release"),
        ("POST", "/api/storage/resume"),
        ("GET", "/api/recordings"),
        ("GET", "/recordings/camera/000.mp4"),
        ("HEAD", "/recordings/camera/000.mp4"),
        ("DELETE", "/api/recordings/camera/0"),
        ("GET", "/live/camera.mp4"),
        ("GET", "/live/camera"),
        ("GET", "/snapshot/camera.jpg"),
        ("POST", "/api/probe"),
        ("POST", "/api/discover"),
        ("POST", "/api/clock"),
        ("GET", "/metrics"),
        ("GET", "/api/config"),
        ("PUT", "/api/config"),
        ("GET", "/api/openapi.json"),
        ("GET", "/nothing"),
        ("OPTIONS", "/api/status"),
        ("BREW", "/api/status"),
    ] {
        let answer = ask(&address, method, target, &[], "");
        assert_eq!(answer.status, 401, "{method} {target} {answer:?}");
        assert!(answer.field("Set-Cookie").is_none(), "{answer:?}");
        if method != "HEAD" {
            assert_eq!(answer.json()["error"], "log in", "{method} {target}");
        }
    }
    assert_eq!(ask(&address, "GET", "/nothing", &[&cookie], "").status, 404);
}

#[test]
fn a_wrong_password_makes_its_address_wait_and_no_session() {
    let (_nvr, address, _port, cookie) = protected();
    let log_in = |body| ask(&address, "POST", "/api/session", &[ORIGIN], body);
    for (round, wait) in [1000, 2000].into_iter().enumerate() {
        let wrong = log_in(WRONG);
        let answered = Instant::now();
        assert_eq!(wrong.status, 401, "{round} {wrong:?}");
        assert_eq!(wrong.json()["retry_after_ms"], wait, "{wrong:?}");

        // On a machine that has much to do the wait may be over before an answer comes.
        let is_over = || answered.elapsed() >= Duration::from_millis(wait);
        let early = log_in(PASSWORD);
        assert!(early.status == 429 || early.status == 200 && is_over(), "{early:?}");
        if early.status == 429 {
            let left = early.json()["retry_after_ms"].as_u64().unwrap();
            assert!((1..=wait).contains(&left), "{early:?}");
            let seconds: u64 = early.field("Retry-After").unwrap().parse().unwrap();
            assert!((1..=wait.div_ceil(1000)).contains(&seconds), "{early:?}");
            let basic = ask(&address, "GET", "/metrics", &[BASIC], "");
            assert!(basic.status == 429 || basic.status == 200 && is_over(), "{basic:?}");
        }
        assert_eq!(ask(&address, "GET", "/api/status", &[&cookie], "").status, 200);
        // Another address does not wait.
        let other = Client::from(20 + round as u8, &address).ask(
            "POST",
            "/api/session",
            &[ORIGIN],
            PASSWORD,
        );
        assert_eq!(other.status, 200, "{other:?}");
        let_pass(Duration::from_millis(wait).saturating_sub(answered.elapsed()));
    }
    let right = log_in(PASSWORD);
    assert_eq!(right.status, 200, "{right:?}");
    assert_eq!(log_in(WRONG).json()["retry_after_ms"], 1000, "the right one cleared the count");
}

#[test]
fn basic_is_for_scripts_and_players() {
    let (_nvr, address, _port, _) = protected();
    for (method, target, status) in [
        ("GET", "/api/status", 200),
        ("GET", "/metrics", 200),
        ("POST", "/api/record/stop", 200),
        ("GET", "/recordings/camera/000.mp4", 404),
    ] {
        let answer = ask(&address, method, target, &[BASIC], "");
        assert_eq!(answer.status, status, "{method} {target} {answer:?}");
    }
    let asked = ask(&address, "GET", "/metrics", &[], "");
    assert!(asked.field("WWW-Authenticate").unwrap().starts_with("Basic "), "{asked:?}");
    let browser = ask(&address, "GET", "/metrics", &["Sec-Fetch-Site: same-origin"], "");
    assert_eq!((browser.status, browser.field("WWW-Authenticate")), (401, None));
    let page = ask(&address, "GET", "/api/status", &[], "");
    assert_eq!((page.status, page.field("WWW-Authenticate")), (401, None));
    let wrong = ask(&address, "GET", "/api/status", &[WRONG_BASIC], "");
    assert!(wrong.status == 401 && wrong.field("WWW-Authenticate").is_some(), "{wrong:?}");
}

#[test]
fn the_slow_check_is_made_once_for_basic() {
    let (_nvr, address, _port, _) = protected();
    assert_eq!(ask(&address, "GET", "/api/status", &[BASIC], "").status, 200);
    // More than may be checked at once, all the same.
    let clients: Vec<Client<_>> = (0..16).map(|_| Client::new(&address)).collect();
    for mut client in clients {
        assert_eq!(client.ask("GET", "/api/status", &[BASIC], "").status, 200);
    }
}

#[test]
fn guessers_from_many_addresses_keep_nobody_from_the_page() {
    let (mut nvr, _, _port, _) = protected();
    nvr.terminate();
    // Now no password was found right yet, and each has to be checked.
    nvr.restart();
    let address = nvr.web_address();
    let length = WRONG.len();
    let guess = format!(
        "POST /api/session HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n{WRONG}"
    );
    let mut guessers: Vec<_> = (100..112).map(|last| Client::from(last, &address)).collect();
    guessers.iter_mut().for_each(|guesser| guesser.send(guess.as_bytes()));
    let mut asked = Watch::start(nvr.id());
    assert_eq!(ask(&address, "GET", "/api/session", &[], "").status, 200);
    let waited = asked.elapsed();
    assert!(waited < Duration::from_secs(1), "waited {waited:?}");
    let statuses: Vec<u16> = guessers.iter_mut().map(|it| it.answer().status).collect();
    assert!(statuses.contains(&401), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    assert_eq!(ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD).status, 200);
}

#[test]
fn a_session_ends_at_log_out_and_when_the_password_changes() {
    let (nvr, address, _port, first) = protected();
    let status = |cookie: &str| ask(&address, "GET", "/api/status", &[cookie], "").status;
    let second = ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD);
    let second = ["Cookie: ", &second.cookie()].concat();
    assert_eq!((status(&first), status(&second)), (200, 200));

    let out = ask(&address, "DELETE", "/api/session", &[&second, ORIGIN], "");
    assert_eq!(out.status, 200, "{out:?}");
    assert!(out.field("Set-Cookie").unwrap().contains("Max-Age=0"), "{out:?}");
    assert_eq!((status(&first), status(&second)), (200, 401));

    let new = r#"{"old":"correct horse","password":"battery staple"}"#;
    let no_old = r#"{"password":"battery staple"}"#;
    assert_eq!(ask(&address, "PUT", "/api/password", &[&first, ORIGIN], no_old).status, 400);
    let changed = ask(&address, "PUT", "/api/password", &[&first, ORIGIN], new);
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(status(&first), 401);
    assert_eq!(status(&["Cookie: ", &changed.cookie()].concat()), 200);
    nvr.wait_for_log("a new password was set from 127.0.0.1");
    assert_eq!(ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD).status, 401);
}

#[test]
fn the_password_outlives_the_daemon_and_sessions_do_not() {
    let (mut nvr, _, _port, cookie) = protected();
    nvr.terminate();
    nvr.restart();
    let address = nvr.web_address();
    assert_eq!(ask(&address, "GET", "/api/status", &[&cookie], "").status, 401);
    assert_eq!(ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD).status, 200);
}

#[test]
fn a_damaged_password_file_keeps_everybody_out_and_says_so() {
    let (mut nvr, _, _port, cookie) = protected();
    nvr.terminate();
    let file = nvr.directory.path().join("smolnvr.passwd");
    fs::write(&file, "$pbkdf2-sha256$i=60").unwrap();
    nvr.restart();
    let address = nvr.web_address();
    nvr.wait_for_log("smolnvr.passwd holds no password");
    for (method, target, fields, body) in [
        ("GET", "/api/status", &[][..], ""),
        ("GET", "/api/status", &[BASIC], ""),
        ("GET", "/api/status", &[&cookie], ""),
        ("POST", "/api/session", &[ORIGIN], PASSWORD),
        ("PUT", "/api/password", &[ORIGIN], PASSWORD),
    ] {
        let answer = ask(&address, method, target, fields, body);
        assert_eq!(answer.status, 403, "{method} {target} {answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("holds no password") && error.contains("smolnvr passwd"), "{error}");
    }
    assert_eq!(ask(&address, "GET", "/", &[], "").status, 200);
    // The control socket mends it.
    let mut local = Client::local(&nvr.directory.path().join("smolnvr.sock"));
    let mended = local.ask("PUT", "/api/password", &[], PASSWORD);
    assert_eq!(mended.status, 200, "{mended:?}");
    assert_eq!(ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD).status, 200);
}

#[test]
fn the_control_socket_asks_for_nothing() {
    let (nvr, _, _port, _) = protected();
    let path = nvr.directory.path().join("smolnvr.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (method, fields) in [
        ("GET", &[][..]),
        ("GET", &["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"]),
        ("GET", &["Cookie: smolnvr=x", WRONG_BASIC]),
    ] {
        let answer = Client::local(&path).ask(method, "/api/status", fields, "");
        assert_eq!(answer.status, 200, "{fields:?} {answer:?}");
    }
    // But a request is a request.
    let mut client = Client::local(&path);
    client.send(
        b"POST /api/record/stop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assert_eq!(client.answer().status, 501);
}

#[test]
fn auth_none_still_asks_who_is_called_and_by_which_page() {
    let (_nvr, address, _port) = nvr_with("auth = \"none\"\nhosts = [\"camera.example.org\"]\n");
    let session = ask(&address, "GET", "/api/session", &[], "").json();
    assert_eq!((&session["auth"], &session["logged_in"]), (&"none".into(), &true.into()));
    let status = |fields: &[&str]| ask(&address, "POST", "/api/record/stop", fields, "").status;
    assert_eq!(status(&[]), 200);
    assert_eq!(status(&[ORIGIN]), 200);
    assert_eq!(status(&["Origin: http://evil.example"]), 403);
    assert_eq!(status(&["Origin: null"]), 403);
    assert_eq!(status(&["Sec-Fetch-Site: cross-site"]), 403);
    let called = |host: &str| {
        let request = format!("GET /api/status HTTP/1.1\r\nHost: {host}\r\n\r\n");
        crate::support::http::send(&address, request.as_bytes())
    };
    for host in ["127.0.0.1", "localhost:8080", "[::1]", "Camera.example.org:8080"] {
        assert_eq!(called(host).status, 200, "{host}");
    }
    let refused = called("evil.example");
    assert_eq!(refused.status, 421);
    assert!(refused.json()["error"].as_str().unwrap().contains("web.hosts"), "{refused:?}");
}
