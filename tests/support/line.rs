//! The whole path of a frame without a socket, a clock or a card: packets in, checked fragments
//! out.
//!
//! `Source` makes RTP packets by hand; `Line` does what a camera's driver and the daemon do with
//! them; `Card` answers like the real one, and compares every frame with what was sent.

use super::fragment;
use smolnvr::{
    codec::Codec,
    limits,
    media::Intake,
    mp4::identity,
    recorder::{Moment, Recorder},
    rtp::{Depacketizer, Order, Packet, Receiver},
    storage::{CameraId, Command, Fragment},
    units::{Ticks, WallTime},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A camera that sends H.264 frames without a real picture, each with its number in it.
pub struct Source {
    pub ssrc: u32,
    pub sequence: u16,
    /// A frame's RTP time is its number times `ticks`, plus this.
    pub offset: u32,
    pub ticks: u32,
    pub sets: Sets,
}

/// Which parameter sets it sends with its key frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sets {
    #[default]
    First,
    Second,
}

impl Source {
    /// The packets of frame `number`: parameter sets and an IDR in fragments, or a slice.
    pub fn packets(&mut self, number: u64, is_key: bool, bytes: usize) -> Vec<Vec<u8>> {
        // A pure I slice (0x88) is a random access point anywhere; the others are P slices.
        let mut nal = if is_key { vec![0x65, 0x88] } else { vec![0x41, 0x9a] };
        nal.extend((0..6).map(|at| 0x80 | (number >> (7 * at)) as u8));
        nal.resize(nal.len() + bytes, 0xa5);
        let mut payloads = Vec::new();
        if is_key {
            let mut sets = vec![0x78];
            for set in [if self.sets == Sets::First { SPS } else { OTHER_SPS }, PPS] {
                sets.extend_from_slice(&(set.len() as u16).to_be_bytes());
                sets.extend_from_slice(set);
            }
            payloads.push(sets);
        }
        if is_key || nal.len() > PAYLOAD_BYTES_MAX {
            let half = nal.len().div_ceil(2).clamp(4, PAYLOAD_BYTES_MAX);
            let count = nal[1..].chunks(half).len();
            for (index, piece) in nal[1..].chunks(half).enumerate() {
                let start_and_end = u8::from(index == 0) << 7 | u8::from(index + 1 == count) << 6;
                let head = [nal[0] & 0xe0 | 28, start_and_end | nal[0] & 0x1f];
                payloads.push([&head[..], piece].concat());
            }
        } else {
            payloads.push(nal);
        }
        let timestamp = self.timestamp(number);
        let count = payloads.len();
        let numbered = payloads.into_iter().enumerate();
        numbered
            .map(|(index, payload)| self.packet(&payload, timestamp, index + 1 == count))
            .collect()
    }

    pub fn timestamp(&self, number: u64) -> u32 {
        self.offset.wrapping_add((number as u32).wrapping_mul(self.ticks))
    }

    /// From frame `number` on, the clock advances by `ticks` per frame.
    pub fn set_clock(&mut self, number: u64, ticks: u32) {
        let now = self.timestamp(number);
        self.ticks = ticks;
        self.offset = now.wrapping_sub((number as u32).wrapping_mul(ticks));
    }

