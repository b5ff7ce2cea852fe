//! Which sets a picture needs, and where they go: as a decoder finds them.

use super::*;

/// A decoder as the specifications have it: it knows the sample entry's sets and those in samples,
/// and forgets what refers to a set that changes.
struct Decoder {
    collector: Collector,
    entry: Option<Arc<ParameterSets>>,
    known: Vec<Vec<u8>>,
    in_last_sample: usize,
    entries: usize,
}

impl Decoder {
    fn new() -> Decoder {
        let collector = Collector::new(Codec::H264);
        Decoder { collector, entry: None, known: Vec::new(), in_last_sample: 0, entries: 0 }
    }

    fn offer(&mut self, sets: &[impl AsRef<[u8]>]) -> &mut Decoder {
        sets.iter().for_each(|nal| self.collector.offer(nal.as_ref()));
        self
    }

    /// Shows a picture, which can be decoded with sets of this content.
    fn show(&mut self, picture_id: u32, access: RandomAccess, sets: &[&Vec<u8>]) {
        let (entry, access) = self.collector.begin_picture(Some(picture_id), access);
        let entry = entry.unwrap();
        if self.entry.as_ref().is_none_or(|it| !Arc::ptr_eq(it, &entry)) {
            self.known = entry.nals().map(<[u8]>::to_vec).collect();
            self.entry = Some(Arc::clone(&entry));
            self.entries += 1;
        }
        if access != RandomAccess::None {
            // A player may begin here.
            self.known = entry.nals().map(<[u8]>::to_vec).collect();
        }
        self.in_last_sample = 0;
        self.collector.sets_in_sample(access, |nal| {
            self.in_last_sample += 1;
            let (kind, id, _) = h264::parameter_set(nal).unwrap();
            self.known.retain(|known| {
                let (known_kind, known_id, of) = h264::parameter_set(known).unwrap();
                let same = (known_kind, known_id) == (kind, id);
                let falls = kind == SetKind::Sequence && known_kind == SetKind::Picture && of == id;
                !same && !falls
            });
            self.known.push(nal.to_vec());
        });
        assert!(
            sets.iter().all(|set| self.known.contains(set)),
            "{sets:02x?} not in {:02x?}",
            self.known
        );
    }
}

use RandomAccess::{Idr, None as Delta, RecoveryPoint};

/// A PPS; variants differ in what lies behind their ids.
fn picture_set(id: u32, sequence_id: u32, variant: u32) -> Vec<u8> {
    nal_of_bits(&[0x68], &format!("{} {} {}", code(id), code(sequence_id), code(variant)))
}

#[test]
fn ids_that_count_up_in_a_circle_are_all_decoded_in_one_file() {
    let mut decoder = Decoder::new();
    for group in 0..600 {
        let (sequence_id, picture_id) = (group % 32, group % 256);
        let sets = [sequence_with_id(sequence_id), picture_set(picture_id, sequence_id, group)];
        decoder.offer(&sets).show(picture_id, Idr, &[&sets[0], &sets[1]]);
        assert!(decoder.in_last_sample <= 2 + 256 / 32, "{}", decoder.in_last_sample);
        decoder.show(picture_id, Delta, &[&sets[0], &sets[1]]);
        assert_eq!(decoder.in_last_sample, 0);
    }
    assert_eq!(decoder.entries, 1);
}

#[test]
fn a_set_that_changes_with_each_picture_lies_in_each_sample() {
    let mut decoder = Decoder::new();
    let sequence = sequence_with_id(0);
    decoder.offer(&[&sequence]);
    for picture in 0..50 {
        let set = picture_set(0, 0, picture);
        let access = if picture % 25 == 0 { Idr } else { Delta };
        decoder.offer(&[&set]).show(0, access, &[&sequence, &set]);
        let expected = [0, 1, 2][usize::from(picture > 0) + usize::from(picture == 25)];
        assert_eq!(decoder.in_last_sample, expected, "picture {picture}");
    }
    assert_eq!(decoder.entries, 1);
}

#[test]
fn a_player_that_begins_at_a_later_key_frame_finds_the_sets_of_before() {
    let mut decoder = Decoder::new();
    let sets = [sequence_with_id(0), picture_set(0, 0, 0)];
    decoder.offer(&sets).show(0, Idr, &[&sets[0], &sets[1]]);
    let more = picture_set(1, 0, 7);
    decoder.offer(&[&more]).show(1, Delta, &[&sets[0], &more]);
    for access in [Idr, RecoveryPoint] {
        decoder.show(0, access, &[&sets[0], &sets[1], &more]);
        decoder.show(1, Delta, &[&more]);
    }
    assert_eq!(decoder.entries, 1);
}

#[test]
fn a_sequence_that_changes_is_followed_by_its_pictures() {
    let mut decoder = Decoder::new();
    let picture = picture_set(0, 0, 0);
    decoder.offer(&[sequence_with_id(0), picture.clone()]).show(0, Idr, &[]);
    // One more reference.
    let sequence = sequence_bits("1 1 011 011 0 010 010 1 1 0 0");
    decoder.offer(&[&sequence, &picture]).show(0, Delta, &[&sequence, &picture]);
    assert_eq!((decoder.entries, decoder.in_last_sample), (1, 2));
}

