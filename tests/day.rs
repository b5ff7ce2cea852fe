//! A day, and bad days, through everything between the socket and the card, on a clock of their
//! own.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "support/fragment.rs"]
mod fragment;
#[path = "support/line.rs"]
mod line;
#[path = "day/network.rs"]
mod network;

use line::{Line, Sets, Source, Stamp};
use network::{Arrival, Network};
use smolnvr::{limits, rtp::Order, units::Ticks};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The day looks at the memory of the process: nothing else runs meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

const RING_BYTES: usize = 256 * 1024;

#[test]
fn a_day_is_recorded_in_1440_segments_without_a_frame_too_few_or_too_many() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    const FRAMES: u64 = 24 * 3600 * 25;
    let mut line = Line::new(RING_BYTES, Ticks::from_seconds(60), Order::Reliable);
    let sets = Sets::First;
    let mut source = Source { ssrc: 7, sequence: 60_000, offset: 0xffff_f000, ticks: 3600, sets };
    line.card.stored = (0..FRAMES).map(|_| 0).collect(); // not lazily: the memory is there
    let stamp = |number| Stamp { time: source.timestamp(number), epoch: Some(0), sets };
    line.card.sent = (0..FRAMES).map(stamp).collect();
    let mut memory = 0;
    for number in 0..FRAMES {
        for packet in source.packets(number, number % 25 == 0, 8) {
            line.packet(&packet);
        }
        line.pass(Duration::from_millis(40));
        if number % 125 == 0 {
            line.sync();
        }
        if number == FRAMES / 12 {
            memory = resident_kb();
        }
    }
    line.end_run();
    line.stop();
    assert_eq!(line.card.files, 1440);
    assert!(line.card.stored.iter().all(|copies| *copies == 1));
    assert_eq!((line.recorder.lost(), line.intake.losses()), (0, Default::default()));
    assert!(!line.recorder.is_busy());
    assert!(line.buffers.iter().all(|it| it.capacity() <= limits::FRAGMENT_BUFFER_BYTES));
    assert!(line.intake.ring.numbers().count() <= limits::RING_FRAMES_MAX);
    let grown = resident_kb().saturating_sub(memory);
    assert!(grown < 512, "22 hours took {grown} KB more");
}

/// In `make test` 20 of them, an hour long each; with `SMOLNVR_SOAK=1` (`make soak`) 100 whole
/// days.
#[test]
fn on_bad_days_every_frame_is_stored_once_or_counted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seeds, hours) =
        if std::env::var_os("SMOLNVR_SOAK").is_some() { (100, 24) } else { (20, 1) };
    let mut total = Total::default();
    for seed in 1..=seeds {
        BadDay::new(seed, hours * FRAMES_AN_HOUR).run(&mut total);
    }
    println!("bad days: {seeds} seeds of {hours} h: {total:?}");
}

/// What happened in all of them, to show that it did.
#[derive(Debug, Default)]
struct Total {
    frames: u64,
    stored: u64,
    lost_by_card: u64,
    packets_lost: u64,
    undecodable: u64,
    sources: u64,
    clock_faults: u64,
    set_changes: u64,
    files: usize,
}

/// Five frames a second, while everything goes wrong by turns: connection, network, source, clock,
/// parameter sets and card.
struct BadDay {
    seed: u64,
    frames: u64,
    random: u64,
    order: Order,
    line: Line,
    source: Source,
    epoch: u32,
    /// Frames that came whole, and behind nothing but whole ones since their key frame.
    decodable: Vec<u64>,
    /// How many came whole.
    whole: u64,
    has_sets: bool,
    gate_is_open: bool,
    network: Network,
    /// Frames until the clock is right, and until times can be trusted.
    clock_wrong: u64,
    clock_doubtful: u64,
    /// Frames until the card is well, and since then.
    trouble: u64,
    well: u64,
    memory_kb: u64,
    total: Total,
}

const FRAMES_AN_HOUR: u64 = 3600 * 5;
const FRAME: Duration = Duration::from_millis(200);
const TICKS: u32 = 18_000;

impl BadDay {
    fn new(seed: u64, frames: u64) -> BadDay {
        let order = if seed.is_multiple_of(2) { Order::Reliable } else { Order::Datagram };
        let sets = Sets::First;
        let mut day = BadDay {
            seed,
            frames,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            order,
            line: Line::new(RING_BYTES, Ticks::from_seconds(10), order),
            source: Source { ssrc: 1, sequence: 65_500, offset: 0xfff0_0000, ticks: TICKS, sets },
            epoch: 0,
            decodable: (0..frames).collect(), // not lazily: the memory is there
            whole: 0,
            has_sets: false,
            gate_is_open: false,
            network: Network { is_first: true, ..Network::default() },
            clock_wrong: 0,
            clock_doubtful: 0,
            trouble: 0,
            well: 0,
            memory_kb: 0,
            total: Total::default(),
        };
        let stamp = Stamp { time: 1, epoch: None, sets };
        day.line.card.sent = (0..frames).map(|_| stamp).collect();
        day.line.card.stored = (0..frames).map(|_| 1).collect();
        day.line.card.sent.clear();
        day.line.card.stored.clear();
        day.decodable.clear();
        day
    }

