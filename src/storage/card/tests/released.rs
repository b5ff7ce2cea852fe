//! A card that is released, by hand or for an upgrade, and taken back.

use super::*;

#[test]
fn released_all_files_are_closed_and_none_is_opened_until_it_is_taken_back() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    let events = bench.send(Command::Release);
    assert!(matches!(events.last(), Some(Event::State(CardState::Released))), "{events:?}");
    assert!(bench.scan("000.mp4").is_whole());
    bench.disk.log();
    assert!(matches!(bench.open(YARD)[..], [Event::OpenFailed { reason: OpenError::Card, .. }]));
    assert_eq!(appended(&bench.append(YARD)), Err(Refused::NotOpen));
    assert!(bench.pass(599 * SECOND).is_empty());
    assert_eq!(bench.disk.log(), [""; 0], "no call touches the card");
    assert_eq!(states(&bench.send(Command::Resume)), ["ok"]);
    assert_eq!(bench.opened(YARD), 1);
}

#[test]
fn released_the_card_is_taken_back_after_ten_minutes() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.send(Command::Release);
    assert_eq!(states(&bench.pass(610 * SECOND)), ["ok"]);
}

#[test]
fn released_while_an_upgrade_holds_its_lock() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    let lock = bench.settings.lock_file.clone();
    fs::write(&lock, b"").unwrap();
    assert_eq!(states(&bench.looked()), ["released"]);
    assert!(bench.scan("000.mp4").is_whole());
    assert!(bench.pass(300 * SECOND).is_empty());
    fs::remove_file(&lock).unwrap();
    assert_eq!(states(&bench.looked()), ["ok"]);
}

#[test]
fn released_under_a_lock_that_nobody_told_of() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    fs::write(&bench.settings.lock_file, b"").unwrap();
    assert_eq!(states(&bench.pass(10 * SECOND)), ["released"]);
}

#[test]
fn released_a_lock_that_stands_for_ever_holds_the_card_for_ten_minutes() {
    let mut bench = Bench::new();
    fs::write(&bench.settings.lock_file, b"").unwrap();
    assert_eq!(states(&bench.pass(SECOND)), ["released"]);
    assert_eq!(states(&bench.pass(602 * SECOND)), ["ok"]);
    assert!(bench.pass(3600 * SECOND).is_empty());
    fs::remove_file(&bench.settings.lock_file).unwrap();
    bench.looked();
    fs::write(&bench.settings.lock_file, b"").unwrap();
    assert_eq!(states(&bench.looked()), ["released"], "the next upgrade counts again");
}

#[test]
fn released_by_hand_under_a_lock_it_is_taken_back_when_somebody_wishes_it() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    fs::write(&bench.settings.lock_file, b"").unwrap();
    assert_eq!(states(&bench.looked()), ["released"]);
    assert_eq!(states(&bench.send(Command::Resume)), ["ok"]);
    assert!(bench.pass(60 * SECOND).is_empty(), "that lock is known");
}
