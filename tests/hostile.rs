//! Hostile requests over the wire, while a camera is recorded: each gets the answer that it should,
//! none reaches the file system, and no frame is lost.

use crate::support::addresses::{NOTHING_TO_DELETE, NOWHERE};
use crate::support::{
    Nvr, assert_exact,
    http::{Client, HOST, ask, send},
    record_to_the_end, recording,
    trace::Trace,
    wait_for, wait_for_within,
    watch::Watch,
};
use camera::{Camera, Clip, Options};
use smolnvr::{limits, web::access::Form};
use std::{fs, path::Path, time::Duration};

/// The longest wait of a client while others are hostile.
const PATIENCE: Duration = Duration::from_secs(1);

/// This many frames, at 25 a second.
fn frames(count: u64) -> Options {
    Options { frames: Some(count), ..Options::default() }
}

/// Ends the recording and checks that no frame is missing.
fn assert_nothing_is_lost(mut nvr: Nvr, camera: &Camera, clip: &Clip, frames: u64) {
    record_to_the_end(&mut nvr, camera, frames);
    assert_exact(&nvr.files(), clip, 0, frames);
    assert!(!nvr.log().contains("panicked"), "{}", nvr.log());
}

/// Names and bytes of the corpus; each is named after its status.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let requests = paths.filter(|path| path.extension().is_some_and(|end| end == "http"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    requests.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

fn assert_answers_at_once(nvr: &Nvr, address: &str) {
    let mut asked = Watch::start(nvr.id());
    assert_eq!(ask(address, "GET", "/api/status", &[], "").status, 200);
    let waited = asked.elapsed();
    assert!(waited < PATIENCE, "waited {waited:?}");
}

#[test]
fn no_hostile_request_reaches_the_file_system_or_costs_a_frame() {
    const FRAMES: u64 = 500;
    let (nvr, address, camera, clip) = recording(frames(FRAMES), "");
    let folder = nvr.directory.path().to_owned();
    for decoy in ["secret.mp4", "recordings/secret.mp4", "recordings/notes.txt"] {
        fs::write(folder.join(decoy), "secret").unwrap();
    }
    nvr.wait_for_recording(&[]);
    let trace = Trace::of(nvr.id());

    let files = corpus();
    assert!(files.len() > 100);
    for (name, bytes) in &files {
        let answer = send(&address, bytes);
        assert_eq!(answer.status.to_string(), name[..3], "{name} {answer:?}");
    }
    for target in NOWHERE {
        let answer = ask(&address, "GET", target, &[], "");
        let is_page = target.starts_with("/?");
        assert_eq!(answer.status, if is_page { 200 } else { 404 }, "{target} {answer:?}");
        assert!(!answer.text().contains("secret"), "{target} {answer:?}");
        let head = ask(&address, "HEAD", target, &[], "");
        assert_eq!(head.status, answer.status, "{target}");
    }
    for target in NOTHING_TO_DELETE {
        let answer = ask(&address, "DELETE", target, &[], "");
        assert_eq!(answer.status, 404, "{target} {answer:?}");
    }
    let long = format!("/recordings/camera/{}.mp4", "0".repeat(900));
    assert_eq!(ask(&address, "GET", &long, &[], "").status, 404);
    let deep = ["/recordings", &"/..".repeat(300), "/etc/passwd"].concat();
    assert_eq!(ask(&address, "GET", &deep, &[], "").status, 404);
    let huge = ["/recordings/camera/", &"../".repeat(100_000)].concat();
    assert!([0, 414].contains(&ask(&address, "GET", &huge, &[], "").status));

    let cookie = ["Cookie: ", &"a=b; ".repeat(20_000)].concat();
    assert!([0, 431].contains(&ask(&address, "GET", "/", &[&cookie], "").status));

    // One that is none: what the trace would show of a file that is opened.
    assert_eq!(ask(&address, "GET", "/recordings/camera/000.mp4", &[], "").status, 200);
    let paths = trace.end();
    assert!(paths.contains(&folder.join("recordings/000.mp4")), "{paths:?}");
    for path in paths {
        let is_recording = path.parent() == Some(&folder.join("recordings"))
            && path.file_name().unwrap().to_str().unwrap().strip_suffix(".mp4").is_some_and(
                |number| number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()),
            );
        let is_own = OWN_FILES.iter().any(|own| path == folder.join("recordings").join(own))
            || OWN_PATHS.iter().any(|own| path == Path::new(own));
        assert!(is_recording || is_own, "{}", path.display());
    }
    for decoy in ["secret.mp4", "recordings/secret.mp4", "recordings/notes.txt"] {
        fs::remove_file(folder.join(decoy)).unwrap();
    }
    assert_answers_at_once(&nvr, &address);
    assert_nothing_is_lost(nvr, &camera, &clip, FRAMES);
}

/// In the camera's folder; the folder itself, and what is written at every closing and from time to
/// time.
const OWN_FILES: &[&str] = &["", "000.idx", "000.cnt"];

/// Files that the daemon opens by itself while it records.
const OWN_PATHS: &[&str] = &["/proc/self/mountinfo", "/tmp/sysupgrade.lock"];

