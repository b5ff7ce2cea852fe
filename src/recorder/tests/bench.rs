//! A ring that is filled by hand, a recorder, and a card that does what it is told to.

use super::super::*;
use crate::media::{
    Frame, FrameKind,
    tests::{other_parameter_sets, parameter_sets},
};
use crate::{codec::ParameterSets, runtime};
use std::{
    collections::VecDeque,
    ops::Range,
    time::{Duration, Instant},
};

#[path = "../../../tests/support/fragment.rs"]
mod fragment;

pub const FRAME: Ticks = Ticks(3600);
pub const SEGMENT: Ticks = Ticks::from_seconds(2);

/// What goes from the ring to the card; everything that the recorder says is checked on its way.
pub struct Bench {
    pub ring: Ring,
    pub recorder: Recorder,
    pub card: Card,
    pub buffers: Vec<Vec<u8>>,
    /// Every frame that ever was in the ring.
    pub frames: Vec<Frame>,
    pub wall: WallTime,
    begin: Instant,
    /// What the recorder asked for, as far as the card is concerned: one letter a command.
    pub log: String,
    pub now: Ticks,
    pub run: u32,
    sets: Arc<ParameterSets>,
    has_open: bool,
}

/// A card that obeys like the real one.
#[derive(Default)]
pub struct Card {
    /// Commands wait while it stalls.
    pub stalls: bool,
    pub open_fails: bool,
    is_away: bool,
    pub append_fails: bool,
    /// Commands, and how many failures the recorder knew of when it sent them.
    pub queue: VecDeque<(Command, usize)>,
    pub files: Vec<File>,
    open: bool,
    /// How often the recorder was told of a failure.
    pub failures: usize,
    /// After one no segment is tried for a second, as the daemon has it.
    retry_at: Option<WallTime>,
}

#[derive(Default)]
pub struct File {
    pub fragments: Vec<Stored>,
    /// What the segment was opened with.
    pub has_audio: bool,
    durable: usize,
    pub closed: bool,
}

pub struct Stored {
    pub frames: Range<u64>,
    /// Failures before it was sent.
    pub failures: usize,
    pub durations: Vec<u32>,
    pub decode_time: i64,
    pub audio: Option<fragment::Audio>,
}

enum Event {
    Returned(Vec<u8>, Result<(), ()>),
    Durable(u64),
    Failed,
}

impl Bench {
    /// Running, with a card that takes everything.
    pub fn started(ring_bytes: usize) -> Bench {
        let mut bench = Bench::new(ring_bytes);
        bench.recorder.card_accepts(true);
        bench.recorder.start(&bench.ring);
        bench
    }

    pub fn new(ring_bytes: usize) -> Bench {
        Bench::of(Ring::new(ring_bytes))
    }

    pub fn of(ring: Ring) -> Bench {
        Bench {
            ring,
            recorder: Recorder::new(CameraId(3), SEGMENT, 1000),
            card: Card::default(),
            buffers: vec![Vec::new(); 2],
            frames: Vec::new(),
            wall: WallTime(1_000_000),
            begin: runtime::now(),
            log: String::new(),
            now: Ticks(0),
            run: 1,
            sets: parameter_sets(),
            has_open: false,
        }
    }

    /// One more frame of so many bytes, 40 ms after the one before.
    pub fn frame(&mut self, kind: FrameKind, bytes: usize) {
        self.put(kind, bytes);
        self.pump();
    }

    /// The same, but nobody tells the recorder.
    pub fn put(&mut self, kind: FrameKind, bytes: usize) {
        let frame = Frame {
            presentation: self.now,
            decode: self.now,
            kind,
            run: self.run,
            parameter_sets: Arc::clone(&self.sets),
        };
        self.now += FRAME;
        self.wall.0 += 40;
        self.ring.nal_begin();
        self.ring.nal_append(&(self.frames.len() as u64).to_be_bytes());
        self.ring.nal_append(&vec![0x55; bytes.saturating_sub(12)]);
        self.ring.nal_end();
        self.ring.commit(frame.clone()).unwrap();
        self.frames.push(frame);
    }

    /// A key frame and `count - 1` others of 100 bytes each.
    pub fn group(&mut self, count: usize) {
        for index in 0..count {
            self.frame(if index == 0 { FrameKind::Key } else { FrameKind::Delta }, 100);
        }
    }

    pub fn end_run(&mut self) {
        self.recorder.run_ended(&self.ring);
        self.pump();
    }

    /// The next frame, a key frame, will be of another run.
    pub fn begin_run(&mut self) {
        self.run += 1;
        self.now = Ticks(0);
    }

    pub fn pause(&mut self, ticks: i64) {
        self.now += Ticks(ticks);
    }

