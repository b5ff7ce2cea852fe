//! Recordings as players ask for them, their list, events, and the limit of connections.

#![expect(clippy::disallowed_methods, reason = "answers come in time, which is measured")]

use crate::support::{
    Nvr, assert_all_whole, assert_is_part_of,
    http::{Answer, Client, HOST, ask},
    mp4, recording, wait_for,
    watch::Watch,
};
use camera::{Camera, Options, Speed};
use serde_json::Value;
use std::{
    collections::HashSet,
    fs,
    net::TcpStream,
    time::{Duration, Instant},
};

/// The contract: from a change to the event.
const EVENT_MAX: Duration = Duration::from_secs(2);

/// This many frames at a multiple of real time.
fn sent(frames: Option<u64>, speed: f64) -> Options {
    Options { frames, speed: Speed::Times(speed), ..Options::default() }
}

/// Four closed recordings of 2 s each, and no fifth.
fn recorded() -> (Nvr, String, Camera) {
    let (nvr, address, camera, _) = recording(sent(Some(200), 20.0), "");
    wait_for("all frames", || crate::support::frames_in(&nvr.files()) > 170);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    assert_eq!(nvr.files().len(), 4);
    (nvr, address, camera)
}

const FIRST: &str = "/recordings/camera/000.mp4";

