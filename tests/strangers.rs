//! Strangers at the door: whatever they do, the owner gets in, memory stays and no frame is
//! missing.

#![expect(clippy::disallowed_methods, reason = "a flood lasts a while")]

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config,
    http::{Client, HOST, ORIGIN, ask},
    port::Port,
    record_to_the_end, wait_for, with_password,
    ws::WebSocket,
};
use camera::{Camera, Clip, Options};
use smolnvr::limits;
use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const PASSWORD: &str = r#"{"password":"correct horse"}"#;
const BASIC: &str = "Authorization: Basic eDpjb3JyZWN0IGhvcnNl";
/// More than any of these daemons has places.
const MANY: usize = 24;

/// A daemon with a password and further keys of `[web]`; its address, and a log-in.
fn protected(camera: &str, web: &str) -> (Nvr, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", camera)]);
    let text = with_password(&text).replace("[web]\n", &["[web]\n", web].concat());
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    let answer = ask(&address, "PUT", "/api/password", &[ORIGIN], PASSWORD);
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = ["Cookie: ", &answer.cookie()].concat();
    (nvr, address, cookie)
}

fn log_in(address: &str) -> String {
    let answer = ask(address, "POST", "/api/session", &[ORIGIN], PASSWORD);
    ["Cookie: ", &answer.cookie()].concat()
}

/// A stream of events that has begun.
fn listen(mut client: Client<TcpStream>, field: &str) -> Client<TcpStream> {
    client.begin("GET", "/api/events", &[field], "");
    assert_eq!(client.head().status, 200);
    assert!(client.until(b"\n\n").is_some());
    client
}

/// Ways to hold a place without the password.
fn ways() -> [(&'static str, String); 7] {
    let to = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n");
    [
        ("silence", String::new()),
        ("a head that never ends", to("GET /", "X: ").trim_end().to_owned()),
        ("a body that never comes", to("POST /api/session", "Content-Length: 20\r\n")),
        ("a body that is refused", to("PUT /api/config", "Content-Length: 60000\r\n")),
        (
            "an upgrade that is refused",
            to("GET /live/camera", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ),
        ("answers that nobody reads", to("GET /app.js", "").repeat(200)),
        ("answers, and the connection is kept", to("GET /api/session", "")),
    ]
}

#[test]
fn nothing_that_strangers_begin_keeps_the_owner_out() {
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "connections_max = 8\n");
    for (way, request) in ways() {
        let mut strangers: Vec<_> = (0..MANY).map(|_| Client::from(50, &address)).collect();
        strangers.iter_mut().for_each(|stranger| stranger.send(request.as_bytes()));
        for _ in 0..3 {
            let page = ask(&address, "GET", "/", &[], "");
            assert_eq!(page.status, 200, "{way}: {page:?}");
            let status = ask(&address, "GET", "/api/status", &[&cookie], "");
            assert_eq!(status.status, 200, "{way}: {status:?}");
        }
        // From the same address as well.
        let status = Client::from(50, &address).ask("GET", "/api/status", &[&cookie], "");
        assert_eq!(status.status, 200, "{way}: {status:?}");
        let status = Client::from(50, &address).ask("GET", "/api/status", &[BASIC], "");
        assert_eq!(status.status, 200, "{way}: {status:?}");
        // Nor does it end the owner's stream.
        let mut looking = listen(Client::new(&address), &cookie);
        let more: Vec<_> = (0..MANY).map(|_| Client::from(51, &address)).collect();
        assert!(looking.until(b"\n\n").is_some(), "{way}");
        drop((strangers, more));
    }
}

#[test]
fn a_refused_body_is_not_waited_for() {
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "");
    for (line, status) in
        [("PUT /api/config", 401), ("POST /api/session", 413), ("PUT /api/password", 413)]
    {
        let mut client = Client::new(&address);
        let head = format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 60000\r\n\r\n{{");
        client.send(head.as_bytes());
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("Connection")), (status, Some("close")), "{line}");
        assert!(client.rest().is_empty());
    }
    // A known client may send a complete configuration.
    let body = format!("{{\"storage\":{{\"keep_days\":3}}}}{:4000}", "");
    let answer = ask(&address, "PUT", "/api/config", &[&cookie, ORIGIN], &body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A connection that never paused held the only thread for as long as it sent: meanwhile nothing
/// was recorded and no request was answered.
#[test]
fn a_stranger_that_sends_without_end_keeps_nobody_out() {
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "");
    let stop = AtomicBool::new(false);
    let piece = vec![b'a'; 1 << 22];
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let goes_on = || !stop.load(Ordering::Relaxed);
                while goes_on() {
                    let mut stranger = Client::new(&address);
                    stranger.send(b"GET /\\ HTTP/1.1\r\n\r\n");
                    while goes_on() {
                        if stranger.stream.write_all(&piece).is_err() {
                            break;
                        }
                    }
                }
            });
        }
        let answers = (0..5).map(|_| ask(&address, "GET", "/api/status", &[&cookie], "").status);
        let answers: Vec<_> = answers.collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(answers, [200; 5]);
    });
}