    fn run(mut self, total: &mut Total) {
        let (mut key_due, mut owed) = (true, Duration::ZERO);
        for number in 0..self.frames {
            key_due |= self.trouble_the_connection(number);
            self.trouble_the_clock(number);
            self.trouble_the_card();
            let is_key = key_due || number % 10 == 0;
            key_due = false;
            self.send(number, is_key);
            // A packet that is overtaken comes before it would be given up; the time passes later.
            owed += FRAME;
            if self.network.held.is_none() {
                self.line.pass(std::mem::take(&mut owed));
            }
            if number % 25 == 0 && !self.line.card.stalls {
                self.line.sync();
            }
            self.assert_recording();
            if number == self.frames / 12 {
                self.memory_kb = resident_kb();
            }
        }
        self.end(total);
    }

    /// Returns true if the stream starts over.
    fn trouble_the_connection(&mut self, number: u64) -> bool {
        if self.one_in(400) {
            self.deliver_held();
            self.line.end_run();
            self.line.begin_run();
            self.source.offset = self.below(1 << 32) as u32;
            self.epoch += 1;
            (self.gate_is_open, self.has_sets) = (false, false);
            self.change_source(true);
            return true;
        }
        // Over TCP, what is missing before another source whose times go on shows nowhere.
        let would_show = self.order == Order::Datagram || self.network.missing == 0;
        if self.source.ticks > 0 && would_show && self.one_in(900) {
            self.deliver_held();
            self.change_source(false);
            self.total.sources += 1;
        }
        if self.clock_wrong == 0 && self.one_in(500) {
            let jump = self.below(1 << 30) as u32 + 60 * 90_000;
            let jump = if self.below(2) == 0 { jump } else { jump.wrapping_neg() };
            self.source.offset = self.source.offset.wrapping_add(jump);
            self.epoch += 1;
        }
        let is_calm = self.clock_wrong == 0 && self.clock_doubtful == 0 && self.network.is_known;
        if is_calm && self.one_in(1500) {
            let ticks = [200, 0, TICKS / 2][self.below(3) as usize];
            self.source.set_clock(number, ticks);
            self.clock_wrong = 100 + self.below(700);
            self.total.clock_faults += 1;
        }
        false
    }

    fn change_source(&mut self, is_first: bool) {
        self.source.ssrc += 1;
        self.source.sequence = self.below(65_536) as u16;
        // A source without any packet that arrived remains unknown.
        let is_first = is_first || self.network.is_first && !self.network.is_known;
        let Network { lost, restarts, time, .. } = self.network;
        self.network = Network { is_first, lost, restarts, time, ..Network::default() };
    }

    fn trouble_the_clock(&mut self, number: u64) {
        self.clock_doubtful = self.clock_doubtful.saturating_sub(1);
        if self.clock_wrong > 0 {
            self.clock_wrong -= 1;
            self.clock_doubtful = 300;
            if self.clock_wrong == 0 {
                self.source.set_clock(number, TICKS);
                self.epoch += 1;
            }
        }
    }

    fn trouble_the_card(&mut self) {
        self.trouble = self.trouble.saturating_sub(1);
        self.well += 1;
        if self.trouble > 0 {
            self.well = 0;
            return;
        }
        let card = &mut self.line.card;
        if card.stalls || card.open_fails || card.append_fails {
            (card.stalls, card.open_fails, card.append_fails) = (false, false, false);
            self.line.pump();
        }
        self.line.accepts(true);
        if !self.one_in(150) {
            return;
        }
        self.well = 0;
        self.trouble = 1 + self.below(300);
        match self.below(5) {
            0 | 1 => self.line.card.stalls = true,
            2 => self.line.card.open_fails = true,
            3 => self.line.card.append_fails = true,
            _ => self.line.accepts(false),
        }
        if self.one_in(3) && !self.line.card.stalls {
            self.line.fail_sync();
        }
    }

