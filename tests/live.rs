//! Live video as players and browsers receive it: every frame, from a key frame on, whatever other
//! viewers do.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, assert_ffmpeg_is_silent, assert_is_part_of, bench_clip,
    config, frame_number,
    http::{Client, ask},
    mp4, record_to_the_end, wait_for,
    watch::Watch,
    ws::{Message, WebSocket},
};
use camera::{Camera, Clip, Encoding, Options, Sound, Speed};
use std::{fs, thread, time::Duration};

/// The contract: from the request to the first picture.
const FIRST_PICTURE_MAX: Duration = Duration::from_millis(300);

fn camera(clip: &Clip, options: Options) -> Camera {
    Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap()
}

fn at(speed: f64) -> Options {
    Options { speed: Speed::Times(speed), ..Options::default() }
}

/// A daemon that records nothing, once its camera is live with a key frame.
fn watched(camera: &Camera) -> (Nvr, String) {
    watched_with(camera, "")
}

/// The same with more keys for the camera.
fn watched_with(camera: &Camera, keys: &str) -> (Nvr, String) {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let text = text.replace("buffer_kb", &format!("{keys}\nbuffer_kb"));
    let nvr = Nvr::start_with(directory, &text, &["--no-record"]);
    let address = nvr.web_address();
    wait_for("a frame", || nvr.status()["cameras"][0]["frames"].as_u64().unwrap() > 0);
    (nvr, address)
}

/// Reads the next box.
fn next_box(client: &mut Client<std::net::TcpStream>) -> Vec<u8> {
    let head = client.bytes(8);
    assert_eq!(head.len(), 8, "the stream ends");
    let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
    [head, client.bytes(length - 8)].concat()
}

/// Reads an endless file until it contains this many frames.
fn watch_file(client: &mut Client<std::net::TcpStream>, frames: usize) -> Vec<u8> {
    let mut bytes = [next_box(client), next_box(client)].concat();
    while mp4::parse(&bytes).unwrap().samples.len() < frames {
        bytes.extend(next_box(client));
    }
    bytes
}

/// Reads a WebSocket from its codec text on until it has so many frames; answers that text too.
fn watch_socket(socket: &mut WebSocket, frames: usize) -> (String, Vec<u8>) {
    let codec = loop {
        let text = socket.text();
        if !text.starts_with("wait: ") {
            break text;
        }
    };
    let mut bytes = socket.binary();
    assert_eq!(kinds(&bytes), ["ftyp", "moov"]);
    while mp4::parse(&bytes).unwrap().samples.len() < frames {
        let fragment = socket.binary();
        assert_eq!(kinds(&fragment), ["moof", "mdat"], "one fragment a message");
        bytes.extend(fragment);
    }
    (codec, bytes)
}

/// The boxes that the bytes consist of.
fn kinds(mut bytes: &[u8]) -> Vec<String> {
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        kinds.push(String::from_utf8(bytes[4..8].to_vec()).unwrap());
        bytes = &bytes[u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize..];
    }
    kinds
}

/// Every frame is as the camera sent it, and FFmpeg finds nothing to complain of.
fn assert_flawless(bytes: &[u8], clip: &Clip) -> u64 {
    let movie = mp4::parse(bytes).unwrap();
    assert_eq!(movie.end, bytes.len());
    let first = assert_is_part_of(&movie, clip);
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    assert_ffmpeg_is_silent(&[file.path().to_owned()]);
    first
}

fn viewers(nvr: &Nvr) -> u64 {
    nvr.status()["cameras"][0]["viewers"].as_u64().unwrap()
}

#[test]
fn both_ways_give_every_frame_from_a_key_frame_on() {
    for name in ["plain.h264", "bframes.h264", "plain.h265", "bframes.h265"] {
        let clip = Clip::committed(name).unwrap();
        let camera = camera(&clip, at(2.0));
        let (nvr, address) = watched(&camera);
        let mut file = Client::new(&address);
        file.begin("GET", "/live/camera.mp4", &[], "");
        let head = file.head();
        assert_eq!((head.status, head.field("Content-Type")), (200, Some("video/mp4")));
        let mut socket = WebSocket::open(&address, "/live/camera");
        // Each is read without a break: one that nobody reads is soon behind, and skips frames.
        let (bytes_of_file, (codec, bytes)) = thread::scope(|scope| {
            let of_file = scope.spawn(move || watch_file(&mut file, 110));
            let of_socket = watch_socket(&mut socket, 110);
            drop(socket);
            (of_file.join().unwrap(), of_socket)
        });
        assert_flawless(&bytes_of_file, &clip);
        assert_flawless(&bytes, &clip);
        assert_eq!(nvr.status()["cameras"][0]["mime"], *codec, "{name}");
        let start = if name.ends_with("264") { "avc1." } else { "hvc1." };
        assert!(codec.starts_with(&format!("video/mp4; codecs=\"{start}")), "{codec}");
        wait_for("nobody to be left", || viewers(&nvr) == 0);
        assert_eq!(nvr.status()["cameras"][0]["losses"]["viewer"], 0);
    }
}