#[test]
fn a_body_is_asked_for_where_the_client_waits_for_that() {
    let port = Port::closed();
    let (_nvr, address, _) = protected(&port.url("cam"), "");
    let mut client = Client::new(&address);
    let length = PASSWORD.len();
    let head = format!(
        "POST /api/session HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    client.send(head.as_bytes());
    assert_eq!(client.answer().status, 100);
    client.send(PASSWORD.as_bytes());
    assert_eq!(client.answer().status, 200);
    let mut refused = Client::new(&address);
    refused.send(head.replace("POST /api/session", "PUT /api/config").as_bytes());
    assert_eq!(refused.answer().status, 401);
}

#[test]
fn cookies_of_other_servers_lock_nobody_out() {
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "");
    let value = cookie.strip_prefix("Cookie: ").unwrap();
    let theirs =
        |count: usize| (0..count).map(|n| format!("theirs{n}={n:0200}; ")).collect::<String>();
    for cookies in [
        [&theirs(50), value].concat(),
        [value, "; ", &theirs(50), "z=1"].concat(),
        [&theirs(25), value, "; ", &theirs(25), "z=1"].concat(),
    ] {
        let mut client = Client::new(&address);
        let field = ["Cookie: ", &cookies].concat();
        for _ in 0..2 {
            let answer = client.ask("GET", "/api/status", &[&field], "");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    let endless = ["Cookie: ", &theirs(500), value].concat();
    assert_eq!(ask(&address, "GET", "/api/status", &[&endless], "").status, 431);
}

#[test]
fn streams_and_downloads_end_with_their_session() {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream("cam", clip).start().unwrap();
    let (nvr, address, mine) = protected(&camera.url("cam"), "");
    nvr.wait_for_recording(&[]);
    let other = log_in(&address);
    let open = |credentials: &str| {
        let mut file = Client::new(&address);
        file.begin("GET", "/live/camera.mp4", &[credentials], "");
        assert_eq!(file.head().status, 200);
        let socket = WebSocket::with(Client::new(&address), "/live/camera", &[credentials]);
        (listen(Client::new(&address), credentials), file, socket)
    };
    let (mut events, mut file, mut socket) = open(&mine);
    let mut others = open(&other);
    let mut scripts = listen(Client::new(&address), BASIC);
    // A download that waits for its client.
    let mut download = Client::narrow(&address);
    download.begin("GET", "/recordings/camera/000.mp4", &[&mine], "");
    assert_eq!(download.head().status, 200);

    assert_eq!(ask(&address, "DELETE", "/api/session", &[&mine, ORIGIN], "").status, 200);
    events.rest();
    file.rest();
    while socket.next() != crate::support::ws::Message::End {}
    assert!(others.0.until(b"\n\n").is_some() && scripts.until(b"\n\n").is_some());

    let new = r#"{"old":"correct horse","password":"battery staple"}"#;
    let changed = ask(&address, "PUT", "/api/password", &[&other, ORIGIN], new);
    assert_eq!(changed.status, 200, "{changed:?}");
    others.0.rest();
    others.1.rest();
    while others.2.next() != crate::support::ws::Message::End {}
    scripts.rest();
}

#[test]
fn an_owner_who_holds_all_places_gets_another() {
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "connections_max = 4\n");
    let mut feeds: Vec<_> = (0..4).map(|_| listen(Client::new(&address), &cookie)).collect();
    for _ in 0..8 {
        feeds.push(listen(Client::new(&address), &cookie));
        let status = ask(&address, "GET", "/api/status", &[&cookie], "");
        assert_eq!(status.status, 200, "{status:?}");
    }
    feeds.swap_remove(0).rest();
    assert!(feeds.pop().unwrap().until(b"\n\n").is_some(), "the newest goes on");
}

#[test]
fn without_a_password_places_are_shared_out_by_address() {
    let port = Port::closed();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &port.url("cam"))]);
    let text = text.replace("[web]\n", "[web]\nconnections_max = 8\n");
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    let mut mine = listen(Client::from(51, &address), "X: y");
    let mut theirs: Vec<_> =
        (0..MANY).map(|_| listen(Client::from(50, &address), "X: y")).collect();
    let status = ask(&address, "GET", "/api/status", &[], "");
    assert_eq!(status.status, 200, "{status:?}");
    assert!(mine.until(b"\n\n").is_some(), "an address that has one place keeps it");
    theirs.swap_remove(0).rest();
    assert!(theirs.remove(MANY - 2).until(b"\n\n").is_some(), "the newest goes on");
}

