//! A year of one recorder on a clock of its own: everything that happens to it comes from a seed,
//! and a model that knows only what was done and what was said agrees with the card.

mod acts;
mod clip;
mod contents;
mod model;

use self::model::Model;
use super::*;
use crate::{
    mp4::fragment::{FragmentHeader, Sample},
    storage::{
        SpanAction, SpanDone, SpanError, SpanWish,
        marks::{Course, Mark, Word},
    },
};
use tempfile::TempDir;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Between the beginnings of two recordings.
const STEP: i64 = 6 * HOUR;
const MINUTE: Duration = Duration::from_secs(60);

/// In the unit tests some weeks of each of a few seeds; with `SMOLNVR_SOAK=1` (`make soak`) a year
/// of each of many.
#[test]
fn after_a_year_of_everything_that_happens_numbers_times_owners_and_bytes_are_as_they_should() {
    let is_soak = std::env::var_os("SMOLNVR_SOAK").is_some();
    let (seeds, days) = if is_soak { (12, 365) } else { (4, 14) };
    let seeds = match std::env::var("SEED") {
        Ok(seed) => seed.parse().unwrap()..=seed.parse().unwrap(),
        Err(_) => 1..=seeds,
    };
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        Year::new(seed).run(days * DAY, &mut seen);
    }
    println!("year: {} seeds of {days} days: {seen:?}", seeds.count());
    assert!(seen.power_cuts > 2 && seen.thinned > 5 && seen.marked > 5, "{seen:?}");
}

/// What happened, so that it is seen that it did.
#[derive(Debug, Default)]
pub(super) struct Seen {
    recordings: u32,
    power_cuts: u32,
    boots: u32,
    swaps: u32,
    configured: u32,
    kept: u32,
    marked: u32,
    deleted: u32,
    thinned: u32,
    mended: u32,
    dated: usize,
    checked: u32,
}

struct Year {
    bench: Option<Bench>,
    model: Model,
    random: Random,
    /// True time, in ms.
    truth: i64,
    boot: Boot,
    boots: u16,
    /// Cards that are not in the recorder.
    drawer: TempDir,
    card: u64,
    ids: usize,
    run: u64,
    log: Vec<String>,
}

/// The machine's clock.
struct Boot {
    id: [u8; 16],
    began: i64,
    /// Board time minus true time.
    offset: i64,
    clock: ClockTrust,
    comes_at: i64,
}

impl Year {
    fn new(seed: u64) -> Year {
        let disk = FaultyDisk::new();
        disk.set_total(48 << 20);
        disk.watch_syncs();
        let mut random = Random::of(seed);
        if random.below(2) == 0 {
            disk.set_file_system(FileSystem::Fat);
        }
        let truth = NOON.0;
        let boot = Boot {
            id: [0; 16],
            began: truth,
            offset: 0,
            clock: ClockTrust::Untrusted,
            comes_at: 0,
        };
        let mut year = Year {
            bench: Some(Bench::on(disk)),
            model: Model::default(),
            random,
            truth,
            boot,
            boots: 0,
            drawer: TempDir::new().unwrap(),
            card: 0,
            ids: 2,
            run: 0,
            log: vec![format!("seed {seed}")],
        };
        year.bench().settings.keep_free_percent = 5;
        year
    }

    fn bench(&mut self) -> &mut Bench {
        self.bench.as_mut().unwrap()
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random.below(one_in) == 0
    }

    fn note(&mut self, what: String) {
        self.log.push(format!("day {:.2}: {what}", (self.truth - NOON.0) as f64 / DAY as f64));
        if std::env::var_os("SEED").is_some() {
            println!("{}", self.log.last().unwrap());
        }
    }

