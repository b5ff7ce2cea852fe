//! What lies at the storage path: another folder than before, one that is gone, one that somebody
//! else uses.

use super::*;

/// Lets another folder of recordings stand where the card's was, which is now at `old`.
fn put_another_card(bench: &Bench, numbers: &[u32]) {
    fs::rename(bench.disk.root(), bench.disk.root().with_file_name("old")).unwrap();
    numbers.iter().for_each(|number| bench.put(&format!("{number:03}.mp4"), &old_recording()));
}

#[test]
fn another_card_at_the_same_place_is_noticed_before_a_segment_is_opened() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.opened(YARD);
    bench.append(YARD);
    put_another_card(&bench, &[0, 1, 100, 101]);
    let before = fs::read(bench.path("001.mp4")).unwrap();
    assert_eq!(states(&bench.open(YARD)), ["absent", "ok"]);
    bench.pass(SECOND);
    assert_eq!(bench.numbers(YARD), [0, 1, 100, 101, 102]);
    assert_eq!(fs::read(bench.path("001.mp4")).unwrap(), before);
    let old = bench.disk.root().with_file_name("old");
    assert!(scanned(&old.join("001.mp4")).is_whole(), "what was open there is closed");
}

#[test]
fn another_card_is_noticed_while_nothing_is_written_and_none_of_it_is_deleted() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    put_another_card(&bench, &[0, 7]);
    let events = bench.send(Command::Delete { camera: YARD, name: name(0) });
    assert!(events.iter().any(|it| matches!(it, Event::DeleteFailed { .. })));
    assert!(bench.has("000.mp4"), "that was meant for another file");
    bench.pass(SECOND);
    assert_eq!(bench.numbers(YARD), [0, 7]);
    put_another_card_again(&bench);
    bench.pass(5 * SECOND);
    assert_eq!(bench.numbers(YARD), [3]);
}

fn put_another_card_again(bench: &Bench) {
    fs::rename(bench.disk.root(), bench.disk.root().with_file_name("older")).unwrap();
    bench.put("003.mp4", &old_recording());
}

#[test]
fn a_segment_without_a_frame_deletes_nothing_of_another_card() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    put_another_card(&bench, &[0]);
    bench.pass(5 * SECOND);
    assert_eq!((bench.numbers(YARD), bench.names("")), (vec![0], vec!["000.mp4".into()]));
}

#[test]
fn a_folder_that_is_deleted_is_made_again() {
    for folder in ["", "gate"] {
        let mut bench = Bench::new();
        bench.pass(SECOND);
        bench.record(YARD, 1);
        bench.record(GATE, 1);
        for camera in [YARD, GATE] {
            bench.opened(camera);
            bench.append(camera);
        }
        fs::remove_dir_all(bench.path(folder)).unwrap();
        bench.pass(6 * SECOND);
        assert_eq!(bench.state(), CardState::Ok, "{folder}");
        assert_eq!(bench.record(GATE, 1), 0);
        assert_eq!(bench.record(YARD, 1), if folder.is_empty() { 0 } else { 2 });
        assert!(bench.has("gate/000.mp4"));
    }
}

#[test]
fn a_folder_that_is_missing_is_no_fault_where_there_is_no_camera() {
    let mut bench = Bench::new();
    bench.settings.cameras.clear();
    let mut bench = bench.boot_again();
    bench.disk.fail("space", ENOENT, 0, ALWAYS);
    bench.pass(70 * SECOND);
    assert_eq!(bench.state(), CardState::Ok);
    assert!(!bench.disk.root().exists());
}

#[test]
fn a_link_in_the_place_of_a_cameras_folder_stops_that_camera_alone() {
    let bench = Bench::new();
    let beside = bench.disk.root().with_file_name("beside");
    fs::create_dir_all(&beside).unwrap();
    fs::create_dir_all(bench.disk.root()).unwrap();
    std::os::unix::fs::symlink(&beside, bench.path("gate")).unwrap();
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 0);
    let events = bench.open(GATE);
    assert!(matches!(events[..], [Event::OpenFailed { .. }]), "{events:?}");
    assert_eq!((bench.record(YARD, 1), bench.state()), (1, CardState::Ok));
    assert_eq!(fs::read_dir(&beside).unwrap().count(), 0);
    // Until it is gone: then the folder is made.
    bench.opened(YARD);
    bench.append(YARD);
    bench.pass(10 * SECOND);
    fs::remove_file(bench.path("gate")).unwrap();
    let events = bench.pass(11 * SECOND);
    assert_eq!(states(&events), ["absent", "ok"]);
    assert_eq!(bench.record(GATE, 1), 0);
    assert!(bench.has("gate/000.mp4"));
    assert_eq!(bench.numbers(YARD), [0, 1, 2]);
    assert!(scanned(&bench.path("002.mp4")).is_whole(), "what was open is closed");
}

#[test]
fn the_storage_path_itself_may_be_a_link() {
    let bench = Bench::new();
    let target = bench.disk.root().with_file_name("target");
    fs::create_dir_all(&target).unwrap();
    std::os::unix::fs::symlink(&target, bench.disk.root()).unwrap();
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!((bench.record(YARD, 1), bench.record(GATE, 1)), (0, 0));
    assert!(target.join("000.mp4").exists() && target.join("gate/000.mp4").exists());
}

#[test]
fn a_folder_that_another_recorder_uses_is_refused_with_a_word() {
    let mut first = Bench::new();
    first.pass(SECOND);
    first.opened(YARD);
    first.append(YARD);
    let before = fs::read(first.path("000.mp4")).unwrap();
    let mut second = Bench::with(first.disk.clone(), first.settings.clone());
    second.pass(3 * SECOND);
    assert!(second.state().reason().contains("another recorder"), "{:?}", second.state());
    assert_eq!(fs::read(first.path("000.mp4")).unwrap(), before);
    drop(first);
    second.pass(3 * SECOND);
    assert_eq!(second.state(), CardState::Ok);
    assert_eq!(second.record(YARD, 1), 1);
}