/// Opens connections from `last` as fast as it can, in several ways, until it is told to stop.
fn flood(address: &str, stop: &AtomicBool, opened: &AtomicU64) {
    let half = format!("GET /api/session HTTP/1.1\r\nHost: {HOST}\r\nConne");
    let whole = format!("GET /api/session HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let mut held = std::collections::VecDeque::new();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let timeout = Duration::from_millis(200);
        let Ok(mut stream) = TcpStream::connect_timeout(&address.parse().unwrap(), timeout) else {
            continue;
        };
        opened.fetch_add(1, Ordering::Relaxed);
        // Errors are intended here.
        let _ = match round % 4 {
            0 => Ok(()),
            1 => stream.write_all(half.as_bytes()),
            _ => stream.write_all(whole.as_bytes()),
        };
        held.push_back(stream);
        if held.len() > 100 {
            held.pop_front();
        }
    }
}

#[test]
fn a_flood_of_connections_takes_no_memory_and_no_frame() {
    const FRAMES: u64 = 300;
    const FLOOD: u64 = 500;
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let (mut nvr, address, cookie) = protected(&camera.url("cam"), "");
    nvr.wait_for_recording(&[]);
    // Memory for the owner's own requests is allocated already.
    for _ in 0..MANY {
        assert_eq!(ask(&address, "GET", "/api/status", &[&cookie], "").status, 200);
    }
    let of_process = |what: &str| {
        let text = fs::read_to_string(format!("/proc/{}/status", nvr.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap()
    };
    let files = || fs::read_dir(format!("/proc/{}/fd", nvr.id())).unwrap().count();
    let (memory, open) = (of_process("VmHWM"), files());
    let (stop, opened) = (AtomicBool::new(false), AtomicU64::new(0));
    let most_open = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| flood(&address, &stop, &opened));
        }
        let until = Instant::now() + Duration::from_secs(6);
        let mut most_open = 0;
        // A busy machine needs longer to make a flood.
        while Instant::now() < until || opened.load(Ordering::Relaxed) < FLOOD {
            let mut local = Client::local(&nvr.directory.path().join("smolnvr.sock"));
            assert_eq!(local.ask("GET", "/api/status", &[], "").status, 200);
            most_open = most_open.max(files());
        }
        // The kernel may make the owner wait among all those connections.
        wait_for("the owner to be in", || {
            let timeout = Duration::from_secs(8);
            let stream = TcpStream::connect_timeout(&address.parse().unwrap(), timeout);
            stream.is_ok()
                && Client::new(&address).ask("GET", "/api/status", &[&cookie], "").status == 200
        });
        stop.store(true, Ordering::Relaxed);
        most_open
    });
    let grown = of_process("VmHWM") - memory;
    let opened = opened.into_inner();
    eprintln!("{opened} connections: {grown} kB more, {most_open} files open, {open} before");
    let places = 24 + limits::WEB_SPARE_PLACES;
    assert!(most_open <= open + places + 4, "{most_open} files open, {open} before");
    assert!(grown < 1500, "{grown} kB more");
    record_to_the_end(&mut nvr, &camera, FRAMES);
    assert_eq!(crate::support::frames_in(&nvr.files()) as u64, FRAMES);
    assert_all_whole(&nvr.recordings());
}

