//! Requests of users, in any order and whatever happens meanwhile: the answers are right, and
//! nothing is lost.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, assert_ffmpeg_is_silent, assert_is_part_of,
    card::Card,
    config, frames_in,
    http::{Client, ask},
    mp4, states_of, wait_for,
    watch::Watch,
    ws::WebSocket,
};
use camera::{Camera, Clip, Options, Speed};
use serde_json::Value;
use std::{
    collections::BTreeMap, fs, net::TcpStream, path::Path, process::Command, time::Duration,
};

/// The contract.
const END_LIMIT: Duration = Duration::from_secs(2);

fn camera(speed: f64) -> (Clip, Camera) {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { speed: Speed::Times(speed), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    (clip, camera)
}

fn post(address: &str, target: &str) -> crate::support::http::Answer {
    ask(address, "POST", target, &[], "")
}

/// A small generator: the same sequence in each run (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A download that is read a bit at a time.
struct Download {
    client: Client<TcpStream>,
    number: u32,
    length: usize,
    got: Vec<u8>,
    /// The file as it was when it began, where it was closed.
    file: Option<Vec<u8>>,
}

impl Download {
    /// Reads on; true at the end, which may come early where the recording was deleted.
    fn go_on(&mut self, bytes: usize, is_there: bool) -> bool {
        let wanted = bytes.min(self.length - self.got.len());
        let piece = self.client.bytes(wanted);
        let is_cut = piece.len() < wanted;
        self.got.extend(piece);
        assert!(!is_cut || !is_there, "{} was cut short though it is there", self.number);
        if let Some(file) = &self.file {
            assert!(file.starts_with(&self.got), "{}: other bytes than the file's", self.number);
        }
        let is_whole = self.got.len() == self.length;
        if is_whole {
            let movie = mp4::parse(&self.got).unwrap();
            assert_eq!(movie.end, self.length, "{}", self.number);
        }
        is_whole || is_cut
    }
}

/// The requests and replies of the daemon, compared with the expected ones.
struct Sequence<'a> {
    nvr: &'a Nvr,
    address: &'a str,
    downloads: Vec<Download>,
    /// Every number that was ever seen, with when it began.
    seen: BTreeMap<u32, i64>,
    deleted: Vec<u32>,
}

impl Sequence<'_> {
    fn list(&mut self) -> Vec<(u32, String)> {
        let list = ask(self.address, "GET", "/api/recordings?limit=500", &[], "").json();
        let entry = |it: &Value| {
            let number = u32::try_from(it["number"].as_u64().unwrap()).unwrap();
            (number, it["start_ms"].as_i64().unwrap(), it["state"].as_str().unwrap().to_owned())
        };
        let entries: Vec<_> = list["recordings"].as_array().unwrap().iter().map(entry).collect();
        for (number, start, _) in &entries {
            let known = self.seen.entry(*number).or_insert(*start);
            assert_eq!(known, start, "{number} is used again");
            assert!(!self.deleted.contains(number), "{number} was deleted");
        }
        entries.into_iter().map(|(number, _, state)| (number, state)).collect()
    }

    fn start(&mut self) {
        let answer = post(self.address, "/api/record/start?camera=camera");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["cameras"][0]["recording"], true);
    }

    fn stop(&mut self) {
        let answer = post(self.address, "/api/record/stop");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["cameras"][0]["recording"], false);
        let list = self.list();
        assert!(list.iter().all(|(_, state)| state == "whole"), "{list:?}");
        assert!(states_of(&self.nvr.recordings()).iter().all(|(_, state)| state == "whole"));
    }

    fn delete(&mut self, number: u32, state: Option<&str>) {
        let target = format!("/api/recordings/camera/{number}");
        let answer = ask(self.address, "DELETE", &target, &[], "");
        let file = self.nvr.recordings().join(format!("{number:03}.mp4"));
        match (answer.status, state) {
            (200, Some(_)) => {
                assert!(!file.exists());
                self.deleted.push(number);
                let file = format!("/recordings/camera/{number:03}.mp4");
                assert_eq!(ask(self.address, "GET", &file, &[], "").status, 404);
                assert_eq!(ask(self.address, "DELETE", &target, &[], "").status, 404);
            }
            (409, Some("recording")) => assert!(file.exists()),
            (404, None) => {}
            other => panic!("{number} {other:?} {answer:?}"),
        }
    }

    fn download(&mut self, number: u32, state: &str) {
        let path = self.nvr.recordings().join(format!("{number:03}.mp4"));
        let file = (state == "whole").then(|| fs::read(path).unwrap());
        let mut client = Client::narrow(self.address);
        client.begin("GET", &format!("/recordings/camera/{number:03}.mp4"), &[], "");
        let head = client.head();
        assert_eq!(head.status, 200, "{number} {head:?}");
        let length = head.field("Content-Length").unwrap().parse().unwrap();
        assert!(file.as_ref().is_none_or(|file| file.len() == length));
        self.downloads.push(Download { client, number, length, got: Vec::new(), file });
    }

    fn read_on(&mut self, index: usize, bytes: usize) {
        let mut download = self.downloads.swap_remove(index);
        let is_there = !self.deleted.contains(&download.number);
        if !download.go_on(bytes, is_there) {
            self.downloads.push(download);
        }
    }
}

