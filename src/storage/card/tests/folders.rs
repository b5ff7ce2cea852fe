//! The folders of recordings: how they come to be, whose they are.

use super::*;

#[test]
fn a_folder_gets_its_name_once_it_is_on_the_card() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    let log = bench.disk.log();
    let parent = bench.disk.root().parent().unwrap().file_name().unwrap().display().to_string();
    let sync_parent = format!("sync_directory {parent}");
    let expected = [
        "mkdir recordings.117901063",
        &sync_parent,
        "rename recordings.117901063",
        "sync_directory recordings",
        &sync_parent,
        "mkdir gate.117901063",
        "sync_directory recordings",
        "rename gate.117901063",
        "sync_directory gate",
        "sync_directory recordings",
    ];
    assert_eq!(changes(&log)[..10], expected);
}

#[test]
fn each_camera_has_its_folder_and_its_numbers() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    assert_eq!((bench.record(YARD, 2), bench.record(YARD, 2)), (0, 1));
    assert_eq!(bench.record(GATE, 2), 0);
    assert_eq!(bench.names(""), ["000.mp4", "001.mp4"]);
    assert_eq!(bench.names("gate"), ["000.mp4", "000.top"], "the folder is marked as ours");
    let head = bench.scan("gate/000.mp4").head.unwrap();
    let identity = head.identity.unwrap();
    assert_eq!((&*identity.camera, identity.number, identity.run), ("gate", 0, 3));
}

#[test]
fn a_file_with_the_name_of_a_camera_stops_that_camera_alone() {
    let bench = Bench::new();
    bench.put("gate", b"mine");
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 0);
    assert!(matches!(bench.open(GATE).last(), Some(Event::OpenFailed { .. })));
    assert_eq!(bench.record(YARD, 1), 1);
    assert_eq!(fs::read(bench.path("gate")).unwrap(), b"mine");
}

const OTHER: CameraId = CameraId(2);

/// A change of the cameras while it runs.
fn configure(bench: &mut Bench, cameras: Vec<Place>) -> Vec<Event> {
    bench.settings.cameras = cameras;
    bench.send(Command::Configure(Box::new(bench.settings.clone())))
}

/// `(camera, start, bytes)` of all that is listed, each found by its address again.
fn listed(bench: &Bench) -> Vec<(String, i64, u64)> {
    let list = bench.catalog.lock().unwrap();
    assert!(list.complete());
    let mut all = Vec::new();
    for (camera, _) in list.tallies() {
        for (folder, entry) in list.recordings(list.owner(camera).unwrap(), None) {
            let found = list.find(camera, Asked::Number(entry.address().unwrap())).unwrap();
            assert_eq!((&found.0.directory, found.1), (&folder.directory, entry));
            all.push((camera.to_owned(), entry.start.0, entry.bytes));
        }
    }
    all.sort();
    all
}

#[test]
fn a_camera_that_a_change_does_not_touch_goes_on_in_its_file() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.opened(GATE);
    bench.append(GATE);
    let events = configure(&mut bench, vec![place(GATE, "gate", "gate")]);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(appended(&bench.append(GATE)), Ok(()));
    let events =
        configure(&mut bench, vec![place(OTHER, "porch", "."), place(GATE, "gate", "gate")]);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(appended(&bench.append(GATE)), Ok(()));
}

#[test]
fn a_camera_that_leaves_closes_its_file_and_leaves_its_recordings() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(GATE, 1);
    bench.opened(GATE);
    bench.append(GATE);
    let events = configure(&mut bench, vec![place(YARD, "yard", ".")]);
    assert!(events.iter().any(|it| matches!(it, Event::Closed { ending: Ending::Whole, .. })));
    assert_eq!(appended(&bench.append(GATE)), Err(Refused::NotOpen));
    let before = listed(&bench);
    assert_eq!(before.len(), 2);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(listed(&bench), before);
    // It comes back under its name: its numbers go on.
    configure(&mut bench, vec![place(YARD, "yard", "."), place(OTHER, "gate", "gate")]);
    assert_eq!((listed(&bench), bench.opened(OTHER)), (before, 2));
}