#[test]
fn a_viewer_of_open_picture_groups_gets_what_follows_each_key_frame() {
    let clip = Clip::committed("opengop.h265").unwrap();
    let camera = camera(&clip, at(4.0));
    let (_nvr, address) = watched(&camera);
    let (_, bytes) = watch_socket(&mut WebSocket::open(&address, "/live/camera"), 110);
    let movie = mp4::parse(&bytes).unwrap();
    assert!(movie.samples[0].key);
    // In decode order, none left out but those that lead the first picture.
    let mut numbers = movie.samples.iter().map(|sample| frame_number(sample, &clip));
    let mut last = numbers.next().unwrap();
    let mut skipped = 0;
    for number in numbers {
        skipped += (number + 100 - last - 1) % 100;
        last = number;
    }
    assert!(skipped <= 3, "{skipped} frames left out");
}

#[test]
fn the_first_picture_comes_at_once() {
    let clip = bench_clip();
    let camera = camera(&clip, at(1.0));
    let (nvr, address) = watched(&camera);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let mut asked = Watch::start(nvr.id());
        let mut client = Client::new(&address);
        client.begin("GET", "/live/camera.mp4", &[], "");
        assert_eq!(client.head().status, 200);
        let bytes = watch_file(&mut client, 1);
        waits.push(asked.elapsed());
        assert!(mp4::parse(&bytes).unwrap().samples[0].key);
        let mut asked = Watch::start(nvr.id());
        watch_socket(&mut WebSocket::open(&address, "/live/camera"), 1);
        waits.push(asked.elapsed());
    }
    println!("first pictures: {waits:?}");
    assert!(waits.iter().all(|wait| *wait <= FIRST_PICTURE_MAX), "{waits:?}");
}

#[test]
fn a_camera_that_goes_and_comes_back_as_another_is_followed() {
    let [old, new] = ["plain.h264", "bframes.h265"].map(|name| Clip::committed(name).unwrap());
    let first = camera(&old, at(4.0));
    let (_nvr, address) = watched(&first);
    let port = first.port();
    let mut socket = WebSocket::open(&address, "/live/camera");
    let (codec, _) = watch_socket(&mut socket, 30);
    let mut file = Client::new(&address);
    file.begin("GET", "/live/camera.mp4", &[], "");
    assert_eq!(file.head().status, 200);
    watch_file(&mut file, 1);
    drop(first);
    let words = loop {
        match socket.next() {
            Message::Binary(_) => {}
            Message::Text(words) => break words,
            other => panic!("{other:?}"),
        }
    };
    assert!(words.starts_with("wait: "), "{words}");
    // A viewer that connects now is told as well.
    let mut late = WebSocket::open(&address, "/live/camera");
    assert!(late.text().starts_with("wait: "));

    let second = Camera::builder().stream_with("cam", new.clone(), at(4.0)).port(port);
    let _second = second.start().unwrap();
    for socket in [&mut socket, &mut late] {
        let (other, bytes) = watch_socket(socket, 60);
        assert_ne!(codec, other);
        let movie = mp4::parse(&bytes).unwrap();
        assert_eq!(movie.sample_entry, *b"hvc1");
        let numbers: Vec<_> = movie.samples.iter().map(|it| frame_number(it, &new)).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 100), "{numbers:?}");
    }
    // A file cannot change its parameters: it ends, complete.
    let rest = file.rest();
    assert_eq!(mp4::parse(&rest).map_or(rest.len(), |movie| movie.end), rest.len());
}

#[test]
fn after_a_pause_nothing_old_is_shown() {
    let clip = Clip::committed("plain.h264").unwrap();
    // Its last key frame has number 50.
    let first = camera(&clip, Options { frames: Some(60), ..at(4.0) });
    let (_nvr, address) = watched(&first);
    let port = first.port();
    let mut socket = WebSocket::open(&address, "/live/camera");
    let (_, bytes) = watch_socket(&mut socket, 1);
    let mut bytes = bytes;
    while frame_number(mp4::parse(&bytes).unwrap().samples.last().unwrap(), &clip) < 59 {
        bytes.extend(socket.binary());
    }
    drop(first);
    assert!(socket.text().starts_with("wait: "));
    let options = Options { first_frame: 75, ..at(4.0) };
    let again = Camera::builder().stream_with("cam", clip.clone(), options).port(port);
    let _again = again.start().unwrap();
    let (_, bytes) = watch_socket(&mut socket, 30);
    let movie = mp4::parse(&bytes).unwrap();
    assert_eq!(frame_number(&movie.samples[0], &clip), 75);
}

