//! The card's states on a real file system. Needs root, as `mount` does.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, assert_exact,
    card::{Card, run},
    frames_in, let_pass,
    port::Port,
    wait_for, wait_for_within,
};
use camera::{Camera, Clip, Options, Speed};
use std::{fs, process::Command, time::Duration};

/// The contract: recording resumes within this time after the card is back.
const BACK_LIMIT: Duration = Duration::from_secs(3);
/// Long enough for smolnvr to look at the card several times, whatever its state.
const LOOKS: Duration = Duration::from_secs(6);

/// An ordinary camera: 25 frames a second, for ever.
fn real_time() -> (Clip, Camera) {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream("cam", clip.clone()).start().unwrap();
    (clip, camera)
}

fn assert_one_complaint(nvr: &Nvr, part: &str) {
    let complaints = nvr.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains(part), "{complaints:#?}");
}

#[test]
fn without_a_card_nothing_is_written_and_it_may_come_late() {
    let (clip, camera) = real_time();
    let card = Card::new(40);
    let mut nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log("card=absent reason=\"no card is mounted for ");
    let sent = || camera.sessions().last().map_or(0, |session| session.frames);
    wait_for("some frames", || sent() >= 60);
    assert_eq!(fs::read_dir(card.path()).unwrap().count(), 0);
    assert_one_complaint(&nvr, "card=absent");
    card.mount("rw");
    card.assert_records_within(BACK_LIMIT, &[]);
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert_all_whole(&card.recordings());
    // Frames waited in the ring meanwhile: none is missing.
    let frames = u64::try_from(frames_in(&card.files())).unwrap();
    assert!(frames >= 60, "{frames}");
    assert_exact(&card.files(), &clip, 0, frames);
}

#[test]
fn a_card_that_is_pulled_and_put_back_loses_nothing_that_the_ring_holds() {
    let (_, camera) = real_time();
    let card = Card::new(40);
    card.mount("rw");
    let mut nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    card.assert_records_within(Duration::from_secs(20), &[]);
    card.unmount();
    nvr.wait_for_log("card=absent");
    let_pass(Duration::from_secs(2));
    assert_eq!(fs::read_dir(card.path()).unwrap().count(), 0, "written beside the card");
    assert_one_complaint(&nvr, "card=absent");

    card.mount("rw");
    let before = card.files();
    assert!(!before.is_empty());
    card.assert_records_within(BACK_LIMIT, &before);
    let sent = camera.sessions().last().unwrap().frames;
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert_all_whole(&card.recordings());
    let frames = u64::try_from(frames_in(&card.files())).unwrap();
    assert!(frames >= sent, "{frames} of {sent} frames are on the card");
}

#[test]
fn a_card_that_is_mounted_read_only_is_left_so_and_looked_at_again() {
    let (_, camera) = real_time();
    let card = Card::new(40);
    card.mount("rw");
    card.remount("ro");
    let nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log("card=read-only reason=\"the card is mounted read-only\"");
    let_pass(LOOKS);
    assert!(card.is_mounted_with("ro"), "nobody asked for another state");
    assert_one_complaint(&nvr, "card=read-only");
    card.remount("rw");
    card.assert_records_within(BACK_LIMIT, &[]);
}

