//! Recordings of many boards copied to one place, as `docs/fleet/pull.py` and the recipes of
//! docs/fleet.md do it. Needs root, as `mount` does.

use crate::support::{
    Nvr, SHORT_SEGMENTS, bench_clip, card::Card, http::ask, recordings_in, step_the_clock, wait_for,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use camera::{Camera, Clip, Options, Speed};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// What was pulled.
struct Nas(TempDir);

impl Nas {
    fn new() -> Nas {
        Nas(tempfile::tempdir().unwrap())
    }

    /// Runs the puller once; returns its complaints.
    fn pull(&self, address: &str) -> String {
        fs::write(self.0.path().join("boards"), format!("yard http://{address} secret\n")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet/pull.py");
        let output = Command::new("python3").arg(script).arg(self.0.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("yard/camera")
    }

    /// All files by name, without parts of some that retention deleted.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let days = fs::read_dir(self.home()).unwrap().map(|entry| entry.unwrap().path());
        let days = days.filter(|path| path.is_dir());
        let files = days.flat_map(|day| fs::read_dir(day).unwrap());
        let files = files.map(|entry| entry.unwrap().path());
        let files = files.filter(|path| !file_name(path).starts_with('.'));
        files.map(|path| (file_name(&path), fs::read(&path).unwrap())).collect()
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn list(address: &str, query: &str) -> Value {
    ask(address, "GET", &format!("/api/recordings?{query}"), &[], "").json()
}

fn numbers(list: &Value) -> Vec<u64> {
    let entries = list["recordings"].as_array().unwrap().iter();
    entries.map(|entry| entry["number"].as_u64().unwrap()).collect()
}

/// The run and number in a file's head, which no two recordings share.
fn identity(file: &[u8]) -> &[u8] {
    let mark = file.windows(6).position(|it| it == b"smolnv").unwrap();
    let begin = file[mark..].windows(1).position(|it| it[0] == 2).unwrap() + mark;
    &file[begin + 2..begin + 2 + 4 + 8]
}

/// A camera that is faster than time, and a daemon on that card whose clock is trusted.
fn start(clip: Clip, card: &Card, storage: &str) -> (Nvr, Camera) {
    start_at(4.0, clip, card, storage)
}

fn start_at(speed: f64, clip: Clip, card: &Card, storage: &str) -> (Nvr, Camera) {
    let options = Options { speed: Speed::Times(speed), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    step_the_clock(directory.path());
    let nvr = card.start_in(directory, &camera.url("cam"), storage);
    (nvr, camera)
}

fn plain() -> Clip {
    Clip::committed("plain.h264").unwrap()
}

fn wait_for_number(address: &str, number: u64) {
    wait_for("a recording", || numbers(&list(address, "")).first() > Some(&number));
}

/// Every closed recording of the folder was pulled, byte for byte.
fn assert_has_all(nas: &Nas, card: &Path, closed: &[u64]) {
    let pulled = nas.files();
    for path in recordings_in(card) {
        let number: u64 = file_name(&path).trim_end_matches(".mp4").parse().unwrap();
        if closed.contains(&number) {
            let bytes = fs::read(&path).unwrap();
            let same = pulled.values().filter(|it| **it == bytes).count();
            assert_eq!(same, 1, "{} among {:?}", path.display(), pulled.keys());
        }
    }
}

#[test]
fn a_puller_has_every_recording_once_although_the_board_restarts_and_gets_another_card() {
    let (first, second) = (Card::new(40), Card::new(40));
    first.mount("rw");
    let (mut nvr, _camera) = start(plain(), &first, SHORT_SEGMENTS);
    let nas = Nas::new();
    let mut address = nvr.web_address();
    wait_for_number(&address, 3);
    assert_eq!(nas.pull(&address), "");
    assert!(nas.files().len() >= 3, "{:?}", nas.files().keys());

    nvr.kill();
    nvr.restart();
    address = nvr.web_address();
    wait_for_number(&address, 6);
    wait_for("all heads", || list(&address, "")["complete"] == true);
    // In the middle of a file: the next run goes on with the rest.
    let closed = list(&address, "after=-1");
    let row = closed["recordings"].as_array().unwrap().last().unwrap().clone();
    let pulled = nas.files();
    let new = format!("-{:06}.mp4", row["number"].as_u64().unwrap());
    assert!(!pulled.keys().any(|name| name.ends_with(&new)), "{:?}", pulled.keys());
    let whole = fs::read(first.recordings().join(row["file"].as_str().unwrap())).unwrap();
    let day = fs::read_dir(nas.home()).unwrap().map(|it| it.unwrap().path());
    let day = day.filter(|it| it.is_dir()).max().unwrap();
    let part = format!(".{}.part", row["etag"].as_str().unwrap().trim_matches('"'));
    fs::write(day.join(part), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(nas.pull(&address), "");
    assert_has_all(&nas, &first.recordings(), &numbers(&closed));

    // The last ones of the first card are pulled when it is back.
    wait_for_number(&address, row["number"].as_u64().unwrap() + 3);
    let epoch = list(&address, "")["epoch"].clone();
    first.unmount();
    nvr.wait_for_log("card=absent");
    second.mount_at(&first.path(), "rw");
    // By its epoch: the recordings that the ring kept meanwhile may all be there at once.
    wait_for("the other card", || {
        let list = list(&address, "");
        list["epoch"] != epoch && !numbers(&list).is_empty()
    });
    wait_for_number(&address, 3);
    let closed = numbers(&list(&address, "after=-1"));
    assert_eq!(nas.pull(&address), "");
    assert!(closed.starts_with(&[0, 1, 2]), "its numbers begin anew: {closed:?}");
    assert_has_all(&nas, &first.recordings(), &closed);

    first.unmount();
    wait_for("no card", || nvr.log().matches("card=absent").count() == 2);
    first.mount("rw");
    wait_for("the first card", || numbers(&list(&address, "after=-1")).len() > 6);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    wait_for("all heads", || list(&address, "")["complete"] == true);
    assert_eq!(nas.pull(&address), "");
    let closed = numbers(&list(&address, "after=-1"));
    assert_has_all(&nas, &first.recordings(), &closed);

    let pulled = nas.files();
    let mut identities: Vec<_> = pulled.values().map(|file| identity(file)).collect();
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), pulled.len(), "twice: {:?}", pulled.keys());
}

#[test]
fn retention_that_is_faster_than_the_puller_costs_what_it_deletes_and_nothing_else() {
    let card = Card::new(12);
    card.mount("rw");
    let storage = "segment_seconds = 2\nsync_seconds = 1\nkeep_free_percent = 10";
    let (nvr, _camera) = start(bench_clip(), &card, storage);
    let (nas, address) = (Nas::new(), nvr.web_address());
    wait_for_number(&address, 1);
    let deleted = || nvr.log().matches("deleted=").count();
    wait_for("retention, beside the puller", || {
        nas.pull(&address);
        deleted() >= 20
    });
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    assert_eq!(nas.pull(&address), "");
    let left = list(&address, "after=-1");
    assert_has_all(&nas, &card.recordings(), &numbers(&left));
    let pulled = nas.files();
    let missing = (0..numbers(&left)[0]).filter(|number| {
        let name = format!("-{number:06}.mp4");
        !pulled.keys().any(|it| it.ends_with(&name))
    });
    assert!(missing.count() < deleted(), "{:?}", pulled.keys());
}

#[test]
fn pages_after_a_number_neither_skip_nor_repeat_while_recordings_come_and_go() {
    let card = Card::new(40);
    card.mount("rw");
    let (nvr, _camera) = start(plain(), &card, SHORT_SEGMENTS);
    let address = nvr.web_address();
    let (mut seen, mut after) = (Vec::new(), -1);
    let epoch = list(&address, "")["epoch"].clone();
    while seen.len() < 9 {
        let page = list(&address, &format!("limit=2&after={after}"));
        assert_eq!(page["epoch"], epoch);
        for row in page["recordings"].as_array().unwrap() {
            assert!(row["state"] == "whole", "{row}");
            let file = format!("/recordings/camera/{}", row["file"].as_str().unwrap());
            let head = ask(&address, "HEAD", &file, &["Want-Repr-Digest: sha-256=5"], "");
            assert_eq!(head.field("ETag"), row["etag"].as_str());
            let bytes = ask(&address, "GET", &file, &[], "").body;
            assert_eq!(row["bytes"].as_u64(), Some(bytes.len() as u64));
            let sum = STANDARD.encode(Sha256::digest(&bytes));
            assert_eq!(head.field("Repr-Digest"), Some(&*format!("sha-256=:{sum}:")));
            after = row["number"].as_i64().unwrap();
            seen.push(after);
            let number = format!("/api/recordings/camera/{after}");
            assert_eq!(ask(&address, "DELETE", &number, &[], "").status, 200);
        }
        match page["next"].as_i64() {
            Some(next) => assert_eq!(next, after),
            None => wait_for("another one", || {
                !numbers(&list(&address, &format!("after={after}"))).is_empty()
            }),
        }
    }
    assert_eq!(seen, (0..seen.len() as i64).collect::<Vec<_>>());
    assert!(numbers(&list(&address, "after=999999999")).is_empty());
    let rest = list(&address, &format!("after={after}&before={}", after + 2));
    assert!(numbers(&rest).iter().all(|number| *number == after as u64 + 1));
}

/// The recipe of docs/fleet.md, into a folder; how many files it copied.
fn pull_by_rclone(address: &str, folder: &Path) -> usize {
    let text = include_str!("../docs/fleet.md");
    let recipe = text.split("```").find(|block| block.contains("rclone copy")).unwrap();
    let recipe = recipe.trim_start_matches("sh\n").replace("192.168.1.21:8080", address);
    let recipe = recipe.replace("/nas/yard", "nas").replace("yard", "camera");
    let output = Command::new("sh")
        .args(["-c", &recipe])
        .current_dir(folder)
        .envs([("RCLONE_VERBOSE", "1"), ("RCLONE_CONFIG", "")])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("replaced existing"), "{said}");
    said.matches(": Copied").count()
}

/// The folder has what the card has, and nothing else.
fn assert_same_files(nas: &Path, card: &Path) {
    let files = |folder: &Path| -> BTreeMap<_, _> {
        let paths = recordings_in(folder).into_iter();
        paths.map(|path| (file_name(&path), fs::read(path).unwrap())).collect()
    };
    let (pulled, there) = (files(nas), files(card));
    assert!(pulled == there, "{:?} of {:?}", pulled.keys(), there.keys());
}

/// A tenth of an hour by default, all of it with `SMOLNVR_SOAK=1` (`make soak`).
#[test]
fn rclone_has_an_hour_once_although_the_board_restarts_and_gets_another_card() {
    let third = if std::env::var_os("SMOLNVR_SOAK").is_some() { 120 } else { 12 };
    let (first, second) = (Card::new(100), Card::new(100));
    first.mount("rw");
    let storage = "segment_seconds = 10\nsync_seconds = 1\nkeep_free_percent = 0";
    let (mut nvr, _camera) = start_at(20.0, plain(), &first, storage);
    let nas = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut address = nvr.web_address();
    let mut copied = [0, 0];
    let mut pull_until = |address: &str, card: usize, number: u64| {
        wait_for("recordings, beside the puller", || {
            copied[card] += pull_by_rclone(address, nas[card].path());
            numbers(&list(address, "")).first() > Some(&number)
        });
        copied[card] += pull_by_rclone(address, nas[card].path());
    };
    pull_until(&address, 0, third);
    nvr.kill();
    nvr.restart();
    address = nvr.web_address();
    pull_until(&address, 0, 2 * third);

    first.unmount();
    nvr.wait_for_log("card=absent");
    second.mount_at(&first.path(), "rw");
    wait_for("the other card", || numbers(&list(&address, "")).first().is_some_and(|it| *it < 3));
    pull_until(&address, 1, third);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    pull_until(&address, 1, third);
    assert_same_files(&nas[1].path().join("nas"), &first.recordings());

    // The last ones of the first card come when it is back.
    first.unmount();
    wait_for("no card", || nvr.log().matches("card=absent").count() == 2);
    first.mount("rw");
    wait_for("all heads", || {
        let list = list(&address, "");
        list["complete"] == true && numbers(&list).first() > Some(&(2 * third))
    });
    pull_until(&address, 0, 2 * third);
    assert_same_files(&nas[0].path().join("nas"), &first.recordings());
    let files = nas.each_ref().map(|it| recordings_in(&it.path().join("nas")).len());
    assert_eq!(copied, files, "each is copied once");
    println!("rclone: {files:?} files of two cards, each once");
}