const WRONG: &str = r#"{"password":"wrong password"}"#;

/// Guesses from 127.0.0.`last` until its tries are held.
fn guess_until_held(address: &str, last: u8) {
    for _ in 0..3 {
        wait_for("a guess to be judged", || {
            Client::from(last, address).ask("POST", "/api/session", &[], WRONG).status == 401
        });
    }
}

#[test]
fn an_owner_who_shares_an_address_with_guessers_gets_a_turn() {
    const GUESSERS: usize = 20;
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "");
    let (stop, judged) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..GUESSERS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let answer = Client::from(60, &address).ask("POST", "/api/session", &[], WRONG);
                    judged.fetch_add(u64::from(answer.status == 401), Ordering::Relaxed);
                }
            });
        }
        wait_for("guesses to be judged", || judged.load(Ordering::Relaxed) > GUESSERS as u64);
        let before = judged.load(Ordering::Relaxed);
        wait_for("the owner to be in", || {
            Client::from(60, &address).ask("POST", "/api/session", &[], PASSWORD).status == 200
        });
        let meanwhile = judged.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        // Of three a second, that is 10 s.
        assert!(meanwhile <= 30, "{meanwhile} guesses were judged before the owner's");
        // Sessions have places all the while.
        let status = Client::from(60, &address).ask("GET", "/api/status", &[&cookie], "");
        assert_eq!(status.status, 200, "{status:?}");
    });
}

#[test]
fn a_guesser_that_hangs_up_gives_its_turn_up() {
    let port = Port::closed();
    let (_nvr, address, cookie) = protected(&port.url("cam"), "");
    guess_until_held(&address, 61);
    for _ in 0..4 {
        let mut gone: Vec<_> = (0..30).map(|_| Client::from(61, &address)).collect();
        gone.iter_mut().for_each(|it| it.begin("POST", "/api/session", &[], WRONG));
        assert_eq!(ask(&address, "GET", "/api/status", &[&cookie], "").status, 200);
    }
    let mut owner = Client::from(61, &address);
    wait_for("a turn", || {
        owner = Client::from(61, &address);
        owner.begin("POST", "/api/session", &[], PASSWORD);
        owner.answer().status == 200
    });
}

#[test]
fn a_browser_that_was_logged_in_before_a_restart_does_not_wait_for_guessers() {
    let port = Port::closed();
    let (mut nvr, _, cookie) = protected(&port.url("cam"), "");
    nvr.terminate();
    nvr.restart();
    let address = nvr.web_address();
    guess_until_held(&address, 62);
    let mut browser = Client::from(62, &address);
    assert_eq!(browser.ask("GET", "/api/status", &[&cookie], "").status, 401);
    let back = browser.ask("POST", "/api/session", &[&cookie, ORIGIN], PASSWORD);
    assert_eq!(back.status, 200, "{back:?}");
}
