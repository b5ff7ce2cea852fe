use proptest::prelude::*;

use super::*;

fn name(number: u32) -> Name {
    Name::new(number).unwrap()
}

fn row(number: u32) -> IndexRow<'static> {
    IndexRow {
        name: name(number),
        state: SegmentState::Whole,
        clock_trusted: true,
        codec: Some(Codec::H264),
        owner: Some("yard"),
        codecs: "avc1.640028,mp4a.40.2",
        bytes: 30_112_233,
        start: WallTime(1_795_336_200_000 + i64::from(number) * 60_000),
        duration_ms: 60_000,
        marks: SegmentMarks::NONE,
        cause: Cause::Unknown,
    }
}

fn written(rows: &[IndexRow]) -> Vec<u8> {
    let (mut log, mut out) = (IndexLog::default(), Vec::new());
    assert!(rows.iter().all(|row| log.write(row, &mut out)));
    out
}

/// What a file says, each row as text, and the log behind it.
fn read(file: &[u8]) -> (Vec<(String, Round)>, IndexLog) {
    let mut log = IndexLog::default();
    let mut rows = Vec::new();
    for slot in file.as_chunks().0 {
        rows.extend(log.read(slot).map(|(row, round)| (format!("{row:?}"), round)));
    }
    (rows, log)
}

fn current(rows: &[IndexRow]) -> Vec<(String, Round)> {
    rows.iter().map(|row| (format!("{row:?}"), Round::Current)).collect()
}

#[test]
fn a_checksum_is_that_of_every_other_program() {
    assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
}

#[test]
fn rows_are_read_as_written_and_the_log_continues_after_them() {
    let rows = [
        row(3),
        IndexRow {
            owner: Some("a-camera-with-a-very-long-name_32"),
            codec: None,
            codecs: "",
            ..row(4)
        },
        IndexRow { start: WallTime(-5), clock_trusted: false, state: SegmentState::Cut, ..row(4) },
        IndexRow {
            owner: None,
            state: SegmentState::Damaged,
            bytes: (1 << 48) - 1,
            ..row(999_999_999)
        },
        IndexRow { marks: SegmentMarks::KEPT, cause: Cause::Card, ..row(6) },
        IndexRow { codec: Some(Codec::H265), codecs: "hvc1.1.6.L120.90.00.00.00.00.00", ..row(5) },
    ];
    let mut file = written(&rows);
    let records = file.len() / RECORD_BYTES;
    file.extend([0; 40 * RECORD_BYTES]);
    let (found, mut log) = read(&file);
    assert_eq!(found, current(&rows));
    assert_eq!(log.next() as usize, records);
    let mut more = Vec::new();
    log.write(&row(7), &mut more);
    assert_eq!(more.len(), RECORD_BYTES, "its texts are known");
}

#[test]
fn a_row_that_a_record_cannot_represent_is_not_written() {
    let (mut log, mut out) = (IndexLog::default(), Vec::new());
    let long = "x".repeat(256);
    for row in [
        IndexRow { bytes: 1 << 48, ..row(1) },
        IndexRow { start: WallTime(1 << 47), ..row(1) },
        IndexRow { state: SegmentState::Recording, ..row(1) },
        IndexRow { codecs: &long, ..row(1) },
    ] {
        out.clear();
        assert!(!log.write(&row, &mut out));
        assert!(read(&out).0.is_empty());
    }
    let texts: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    let said =
        texts.iter().filter(|text| log.write(&IndexRow { codecs: text, ..row(1) }, &mut out));
    assert_eq!(said.count(), 255, "their numbers are used up");
}

#[test]
fn a_file_cut_at_any_byte_says_what_lies_before() {
    let rows = [row(1), IndexRow { codecs: "hvc1.1.6.L93.B0", ..row(2) }, row(3)];
    let file = written(&rows);
    let all = current(&rows);
    for length in 0..file.len() {
        let (found, _) = read(&file[..length]);
        assert_eq!(found, all[..found.len()], "{length} bytes");
    }
    assert_eq!(read(&file).0, all);
}

#[test]
fn a_flipped_bit_costs_its_record_or_those_of_its_text_and_nothing_else() {
    let rows = [row(1), IndexRow { codecs: "hvc1.1.6.L93.B0", ..row(2) }, row(3)];
    let file = written(&rows);
    let all = current(&rows);
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let (found, _) = read(&file);
        assert!(found.iter().all(|row| all.contains(row)), "bit {bit}: {found:?}");
        assert!(found.len() < all.len(), "bit {bit} was not noticed");
    }
}

#[test]
fn a_new_round_counts_from_its_first_record_on_and_what_is_left_of_the_old_one_after_it() {
    let rows: Vec<_> = (0..6).map(row).collect();
    let mut file = written(&rows);
    let (_, mut log) = read(&file);
    let mut out = Vec::new();
    log.begin_anew(&mut out);
    log.write(&IndexRow { state: SegmentState::Cut, ..row(5) }, &mut out);
    let records = out.len() / RECORD_BYTES;
    file[..out.len()].copy_from_slice(&out);
    let (found, log) = read(&file);
    assert_eq!(log.next() as usize, records);
    let (first, rest) = found.split_first().unwrap();
    assert!(first.0.contains("Cut") && first.1 == Round::Current, "{first:?}");
    let left = current(&rows[rows.len() - rest.len()..]);
    assert!(rest.iter().zip(&left).all(|(row, left)| row.0 == left.0 && row.1 == Round::Before));
    assert!(!rest.is_empty());
}

#[test]
fn rounds_are_told_apart_when_their_number_wraps() {
    let mut log = IndexLog::default();
    for _ in 0..600 {
        let mut file = vec![0; 32 * RECORD_BYTES];
        let mut out = Vec::new();
        log.begin_anew(&mut out);
        log.write(&row(1), &mut out);
        file[..out.len()].copy_from_slice(&out);
        let found;
        (found, log) = read(&file);
        assert_eq!(found, current(&[row(1)]));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic_or_grow_memory(file in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (_, log) = read(&file);
        prop_assert!(log.next() as usize <= file.len() / RECORD_BYTES);
    }

    #[test]
    fn no_record_that_is_sound_but_for_its_content_is_a_panic(
        records in prop::collection::vec(any::<[u8; RECORD_BYTES]>(), 0..50),
        kinds in prop::collection::vec(0..5_u8, 50),
    ) {
        let mut file = Vec::new();
        for (mut record, kind) in records.into_iter().zip(kinds) {
            record[0] = kind;
            record[1] &= 1;
            seal(record, &mut file);
        }
        let (_, log) = read(&file);
        prop_assert!(log.owners.known.len() <= 255 && log.codecs.known.len() <= 255);
        prop_assert!(log.owners.known.iter().all(|text| text.len() <= 255));
    }
}