/// Not on FAT, where both names lead to the same folder.
#[test]
fn a_folder_whose_name_is_now_spelled_in_other_letters_is_a_former_one() {
    let mut bench = Bench::new();
    bench.settings.cameras = vec![place(GATE, "gate", "Gate")];
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    bench.record(GATE, 1);
    bench.record(GATE, 2);
    let before = listed(&bench);
    for spelled in ["gate", "GATE"] {
        bench.settings.cameras = vec![place(GATE, "gate", spelled)];
        bench = bench.boot_again();
        bench.pass(SECOND);
        assert_eq!(listed(&bench), before, "{spelled}");
    }
    assert_eq!((bench.record(GATE, 1), listed(&bench).len()), (2, 3));
}

#[test]
fn recordings_of_a_former_camera_make_room_like_all() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(GATE, 3);
    let bench = Bench {
        settings: Settings { cameras: vec![place(YARD, "yard", ".")], ..bench.settings.clone() },
        ..bench
    };
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    bench.disk.set_total(1);
    bench.pass(60 * SECOND);
    assert!(!bench.has("gate/000.mp4"), "{:?}", bench.names("gate"));
}

#[test]
fn somebodys_copies_are_neither_listed_nor_deleted() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(GATE, 1);
    let copy = fs::read(bench.path("gate/000.mp4")).unwrap();
    bench.put("keep/000.mp4", &copy);
    bench.put("holiday/001.mp4", &old_recording());
    let before = listed(&bench);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(listed(&bench), before);
    assert!(bench.has("keep/000.mp4") && bench.has("holiday/001.mp4"));
}

#[test]
fn recordings_from_before_folders_had_names_keep_their_camera() {
    // The camera that recorded into the path itself gets a folder of its own.
    let mut bench = Bench::new();
    bench.put("000.mp4", &old_recording());
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 1);
    let before = listed(&bench);
    let cameras = vec![place(YARD, "yard", "yard"), place(GATE, "gate", "gate")];
    let bench = Bench { settings: Settings { cameras, ..bench.settings.clone() }, ..bench };
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(listed(&bench), before);
    assert_eq!(before.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["yard", "yard"]);
    assert_eq!(bench.record(YARD, 1), 2, "its numbers go on");
    assert!(bench.has("yard/002.mp4"));
}

#[test]
fn no_change_of_the_cameras_hides_relabels_or_forgets_a_recording() {
    for seed in 0..40_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % below as u64).unwrap()
        };
        let mut bench = Bench::new();
        bench.put("000.mp4", &old_recording());
        bench.pass(SECOND);
        bench.record(YARD, 1);
        let mut ids = 2;
        for step in 0..12 {
            let before = listed(&bench);
            let mut cameras: Vec<Place> = Vec::new();
            for _ in 0..next(4) {
                let name = ["yard", "gate", "porch", "shed"][next(4)];
                let folder = [name, ".", "den", name][next(4)];
                let is_free = |it: &Place| it.name != name && it.folder != folder;
                if cameras.iter().all(is_free) {
                    let old = bench.settings.cameras.iter();
                    let mut old = old.filter(|it| it.name == name && it.folder == folder);
                    let id = old.next().map_or(CameraId(ids), |it| it.id);
                    ids += 1;
                    cameras.push(place(id, name, folder));
                }
            }
            if next(3) == 0 {
                let settings = Settings { cameras: cameras.clone(), ..bench.settings.clone() };
                bench = Bench { settings, ..bench }.boot_again();
            } else {
                configure(&mut bench, cameras.clone());
            }
            bench.pass(2 * SECOND);
            assert_eq!(listed(&bench), before, "seed {seed}, step {step}: {cameras:?}");
            if let Some(camera) = cameras.first() {
                bench.record(camera.id, 1);
            }
        }
    }
}
