//! A day, and bad days, through everything between the socket and the card, on a clock of their own.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "support/fragment.rs"]
mod fragment;
#[path = "support/line.rs"]
mod line;

use line::{Line, Source};
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
    let mut source = Source { ssrc: 7, sequence: 60_000, offset: 0xffff_f000, ticks: 3600 };
    line.card.stored = (0..FRAMES).map(|_| 0).collect(); // not lazily: the memory is there
    line.card.sent = (0..FRAMES).map(|number| (source.timestamp(number), 0)).collect();
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

#[test]
fn on_bad_days_every_frame_is_stored_once_or_counted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for seed in 1..=20 {
        BadDay::new(seed).run();
    }
}

/// Ten minutes at 5 frames a second, in which everything goes wrong by turns.
struct BadDay {
    seed: u64,
    random: u64,
    line: Line,
    source: Source,
    epoch: u32,
    /// Frames that came whole, and behind nothing but whole ones since their key frame.
    decodable: Vec<u64>,
    /// How many came whole.
    whole: u64,
    has_sets: bool,
    gate_is_open: bool,
    /// Frames until the card is well, and since then.
    trouble: u64,
    well: u64,
}

const FRAMES: u64 = 3000;
const FRAME: Duration = Duration::from_millis(200);

impl BadDay {
    fn new(seed: u64) -> BadDay {
        let order = if seed.is_multiple_of(2) { Order::Reliable } else { Order::Datagram };
        BadDay {
            seed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            line: Line::new(RING_BYTES, Ticks::from_seconds(10), order),
            source: Source { ssrc: 1, sequence: 65_500, offset: 0xfff0_0000, ticks: 18_000 },
            epoch: 0,
            decodable: Vec::new(),
            whole: 0,
            has_sets: false,
            gate_is_open: false,
            trouble: 0,
            well: 0,
        }
    }

    fn run(mut self) {
        let mut key_due = true;
        for number in 0..FRAMES {
            if self.one_in(400) {
                self.line.end_run();
                self.reconnect();
                key_due = true;
            }
            if self.one_in(500) {
                let jump = self.below(1 << 30) as u32 + 60 * 90_000;
                let sign = self.below(2) as u32;
                self.source.offset = self.source.offset.wrapping_add(if sign == 0 {
                    jump
                } else {
                    jump.wrapping_neg()
                });
                self.epoch += 1;
            }
            self.trouble_the_card();
            let is_key = key_due || number % 10 == 0;
            key_due = false;
            self.send(number, is_key);
            self.line.pass(FRAME);
            if number % 25 == 0 && !self.line.card.stalls {
                self.line.sync();
            }
            self.assert_recording();
        }
        self.end();
    }

    fn reconnect(&mut self) {
        self.line.begin_run();
        self.source.ssrc += 1;
        self.source.sequence = self.below(65_536) as u16;
        self.source.offset = self.below(1 << 32) as u32;
        self.epoch += 1;
        (self.gate_is_open, self.has_sets) = (false, false);
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
        self.line.card.sent.push((self.source.timestamp(number), self.epoch));
        let mut packets = self.source.packets(number, is_key, bytes);
        let lossy = self.one_in(20);
        let kept: Vec<bool> = packets.iter().map(|_| !(lossy && self.one_in(2))).collect();
        let mut next = kept.iter();
        packets.retain(|_| *next.next().unwrap());
        // A key frame's first packet holds parameter sets, which may be known already.
        let (sets, slices) = kept.split_at(usize::from(is_key));
        let is_whole = slices.iter().all(|kept| *kept);
        self.has_sets |= sets == [true];
        if self.gate_is_open && self.seed % 2 == 1 && packets.len() > 1 && self.one_in(5) {
            packets.swap(0, 1); // datagrams overtake each other
        }
        for packet in packets {
            self.line.packet(&packet);
        }
        // Without sets nobody looks at more of a frame than its beginning.
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
            let last = *self.decodable.last().unwrap();
            assert!(newest + 30 > last, "seed {}: {newest} of {last}", self.seed);
        }
    }

    fn end(mut self) {
        let line = &mut self.line;
        (line.card.stalls, line.card.open_fails, line.card.append_fails) = (false, false, false);
        line.accepts(true);
        line.pass(Duration::from_secs(2));
        line.end_run();
        line.stop();
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
        assert_eq!(line.recorder.lost(), missing.len() as u64, "{context} {missing:?}");
        assert_eq!(losses.undecodable, self.whole - self.decodable.len() as u64, "{context}");
        let held = stored.iter().filter(|copies| **copies > 0).count() as u64;
        assert_eq!(held + missing.len() as u64, self.decodable.len() as u64, "{context}");
        assert!(held > FRAMES / 4, "{context}: only {held} frames");
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