#[test]
fn sets_that_no_picture_uses_change_nothing() {
    let mut decoder = Decoder::new();
    let sets = [sequence_with_id(0), picture_set(0, 0, 0)];
    decoder.offer(&sets).show(0, Idr, &[]);
    decoder.offer(&[bytes(HIGH[0]), sets[0].clone(), sequence_with_id(1), picture_set(1, 1, 0)]);
    for access in [Delta, Idr, Delta] {
        decoder.show(0, access, &[&sets[0], &sets[1]]);
        assert_eq!(decoder.entries, 1);
    }
    let (unknown, _) = decoder.collector.begin_picture(Some(2), Idr);
    assert!(unknown.is_none(), "nobody can decode it");
}

#[test]
fn two_sets_by_turns_are_one_file_and_a_rare_change_begins_another() {
    let mut decoder = Decoder::new();
    let sequence = sequence_with_id(0);
    decoder.offer(&[&sequence]);
    for group in 0..6 {
        let set = picture_set(0, 0, group % 2);
        decoder.offer(&[&set]).show(0, Idr, &[&sequence, &set]);
        (0..400).for_each(|_| decoder.show(0, Delta, &[&set]));
    }
    assert_eq!(decoder.entries, 1);

    let mut decoder = Decoder::new();
    decoder.offer(&[sequence.clone(), picture_set(0, 0, 0)]).show(0, Idr, &[]);
    (0..PARAMETER_SETS_STILL_PICTURES).for_each(|_| decoder.show(0, Delta, &[]));
    let set = picture_set(0, 0, 1);
    decoder.offer(&[&set]).show(0, Idr, &[&set]);
    assert_eq!((decoder.entries, decoder.in_last_sample), (2, 0));
}

#[test]
fn another_picture_size_begins_anew_wherever_it_comes() {
    let mut decoder = Decoder::new();
    decoder.offer(&[bytes(HIGH[0]), bytes(HIGH[1])]).show(0, Idr, &[]);
    let other = [sequence_with_id(0), picture_set(0, 0, 0)];
    decoder.offer(&other).show(0, Idr, &[&other[0], &other[1]]);
    assert_eq!((decoder.entries, decoder.in_last_sample), (2, 0));
    decoder.offer(&[bytes(HIGH[0]), bytes(HIGH[1])]).show(0, Delta, &[]);
    assert_eq!(decoder.entries, 3, "and the gate shuts");
}

/// As x265 marks intra refresh.
#[test]
fn sets_that_are_repeated_where_no_key_frame_is_mark_a_place_to_begin() {
    for (period, expected) in [(25, RecoveryPoint), (9, Delta), (1, Delta)] {
        let mut collector = Collector::new(Codec::H265);
        for picture in 0..=100 {
            if picture % period == 0 {
                MAIN.iter().for_each(|nal| collector.offer(&bytes(nal)));
            }
            let (_, access) = collector.begin_picture(Some(0), Delta);
            let is_marked = picture % period == 0 && picture > 0;
            assert_eq!(access, if is_marked { expected } else { Delta }, "picture {picture}");
        }
        let (_, access) = collector.begin_picture(Some(0), Idr);
        assert_eq!(access, Idr);
    }
}

#[test]
fn sets_whose_key_frame_was_lost_do_not_mark_the_picture_behind_it() {
    let mut collector = Collector::new(Codec::H265);
    MAIN.iter().for_each(|nal| collector.offer(&bytes(nal)));
    for _ in 0..25 {
        collector.begin_picture(Some(0), Delta);
    }
    MAIN.iter().for_each(|nal| collector.offer(&bytes(nal)));
    collector.lose();
    assert_eq!(collector.begin_picture(Some(0), Delta).1, Delta);
}

#[test]
fn unused_sets_of_an_sdp_are_no_change() {
    let mut decoder = Decoder::new();
    decoder.offer(&[bytes(HIGH[0]), bytes(HIGH[1])]);
    decoder.show(0, Delta, &[]); // joined in mid-group
    let other = [sequence_with_id(0), picture_set(0, 0, 5)];
    decoder.offer(&other).show(0, Idr, &[&other[0], &other[1]]);
    let set = picture_set(0, 0, 6);
    decoder.offer(&[&set]).show(0, Idr, &[&set]);
    assert_eq!((decoder.entries, decoder.in_last_sample), (2, 2));
}

/// Both lie in the sample entry, which has one size.
#[test]
fn a_sequence_of_another_size_begins_anew_though_it_was_known_from_the_start() {
    let mut collector = Collector::new(Codec::H264);
    let small = sequence_with_id(1);
    let sets = [bytes(HIGH[0]), bytes(HIGH[1]), small, picture_set(7, 1, 5)];
    sets.iter().for_each(|set| collector.offer(set));
    for (picture, width) in [(0, 1920), (7, 32), (0, 1920)] {
        let (sets, _) = collector.begin_picture(Some(picture), Idr);
        assert_eq!(sets.unwrap().picture().width, width);
    }
}