#[test]
fn start_stop_delete_and_downloads_in_any_order_lose_nothing() {
    let (clip, camera) = camera(10.0);
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let address = nvr.web_address();
    nvr.wait_for_recording(&[]);
    let mut dice = Dice(20_261_124);
    let (downloads, seen, deleted) = Default::default();
    let mut sequence = Sequence { nvr: &nvr, address: &address, downloads, seen, deleted };
    for _ in 0..200 {
        let list = sequence.list();
        let any = (!list.is_empty()).then(|| list[dice.below(list.len())].clone());
        match (dice.below(10), any) {
            (0, _) => sequence.stop(),
            (1, _) => sequence.start(),
            // The newest, with a download of it on its way.
            (2, _) if !list.is_empty() => {
                let (number, state) = list[0].clone();
                if sequence.downloads.len() < 5 {
                    sequence.download(number, &state);
                }
                sequence.delete(number, Some(&state));
            }
            (3, Some((number, state))) => sequence.delete(number, Some(&state)),
            (4, _) => sequence.delete(900 + dice.below(50) as u32, None),
            (5 | 6, Some((number, state))) if sequence.downloads.len() < 5 => {
                sequence.download(number, &state);
            }
            (7..10, _) if !sequence.downloads.is_empty() => {
                let index = dice.below(sequence.downloads.len());
                sequence.read_on(index, [1, 1000, 30_000, usize::MAX][dice.below(4)]);
            }
            _ => sequence.start(),
        }
    }
    while !sequence.downloads.is_empty() {
        sequence.read_on(0, usize::MAX);
    }
    sequence.start();
    sequence.stop();
    let (seen, deleted) = (sequence.seen, sequence.deleted);
    assert!(deleted.len() > 5 && seen.len() > deleted.len(), "{deleted:?}");
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert!(!nvr.log().contains("panicked"));
    assert_all_whole(&nvr.recordings());
    let files = nvr.files();
    assert_eq!(files.len(), seen.len() - deleted.len());
    for file in &files {
        assert_is_part_of(&mp4::read(file).unwrap(), &clip);
    }
    assert_ffmpeg_is_silent(&files);
}

#[test]
fn start_and_stop_outlast_a_kill() {
    let (_, camera) = camera(10.0);
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    assert_eq!(post(&nvr.web_address(), "/api/record/stop").status, 200);
    nvr.kill();
    let before = nvr.files();
    nvr.restart();
    let address = nvr.web_address();
    wait_for("more frames than a recording would need", || {
        nvr.status()["cameras"][0]["frames"].as_u64().unwrap() > 60
    });
    let state = &nvr.status()["cameras"][0];
    assert_eq!((&state["recording"], &state["recording_wanted"]), (&false.into(), &false.into()));
    assert_eq!(nvr.files(), before);
    assert_eq!(post(&address, "/api/record/start").status, 200);
    nvr.kill();
    let before = nvr.files();
    nvr.restart();
    nvr.wait_for_recording(&before);
}

#[test]
fn no_record_begins_without_and_start_begins_to() {
    let (_, camera) = camera(10.0);
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let nvr = Nvr::start_with(directory, &text, &["--no-record"]);
    let address = nvr.web_address();
    wait_for("frames", || nvr.status()["cameras"][0]["frames"].as_u64().unwrap() > 60);
    assert!(nvr.files().is_empty());
    // To stop what does not run is no mistake.
    assert_eq!(post(&address, "/api/record/stop").status, 200);
    assert_eq!(post(&address, "/api/record/start").status, 200);
    nvr.wait_for_recording(&[]);
    for (target, status) in
        [("/api/record/start?camera=none", 404), ("/api/record/stop?camera=none", 404)]
    {
        assert_eq!(post(&address, target).status, status, "{target}");
    }
}

