//! What is known of the card itself: that it keeps what it is given, and how much that was.

use super::*;

/// A recording whose first fragment is large enough for a sample; `meanwhile` happens before it is
/// closed. Returns its file, and the files that the card forgot.
fn record_and(bench: &mut Bench, meanwhile: impl FnOnce(&Bench, &str)) -> (String, Vec<String>) {
    let file = format!("{:03}.mp4", bench.opened(YARD));
    assert_eq!(appended(&bench.append_bytes(YARD, 20_000)), Ok(()));
    meanwhile(bench, &file);
    let mut events = bench.send(Command::Close { camera: YARD });
    events.extend(bench.pass(SECOND));
    let forgotten = events.iter().filter_map(|event| match event {
        Event::Forgotten { file, .. } => Some(format!("{:03}.mp4", file.number)),
        _ => None,
    });
    (file, forgotten.collect())
}

fn record(bench: &mut Bench) -> String {
    let (file, forgotten) = record_and(bench, |_, _| {});
    assert_eq!(forgotten, [""; 0], "{file}");
    file
}

/// As a card that overwrites its first blocks with later ones.
fn forget(bench: &Bench, file: &str) {
    let path = bench.path(file);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle - 9_000..middle].iter_mut().for_each(|byte| *byte ^= 0xff);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_card_that_forgets_its_first_recordings_while_it_is_filled_is_found() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    let files: Vec<_> = (0..500).map(|_| record(&mut bench)).collect();
    assert!(bench.catalog.lock().unwrap().facts.wrong_bytes_at.is_none());
    // It had room for 400 of them: the first hundred are overwritten.
    files.iter().take(100).for_each(|file| forget(&bench, file));
    let mut found = Vec::new();
    for _ in 0..64 {
        found.extend(record_and(&mut bench, |_, _| {}).1);
    }
    assert!(found.len() >= 3, "{found:?}");
    assert!(found.iter().all(|file| files[..100].contains(file)), "{found:?}");
    assert!(bench.catalog.lock().unwrap().facts.wrong_bytes_at.is_some());
}

#[test]
fn a_card_that_drops_what_it_is_given_is_found_with_the_first_recording() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    let (file, forgotten) = record_and(&mut bench, forget);
    assert_eq!(forgotten, [file]);
}

#[test]
fn recordings_that_were_deleted_thinned_or_cannot_be_read_prove_nothing() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    let files: Vec<_> = (0..4).map(|_| record(&mut bench)).collect();
    bench.send(Command::Delete { camera: YARD, name: name(0) });
    fs::remove_file(bench.path(&files[1])).unwrap();
    bench.disk.fail_reads_from(&files[2], 0, Mount::Writable);
    for _ in 0..10 {
        record(&mut bench);
    }
}

#[test]
fn the_bytes_written_to_a_card_are_counted_over_boots() {
    let written = |bench: &Bench| bench.catalog.lock().unwrap().facts.written_bytes;
    let mut bench = Bench::new();
    bench.pass(SECOND);
    assert_eq!(written(&bench), None);
    let first = record(&mut bench);
    let first = fs::metadata(bench.path(&first)).unwrap().len();
    assert_eq!(written(&bench), Some(first));
    let second = record(&mut bench);
    let second = fs::metadata(bench.path(&second)).unwrap().len();
    assert_eq!(written(&bench), Some(first), "not with every recording");
    bench.send(Command::Shutdown);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    let third = record(&mut bench);
    let third = fs::metadata(bench.path(&third)).unwrap().len();
    assert_eq!(written(&bench), Some(first + second + third));
}