#[test]
fn hostile_connections_keep_nobody_from_the_page_and_cost_no_frame() {
    const FRAMES: u64 = 500;
    let (nvr, address, camera, clip) = recording(frames(FRAMES), "connections_max = 8\n");
    nvr.wait_for_recording(&[]);

    // Twice as many as there are slots, that never say a word.
    let silent: Vec<_> = (0..16).map(|_| Client::new(&address)).collect();
    assert_answers_at_once(&nvr, &address);
    // As many that say a byte a time.
    let request = format!("GET /api/status HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: {:0100}\r\n\r\n", 0);
    let mut slow: Vec<_> = (0..16).map(|_| Client::new(&address)).collect();
    for byte in request.as_bytes().iter().take(8) {
        slow.iter_mut().for_each(|client| client.send(&[*byte]));
        assert_answers_at_once(&nvr, &address);
    }
    // Some that go away in the middle of everything.
    for end in (1..request.len()).step_by(7) {
        Client::new(&address).send(&request.as_bytes()[..end]);
    }
    assert_answers_at_once(&nvr, &address);
    // Bodies that are announced and never come.
    let body =
        format!("PUT /api/config HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9999\r\n\r\n{{");
    let mut bodies: Vec<_> = (0..4).map(|_| Client::new(&address)).collect();
    bodies.iter_mut().for_each(|client| client.send(body.as_bytes()));
    assert_answers_at_once(&nvr, &address);
    // A client that requests much and reads nothing.
    let much =
        format!("GET /recordings/camera/000.mp4 HTTP/1.1\r\nHost: {HOST}\r\n\r\n").repeat(50);
    let mut deaf: Vec<_> = (0..2).map(|_| Client::new(&address)).collect();
    deaf.iter_mut().for_each(|client| client.send(much.as_bytes()));
    assert_answers_at_once(&nvr, &address);

    drop((silent, slow, bodies, deaf));

    // One that says a byte every half second until it is told that this takes too long.
    let mut slow = Client::new(&address);
    let mut began = Watch::start(nvr.id());
    let pause = Duration::from_millis(500);
    slow.stream.set_read_timeout(Some(pause)).unwrap();
    let mut bytes = request.as_bytes().iter();
    while slow.stream.peek(&mut [0]).is_err() {
        slow.send(&[*bytes.next().expect("it is told before it is through")]);
        assert_answers_at_once(&nvr, &address);
    }
    let (waited, denied) = (began.elapsed(), began.denied());
    let limit = limits::WEB_HEAD_TIMEOUT;
    assert!(waited + denied >= limit && waited < limit + 2 * PATIENCE, "{waited:?}, {denied:?}");
    assert_eq!(slow.answer().status, 408);
    assert_nothing_is_lost(nvr, &camera, &clip, FRAMES);
}