#[test]
fn a_card_that_turned_read_only_is_made_writable_again() {
    let port = Port::closed(); // so that no file is open: else ext4 refuses to be remounted
    let card = Card::new(40);
    card.mount("rw");
    let nvr = card.start(&port.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log("card=ok");
    card.remount("ro");
    nvr.wait_for_log("card=read-only reason=\"the card turned read-only\"");
    nvr.wait_for_log("the card turned read-only and was remounted writable");
    assert!(card.is_mounted_with("rw"));
    let number = port.number();
    drop(port);
    let _camera = Camera::builder().stream("cam", Clip::built_in()).port(number).start().unwrap();
    card.assert_records_within(Duration::from_secs(20), &[]);
}

#[test]
fn a_card_whose_file_system_gave_up_is_named_and_does_not_stop_the_end() {
    let (_, camera) = real_time();
    let card = Card::new(40);
    card.mount("rw,errors=remount-ro");
    let mut nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    card.assert_records_within(Duration::from_secs(20), &[]);
    // What ext4 does by itself over an error on the medium; until it is unmounted it stays so.
    card.remount("abort");
    // Older kernels then call the mount read-only, newer ones only behave so.
    wait_for("the card's state to be said", || {
        nvr.log().contains("cannot be remounted: ")
            || nvr.log().contains("card=failing reason=\"the card reports: Read-only file system")
    });
    let_pass(LOOKS);
    let complaints = nvr.complaints();
    assert!(complaints.len() <= 5, "a line a change, not a line a try: {complaints:#?}");
    let (status, elapsed) = nvr.terminate();
    assert!(status.success() && elapsed < Duration::from_secs(2), "{status} after {elapsed:?}");
}

#[test]
fn a_full_card_never_stops_the_recording() {
    // Three times what the card holds, 2 s and 50 frames a file.
    const FRAMES: u64 = 1500;
    let clip = crate::support::bench_clip();
    let options = Options { speed: Speed::Times(6.0), frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let card = Card::new(12);
    card.mount("rw");
    fs::create_dir(card.recordings()).unwrap();
    fs::write(card.recordings().join("notes.txt"), "mine").unwrap();
    let storage = "segment_seconds = 2\nsync_seconds = 1\nkeep_free_percent = 10";
    let mut nvr = card.start(&camera.url("cam"), storage);
    wait_for_within(Duration::from_secs(60), "the last file", || {
        card.files().last().is_some_and(|file| file.ends_with("029.mp4"))
    });
    let is_sent = camera.wait(Duration::from_secs(60), |sessions| sessions[0].frames == FRAMES);
    assert!(is_sent);
    let (status, _) = nvr.terminate();
    assert!(status.success());

    // A machine that is busy elsewhere is no fault as long as every frame is there.
    let complaints = nvr.complaints();
    let mut others = complaints.iter().filter(|it| !it.contains("stalls for longer than the ring"));
    assert_eq!(others.next(), None);
    let files = card.files();
    let first: u64 = files[0].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert!(first > 10, "the oldest are gone: {files:?}");
    assert!(files.len() >= 4, "but not more than must: {files:?}");
    assert_exact(&files, &clip, first * 50, FRAMES - first * 50);
    assert_all_whole(&card.recordings());
    assert_eq!(fs::read_to_string(card.recordings().join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_card_full_of_what_is_not_ours_says_so_and_is_tried_again() {
    let (_, camera) = real_time();
    let card = Card::new(40);
    card.mount("rw");
    fs::create_dir(card.recordings()).unwrap();
    let foreign = card.path().join("holiday.mov");
    // To the last block.
    let filled = Command::new("dd")
        .arg("if=/dev/zero")
        .arg(format!("of={}", foreign.display()))
        .args(["bs=64k", "status=none"])
        .stderr(std::process::Stdio::null())
        .status();
    assert!(!filled.unwrap().success(), "dd ends when the card is full");
    let nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    let said = "card=full reason=\"the card is full, and there is no recording left to delete\"";
    nvr.wait_for_log(said);
    let_pass(Duration::from_secs(3));
    assert!(foreign.exists());
    let complaints = nvr.complaints();
    assert_eq!(complaints.iter().filter(|line| line.contains(said)).count(), 1, "{complaints:#?}");
    fs::remove_file(&foreign).unwrap();
    card.assert_records_within(BACK_LIMIT, &[]);
}

/// A file system that blocks all writes while this is held.
struct Frozen<'a>(&'a Card);

impl Frozen<'_> {
    fn new(card: &Card) -> Frozen<'_> {
        run("fsfreeze", &["--freeze", card.path().to_str().unwrap()]);
        Frozen(card)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(self.0.path()).status();
    }
}

#[test]
fn a_card_that_stalls_for_longer_than_ten_seconds_is_blamed_and_nothing_is_lost() {
    let (clip, camera) = real_time();
    let card = Card::new(40);
    card.mount("rw");
    let mut nvr = card.start(&camera.url("cam"), "sync_seconds = 1\nkeep_free_percent = 0");
    card.assert_records_within(Duration::from_secs(10), &[]);
    let frozen = Frozen::new(&card);
    nvr.wait_for_log("card=failing reason=\"the card has not answered for 10 s\"");
    drop(frozen);
    let is_well_again = || nvr.log().matches("card=ok").count() == 2;
    wait_for("the card to be well again", is_well_again);
    let frames = camera.sessions()[0].frames;
    wait_for("what waited in memory", || frames_in(&card.files()) as u64 >= frames);
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert_eq!(camera.sessions().len(), 1, "the camera's connection has no part in it");
    let files = card.files();
    assert_exact(&files, &clip, 0, frames_in(&files) as u64);
}
