use super::*;
use crate::storage::layout::Asked;

const YARD: CameraId = CameraId(0);
const GATE: CameraId = CameraId(1);

fn name(number: u32) -> Name {
    Name::new(number).unwrap()
}

fn folder(numbers: &[u32]) -> Folder {
    folder_at("/card", numbers)
}

fn folder_at(directory: &str, numbers: &[u32]) -> Folder {
    let mut folder = Folder::new(PathBuf::from(directory));
    numbers.iter().for_each(|&number| folder.list(Name::new(number).unwrap()));
    folder.sort();
    folder
}

#[test]
fn unread_heads_are_named_newest_first_and_each_once() {
    let mut folder = folder(&[3, 1, 2]);
    let mut order = Vec::new();
    while let Some(name) = folder.newest_unread() {
        order.push(name.number());
        folder.get_mut(name).unwrap().state = SegmentState::Whole;
        folder.read_down_to(name);
    }
    assert_eq!(order, [3, 2, 1]);
}

#[test]
fn two_names_of_one_number_are_two_entries() {
    let mut folder = folder(&[14]);
    folder.list(Name::parse("0014.mp4".as_ref()).unwrap());
    folder.sort();
    assert_eq!(folder.entries().len(), 2);
    let mut catalog = Catalog::default();
    catalog.add(Some(YARD), "yard", folder);
    let file =
        |address| catalog.find("yard", Asked::Number(address)).map(|(_, it)| it.name.file_name());
    assert_eq!(file(14).as_deref(), Some("014.mp4"));
    assert_eq!(file(1_000_000_014).as_deref(), Some("0014.mp4"));
    let listed = |file: &str| catalog.find("yard", Asked::parse(file).unwrap()).unwrap().1.file();
    for file in ["014.mp4", "0014.mp4"] {
        assert_eq!(listed(file), file, "what is listed is found by its name");
    }
    assert_eq!((file(2_000_000_014), file(4_000_000_014)), (None, None));
    catalog.folder_mut(YARD).unwrap().remove(name(14)).unwrap();
    let file =
        |address| catalog.find("yard", Asked::Number(address)).map(|(_, it)| it.name.file_name());
    assert_eq!((file(14), file(1_000_000_014).as_deref()), (None, Some("0014.mp4")));
}

/// `(camera, number)` of every recording, by what the files say.
fn read(catalog: &mut Catalog, camera: CameraId, owners: &[(u32, Option<&str>)]) {
    for (number, owner) in owners.iter().rev() {
        let entry = catalog.folder_mut(camera).unwrap().get_mut(name(*number)).unwrap();
        entry.state = SegmentState::Whole;
        catalog.own(camera, name(*number), *owner);
    }
}

fn addresses(catalog: &Catalog, camera: &str) -> Vec<u32> {
    let owner = catalog.owner(camera).unwrap();
    catalog.recordings(owner, None).map(|(_, entry)| entry.address().unwrap()).collect()
}

#[test]
fn the_next_number_is_one_more_than_the_highest_that_the_camera_ever_had() {
    let mut catalog = Catalog::default();
    catalog.add(Some(YARD), "yard", folder(&[]));
    assert_eq!(catalog.next_number(YARD), 0);
    catalog.add(Some(GATE), "gate", folder_at("/card/gate", &[7, 3, 12]));
    assert_eq!(catalog.next_number(GATE), 13);
    catalog.folder_mut(GATE).unwrap().remove(name(12)).unwrap();
    assert_eq!(catalog.next_number(GATE), 13, "deleting the highest frees no number");
    catalog.folder_mut(GATE).unwrap().use_up(40);
    assert_eq!(catalog.next_number(GATE), 41);
    assert_eq!(catalog.next_number(YARD), 0, "that is another camera's");
    let mut left = folder_at("/card/old", &[5]);
    left.use_up(99);
    catalog.add(None, "yard", left);
    assert_eq!(catalog.next_number(YARD), 100, "it recorded elsewhere before");
}