    pub fn change_parameter_sets(&mut self) {
        let is_first = Arc::ptr_eq(&self.sets, &parameter_sets());
        self.sets = if is_first { other_parameter_sets() } else { parameter_sets() };
    }

    pub fn start(&mut self) {
        self.recorder.start(&self.ring);
        self.pump();
    }

    /// Something happens now.
    pub fn start_before(&mut self, before: Ticks) {
        self.recorder.start_before(&self.ring, before);
        self.pump();
    }

    pub fn stop(&mut self) {
        self.recorder.stop(&self.ring);
        self.pump();
    }

    /// The card was given up, or is back.
    pub fn accepts(&mut self, accepts: bool) {
        self.card.is_away = !accepts;
        if !accepts {
            self.card.lose_file();
            self.card.failures += 1;
        }
        self.card.retry_at = None;
        self.recorder.card_accepts(accepts);
        self.pump();
    }

    fn hold_off(&mut self) {
        self.card.failures += 1;
        self.card.retry_at = Some(WallTime(self.wall.0 + 1000));
        self.recorder.card_accepts(false);
    }

    pub fn sync(&mut self) {
        self.pump();
        let durable = self.card.sync();
        self.deliver(durable.into_iter().collect());
    }

    /// The card's `fdatasync` fails.
    pub fn fail_sync(&mut self) {
        self.pump();
        if self.card.open {
            let failed = self.card.lose_file();
            self.deliver(vec![failed]);
        }
    }

    pub fn moment(&self) -> Moment {
        let since = Duration::from_millis(self.wall.0.cast_unsigned());
        let up_ms = self.wall.0.cast_unsigned();
        Moment { now: self.begin + since, wall: self.wall, clock: ClockTrust::Trusted, up_ms }
    }

    /// Lets recorder and card work until both have nothing left to do.
    pub fn pump(&mut self) {
        if self.card.retry_at.is_some_and(|retry_at| retry_at <= self.wall) {
            self.card.retry_at = None;
            self.recorder.card_accepts(!self.card.is_away);
        }
        loop {
            let moment = self.moment();
            while let Some(command) = self.recorder.poll(&self.ring, moment, &mut self.buffers) {
                self.check(&command);
                self.card.queue.push_back((command, self.card.failures));
                assert!(self.card.queue.len() <= 16, "a flood of commands: {}", self.log);
            }
            if self.card.stalls || self.card.queue.is_empty() {
                return;
            }
            let (command, failures) = self.card.queue.pop_front().unwrap();
            let events = self.card.handle(command, failures, &self.frames);
            self.deliver(events);
        }
    }

    fn deliver(&mut self, events: Vec<Event>) {
        for event in events {
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
            self.pump();
        }
    }

    /// Commands in their order: O, A, C, and ! for being overtaken.
    fn check(&mut self, command: &Command) {
        let (letter, camera) = match command {
            Command::Open { camera, .. } => ('O', camera),
            Command::Append { camera, fragment } => {
                assert!(self.has_open, "Append without Open: {}", self.log);
                check_shape(fragment);
                ('A', camera)
            }
            Command::Close { camera } => {
                assert!(self.has_open, "Close without Open: {}", self.log);
                ('C', camera)
            }
            Command::Overtaken { camera } => ('!', camera),
            other => panic!("not the recorder's: {other:?}"),
        };
        assert_eq!(*camera, CameraId(3));
        match letter {
            'O' => self.has_open = true,
            'C' => self.has_open = false,
            _ => {}
        }
        self.log.push(letter);
        assert!(self.log.len() < 5000, "{}", &self.log[..200]);
        let capacity: usize = self.recorder.draft.samples.capacity();
        assert_eq!(capacity, limits::FRAGMENT_FRAMES_MAX);
    }

    /// Ranges of frames, a list for each file.
    pub fn stored(&self) -> Vec<Vec<Range<u64>>> {
        let ranges = |file: &File| file.fragments.iter().map(|it| it.frames.clone()).collect();
        self.card.files.iter().map(ranges).collect()
    }

    /// From the first frame of each file to its last.
    pub fn spans(&self) -> Vec<Range<u64>> {
        let span = |file: &File| match file.fragments.as_slice() {
            [] => 0..0,
            [first, .., last] => first.frames.start..last.frames.end,
            [only] => only.frames.clone(),
        };
        self.card.files.iter().map(span).collect()
    }

    /// How many files hold each frame.
    pub fn copies(&self) -> Vec<usize> {
        let mut copies = vec![0; self.frames.len()];
        for range in self.stored().into_iter().flatten() {
            range.for_each(|number| copies[number as usize] += 1);
        }
        copies
    }
}

