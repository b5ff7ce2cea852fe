mod cuts;
mod folders;
mod health;
mod index;
mod marks;
mod numbers;
mod places;
mod proofs;
mod recordings;
mod released;
mod room;
mod spans;
mod staged;
mod thinning;
mod times;
mod visitors;
mod year;

use std::{fs, path::Path, time::Duration};

use super::*;
use crate::{
    codec::Codec,
    mp4::{
        fragment::FirstSample::{Key, NonKey},
        identity::{Cause, ClockTrust},
        samples,
        scan::{Depth, Scan, scan},
    },
    storage::{
        Ending, Fragment, Mended, OpenError, Place, Refused, SegmentStart,
        disk::{FileSystem, Mount, RequireMount},
        faulty::{ALWAYS, EDQUOT, EIO, ENOENT, ENOSPC, EROFS, FaultyDisk},
        layout::{self, Asked},
    },
    units::Ticks,
};

/// A card with its disk, its clock and its events.
struct Bench {
    disk: FaultyDisk,
    card: Card<FaultyDisk>,
    catalog: Arc<Mutex<Catalog>>,
    settings: Settings,
    now: Instant,
    /// Fragments appended to the open segment of each camera, and frames so far.
    appended: [u32; 64],
    frames: u64,
}

const YARD: CameraId = CameraId(0);
const GATE: CameraId = CameraId(1);
fn place(id: CameraId, name: &str, folder: &str) -> Place {
    Place { id, name: name.into(), folder: folder.into() }
}

fn name(number: u32) -> Name {
    Name::new(number).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);
const NOON: WallTime = WallTime(1_795_336_200_000);

impl Bench {
    fn new() -> Bench {
        Bench::on(FaultyDisk::new())
    }

    fn on(disk: FaultyDisk) -> Bench {
        let settings = Settings {
            paths: vec![disk.root()],
            require_mount: RequireMount::Yes,
            keep_free_percent: 0,
            keep_days: 0,
            thin_after_days: 0,
            event_days: 0,
            event_before: Duration::from_secs(5),
            event_after: Duration::from_secs(30),
            sync: Duration::from_secs(5),
            cameras: vec![place(YARD, "yard", "."), place(GATE, "gate", "gate")],
            lock_file: disk.root().with_file_name("sysupgrade.lock"),
            boot: [7; 16],
        };
        Bench::with(disk, settings)
    }

    fn with(disk: FaultyDisk, settings: Settings) -> Bench {
        let catalog = Arc::new(Mutex::new(Catalog::default()));
        let now = start_of_time();
        let card = Card::new(disk.clone(), settings.clone(), catalog.clone(), now);
        Bench { disk, card, catalog, settings, now, appended: [0; 64], frames: 0 }
    }

    /// As after a power cut and a boot: no open file was closed.
    fn boot_again(self) -> Bench {
        self.disk.heal();
        Bench::with(self.disk, self.settings)
    }

    /// A power cut, after which any part of what was not synced is on the card; and a boot.
    fn cut_power(self, random: &mut Random) -> Bench {
        self.disk.cut_power(&mut || random.below(2) == 0);
        self.boot_again()
    }