/// All kinds of viewers: live both ways, events, a download that is not read, one idle.
fn audience(address: &str) -> (Vec<Client<TcpStream>>, WebSocket) {
    let mut clients = Vec::new();
    for target in ["/live/camera.mp4", "/api/events", "/recordings/camera/000.mp4"] {
        let mut client = Client::narrow(address);
        client.begin("GET", target, &[], "");
        assert_eq!(client.head().status, 200, "{target}");
        clients.push(client);
    }
    clients.push(Client::new(address));
    (clients, WebSocket::open(address, "/live/camera"))
}

#[test]
fn shutdown_answers_when_all_is_closed_and_ends_the_process() {
    let (clip, camera) = camera(4.0);
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let address = nvr.web_address();
    wait_for("two files", || nvr.files().len() > 1);
    let _audience = audience(&address);
    let mut asked = Watch::start(nvr.id());
    let mut client = Client::new(&address);
    let answer = client.ask("POST", "/api/shutdown", &[], "");
    assert_eq!((answer.status, answer.json()), (200, serde_json::json!({})));
    assert_all_whole(&nvr.recordings());
    let mut took = asked.elapsed();
    wait_for("the end", || {
        took = asked.elapsed();
        nvr.try_wait().is_some()
    });
    assert!(took < END_LIMIT, "{took:?}");
    assert!(nvr.try_wait().unwrap().success());
    for file in nvr.files() {
        assert_is_part_of(&mp4::read(&file).unwrap(), &clip);
    }
}

#[test]
fn sigterm_ends_in_time_whoever_looks() {
    let (_, camera) = camera(4.0);
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let address = nvr.web_address();
    wait_for("two files", || nvr.files().len() > 1);
    let (mut clients, _socket) = audience(&address);
    let (status, elapsed) = nvr.terminate();
    assert!(status.success() && elapsed < END_LIMIT, "{status} after {elapsed:?}");
    clients.iter_mut().for_each(|client| drop(client.rest()));
    assert_all_whole(&nvr.recordings());
}

#[test]
fn a_card_that_is_let_go_of_can_be_taken_out_though_somebody_downloads() {
    let (_, camera) = camera(4.0);
    let card = Card::new(40);
    card.mount("rw");
    let nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    let address = nvr.web_address();
    wait_for("a closed file", || card.files().len() > 1);
    let mut players: Vec<_> = (0..4).map(|_| Client::new(&address)).collect();
    let question = "GET /recordings/camera/000.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let mut reading = true;
    // They never pause until they are cut off.
    let readers = players.drain(..).map(|mut player| {
        std::thread::spawn(move || {
            player.send(question.as_bytes());
            while player.answer().status == 200 {
                player.send(question.as_bytes());
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let answer = post(&address, "/api/storage/release");
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"released".into()), "{answer:?}");
    unmount(card.path().as_path());
    assert_eq!(nvr.status()["storage"]["state"], "released");
    assert_eq!(ask(&address, "GET", "/recordings/camera/000.mp4", &[], "").status, 404);
    reading &= readers.into_iter().all(|reader| reader.join().is_ok());
    assert!(reading);
    card.mount("rw");
    let before = card.files();
    let answer = post(&address, "/api/storage/resume");
    assert_eq!(answer.status, 200, "{answer:?}");
    card.assert_records_within(Duration::from_secs(5), &before);
    assert!(frames_in(&before) > 0);
}

#[test]
fn a_download_ends_when_its_card_is_let_go_of() {
    let (_, camera) = camera(10.0);
    let card = Card::new(40);
    card.mount("rw");
    let storage = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";
    let nvr = card.start(&camera.url("cam"), storage);
    let address = nvr.web_address();
    wait_for("a closed file", || card.files().len() > 1);
    let mut paused = Client::narrow(&address);
    paused.begin("GET", "/recordings/camera/000.mp4", &[], "");
    let length: usize = paused.head().field("Content-Length").unwrap().parse().unwrap();
    assert!(length > 1_000_000, "more than sockets hold: {length}");
    assert_eq!(post(&address, "/api/storage/release").status, 200);
    unmount(card.path().as_path());
    // Another card, whose file of that number is another one.
    let other = Card::new(40);
    other.mount("rw");
    fs::create_dir_all(other.recordings()).unwrap();
    fs::write(other.recordings().join("000.mp4"), vec![b'x'; length]).unwrap();
    let bind = |from: &Path, to: &Path| {
        let done = Command::new("mount").arg("--bind").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    };
    bind(&other.path(), &card.path());
    let got = paused.bytes(length);
    assert!(got.len() < length, "it ends");
    assert!(!got.ends_with(b"xxxx"), "with nothing of the other card");
    unmount(card.path().as_path());
}

/// Not by force: it fails while a file is open there.
fn unmount(path: &Path) {
    let output = Command::new("umount").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
