use std::{
    cell::{Cell, RefCell},
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
};

use tempfile::TempDir;

use super::*;
use crate::{
    codec::Codec,
    mp4::{
        fragment::FirstSample::{self, Key, NonKey},
        samples::{self, FRAME, identity, parameter_sets},
    },
    storage::disk::{FileSystem, Kind, Mount, RequireMount, Space},
    units::WallTime,
};

/// Real files in a directory of their own; logs every call and fails the one it is told to.
struct TestDisk {
    directory: TempDir,
    log: RefCell<Vec<Call>>,
    /// Calls before the one that fails; `None`: none does.
    calls_left: Cell<Option<usize>>,
    /// Reading fails from here on.
    readable_bytes: Cell<u64>,
    reads_failed: Cell<u32>,
    /// Of a failing write, so many bytes reach the file all the same.
    torn_bytes: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Call {
    Create,
    Open,
    Remove,
    SyncDirectory,
    Allocate(u64),
    Write { offset: u64, bytes: usize },
    SetLen(u64),
    Sync,
}

impl TestDisk {
    fn new() -> TestDisk {
        TestDisk {
            directory: TempDir::new().unwrap(),
            log: RefCell::default(),
            calls_left: Cell::new(None),
            readable_bytes: Cell::new(u64::MAX),
            reads_failed: Cell::new(0),
            torn_bytes: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("014.mp4")
    }

    fn calls(&self) -> Vec<Call> {
        self.log.take()
    }

    fn fail_after(&self, calls: usize) {
        self.calls_left.set(Some(calls));
    }

    fn call(&self, call: Call) -> io::Result<()> {
        self.log.borrow_mut().push(call);
        match self.calls_left.get() {
            None => Ok(()),
            Some(0) => {
                self.calls_left.set(None);
                Err(io::Error::from_raw_os_error(5))
            }
            Some(left) => {
                self.calls_left.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

impl Disk for TestDisk {
    type File = File;
    type Folder = ();

    fn mount(&self, _: &Path, _: RequireMount) -> Mount {
        Mount::Writable
    }

    fn remount_writable(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { free: 1 << 30, total: 1 << 30 })
    }

    fn hold(&self, _: &Path, _: Option<&()>) -> io::Result<()> {
        unreachable!()
    }

    fn is_still_at(&self, _: &(), _: &Path) -> bool {
        unreachable!()
    }

    fn file_system(&self, _: &Path) -> FileSystem {
        unreachable!()
    }

    fn list(&self, _: &Path, _: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.call(Call::SyncDirectory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove)?;
        fs::remove_file(path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.call(Call::Create)?;
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        self.call(Call::Open)?;
        OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path)
    }

    fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn modified(&self, _: &File) -> io::Result<WallTime> {
        Ok(WallTime(0))
    }

    fn read_at(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let room = self.readable_bytes.get().saturating_sub(offset);
        if room == 0 {
            self.reads_failed.set(self.reads_failed.get() + 1);
            return Err(io::Error::from_raw_os_error(5));
        }
        let count = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        file.read_at(&mut buffer[..count], offset)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.call(Call::Write { offset, bytes: bytes.len() }) {
            file.write_all_at(&bytes[..bytes.len().min(self.torn_bytes)], offset)?;
            return Err(error);
        }
        file.write_all_at(bytes, offset)
    }

    fn allocate(&self, _: &File, length: u64) -> io::Result<()> {
        self.call(Call::Allocate(length))
    }

    fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        self.call(Call::SetLen(length))?;
        file.set_len(length)
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        self.call(Call::Sync)
    }
}

fn create(disk: &TestDisk, expected_bytes: u64) -> io::Result<Segment<TestDisk>> {
    let start = FileStart {
        file_system: FileSystem::Other,
        parameter_sets: &parameter_sets(Codec::H264),
        audio: None,
        identity: &identity(),
        expected_bytes,
    };
    Segment::create(disk, &disk.path(), disk.directory.path(), &start)
}

fn append(
    segment: &mut Segment<TestDisk>,
    disk: &TestDisk,
    nth: u32,
    opens_on: FirstSample,
    sizes: &[u32],
) -> io::Result<()> {
    let time = Ticks(i64::from(nth * 2 * FRAME));
    let (bytes, extent) = samples::fragment(nth, time, opens_on, sizes);
    segment.append(disk, &Fragment { bytes: &bytes, extent })
}

/// Three fragments, not closed.
fn begun(disk: &TestDisk) -> Segment<TestDisk> {
    let mut segment = create(disk, 10_000).unwrap();
    for (nth, opens_on) in [Key, NonKey, Key].into_iter().enumerate() {
        append(&mut segment, disk, nth as u32, opens_on, &[100, 40]).unwrap();
    }
    segment
}

fn scanned(disk: &TestDisk) -> Scan {
    let file = File::open(disk.path()).unwrap();
    let len = file.metadata().unwrap().len();
    scan::scan(&|buffer, offset| file.read_at(buffer, offset), len, Depth::Full)
}

#[test]
fn room_is_taken_and_its_directory_durable_before_anything_is_written() {
    let disk = TestDisk::new();
    let segment = create(&disk, 30 << 20).unwrap();
    let head = Call::Write { offset: 0, bytes: usize::try_from(segment.bytes()).unwrap() };
    let order = [Call::Create, Call::Allocate(30 << 20), Call::SyncDirectory, head];
    assert_eq!(disk.calls(), order);
}

#[test]
fn a_fragment_is_one_write_and_more_room_comes_before_it() {
    let disk = TestDisk::new();
    let mut segment = create(&disk, 0).unwrap();
    let head = segment.bytes();
    disk.calls();
    append(&mut segment, &disk, 0, Key, &[100]).unwrap();
    let end = segment.bytes();
    let bytes = usize::try_from(end - head).unwrap();
    assert_eq!(
        disk.calls(),
        [
            Call::Allocate(head + ALLOCATION_STEP_BYTES),
            Call::SyncDirectory,
            Call::Write { offset: head, bytes }
        ]
    );
    append(&mut segment, &disk, 1, NonKey, &[100]).unwrap();
    assert_eq!(disk.calls(), [Call::Write { offset: end, bytes }]);
}

#[test]
fn a_closed_segment_is_whole_and_was_durable_before_its_index_showed() {
    let disk = TestDisk::new();
    let mut segment = begun(&disk);
    assert_eq!(segment.durable_bytes(), 0);
    segment.sync(&disk).unwrap();
    assert_eq!(segment.durable_bytes(), segment.bytes());
    disk.calls();
    let bytes = segment.bytes();
    let summary = segment.close(&disk).unwrap();
    let duration = Ticks(i64::from(6 * FRAME));
    assert_eq!(summary, Summary { bytes, duration, fragments: 3, key_frames: 2 });
    let calls = disk.calls();
    let [rest @ .., Call::SetLen(length), Call::Sync] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(*length, bytes);
    assert!(matches!(rest, [.., Call::Sync, Call::Write { bytes: 4, .. }]), "{calls:?}");
    let scan = scanned(&disk);
    assert!(scan.is_whole());
    assert_eq!((scan.whole_bytes, scan.duration, scan.fragments), (bytes, duration, 3));
    assert_eq!(scan.head.unwrap().identity, Some(identity()));
}

#[test]
fn a_name_that_is_taken_is_not_touched() {
    let disk = TestDisk::new();
    fs::write(disk.path(), "of somebody else").unwrap();
    let error = create(&disk, 0).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(disk.path()).unwrap(), b"of somebody else");
}

#[test]
fn a_file_that_could_not_be_begun_is_removed() {
    for calls in 1..4 {
        let disk = TestDisk::new();
        disk.fail_after(calls);
        assert!(create(&disk, 0).is_err());
        assert_eq!(disk.calls()[calls + 1..], [Call::Remove, Call::SyncDirectory]);
        assert!(!disk.path().exists());
    }
}

#[test]
fn a_fragment_that_failed_is_overwritten_by_the_next() {
    let disk = TestDisk { torn_bytes: 50, ..TestDisk::new() };
    let mut segment = begun(&disk);
    let bytes = segment.bytes();
    disk.fail_after(0);
    assert!(append(&mut segment, &disk, 3, NonKey, &[500]).is_err());
    assert_eq!(segment.bytes(), bytes);
    append(&mut segment, &disk, 4, Key, &[12]).unwrap();
    segment.close(&disk).unwrap();
    let scan = scanned(&disk);
    assert!(scan.is_whole(), "{:?}", scan.state);
    assert_eq!(scan.fragments, 4);
    assert_eq!(scan.duration, Ticks(i64::from(9 * FRAME)));
}

#[test]
fn a_sync_that_failed_makes_nothing_durable() {
    let disk = TestDisk::new();
    let mut segment = begun(&disk);
    disk.fail_after(0);
    assert!(segment.sync(&disk).is_err());
    assert_eq!(segment.durable_bytes(), 0);
}

#[test]
fn a_close_that_fails_anywhere_leaves_a_file_that_repair_closes() {
    let calls = {
        let disk = TestDisk::new();
        let segment = begun(&disk);
        disk.calls();
        segment.close(&disk).unwrap();
        disk.calls().len()
    };
    for failing in 0..calls {
        let disk = TestDisk { torn_bytes: 2, ..TestDisk::new() };
        let segment = begun(&disk);
        let bytes = segment.bytes();
        disk.fail_after(failing);
        assert!(segment.close(&disk).is_err());
        let scan = scanned(&disk);
        assert!(!matches!(scan.state, FileState::Damaged(_)), "{failing}: {:?}", scan.state);
        assert_eq!(scan.whole_bytes, bytes);
        repair(&disk, &disk.path(), Reach::All).unwrap();
        assert!(scanned(&disk).is_whole(), "{failing}");
    }
}

#[test]
fn repair_closes_what_was_not_closed_and_then_has_nothing_to_do() {
    let disk = TestDisk::new();
    let segment = begun(&disk);
    let bytes = segment.bytes();
    drop(segment);
    let file = OpenOptions::new().append(true).open(disk.path()).unwrap();
    file.write_all_at(b"\0\0\x01\0moof and no more", bytes).unwrap();
    match repair(&disk, &disk.path(), Reach::All).unwrap() {
        Repaired::Mended { head, bytes: left, removed_bytes, duration, damage } => {
            assert_eq!((left, removed_bytes, damage), (bytes, 20, None));
            assert_eq!(duration, Ticks(i64::from(6 * FRAME)));
            assert_eq!(head.identity, Some(identity()));
        }
        repaired => panic!("{repaired:?}"),
    }
    disk.calls();
    let repaired = repair(&disk, &disk.path(), Reach::All).unwrap();
    assert!(matches!(repaired, Repaired::Whole { bytes: left, .. } if left == bytes));
    assert_eq!(disk.calls(), [Call::Open]);
}

#[test]
fn repair_leaves_a_file_without_a_whole_fragment_to_the_caller() {
    let disk = TestDisk::new();
    drop(create(&disk, 0).unwrap());
    let bytes = fs::metadata(disk.path()).unwrap().len();
    disk.calls();
    let repaired = repair(&disk, &disk.path(), Reach::All).unwrap();
    assert!(matches!(repaired, Repaired::Empty { bytes: left, damage: None } if left == bytes));
    fs::write(disk.path(), "").unwrap();
    let repaired = repair(&disk, &disk.path(), Reach::All).unwrap();
    assert!(matches!(repaired, Repaired::Empty { bytes: 0, damage: None }));
    fs::write(disk.path(), [0; 100]).unwrap();
    let repaired = repair(&disk, &disk.path(), Reach::All).unwrap();
    assert!(matches!(repaired, Repaired::Empty { damage: Some(_), .. }));
    assert_eq!(disk.calls(), [Call::Open, Call::Open, Call::Open]);
}

#[test]
fn data_beyond_reach_is_cut_off_before_anything_is_read() {
    let disk = TestDisk::new();
    let mut segment = create(&disk, 0).unwrap();
    append(&mut segment, &disk, 0, Key, &[100]).unwrap();
    let readable = segment.bytes();
    append(&mut segment, &disk, 1, Key, &[100]).unwrap();
    segment.close(&disk).unwrap();
    disk.calls();
    let repaired = repair(&disk, &disk.path(), Reach::UpTo(readable)).unwrap();
    assert!(matches!(repaired, Repaired::Mended { bytes, .. } if bytes == readable));
    assert_eq!(disk.calls()[..3], [Call::Open, Call::SetLen(readable), Call::Sync]);
    assert!(scanned(&disk).is_whole());
}

#[test]
fn the_first_read_that_fails_is_the_last_and_what_was_whole_can_be_saved() {
    let disk = TestDisk::new();
    let mut segment = begun(&disk);
    let readable = segment.bytes();
    append(&mut segment, &disk, 3, Key, &[9000]).unwrap();
    drop(segment);
    disk.readable_bytes.set(readable + 2000);
    disk.calls();
    let whole = match repair(&disk, &disk.path(), Reach::All).unwrap() {
        Repaired::Unreadable { whole_bytes, error, .. } => {
            assert_eq!(error.raw_os_error(), Some(5));
            whole_bytes
        }
        repaired => panic!("{repaired:?}"),
    };
    assert_eq!((whole, disk.reads_failed.get()), (readable, 1));
    assert_eq!(disk.calls(), [Call::Open]);
    let repaired = repair(&disk, &disk.path(), Reach::UpTo(whole)).unwrap();
    assert!(matches!(repaired, Repaired::Mended { bytes, .. } if bytes == readable));
    assert_eq!(disk.reads_failed.get(), 1);
    assert!(scanned(&disk).is_whole());
}