impl Card {
    /// How the real card answers; what is not durable when it fails is gone.
    fn handle(&mut self, command: Command, failures: usize, frames: &[Frame]) -> Vec<Event> {
        match command {
            Command::Open { start, .. } => {
                let mut events: Vec<_> = self.close().into_iter().collect();
                if self.open_fails || self.is_away {
                    events.push(Event::Failed);
                } else {
                    let has_audio = start.audio.is_some();
                    self.files.push(File { has_audio, ..File::default() });
                    self.open = true;
                }
                events
            }
            Command::Append { fragment, .. } => {
                if !self.open {
                    return vec![Event::Returned(fragment.bytes, Err(()))];
                }
                if self.append_fails {
                    let failed = self.lose_file();
                    return vec![failed, Event::Returned(fragment.bytes, Err(()))];
                }
                let file = self.files.last_mut().unwrap();
                file.fragments.push(read_back(&fragment, file, frames, failures));
                vec![Event::Returned(fragment.bytes, Ok(()))]
            }
            Command::Close { .. } => self.close().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn close(&mut self) -> Option<Event> {
        let durable = self.sync();
        if self.open {
            self.files.last_mut().unwrap().closed = true;
        }
        self.open = false;
        durable
    }

    fn sync(&mut self) -> Option<Event> {
        let file = self.files.last_mut().filter(|_| self.open)?;
        file.durable = file.fragments.len();
        Some(Event::Durable(file.fragments.last()?.frames.end))
    }

    fn lose_file(&mut self) -> Event {
        if self.open {
            let file = self.files.last_mut().unwrap();
            file.fragments.truncate(file.durable);
        }
        self.open = false;
        Event::Failed
    }
}

/// A fragment ends at a key frame, after 1 s, or at 256 KB; a larger frame is one of its own.
fn check_shape(fragment: &Fragment) {
    let read = fragment::read(&fragment.bytes);
    let count = read.samples.len();
    assert_eq!(count as u64, fragment.frames.end - fragment.frames.start);
    let but_last = &read.samples[..count - 1];
    let span: u64 = but_last.iter().map(|sample| u64::from(sample.duration)).sum();
    assert!(span < limits::FRAGMENT_TICKS_MAX as u64, "{span} ticks before the last frame");
    let bytes: usize = read.samples.iter().map(|sample| sample.media.len()).sum();
    assert!(bytes <= limits::FRAGMENT_BYTES_MAX || count == 1, "{count} frames, {bytes} bytes");
    assert!(count <= limits::FRAGMENT_FRAMES_MAX);
}

/// Compares a fragment with the frames that it says it holds, and with what the file holds already.
fn read_back(fragment: &Fragment, file: &File, frames: &[Frame], failures: usize) -> Stored {
    let read = fragment::read(&fragment.bytes);
    let range = fragment.frames.clone();
    let first_of_file = file.fragments.first().map_or(range.start, |it| it.frames.start) as usize;
    let origin = &frames[first_of_file];
    let first = &frames[range.start as usize];
    assert!(origin.is_key(), "a file opens on a key frame");
    assert_eq!(read.sequence_number as usize, file.fragments.len() + 1);
    assert_eq!(read.opens_on_key, first.is_key());
    assert_eq!(first.run, origin.run);
    assert_eq!(Ticks(read.decode_time), first.decode - origin.decode);
    assert!(file.has_audio || read.audio.is_none(), "sound without a track");
    let mut decode = read.decode_time;
    let mut shown = (i64::MAX, i64::MIN);
    for (number, sample) in range.clone().zip(&read.samples) {
        let frame = &frames[number as usize];
        assert_eq!(sample.media[4..12], number.to_be_bytes(), "another frame's bytes");
        assert!(number == range.start || !frame.is_key(), "a key frame within a fragment");
        let presentation = decode + i64::from(sample.composition_offset);
        assert_eq!(Ticks(presentation), frame.presentation - origin.presentation);
        decode += i64::from(sample.duration);
        shown.0 = shown.0.min(presentation);
        shown.1 = shown.1.max(presentation + i64::from(sample.duration));
    }
    let extent = fragment.extent;
    assert_eq!((extent.start.0, extent.end.0), (shown.0, shown.1.max(decode)));
    if let Some(last) = file.fragments.last() {
        assert!(range.start >= last.frames.end, "frames go on");
        let end = last.decode_time + last.durations.iter().map(|it| i64::from(*it)).sum::<i64>();
        let is_gapless = range.start == last.frames.end;
        assert!(end <= read.decode_time && (end == read.decode_time || !is_gapless));
    } else {
        assert_eq!((read.decode_time, read.samples[0].composition_offset), (0, 0));
    }
    Stored {
        frames: range,
        failures,
        durations: read.samples.iter().map(|sample| sample.duration).collect(),
        decode_time: read.decode_time,
        audio: read.audio,
    }
}