    fn run(mut self, length: i64, seen: &mut Seen) {
        self.start_again(seen);
        let mut step = 0;
        while self.truth < NOON.0 + length {
            step += 1;
            let end = self.truth + STEP;
            self.step(seen);
            if step % 28 == 0 {
                self.settle(seen);
                self.check(seen, Depth::Full);
            }
            let rest = end - self.truth;
            self.skip(rest);
        }
        self.boot_again(seen);
        self.settle(seen);
        self.check(seen, Depth::Full);
    }

    /// Something happens, or nothing, and each camera records.
    fn step(&mut self, seen: &mut Seen) {
        self.bench().disk.log();
        if self.chance(24) {
            self.boot_again(seen);
        }
        if self.chance(60) {
            self.swap(seen);
        }
        if self.chance(10) {
            self.configure(seen);
        }
        if self.boot.clock == ClockTrust::Untrusted && self.truth >= self.boot.comes_at {
            self.boot.clock = ClockTrust::Trusted;
            self.boot.offset = 0;
            self.tell_clock(seen);
        } else if self.chance(10) {
            // The clock is set a little, or to another time that is wrong.
            self.boot.offset += match self.boot.clock {
                ClockTrust::Trusted => self.random.below(401).cast_signed() - 200,
                ClockTrust::Untrusted => self.random.below(90).cast_signed() * DAY,
            };
            self.tell_clock(seen);
        }
        let is_cut = self.chance(16);
        if is_cut && self.chance(2) {
            let calls = usize::try_from(self.random.below(60)).unwrap();
            self.bench().disk.fail_changes_after(calls);
        }
        self.record(seen, is_cut);
        if is_cut {
            return self.cut_power(seen);
        }
        if self.chance(6) {
            self.mark(seen);
        }
        if self.chance(12) {
            self.span(seen);
        }
        self.pass(130 * SECOND, seen);
        self.check(seen, Depth::Structure);
    }

    fn board(&self) -> WallTime {
        WallTime(self.truth + self.boot.offset)
    }

    fn up_ms(&self) -> u64 {
        (self.truth - self.boot.began).cast_unsigned()
    }