#[test]
fn a_recording_is_of_the_camera_that_it_names_wherever_it_lies() {
    let mut catalog = Catalog::default();
    catalog.add(Some(YARD), "yard", folder(&[1, 2, 3]));
    catalog.add(Some(GATE), "gate", folder_at("/card/gate", &[2, 4]));
    read(&mut catalog, YARD, &[(1, Some("gate")), (2, Some("gate")), (3, Some("yard"))]);
    read(&mut catalog, GATE, &[(2, Some("gate")), (4, Some("gate"))]);
    assert_eq!(addresses(&catalog, "yard"), [3]);
    assert_eq!(addresses(&catalog, "gate"), [4, 2, 1_000_000_002, 1]);
    let directory =
        |address| catalog.find("gate", Asked::Number(address)).unwrap().0.directory.clone();
    assert_eq!(directory(2), PathBuf::from("/card/gate"));
    assert_eq!(directory(1_000_000_002), PathBuf::from("/card"));
    let twin = catalog.find("gate", Asked::parse("1000000002.mp4").unwrap()).unwrap();
    assert_eq!(twin.1.file(), "1000000002.mp4", "its name is that of the other");
}

#[test]
fn a_page_begins_where_the_one_before_ended() {
    let mut catalog = Catalog::default();
    catalog.add(Some(YARD), "yard", folder(&[1, 2, 3, 9]));
    catalog.add(None, "yard", folder_at("/card/old", &[1, 2, 4]));
    catalog.add(None, "yard", folder_at("/card/older", &[2, 9]));
    let all = addresses(&catalog, "yard");
    assert_eq!(all.len(), 9, "{all:?}");
    let owner = catalog.owner("yard").unwrap();
    for (nth, before) in all.iter().enumerate() {
        let rest = catalog.recordings(owner, Some(*before));
        let rest: Vec<_> = rest.map(|(_, entry)| entry.address().unwrap()).collect();
        assert_eq!(rest, all[nth + 1..], "behind {before}");
    }
}

#[test]
fn an_old_recording_is_of_the_camera_that_went_on_after_it() {
    let mut catalog = Catalog::default();
    catalog.add(Some(YARD), "yard", folder(&[0, 1, 2, 3, 4]));
    let front = Some("front");
    read(&mut catalog, YARD, &[(0, None), (1, None), (2, front), (3, front), (4, None)]);
    assert_eq!(
        (addresses(&catalog, "front"), addresses(&catalog, "yard")),
        (vec![3, 2, 1, 0], vec![4])
    );
}

#[test]
fn a_folder_that_changes_hands_keeps_what_was_recorded_there() {
    let mut catalog = Catalog::default();
    catalog.add(Some(YARD), "yard", folder(&[0, 1]));
    read(&mut catalog, YARD, &[(0, None), (1, Some("yard"))]);
    catalog.leave(YARD);
    assert!(catalog.claim(std::path::Path::new("/card"), GATE, "gate"));
    assert!(!catalog.claim(std::path::Path::new("/card/gate"), GATE, "gate"));
    assert_eq!(addresses(&catalog, "yard"), [1, 0]);
    assert_eq!(catalog.next_number(GATE), 2);
    let mut entry = Entry::new(name(2), SegmentState::Recording);
    entry.bytes = 5;
    catalog.folder_mut(GATE).unwrap().push(entry);
    catalog.own(GATE, name(2), Some("gate"));
    let tallies = catalog.tallies();
    let tallies: Vec<_> = tallies.iter().map(|(name, it)| (*name, it.segments, it.bytes)).collect();
    assert_eq!(tallies, [("yard", 2, 0), ("gate", 1, 5)]);
}

#[test]
fn a_mime_type_is_kept_once_and_too_many_are_left_out() {
    let mut catalog = Catalog::default();
    assert_eq!(catalog.intern("a"), catalog.intern("a"));
    let mut entry = Entry::new(Name::new(0).unwrap(), SegmentState::Whole);
    assert_eq!(catalog.codecs(&entry), "");
    for index in 0..300 {
        let codecs = catalog.intern(&index.to_string());
        entry.set_codecs(codecs);
    }
    assert_eq!(catalog.codecs(&entry), "");
    entry.codecs = catalog.intern("a");
    assert_eq!(catalog.codecs(&entry), "a");
}

#[test]
fn thirty_thousand_recordings_take_less_than_a_megabyte() {
    let folder = folder(&(0..30_000).collect::<Vec<_>>());
    assert!(folder.entries.capacity() * size_of::<Entry>() < 1_000_000);
}