#[test]
fn a_recording_is_served_byte_for_byte_however_a_player_asks() {
    let (nvr, address, _camera) = recorded();
    let file = fs::read(&nvr.files()[0]).unwrap();
    let length = file.len();
    let mut client = Client::new(&address);
    let whole = client.ask("GET", FIRST, &[], "");
    assert_eq!((whole.status, &whole.body), (200, &file));
    assert_eq!(whole.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(whole.field("Content-Type"), Some("video/mp4"));
    assert_eq!(whole.field("Content-Disposition"), None);
    // All on one connection, which stays.
    for (range, from, to) in [
        ("bytes=0-", 0, length),       // Chromium, Firefox, VLC, ffplay
        ("bytes=0-1", 0, 2),           // Safari's first question
        ("bytes=0-1023", 0, 1024),     // and what follows it
        ("bytes=5000-", 5000, length), // a seek; curl -C -
        ("bytes=100-100", 100, 101),
        ("bytes=-512", length - 512, length), // a suffix
        ("bytes=-99999999", 0, length),
        ("bytes=1000-99999999", 1000, length),
    ] {
        let answer = client.ask("GET", FIRST, &[&format!("Range: {range}")], "");
        assert_eq!(answer.status, 206, "{range}");
        let wanted = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!(answer.field("Content-Range"), Some(&*wanted));
        assert!(answer.body == file[from..to], "{range}");
        assert_eq!(answer.field("ETag"), whole.field("ETag"));
    }
    let behind = client.ask("GET", FIRST, &[&format!("Range: bytes={length}-")], "");
    assert_eq!(behind.status, 416);
    assert_eq!(behind.field("Content-Range"), Some(&*format!("bytes */{length}")));
}

#[test]
fn a_recording_that_is_known_or_changed_is_told_by_its_tag() {
    let (nvr, address, _camera) = recorded();
    let file = fs::read(&nvr.files()[0]).unwrap();
    let mut client = Client::new(&address);
    let head = client.ask("HEAD", FIRST, &[], "");
    let length = file.len().to_string();
    assert_eq!((head.status, head.field("Content-Length")), (200, Some(&*length)));
    let etag = head.field("ETag").unwrap().to_owned();
    // Ranges are of GET alone (RFC 9110 §14.2).
    let head = client.ask("HEAD", FIRST, &["Range: bytes=0-1"], "");
    assert_eq!((head.status, head.field("Content-Length")), (200, Some(&*length)));
    for (field, status, bytes) in [
        (format!("If-Range: {etag}"), 206, 2),
        ("If-Range: \"another\"".to_owned(), 200, file.len()),
        ("If-Range: Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), 200, file.len()),
        (format!("If-None-Match: {etag}"), 304, 0),
        (format!("If-None-Match: \"x\", W/{etag}"), 304, 0),
        ("If-None-Match: *".to_owned(), 304, 0),
        ("If-None-Match: \"another\"".to_owned(), 206, 2),
    ] {
        let answer = client.ask("GET", FIRST, &["Range: bytes=0-1", &field], "");
        assert_eq!((answer.status, answer.body.len()), (status, bytes), "{field}");
        assert_eq!(answer.field("ETag"), Some(&*etag), "{field}");
    }
    let saved = client.ask("GET", &[FIRST, "?download"].concat(), &[], "");
    let name = saved.field("Content-Disposition");
    assert_eq!(name, Some("attachment; filename=\"camera-000.mp4\""));
    assert!(saved.body == file);
}

#[test]
fn one_connection_serves_many_requests() {
    let (nvr, address, _camera) = recorded();
    let file = fs::read(&nvr.files()[0]).unwrap();
    let mut client = Client::new(&address);
    for at in 0..300 {
        let from = at * 37 % (file.len() - 64);
        let range = format!("Range: bytes={from}-{}", from + 63);
        let answer = client.ask("GET", FIRST, &[&range], "");
        assert!(answer.status == 206 && answer.body == file[from..from + 64], "{at} {answer:?}");
        let missing = client.ask("GET", "/recordings/camera/999.mp4", &[], "");
        assert_eq!(missing.status, 404);
    }
    // Many at once, each answered in its turn.
    let question = format!("GET {FIRST} HTTP/1.1\r\nHost: {HOST}\r\nRange: bytes=7-9\r\n\r\n");
    client.send(question.repeat(20).as_bytes());
    assert!((0..20).all(|_| client.answer().body == file[7..10]));
}

/// What an open segment's length in an answer must be: where a fragment ends.
fn assert_ends_with_a_fragment(bytes: &[u8]) {
    let movie = mp4::parse(bytes).unwrap();
    assert_eq!(movie.end, bytes.len(), "bytes behind the last whole fragment");
}

#[test]
fn a_growing_recording_ends_where_a_fragment_ends() {
    let (nvr, address, _camera, clip) = recording(sent(None, 1.0), "");
    // At its close it becomes another thing, so one of the following is watched from its beginning
    // on.
    nvr.wait_for_recording(&[]);
    let number = nvr.files().len() - 1;
    let target = format!("/recordings/camera/{number:03}.mp4");
    let (mut client, mut other) = (Client::new(&address), Client::narrow(&address));
    let mut tags: Vec<(String, usize)> = Vec::new();
    let mut running: Option<usize> = None;
    let closed = loop {
        let answer = client.ask("GET", &target, &[], "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let tag = answer.field("ETag").unwrap().to_owned();
        if nvr.files().len() > number + 1 && !tag.contains("open") {
            break answer;
        }
        assert_ends_with_a_fragment(&answer.body);
        let movie = mp4::parse(&answer.body).unwrap();
        assert_is_part_of(&movie, &clip);
        // Browsers that are told none take the first fragment for all there is.
        let length = movie.samples.iter().map(|sample| i64::from(sample.duration)).sum::<i64>();
        assert!((movie.duration - length).abs() <= 90, "{} of {length} ticks", movie.duration);
        match tags.iter().find(|(known, _)| *known == tag) {
            Some((_, length)) => {
                assert_eq!(*length, answer.body.len(), "the same tag, other bytes")
            }
            None if tag.contains("open") => tags.push((tag, answer.body.len())),
            None => {} // closed, and the next file is not there yet
        }
        // A slow client, which begins before the close and ends after it.
        if running.is_none() && tags.len() == 2 {
            other.begin("GET", &target, &[], "");
            let length = other.head().field("Content-Length").unwrap().parse().unwrap();
            running = Some(length);
        }
    };
    assert!(tags.len() >= 2, "{tags:?}");
    assert!(tags.iter().all(|(tag, _)| Some(&**tag) != closed.field("ETag")));
    let length = running.unwrap();
    let got = other.bytes(length);
    assert_eq!(got.len(), length, "what was announced came");
    assert_ends_with_a_fragment(&got);
    assert_is_part_of(&mp4::parse(&got).unwrap(), &clip);
    assert!(closed.body == fs::read(&nvr.files()[number]).unwrap());
}

fn list(address: &str, query: &str) -> Answer {
    ask(address, "GET", &format!("/api/recordings{query}"), &[], "")
}

fn numbers(list: &Value) -> Vec<u64> {
    let entries = list["recordings"].as_array().unwrap().iter();
    entries.map(|entry| entry["number"].as_u64().unwrap()).collect()
}

#[test]
fn recordings_are_listed_newest_first_and_in_pages() {
    let (nvr, address, _camera) = recorded();
    let all = list(&address, "").json();
    assert_eq!(numbers(&all), [3, 2, 1, 0]);
    assert_eq!((&all["next"], &all["complete"]), (&Value::Null, &true.into()));
    assert_eq!(list(&address, "?camera=camera").json(), all);
    let entry = &all["recordings"][3];
    assert_eq!(
        (&entry["camera"], &entry["file"], &entry["state"], &entry["codec"]),
        (&"camera".into(), &"000.mp4".into(), &"whole".into(), &"h264".into())
    );
    assert_eq!((&entry["duration_ms"], &entry["gap_before_ms"]), (&2000.into(), &0.into()));
    assert_eq!(entry["bytes"], fs::metadata(&nvr.files()[0]).unwrap().len());
    assert!(entry["mime"].as_str().unwrap().starts_with("video/mp4; codecs=\"avc1."));
    assert!(entry["clock_trusted"].is_boolean());
    let now = i64::try_from(crate::support::unix_time().as_millis()).unwrap();
    let starts: Vec<i64> = all["recordings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["start_ms"].as_i64().unwrap())
        .collect();
    assert!(starts.iter().all(|start| (now - 120_000..=now).contains(start)), "{starts:?} {now}");

    let mut before = String::new();
    let mut pages = Vec::new();
    loop {
        let page = list(&address, &format!("?limit=3{before}")).json();
        pages.push(numbers(&page));
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [vec![3, 2, 1], vec![0]]);
    assert_eq!(numbers(&list(&address, "?limit=4").json()), [3, 2, 1, 0]);
    assert_eq!(list(&address, "?limit=4").json()["next"], Value::Null);
    assert!(numbers(&list(&address, "?before=0").json()).is_empty());

    // A camera that is faster than time makes them overlap: each is asked for by its own.
    for (at, number) in [3, 2, 1, 0].into_iter().enumerate() {
        let (start, end) = (starts[at], starts[at] + 2000);
        let is_in = |query: &str| numbers(&list(&address, query).json()).contains(&number);
        assert!(is_in(&format!("?from={end}")) && !is_in(&format!("?from={}", end + 1)));
        assert!(is_in(&format!("?to={}", start + 1)) && !is_in(&format!("?to={start}")));
        assert!(is_in(&format!("?from={start}&to={end}")));
    }

    for (query, status) in [
        ("?limit=0", 400),
        ("?limit=501", 400),
        ("?limit=500", 200),
        ("?limit=x", 400),
        ("?limit=-1", 400),
        ("?from=soon", 400),
        ("?to=1e3", 400),
        ("?before=x", 400),
        ("?camera=none", 404),
        ("?camera=", 404),
    ] {
        let answer = list(&address, query);
        assert_eq!(answer.status, status, "{query} {answer:?}");
        assert!(status == 200 || answer.json()["error"].is_string());
    }
}

#[test]
fn a_recording_that_another_program_deleted_is_gone_from_the_list_once_it_is_asked_for() {
    let (nvr, address, _camera) = recorded();
    let before = numbers(&list(&address, "").json());
    fs::remove_file(&nvr.files()[0]).unwrap();
    let gone = ask(&address, "GET", "/recordings/camera/000.mp4", &[], "");
    assert_eq!(gone.status, 404, "{gone:?}");
    wait_for("the list to have one less", || {
        numbers(&list(&address, "").json()).len() == before.len() - 1
    });
}

#[test]
fn a_gap_between_recordings_is_told() {
    let (nvr, address, _camera, _) = recording(sent(None, 1.0), "");
    nvr.wait_for_recording(&[]);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    let last = list(&address, "?limit=1").json()["recordings"][0].clone();
    let stopped_at = Instant::now();
    wait_for("a second", || stopped_at.elapsed() > Duration::from_secs(1));
    assert_eq!(ask(&address, "POST", "/api/record/start", &[], "").status, 200);
    let after = last["number"].as_u64().unwrap() + 1;
    let next = list(&address, "").json()["recordings"].clone();
    let next = next.as_array().unwrap().iter().find(|it| it["number"] == after).unwrap().clone();
    let gap = next["gap_before_ms"].as_i64().unwrap();
    let true_gap = next["start_ms"].as_i64().unwrap()
        - last["start_ms"].as_i64().unwrap()
        - last["duration_ms"].as_i64().unwrap();
    // Of a clock that was not set nothing can be said.
    let is_trusted = last["clock_trusted"] == true && next["clock_trusted"] == true;
    let wanted = if is_trusted { true_gap } else { 0 };
    // A start is right to half a second.
    assert!(true_gap > 500 && (gap - wanted).abs() <= 1, "{gap} {true_gap}");
}

/// Server-sent events.
struct Feed {
    client: Client<TcpStream>,
    nvr: u32,
}

impl Feed {
    fn open(nvr: &Nvr) -> Feed {
        let address = &nvr.web_address();
        let mut client = Client::new(address);
        client.begin("GET", "/api/events", &["Accept: text/event-stream"], "");
        let head = client.head();
        assert_eq!((head.status, head.field("Content-Type")), (200, Some("text/event-stream")));
        Feed { client, nvr: nvr.id() }
    }

    /// Kind and data of the next event; `None` at the end.
    fn next(&mut self) -> Option<(String, Value)> {
        let text = String::from_utf8(self.client.until(b"\n\n")?).unwrap();
        let (event, data) = text.trim_end().split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        Some((event.strip_prefix("event: ").unwrap().to_owned(), data))
    }

    /// Waits for an event of that kind that is as it must be.
    fn wait_for(&mut self, kind: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut watch = Watch::start(self.nvr);
        loop {
            let (event, data) = self.next().expect("the stream goes on");
            assert!(watch.elapsed() <= EVENT_MAX, "no {kind} in time, but {event} {data}");
            if event == kind && is_it(&data) {
                return data;
            }
        }
    }
}

#[test]
fn every_change_is_told_to_who_listens() {
    let (mut nvr, address, camera, _) = recording(sent(None, 4.0), "");
    nvr.wait_for_recording(&[]);
    let mut feed = Feed::open(&nvr);
    let (kind, first) = feed.next().unwrap();
    assert_eq!((&*kind, &first["cameras"][0]["state"]), ("status", &"live".into()));
    let keys = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<HashSet<_>>();
    let mut whole = keys(&nvr.status());
    assert!(whole.remove("changes") && whole == keys(&first));

    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    let closed = feed.wait_for("recording", |it| it["state"] == "whole");
    feed.wait_for("status", |it| it["cameras"][0]["recording"] == false);
    assert_eq!(ask(&address, "POST", "/api/record/start", &[], "").status, 200);
    let opened = feed.wait_for("recording", |it| it["state"] == "recording");
    assert!(opened["number"].as_u64() > closed["number"].as_u64());
    feed.wait_for("status", |it| it["cameras"][0]["recording"] == true);

    let target = format!("/api/recordings/camera/{}", closed["number"]);
    assert_eq!(ask(&address, "DELETE", &target, &[], "").status, 200);
    let gone = feed.wait_for("recording", |it| it["state"] == "deleted");
    assert_eq!(gone["number"], closed["number"]);

    drop(camera);
    let change = feed.wait_for("change", |it| it["kind"] == "camera");
    assert_eq!(change["camera"], "camera");
    assert!(nvr.status()["changes"].as_array().unwrap().contains(&change));
    feed.wait_for("status", |it| it["cameras"][0]["state"] != "live");

    let (status, elapsed) = nvr.terminate();
    assert!(status.success() && elapsed < Duration::from_secs(2), "{status} {elapsed:?}");
    while feed.next().is_some() {}
    assert_all_whole(&nvr.recordings());
}

#[test]
fn idle_connections_make_way_for_new_ones() {
    let (nvr, address, _camera, _) = recording(sent(Some(1), 1.0), "connections_max = 4\n");
    let mut idle: Vec<_> = (0..4).map(|_| Client::new(&address)).collect();
    assert!(idle.iter_mut().all(|it| it.ask("GET", "/api/status", &[], "").status == 200));
    let mut fifth = Client::new(&address);
    assert_eq!(fifth.ask("GET", "/api/status", &[], "").status, 200);
    assert!(idle.remove(0).rest().is_empty(), "the one that was idle longest is closed");
    assert!(idle.iter_mut().all(|it| it.ask("GET", "/api/status", &[], "").status == 200));
    drop((idle, fifth));

    // Then those with a slow client, oldest first.
    let mut feeds: Vec<_> = (0..4).map(|_| Feed::open(&nvr)).collect();
    assert!(feeds.iter_mut().all(|feed| feed.next().is_some()));
    assert_eq!(ask(&address, "GET", "/api/status", &[], "").status, 200);
    while feeds[0].next().is_some() {}
    assert!(feeds[1].next().is_some());
    // The control socket is always answered.
    let socket = nvr.directory.path().join("smolnvr.sock");
    assert_eq!(Client::local(&socket).ask("GET", "/api/status", &[], "").status, 200);
}

#[test]
fn who_is_slow_to_ask_is_told_so_and_let_go() {
    let (_nvr, address, _camera, _) = recording(sent(Some(1), 1.0), "");
    let mut head = Client::new(&address);
    head.send(b"GET /api/status HTTP/1.1\r\nHost: ");
    let mut body = Client::new(&address);
    let announced = format!(
        "POST /api/record/start HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\n12345"
    );
    body.send(announced.as_bytes());
    let told = head.answer();
    assert_eq!(told.status, 408, "{told:?}");
    assert!(head.rest().is_empty());
    let told = body.answer();
    assert!([0, 408].contains(&told.status), "{told:?}");
    assert!(body.rest().is_empty());
}

#[test]
fn a_method_that_a_route_does_not_know_is_told_which_it_does() {
    let (_nvr, address, _camera) = recorded();
    let mut client = Client::new(&address);
    for (target, allowed) in [
        ("/", "GET, HEAD"),
        ("/api/status", "GET, HEAD"),
        ("/api/events", "GET, HEAD"),
        ("/api/recordings", "GET, HEAD"),
        ("/api/recordings/camera/0", "DELETE"),
        ("/api/recordings/camera", "DELETE"),
        ("/api/keep/camera", "PUT, DELETE"),
        ("/api/record/start", "POST"),
        ("/api/record/stop", "POST"),
        ("/api/shutdown", "POST"),
        ("/api/storage/release", "POST"),
        ("/api/storage/resume", "POST"),
        ("/api/probe", "POST"),
        ("/api/clock", "POST"),
        ("/api/session", "GET, HEAD, POST, DELETE"),
        ("/api/password", "PUT"),
        (FIRST, "GET, HEAD"),
        ("/live/camera.mp4", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if allowed.split(", ").any(|it| it == method) {
                continue;
            }
            let answer = client.ask(method, target, &[], "");
            if [400, 501].contains(&answer.status) {
                client = Client::new(&address); // a method nobody knows ends the connection
                continue;
            }
            assert_eq!(answer.status, 405, "{method} {target} {answer:?}");
            assert_eq!(answer.field("Allow"), Some(allowed), "{method} {target}");
        }
    }
    for target in ["/", "/api/status", "/api/recordings", "/api/session", "/metrics", FIRST] {
        let head = client.ask("HEAD", target, &[], "");
        let get = client.ask("GET", target, &[], "");
        assert_eq!((head.status, get.status), (200, 200), "{target}");
        assert_eq!(head.field("Content-Type"), get.field("Content-Type"));
        assert!(head.field("Content-Length").is_some());
    }
    assert_eq!(client.ask("HEAD", "/nothing", &[], "").status, 404);
}
