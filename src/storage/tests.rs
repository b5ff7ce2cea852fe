use super::*;
use crate::{
    codec::Codec,
    mp4::{
        fragment::FirstSample::Key,
        identity::{Cause, ClockTrust},
        samples,
    },
    storage::{disk::RequireMount, faulty::FaultyDisk, layout::Asked},
    units::{Ticks, WallTime},
};

const YARD: CameraId = CameraId(0);

fn start(disk: &FaultyDisk) -> Storage {
    let settings = Settings {
        paths: vec![disk.root()],
        require_mount: RequireMount::Yes,
        keep_free_percent: 5,
        keep_days: 0,
        thin_after_days: 0,
        event_days: 0,
        event_before: std::time::Duration::ZERO,
        event_after: std::time::Duration::ZERO,
        sync: std::time::Duration::from_secs(5),
        cameras: vec![Place { id: YARD, name: "yard".into(), folder: ".".into() }],
        lock_file: disk.root().with_file_name("sysupgrade.lock"),
        boot: [7; 16],
    };
    Storage::start(disk.clone(), settings).unwrap()
}

fn open() -> Command {
    let start = SegmentStart {
        parameter_sets: samples::parameter_sets(Codec::H264),
        audio: None,
        wall: WallTime(1_795_336_200_000),
        clock: ClockTrust::Trusted,
        up_ms: 5000,
        cause: Cause::Unknown,
        run: 1,
    };
    Command::Open { camera: YARD, start }
}

fn append() -> Command {
    let (bytes, extent) = samples::fragment(0, Ticks::ZERO, Key, &[1000, 20]);
    Command::Append { camera: YARD, fragment: Fragment { bytes, extent, frames: 0..2 } }
}

/// The next event for which `found` is true; those before it are passed over.
fn wait_for(storage: &Storage, found: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = storage.events().recv_blocking().expect("it comes before the thread ends");
        if found(&event) {
            return event;
        }
    }
}

fn is_ok(event: &Event) -> bool {
    matches!(event, Event::State(CardState::Ok))
}

#[test]
fn a_recording_goes_through_the_thread_and_its_buffer_comes_back() {
    let disk = FaultyDisk::new();
    let storage = start(&disk);
    wait_for(&storage, is_ok);
    storage.send(open()).unwrap();
    storage.send(append()).unwrap();
    storage.send(Command::Close { camera: YARD }).unwrap();
    wait_for(
        &storage,
        |it| matches!(it, Event::Returned { result: Ok(()), buffer, .. } if buffer.len() > 1000),
    );
    wait_for(&storage, |it| matches!(it, Event::Closed { ending: Ending::Whole, .. }));
    let path = {
        let list = storage.catalog().lock().unwrap();
        let (folder, entry) = list.find("yard", Asked::Number(0)).unwrap();
        folder.path(entry.name)
    };
    assert_eq!(path, disk.root().join("000.mp4"));
    storage.shut_down();
    wait_for(&storage, |it| matches!(it, Event::Ended));
    assert!(storage.events().recv_blocking().is_err(), "nothing comes after the end");
    assert!(storage.send(open()).is_err());
}

/// A card that stalls with the first segment.
fn start_and_stall() -> (FaultyDisk, Storage) {
    let disk = FaultyDisk::new();
    let storage = start(&disk);
    wait_for(&storage, is_ok);
    disk.stall("write 000.mp4");
    storage.send(open()).unwrap();
    disk.wait_for_stall();
    (disk, storage)
}

#[test]
fn a_stalled_card_gives_commands_back_and_makes_nobody_wait() {
    let (disk, storage) = start_and_stall();
    let mut sent = 0;
    while storage.send(append()).is_ok() {
        sent += 1;
        assert!(sent <= CARD_COMMANDS_MAX);
    }
    assert_eq!(sent, CARD_COMMANDS_MAX);
    assert!(storage.catalog().try_lock().is_ok(), "the list can be read all the while");
    disk.go_on();
    for _ in 0..sent {
        wait_for(&storage, |it| matches!(it, Event::Returned { result: Ok(()), .. }));
    }
}

#[test]
fn shutting_down_over_a_full_queue_does_what_waits_and_closes_the_files() {
    let (disk, storage) = start_and_stall();
    while storage.send(append()).is_ok() {}
    storage.shut_down();
    disk.go_on();
    for _ in 0..CARD_COMMANDS_MAX {
        wait_for(&storage, |it| matches!(it, Event::Returned { result: Ok(()), .. }));
    }
    wait_for(&storage, |it| matches!(it, Event::Closed { ending: Ending::Whole, .. }));
    wait_for(&storage, |it| matches!(it, Event::Ended));
}

#[test]
fn the_thread_waits_for_whoever_reads_its_events_and_loses_none() {
    let disk = FaultyDisk::new();
    let storage = start(&disk);
    wait_for(&storage, is_ok);
    let mut sent = 0;
    while sent < 3 * CARD_EVENTS_MAX {
        match storage.send(append()) {
            Ok(()) => sent += 1,
            Err(_) if storage.events().is_full() => break,
            Err(_) => std::thread::yield_now(),
        }
    }
    assert!(sent > CARD_EVENTS_MAX, "as many as both queues hold");
    for _ in 0..sent {
        wait_for(&storage, |it| {
            matches!(it, Event::Returned { result: Err(Refused::NotOpen), .. })
        });
    }
}

#[test]
fn dropping_the_handle_ends_the_thread_with_its_files_closed() {
    let disk = FaultyDisk::new();
    let mut storage = start(&disk);
    wait_for(&storage, is_ok);
    storage.send(open()).unwrap();
    storage.send(append()).unwrap();
    let events = std::mem::replace(&mut storage.events, queue::queue(1).1);
    drop(storage);
    let rest: Vec<Event> = std::iter::from_fn(|| events.recv_blocking().ok()).collect();
    assert!(matches!(rest[..], [.., Event::Closed { ending: Ending::Whole, .. }, Event::Ended]));
}

#[test]
fn a_recording_lies_whole_on_a_real_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        paths: vec![folder.path().join("recordings")],
        require_mount: RequireMount::No,
        keep_free_percent: 0,
        keep_days: 0,
        thin_after_days: 0,
        event_days: 0,
        event_before: std::time::Duration::ZERO,
        event_after: std::time::Duration::ZERO,
        sync: std::time::Duration::from_secs(1),
        cameras: vec![Place { id: YARD, name: "yard".into(), folder: ".".into() }],
        lock_file: folder.path().join("sysupgrade.lock"),
        boot: [7; 16],
    };
    let storage = Storage::start(disk::linux::LinuxDisk, settings).unwrap();
    wait_for(&storage, is_ok);
    storage.send(open()).unwrap();
    storage.send(append()).unwrap();
    wait_for(&storage, |it| matches!(it, Event::Durable { frames_end: 2, .. }));
    storage.shut_down();
    wait_for(&storage, |it| matches!(it, Event::Ended));
    let path = folder.path().join("recordings/000.mp4");
    let repaired = segment::repair(&disk::linux::LinuxDisk, &path, segment::Reach::All).unwrap();
    assert!(matches!(repaired, segment::Repaired::Whole { .. }), "{repaired:?}");
}