    fn packet(&mut self, payload: &[u8], timestamp: u32, marker: bool) -> Vec<u8> {
        let mut packet = vec![0x80, u8::from(marker) << 7 | 96];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

/// The number that a frame carries.
pub fn number_of(sample: &[u8]) -> u64 {
    (0..6).map(|at| u64::from(sample[6 + at] & 0x7f) << (7 * at)).sum()
}

/// From the packet to the commands for the card.
pub struct Line {
    pub intake: Intake,
    pub recorder: Recorder,
    pub card: Card,
    pub buffers: Vec<Vec<u8>>,
    pub now: Instant,
    pub wall: WallTime,
    order: Order,
    receiver: Receiver,
    depacketizer: Depacketizer,
}

impl Line {
    pub fn new(ring_bytes: usize, segment: Ticks, order: Order) -> Line {
        let mut line = Line {
            intake: Intake::new(ring_bytes),
            recorder: Recorder::new(CameraId(0), segment, 0),
            card: Card::default(),
            buffers: vec![Vec::new(); limits::FRAGMENT_BUFFERS],
            #[expect(clippy::disallowed_methods, reason = "a point to count from")]
            now: Instant::now(),
            wall: WallTime(1_800_000_000_000),
            order,
            receiver: Receiver::new(96, order),
            depacketizer: Depacketizer::new(Codec::H264, &[]),
        };
        line.recorder.card_accepts(true);
        line.recorder.start(&line.intake.ring);
        line.begin_run();
        line
    }

    pub fn begin_run(&mut self) {
        self.receiver = Receiver::new(96, self.order);
        self.depacketizer = Depacketizer::new(Codec::H264, &[]);
        self.intake.begin_run();
    }

    pub fn end_run(&mut self) {
        // Ends the wait for missing packets.
        self.pass(limits::REORDER_DELAY_MAX);
        self.depacketizer.end(&mut self.intake);
        self.recorder.run_ended(&self.intake.ring);
        self.pump();
    }

    pub fn packet(&mut self, bytes: &[u8]) {
        let Line { depacketizer, intake, .. } = self;
        let Ok(packet) = Packet::parse(bytes) else { return };
        intake.arrived(self.now);
        self.receiver.handle_packet(packet, self.now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    /// Lets time pass; recorder and card do their work.
    pub fn pass(&mut self, span: Duration) {
        self.now += span;
        self.wall.0 += span.as_millis() as i64;
        let Line { depacketizer, intake, .. } = self;
        intake.arrived(self.now);
        self.receiver.handle_timeout(self.now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
        self.pump();
    }

    pub fn stop(&mut self) {
        self.recorder.stop(&self.intake.ring);
        self.pump();
    }

    pub fn accepts(&mut self, accepts: bool) {
        self.card.is_away = !accepts;
        if !accepts {
            self.card.lose_file();
            self.card.failures += 1;
        }
        if self.card.retry_at.is_none() {
            self.recorder.card_accepts(accepts);
        }
        self.pump();
    }

    pub fn sync(&mut self) {
        if let Some(end) = self.card.sync() {
            self.recorder.durable(end);
        }
    }

    pub fn fail_sync(&mut self) {
        if self.card.lose_file() {
            self.hold_off();
            self.pump();
        }
    }

    fn hold_off(&mut self) {
        self.card.failures += 1;
        self.card.retry_at = Some(self.now + limits::CARD_RETRY_INTERVAL);
        self.recorder.card_accepts(false);
    }

    pub fn pump(&mut self) {
        if self.card.retry_at.is_some_and(|retry_at| retry_at <= self.now) {
            self.card.retry_at = None;
            self.recorder.card_accepts(!self.card.is_away);
        }
        let (now, wall) = (self.now, self.wall);
        let moment = Moment { now, wall, clock: identity::ClockTrust::Trusted, up_ms: 0 };
        loop {
            let ring = &self.intake.ring;
            while let Some(command) = self.recorder.poll(ring, moment, &mut self.buffers) {
                self.card.queue.push_back(command);
                assert!(self.card.queue.len() < limits::CARD_COMMANDS_MAX, "commands pile up");
            }
            if self.card.stalls {
                return;
            }
            let Some(command) = self.card.queue.pop_front() else { return };
            for event in self.card.handle(command) {
                match event {
                    Event::Returned(buffer, result) => {
                        self.buffers.push(buffer);
                        self.recorder.returned(result);
                        if result.is_err() {
                            self.hold_off();
                        }
                    }
                    Event::Durable(end) => self.recorder.durable(end),
                    Event::Failed => self.hold_off(),
                }
            }
        }
    }
}

/// A card in RAM that keeps only counts.
#[derive(Default)]
pub struct Card {
    pub stalls: bool,
    pub open_fails: bool,
    pub append_fails: bool,
    is_away: bool,
    /// After a failure, no segment is opened for a second, as in the daemon.
    retry_at: Option<Instant>,
    /// Failures reported to the recorder.
    pub failures: usize,
    pub files: usize,
    /// The number of each durable frame.
    pub stored: Vec<u8>,
    /// The stamps with which frames were sent, compared with each frame that arrives.
    pub sent: Sent,
    /// The frames of the open file that are not durable.
    pending: Vec<u64>,
    open: Option<Open>,
    queue: VecDeque<Command>,
}

/// The stamps of all frames, by number.
pub type Sent = Vec<Stamp>;

/// A frame that was sent.
#[derive(Clone, Copy)]
pub struct Stamp {
    pub time: u32,
    /// The epoch of the camera's clock; `None` while that is wrong and times are arbitrary.
    pub epoch: Option<u32>,
    pub sets: Sets,
}

struct Open {
    fragments: u32,
    first: u64,
    last: Option<(u64, i64)>,
    decode_end: i64,
    ring_end: u64,
}

pub enum Event {
    Returned(Vec<u8>, Result<(), ()>),
    Durable(u64),
    Failed,
}

impl Card {
    fn handle(&mut self, command: Command) -> Vec<Event> {
        match command {
            Command::Open { .. } => {
                let mut events = self.close();
                if self.open_fails || self.is_away {
                    events.push(Event::Failed);
                } else {
                    self.files += 1;
                    self.open = Some(Open {
                        fragments: 0,
                        first: 0,
                        last: None,
                        decode_end: 0,
                        ring_end: 0,
                    });
                }
                events
            }
            Command::Append { fragment, .. } => {
                let fails = self.append_fails && self.lose_file();
                let written = !fails && self.open.is_some();
                if written {
                    self.take(&fragment);
                }
                let mut events = Vec::new();
                if fails {
                    events.push(Event::Failed);
                }
                events.push(Event::Returned(fragment.bytes, written.then_some(()).ok_or(())));
                events
            }
            Command::Close { .. } => self.close(),
            _ => Vec::new(),
        }
    }

    fn take(&mut self, fragment: &Fragment) {
        let Some(open) = &mut self.open else { return };
        let read = fragment::read(&fragment.bytes);
        open.fragments += 1;
        open.ring_end = fragment.frames.end;
        assert_eq!(read.sequence_number, open.fragments);
        assert_eq!(read.samples.len() as u64, fragment.frames.end - fragment.frames.start);
        if open.last.is_none() {
            open.first = number_of(&read.samples[0].media);
            assert!(read.opens_on_key && read.decode_time == 0);
            assert_eq!(read.samples[0].composition_offset, 0);
        }
        assert!(read.decode_time >= open.decode_end, "decode times go on");
        let mut decode = read.decode_time;
        for (index, sample) in read.samples.iter().enumerate() {
            let number = number_of(&sample.media);
            let is_key = sample.media[4] == 0x65;
            assert_eq!(is_key, index == 0 && read.opens_on_key, "frame {number}");
            let presentation = decode + i64::from(sample.composition_offset);
            let stamp = self.sent[number as usize];
            if let Some((before, shown)) = open.last {
                assert!(number > before, "frame {number} behind {before}");
                let earlier = self.sent[before as usize];
                let step = presentation - shown;
                if stamp.epoch.is_some() && stamp.epoch == earlier.epoch {
                    let sent = stamp.time.wrapping_sub(earlier.time);
                    assert_eq!(step, i64::from(sent), "frame {number}");
                } else if stamp.epoch.is_some() && earlier.epoch.is_some() {
                    let frames = number - before + 1;
                    let longest = frames as i64 * 18_000;
                    assert!(
                        step > 0 && step <= longest,
                        "frame {number}: a seam of {step} ticks, {frames}"
                    );
                }
            }
            let of_file = self.sent[open.first as usize];
            assert_eq!(
                stamp.sets, of_file.sets,
                "frame {number}: other parameter sets, and no cut"
            );
            open.last = Some((number, presentation));
            assert!(sample.duration > 0);
            decode += i64::from(sample.duration);
            self.pending.push(number);
        }
        open.decode_end = decode;
    }

    fn close(&mut self) -> Vec<Event> {
        let durable = self.sync().map(Event::Durable);
        self.open = None;
        durable.into_iter().collect()
    }

    fn sync(&mut self) -> Option<u64> {
        let open = self.open.as_ref().filter(|open| open.fragments > 0)?;
        for number in self.pending.drain(..) {
            let at = number as usize;
            if self.stored.len() <= at {
                self.stored.resize(at + 1, 0);
            }
            self.stored[at] += 1;
        }
        Some(open.ring_end)
    }

    /// Abandons the open file; returns false if there is none. Data that was not durable is lost.
    fn lose_file(&mut self) -> bool {
        self.pending.clear();
        self.open.take().is_some()
    }
}

/// Main profile, level 1, 16x16, no VUI; and its PPS.
const SPS: &[u8] = &[0x67, 77, 0, 10, 0xf4, 0xf2];
/// Main profile, level 1, 32x16.
const OTHER_SPS: &[u8] = &[0x67, 77, 0, 10, 0xf4, 0x5c, 0x80];
const PPS: &[u8] = &[0x68, 0xce, 0x38, 0x80];
const PAYLOAD_BYTES_MAX: usize = 1400;
