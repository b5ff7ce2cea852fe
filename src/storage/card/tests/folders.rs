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
    assert_eq!(bench.names("gate"), ["000.mp4"]);
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