#[test]
fn what_is_said_in_a_body_is_not_heard_as_a_request() {
    let (nvr, address, _camera, _clip) = recording(frames(250), "");
    nvr.wait_for_recording(&[]);
    let hidden = format!("POST /api/record/stop HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let status = |answer: &crate::support::http::Answer| answer.status;

    // Two requests in one are two requests.
    let get = format!("GET /api/status HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let mut client = Client::new(&address);
    client.send(get.repeat(2).as_bytes());
    assert_eq!([status(&client.answer()), status(&client.answer())], [200, 200]);

    // A body is a body, in one piece and in pieces.
    let start = format!(
        "POST /api/record/start HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    for pieces in [&[&start[..]][..], &[&start[..60], &start[60..]]] {
        let mut client = Client::new(&address);
        pieces.iter().for_each(|piece| client.send(piece.as_bytes()));
        client.send(get.as_bytes());
        assert_eq!([status(&client.answer()), status(&client.answer())], [200, 200]);
    }
    // What no two programs agree on ends the connection: the rest is not looked at.
    for (name, bytes) in corpus() {
        if Form::default().take(&bytes).is_err() {
            let mut client = Client::new(&address);
            client.send(&[&bytes[..], hidden.as_bytes(), get.as_bytes()].concat());
            let all = String::from_utf8_lossy(&client.rest()).into_owned();
            assert!(all.matches("Content-Length: ").count() <= 1, "{name} {all}");
        }
    }
    // A WebSocket that is refused is no way around either.
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for target in ["/nothing", "/live/none", "/live/../camera", "/api/status", "/"] {
        for next in [
            "POST /api/record/stop HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", u64::MAX),
            format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", u32::MAX),
            format!(
                "POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"
            ),
        ] {
            let mut client = Client::new(&address);
            let first = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{upgrade}");
            client.send(first.as_bytes());
            let refused = client.answer();
            assert!([400, 404, 405, 426].contains(&refused.status), "{target} {refused:?}");
            client.send(next.as_bytes());
            let answer = client.answer();
            assert!([0, 400, 413, 421, 501].contains(&answer.status), "{target} {answer:?}");
        }
    }
    assert_answers_at_once(&nvr, &address);
    let camera = &ask(&address, "GET", "/api/status", &[], "").json()["cameras"][0];
    assert_eq!(camera["recording"], true, "nothing stopped it");
}

#[test]
fn absurd_ranges_get_the_file_a_part_of_it_or_416() {
    let (nvr, address, _camera, _clip) = recording(frames(250), "");
    wait_for("a closed recording", || nvr.files().len() > 1);
    let target = "/recordings/camera/000.mp4";
    let mut whole = ask(&address, "GET", target, &[], "");
    wait_for_within(Duration::from_secs(5), "the recording to be listed as closed", || {
        whole = ask(&address, "GET", target, &[], "");
        whole.body == fs::read(&nvr.files()[0]).unwrap()
    });
    let size = whole.body.len();
    for (range, status) in [
        ("bytes=0-0", 206),
        ("bytes=-1", 206),
        ("bytes=0-18446744073709551615", 206),
        ("bytes=0-99999999999999999999999", 206),
        ("bytes=-99999999999999999999999", 206),
        (&format!("bytes={size}-"), 416),
        ("bytes=18446744073709551615-", 416),
        ("bytes=-0", 416),
        // An invalid range is ignored (RFC 9110 §14.2).
        ("bytes=5-4", 200),
        ("bytes=-", 200),
        ("bytes=", 200),
        ("bytes=a-b", 200),
        ("bytes=0x0-0x1", 200),
        ("bytes=--1", 200),
        ("bytes=+1-2", 200),
        ("bytes 0-1", 200),
        ("octets=0-1", 200),
        ("", 200),
    ] {
        let field = ["Range: ", range].concat();
        let answer = ask(&address, "GET", target, &[&field], "");
        assert_eq!(answer.status, status, "{range} {:?}", answer.field("Content-Range"));
    }
    // One that is out of what a number holds may be taken either way; many may be refused or
    // ignored.
    let many = ["Range: bytes=", &"0-,".repeat(500), "0-"].concat();
    for range in [&many[..], "Range: bytes=99999999999999999999999-", "Range: bytes=0-1,0-1"] {
        let answer = ask(&address, "GET", target, &[range], "");
        assert!([200, 206, 416].contains(&answer.status), "{}", answer.status);
        assert!(answer.body.len() <= size, "{}", answer.body.len());
    }
}

#[test]
fn methods_and_encodings_that_nobody_offers_change_nothing() {
    let (nvr, address, _camera, _clip) = recording(frames(250), "");
    nvr.wait_for_recording(&[]);
    for method in ["TRACE", "PATCH", "PROPFIND", "BREW", "GETGETGETGETGETGET", "OPTIONS", "PURGE"] {
        for target in ["/", "/api/status", "/api/shutdown", "/recordings/camera/000.mp4"] {
            let answer = ask(&address, method, target, &["X-Secret: 12345"], "");
            assert!([400, 405, 501].contains(&answer.status), "{method} {target} {answer:?}");
            assert!(!answer.text().contains("12345"), "{answer:?}");
        }
    }
    for (method, target, allow) in [
        ("POST", "/api/status", "GET, HEAD"),
        ("GET", "/api/shutdown", "POST"),
        ("HEAD", "/api/record/stop", "POST"),
        ("DELETE", "/recordings/camera/000.mp4", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD"),
    ] {
        let answer = ask(&address, method, target, &[], "");
        assert_eq!((answer.status, answer.field("Allow")), (405, Some(allow)), "{method} {target}");
    }
    let overridden = ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /api/shutdown"];
    assert_eq!(ask(&address, "GET", "/api/status", &overridden, "").status, 200);
    for coding in ["gzip, deflate, br, zstd", "*;q=0", "gzip;q=0", ",,,;;;q=", "identity;q=0"] {
        let field = ["Accept-Encoding: ", coding].concat();
        let status = ask(&address, "GET", "/", &[&field], "").status;
        assert!([200, 406].contains(&status), "{coding} {status}");
    }
    let json = "{\"password\":".repeat(2000);
    for (method, target, body) in [
        ("PUT", "/api/password", json.as_str()),
        ("POST", "/api/session", "\u{feff}{}"),
        ("POST", "/api/session", "[]"),
        ("POST", "/api/session", "{\"password\":1}"),
        ("POST", "/api/session", "{\"password\":\"\\ud800\"}"),
        ("PUT", "/api/password", "{\"password\":null}"),
        ("PUT", "/api/password", "password=correct+horse"),
    ] {
        let answer = ask(&address, method, target, &[], body);
        assert_eq!(answer.status, 400, "{method} {target} {answer:?}");
    }
    for query in
        ["camera=none", "camera=", "limit=0", "limit=-1", "limit=1e9", "before=x", "from=9e99"]
    {
        let status = ask(&address, "GET", &["/api/recordings?", query].concat(), &[], "").status;
        assert!([400, 404].contains(&status), "{query} {status}");
    }
    assert_answers_at_once(&nvr, &address);
    let camera = &ask(&address, "GET", "/api/status", &[], "").json()["cameras"][0];
    assert_eq!(camera["recording"], true, "nothing stopped it");
}