#[test]
fn a_viewer_who_does_not_read_slows_nobody_and_goes_on_at_a_newer_key_frame() {
    const FRAMES: u64 = 300;
    let clip = bench_clip();
    let camera = camera(&clip, Options { frames: Some(FRAMES), ..at(1.0) });
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let address = nvr.web_address();
    let frames = || nvr.status()["cameras"][0]["frames"].as_u64().unwrap();
    wait_for("a frame", || frames() > 0);
    let mut deaf = Client::narrow(&address);
    deaf.begin("GET", "/live/camera.mp4", &[], "");
    assert_eq!(deaf.head().status, 200);
    let mut socket = WebSocket::over(Client::narrow(&address), "/live/camera");
    // Meanwhile another viewer misses nothing.
    let good = watch_socket(&mut WebSocket::open(&address, "/live/camera"), 150).1;
    assert_flawless(&good, &clip);
    assert!(frames() >= 150);

    let bytes = watch_file(&mut deaf, 30);
    let numbers = |bytes: &[u8]| -> Vec<(u64, bool)> {
        let samples = mp4::parse(bytes).unwrap().samples;
        samples.iter().map(|it| (frame_number(it, &clip), it.key)).collect()
    };
    let assert_skips = |bytes: &[u8]| {
        let seen = numbers(bytes);
        let gaps = seen.windows(2).filter(|pair| pair[1].0 != (pair[0].0 + 1) % 250);
        let gaps: Vec<_> = gaps.collect();
        assert_eq!(gaps.len(), 1, "{seen:?}");
        assert!(gaps[0][1].1, "he goes on at a key frame: {gaps:?}");
        let movie = mp4::parse(bytes).unwrap();
        let times: Vec<_> = movie.samples.iter().map(|sample| sample.decode).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3600), "no gap in his time");
    };
    assert_skips(&bytes);
    assert_skips(&watch_socket(&mut socket, 30).1);
    assert!(nvr.status()["cameras"][0]["losses"]["viewer"].as_u64().unwrap() > 50);
    drop((deaf, socket));
    record_to_the_end(&mut nvr, &camera, FRAMES);
    assert_exact(&nvr.files(), &clip, 0, FRAMES);
}

#[test]
fn a_viewer_who_takes_nothing_for_long_is_let_go() {
    let clip = bench_clip();
    let camera = camera(&clip, at(1.0));
    let (nvr, address) = watched(&camera);
    let mut deaf = Client::narrow(&address);
    deaf.begin("GET", "/live/camera.mp4", &[], "");
    let _socket = WebSocket::over(Client::narrow(&address), "/live/camera");
    wait_for("both to be seen", || viewers(&nvr) == 2);
    // The contract is 20 s.
    wait_for("both to be let go of", || viewers(&nvr) == 0);
}

#[test]
fn a_seventh_player_is_told_so_and_places_come_free() {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = camera(&clip, at(1.0));
    let (nvr, address) = watched(&camera);
    let files: Vec<_> = (0..3)
        .map(|_| {
            let mut client = Client::new(&address);
            client.begin("GET", "/live/camera.mp4", &[], "");
            assert_eq!(client.head().status, 200);
            client
        })
        .collect();
    let mut sockets: Vec<_> = (0..3).map(|_| WebSocket::open(&address, "/live/camera")).collect();
    assert_eq!(viewers(&nvr), 6);
    let refused = ask(&address, "GET", "/live/camera.mp4", &[], "");
    assert_eq!(refused.status, 503);
    assert!(refused.json()["error"].as_str().unwrap().contains("6 players"), "{refused:?}");
    assert!(refused.field("Retry-After").is_some());
    sockets[0].ping(b"there?");
    loop {
        match sockets[0].next() {
            Message::Pong(payload) => break assert_eq!(payload, b"there?"),
            Message::End => panic!("the connection ended"),
            _ => {}
        }
    }
    sockets[0].close();
    while !matches!(sockets[0].next(), Message::Close(_)) {}
    assert_eq!(sockets[0].next(), Message::End);
    wait_for("a free place", || viewers(&nvr) == 5);
    // The camera is silent, so nothing is sent: a viewer that leaves is noticed all the same.
    drop(camera);
    wait_for("the camera to be gone", || nvr.status()["cameras"][0]["state"] != "live");
    drop((files, sockets));
    wait_for("nobody to be left", || viewers(&nvr) == 0);
    let mut client = Client::new(&address);
    client.begin("GET", "/live/camera.mp4", &[], "");
    wait_for("a viewer again", || viewers(&nvr) == 1);
}