    fn begin_boot(&mut self) {
        self.boots += 1;
        let comes_at = self.truth
            + match self.random.below(4) {
                0 => 400 * DAY,
                _ => self.random.below(40).cast_signed() * HOUR,
            };
        let offset = -self.truth; // 1970
        let [a, b] = self.boots.to_be_bytes();
        let (began, id) = (self.truth, [a, b, a, b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        self.boot = Boot { id, began, offset, clock: ClockTrust::Untrusted, comes_at };
        self.model.boots.push((id, began, None));
        self.bench().settings.boot = id;
    }

    fn tell_clock(&mut self, seen: &mut Seen) {
        if self.boot.clock == ClockTrust::Trusted {
            self.model.boots.last_mut().unwrap().2 = Some(self.truth);
        }
        let (wall, clock, up_ms) = (self.board(), self.boot.clock, self.up_ms());
        let events = self.bench().send(Command::Clock { wall, clock, up_ms });
        self.observe(events, seen);
    }

    /// Time goes by in which nothing is looked at.
    fn skip(&mut self, millis: i64) {
        self.truth += millis;
        self.bench().now += Duration::from_millis(millis.cast_unsigned());
    }

    fn pass(&mut self, time: Duration, seen: &mut Seen) {
        self.truth += i64::try_from(time.as_millis()).unwrap();
        let events = self.bench().pass(time);
        self.observe(events, seen);
    }

    /// Every file has been read, and all that is due is done.
    fn settle(&mut self, seen: &mut Seen) {
        self.pass(40 * MINUTE, seen);
    }

    fn cameras(&mut self) -> Vec<Place> {
        self.bench().settings.cameras.clone()
    }

    /// Shuts down well and starts again.
    fn boot_again(&mut self, seen: &mut Seen) {
        self.shut_down(seen);
        self.start_again(seen);
    }

    fn shut_down(&mut self, seen: &mut Seen) {
        self.note("boot".into());
        let events = self.bench().send(Command::Shutdown);
        self.observe(events, seen);
        self.bench().disk.watch_syncs(); // unmounted
    }

    fn cut_power(&mut self, seen: &mut Seen) {
        self.note("power cut".into());
        seen.power_cuts += 1;
        let Year { random, bench, .. } = self;
        bench.as_ref().unwrap().disk.cut_power(&mut || random.below(2) == 0);
        let Year { model, bench, .. } = self;
        model.power_was_cut(bench.as_ref().unwrap());
        self.start_again(seen);
    }

    fn start_again(&mut self, seen: &mut Seen) {
        seen.boots += 1;
        self.truth += 20_000;
        let bench = self.bench.take().unwrap();
        let frames = bench.frames;
        self.bench = Some(bench);
        self.begin_boot();
        let mut bench = self.bench.take().unwrap().boot_again();
        bench.frames = frames;
        self.bench = Some(bench);
        self.model.starts(self.truth);
        self.pass(SECOND, seen);
        self.tell_clock(seen);
        self.pass(20 * SECOND, seen);
    }

    /// Another card is put in, after a release or without a word.
    fn swap(&mut self, seen: &mut Seen) {
        let is_asked = self.chance(2);
        if is_asked {
            let events = self.bench().send(Command::Release);
            self.observe(events, seen);
            self.bench().disk.watch_syncs();
        } else {
            let Year { random, bench, .. } = self;
            bench.as_ref().unwrap().disk.set_mount(Mount::Absent("pulled".into()));
            bench.as_ref().unwrap().disk.cut_power(&mut || random.below(2) == 0);
            let events = self.bench().looked();
            self.observe(events, seen);
            let Year { model, bench, .. } = self;
            model.power_was_cut(bench.as_ref().unwrap());
        }
        let next = self.random.below(3);
        self.note(format!("card {next} in place of card {}", self.card));
        let place = |card: u64| self.drawer.path().join(card.to_string());
        if next != self.card {
            let root = self.bench.as_ref().unwrap().disk.root();
            fs::rename(&root, place(self.card)).unwrap();
            if place(next).exists() {
                fs::rename(place(next), &root).unwrap();
            }
        }
        self.card = next;
        self.model.swaps(next);
        self.bench().disk.set_mount(Mount::Writable);
        self.model.starts(self.truth);
        let events = self.bench().send(if is_asked { Command::Resume } else { Command::Look });
        self.observe(events, seen);
        self.pass(20 * SECOND, seen);
        seen.swaps += 1;
    }

    fn observe(&mut self, events: Vec<Event>, seen: &mut Seen) {
        let Year { bench, model, truth, boot, log, .. } = self;
        let bench = bench.as_ref().unwrap();
        let offset = if boot.clock == ClockTrust::Trusted { boot.offset } else { 0 };
        let wall = WallTime(*truth + offset);
        for event in events {
            let said = format!("{event:?}");
            match &event {
                Event::Deleted { .. } => seen.deleted += 1,
                Event::Thinned { .. } => seen.thinned += 1,
                Event::Mended { .. } => seen.mended += 1,
                Event::Dated { recordings } => seen.dated += recordings,
                _ => {}
            }
            if !matches!(event, Event::Returned { .. } | Event::Durable { .. }) {
                log.push(said.clone());
            }
            if let Err(fault) = model.hears(event, bench, wall) {
                panic!("{fault}: {said}\n{}", log[log.len().saturating_sub(80)..].join("\n"));
            }
        }
    }

    fn check(&mut self, seen: &mut Seen, depth: Depth) {
        let Year { bench, model, truth, boot, log, .. } = self;
        let wall = (boot.clock == ClockTrust::Trusted).then_some(WallTime(*truth + boot.offset));
        seen.checked += 1;
        if let Err(fault) = model.check(bench.as_ref().unwrap(), depth == Depth::Full, wall, *truth)
        {
            panic!("{fault}\n{}", log[log.len().saturating_sub(80)..].join("\n"));
        }
    }
}