    fn send(&mut self, command: Command) -> Vec<Event> {
        self.card.handle(command, self.now);
        self.card.tick(self.now);
        self.events()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.card.poll()).collect()
    }

    /// The events of a look that the card was asked for.
    fn looked(&mut self) -> Vec<Event> {
        let mut events = self.send(Command::Look);
        events.extend(self.pass(SECOND));
        events
    }

    /// Lets time pass, with a tick whenever one is due.
    fn pass(&mut self, time: Duration) -> Vec<Event> {
        let end = self.now + time;
        let mut ticks = 0;
        loop {
            self.card.tick(self.now);
            let due = self.card.deadline();
            if due > end {
                break;
            }
            ticks += 1;
            assert!(ticks < 100_000, "a deadline that no tick moves on");
            self.now = self.now.max(due);
        }
        self.now = end;
        self.events()
    }

    fn start() -> SegmentStart {
        SegmentStart {
            parameter_sets: samples::parameter_sets(Codec::H264),
            audio: None,
            wall: NOON,
            clock: ClockTrust::Trusted,
            up_ms: 5000,
            cause: Cause::Unknown,
            run: 3,
        }
    }

    fn open(&mut self, camera: CameraId) -> Vec<Event> {
        self.appended[camera.0] = 0;
        self.send(Command::Open { camera, start: Bench::start() })
    }

    /// Opens a segment and returns its number.
    fn opened(&mut self, camera: CameraId) -> u32 {
        let events = self.open(camera);
        let number = events.iter().find_map(|event| match event {
            Event::Opened { number, .. } => Some(*number),
            _ => None,
        });
        number.unwrap_or_else(|| panic!("not opened: {events:?}"))
    }

    /// Appends a fragment of two frames with about `bytes` bytes.
    fn append_bytes(&mut self, camera: CameraId, bytes: u32) -> Vec<Event> {
        let nth = self.appended[camera.0];
        self.appended[camera.0] += 1;
        let time = Ticks(i64::from(nth * 2 * samples::FRAME));
        let opens_on = if nth == 0 { Key } else { NonKey };
        let (bytes, extent) = samples::fragment(nth, time, opens_on, &[bytes, 20]);
        let frames = self.frames..self.frames + 2;
        self.frames += 2;
        self.send(Command::Append { camera, fragment: Fragment { bytes, extent, frames } })
    }

    fn append(&mut self, camera: CameraId) -> Vec<Event> {
        self.append_bytes(camera, 1000)
    }

    /// Writes a whole segment of a few fragments; returns its number.
    fn record(&mut self, camera: CameraId, fragments: u32) -> u32 {
        let number = self.opened(camera);
        for _ in 0..fragments {
            assert_eq!(appended(&self.append(camera)), Ok(()));
        }
        self.send(Command::Close { camera });
        number
    }

    fn state(&self) -> CardState {
        self.card.state()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.disk.root().join(file)
    }

    fn put(&self, file: &str, content: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    /// Names in a folder of the card, sorted, without the index and the count of bytes.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let is_it = |name: &String| {
            name.contains('.') && ![layout::INDEX, layout::WRITTEN].contains(&name.as_str())
        };
        let mut names: Vec<_> = names.filter(is_it).collect();
        names.sort();
        names
    }

    fn scan(&self, file: &str) -> Scan {
        scanned(&self.path(file))
    }

    /// What is listed of a camera.
    fn numbers(&self, camera: CameraId) -> Vec<u32> {
        let list = self.catalog.lock().unwrap();
        list.folder(camera).unwrap().entries().iter().map(|entry| entry.name.number()).collect()
    }

    fn entry(&self, camera: CameraId, number: u32) -> crate::storage::catalog::Entry {
        *self.catalog.lock().unwrap().folder(camera).unwrap().get(name(number)).unwrap()
    }
}

/// Numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Random {
        Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

fn scanned(path: &Path) -> Scan {
    let bytes = fs::read(path).unwrap();
    let read_at = |buffer: &mut [u8], at: u64| {
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    scan(&read_at, bytes.len() as u64, Depth::Full)
}

/// The result for the one fragment returned.
fn appended(events: &[Event]) -> Result<(), Refused> {
    let mut results = events.iter().filter_map(|event| match event {
        Event::Returned { result, .. } => Some(*result),
        _ => None,
    });
    let result = results.next().expect("a buffer always comes back");
    assert!(results.next().is_none(), "a buffer comes back once");
    result
}

fn states(events: &[Event]) -> Vec<&'static str> {
    let states = events.iter().filter_map(|event| match event {
        Event::State(state) => Some(state.name()),
        _ => None,
    });
    states.collect()
}

fn deleted(events: &[Event]) -> Vec<(usize, u32)> {
    let deleted = events.iter().filter_map(|event| match event {
        Event::Deleted { file, .. } => Some((file.folder.0, file.number)),
        _ => None,
    });
    deleted.collect()
}

/// Calls in the log that change the card, except for the index.
fn changes(log: &[String]) -> Vec<&str> {
    let harmless = |line: &&str| {
        ["list", "open ", "space"].iter().any(|call| line.starts_with(call))
            || line.ends_with(layout::INDEX)
    };
    log.iter().map(String::as_str).filter(|line| !harmless(line)).collect()
}

/// A file as FFmpeg 3.2 writes it, with nothing of ours in its head.
fn old_recording() -> Vec<u8> {
    let mut file = Vec::new();
    crate::mp4::init::write_live_init(&mut file, &samples::parameter_sets(Codec::H264), None);
    file.extend(samples::fragment(0, Ticks::ZERO, Key, &[2000, 30]).0);
    file
}

#[expect(clippy::disallowed_methods, reason = "an Instant has no other beginning")]
fn start_of_time() -> Instant {
    Instant::now()
}