#[test]
fn head_of_a_live_stream_takes_no_place() {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = camera(&clip, at(1.0));
    let (nvr, address) = watched(&camera);
    for _ in 0..8 {
        let head = ask(&address, "HEAD", "/live/camera.mp4", &[], "");
        assert_eq!((head.status, head.field("Content-Type")), (200, Some("video/mp4")));
    }
    assert_eq!(ask(&address, "GET", "/live/camera", &[], "").status, 426);
    wait_for("nobody to be left", || viewers(&nvr) == 0);
}

/// Sound belongs to the picture beside it, and only those who ask for it get it.
#[test]
fn sound_comes_live_to_those_that_ask_for_it_at_its_time() {
    let clip = Clip::committed("plain.h264").unwrap();
    let length = clip.access_units().len() as i64;
    let sound = Sound::new(Encoding::Aac);
    let camera = camera(&clip, Options { sound: Some(sound.clone()), ..at(1.0) });
    let (nvr, address) = watched_with(&camera, "audio = true");
    wait_for("sound", || nvr.status()["cameras"][0]["sound"] == "AAC");

    let mut silent = WebSocket::open(&address, "/live/camera");
    let (kind, bytes) = watch_socket(&mut silent, 30);
    assert!(!kind.contains("mp4a") && mp4::parse(&bytes).unwrap().audio.is_none(), "{kind}");
    assert_flawless(&bytes, &clip);

    let mut socket = WebSocket::open(&address, "/live/camera?sound=1");
    let (kind, bytes) = watch_socket(&mut socket, 100);
    let sent = camera.sessions()[0].frames as i64;
    assert!(kind.ends_with(",mp4a.40.2\""), "{kind}");
    let first = assert_flawless(&bytes, &clip) as i64;
    let audio = mp4::parse(&bytes).unwrap().audio.unwrap();
    let (rate, ticks) = (i64::from(sound.clock_rate()), i64::from(sound.frame_ticks()));
    // Which of the pictures that the camera sent was the first, 100 before the newest.
    let first = (sent - 100 - first + length / 2) / length * length + first;
    let begin = first * rate / 25;
    let number = (begin + audio.samples[0].decode + ticks / 2) / ticks;
    for (number, sample) in (number..).zip(&audio.samples) {
        assert!(sample.bytes == sound.frame(number as u64), "sound {number} differs");
        let off = begin + sample.decode - number * ticks;
        // Stamps of two clocks leave open so much, before the camera reports on them.
        assert!(off.abs() <= rate / 50, "sound {number} is off by {off} ticks");
    }
    assert!(audio.samples.len() as i64 > 3 * rate / ticks, "{}", audio.samples.len());
}

#[test]
fn when_sound_ends_a_head_without_it_follows_and_browsers_get_no_g711() {
    let clip = Clip::committed("plain.h264").unwrap();
    let ends = Sound { frames: Some(60), ..Sound::new(Encoding::Aac) };
    let camera = camera(&clip, Options { sound: Some(ends), ..at(1.0) });
    let (nvr, address) = watched_with(&camera, "audio = true");
    wait_for("sound", || nvr.status()["cameras"][0]["sound"] == "AAC");
    let mut socket = WebSocket::open(&address, "/live/camera?sound=1");
    let with = next_type(&mut socket);
    assert!(with.contains("mp4a"), "{with}");
    let without = next_type(&mut socket);
    assert!(without.contains("avc1") && !without.contains("mp4a"), "{without}");
    let head = socket.binary();
    assert!(kinds(&head) == ["ftyp", "moov"] && mp4::parse(&head).unwrap().audio.is_none());

    let g711 = Sound::new(Encoding::Pcmu);
    let camera = self::camera(&clip, Options { sound: Some(g711), ..at(1.0) });
    let (nvr, address) = watched_with(&camera, "audio = true");
    wait_for("sound", || nvr.status()["cameras"][0]["sound"] == "G.711");
    let mut socket = WebSocket::open(&address, "/live/camera?sound=1");
    let kind = next_type(&mut socket);
    assert!(!kind.contains(','), "{kind}");
}

/// The next message that is a type.
fn next_type(socket: &mut WebSocket) -> String {
    loop {
        match socket.next() {
            Message::Text(text) if text.starts_with("video/") => return text,
            Message::Text(_) | Message::Binary(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