    fn send(&mut self, number: u64, is_key: bool) {
        let bytes = 100 + self.below(2500) as usize;
        let changes_sets = is_key && self.network.is_known && self.one_in(120);
        if changes_sets {
            self.source.sets =
                if self.source.sets == Sets::First { Sets::Second } else { Sets::First };
            self.total.set_changes += 1;
        }
        let is_right = self.clock_wrong == 0 && self.clock_doubtful == 0;
        let (time, sets) = (self.source.timestamp(number), self.source.sets);
        self.line.card.sent.push(Stamp { time, epoch: is_right.then_some(self.epoch), sets });
        let packets = self.source.packets(number, is_key, bytes);
        // Of frames that have all one time, none can be told apart from the remains of another.
        let would_show = self.order == Order::Datagram || self.network.is_known;
        let lossy = self.source.ticks > 0 && would_show && self.one_in(20);
        let mut arrived: Vec<bool> = packets.iter().map(|_| !(lossy && self.one_in(2))).collect();
        if changes_sets {
            arrived[0] = true; // else nobody could know
        }
        self.deliver_late(number);
        let mut out = Vec::new();
        let is_one = packets.len() == 1;
        for (index, packet) in packets.into_iter().enumerate() {
            if arrived[index] {
                let arrival = self.arrives(&packet);
                arrived[index] = !matches!(arrival, Arrival::Waits);
                if matches!(arrival, Arrival::DeliveredWithTheOneBefore) {
                    match index.checked_sub(1) {
                        Some(before) => arrived[before] = true,
                        None => self.whole += u64::from(self.network.whole_waits),
                    }
                }
                self.network.whole_waits = is_one && !arrived[index];
                out.push(packet);
            } else {
                self.network.missing += u64::from(self.network.is_known);
                if self.gate_is_open && self.network.is_known && self.one_in(3) {
                    self.network.late.push((number + 3, packet));
                }
            }
        }
        self.deliver(out, number);
        // A key frame's first packet holds parameter sets, which may be known already.
        let (sets, slices) = arrived.split_at(usize::from(is_key));
        let is_whole = slices.iter().all(|arrived| *arrived);
        self.has_sets |= sets == [true];
        // Without parameter sets, only the beginning of a frame is read.
        self.whole += u64::from(if self.has_sets { is_whole } else { slices[0] });
        self.gate_is_open = is_whole && self.has_sets && (self.gate_is_open || is_key);
        if self.gate_is_open {
            self.decodable.push(number);
        }
    }

    /// Never stuck: ten seconds after the last trouble the newest frames are on the card.
    fn assert_recording(&mut self) {
        if self.well == 50 {
            self.line.sync();
            let newest = self.line.card.stored.len() as u64;
            let behind =
                self.decodable.iter().rev().take_while(|number| **number >= newest).count();
            assert!(behind < 30, "seed {}: {behind} frames behind {newest}", self.seed);
        }
    }

    fn end(mut self, total: &mut Total) {
        self.deliver_held();
        let line = &mut self.line;
        (line.card.stalls, line.card.open_fails, line.card.append_fails) = (false, false, false);
        line.accepts(true);
        line.pass(Duration::from_secs(2));
        line.end_run();
        line.stop();
        let grown = resident_kb().saturating_sub(self.memory_kb);
        assert!(grown < 512, "seed {}: the rest of it took {grown} KB more", self.seed);
        assert!(!line.recorder.is_busy());
        assert_eq!(line.buffers.len(), limits::FRAGMENT_BUFFERS);
        let stored = &line.card.stored;
        let copies = |number: u64| stored.get(number as usize).copied().unwrap_or(0);
        let twice = stored.iter().map(|copies| copies.saturating_sub(1) as usize).sum::<usize>();
        assert!(twice == 0 || line.card.failures > 0);
        let missing = self.decodable.iter().filter(|number| copies(**number) == 0);
        let missing: Vec<_> = missing.collect();
        let losses = line.intake.losses();
        let context = format!("seed {}: {losses:?}", self.seed);
        let lost = line.recorder.lost() + line.recorder.too_short();
        assert_eq!(lost, missing.len() as u64, "{context} {missing:?}");
        assert_eq!(losses.undecodable, self.whole - self.decodable.len() as u64, "{context}");
        let Network { lost, restarts, .. } = self.network;
        assert_eq!(losses.packets, lost + restarts, "{context} {restarts} restarts");
        let held = stored.iter().filter(|copies| **copies > 0).count() as u64;
        assert_eq!(held + missing.len() as u64, self.decodable.len() as u64, "{context}");
        assert!(held > self.frames / 4, "{context}: only {held} frames");
        total.frames += self.frames;
        total.stored += held;
        total.lost_by_card += missing.len() as u64;
        total.packets_lost += lost;
        total.undecodable += losses.undecodable;
        total.sources += self.total.sources;
        total.clock_faults += self.total.clock_faults;
        total.set_changes += self.total.set_changes;
        total.files += line.card.files;
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
