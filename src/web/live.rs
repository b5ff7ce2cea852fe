//! Live view: frames of a ring in, fragmented MP4 out, one viewer each with a time of his own.
//!
//! It begins with the newest key frame. A viewer who is too slow for the stream goes on at the newest
//! key frame again; what he misses is counted. Knows nothing of: sockets, the card.

use super::answer::{Piece, Source};
use crate::{
    camera::State,
    codec::ParameterSets,
    daemon::{Daemon, Station, Watching},
    limits,
    media::{Frame, Intake, Ring},
    mp4::{
        fragment::{FirstSample, Header, Sample},
        init::write_live_init,
    },
    units::Ticks,
};
use std::{pin::Pin, rc::Rc, sync::Arc};

/// How the stream is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// One file without an end; it ends where the parameter sets change.
    File,
    /// Messages: a MIME type as text before each init segment, and words where there is none yet.
    Messages,
}

/// One viewer.
pub(super) struct Live {
    daemon: Rc<Daemon>,
    station: Rc<Station>,
    watching: Watching,
    form: Form,
    /// The next frame; `None` before a key frame was found.
    next: Option<u64>,
    /// What was said of the stream last.
    told: Told,
    /// What the viewer's time is made from; `None` before the first frame.
    base: Option<Base>,
    /// Where the viewer's time goes on.
    time: Ticks,
    /// Frames were left out: his time goes on without them.
    jumped: bool,
    fragments: u32,
    samples: Vec<Sample>,
}

#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    /// These words.
    Wait(String),
    /// The MIME type of these sets; their init segment comes next.
    Codec,
    Init,
}

struct Base {
    run: u32,
    epoch: u32,
    parameter_sets: Arc<ParameterSets>,
    /// Viewer's time less the ring's.
    decode_shift: Ticks,
    presentation_shift: Ticks,
}

impl Live {
    pub fn new(daemon: &Rc<Daemon>, station: Rc<Station>, form: Form) -> Live {
        Live {
            daemon: Rc::clone(daemon),
            watching: station.watch(),
            station,
            form,
            next: None,
            told: Told::Nothing,
            base: None,
            time: Ticks::ZERO,
            jumped: false,
            fragments: 0,
            samples: Vec::new(),
        }
    }

    async fn wait_for_piece(&mut self, out: &mut Vec<u8>) -> Piece {
        loop {
            let changed = self.watching.changed.changed();
            let ending = self.daemon.changed.changed();
            if self.daemon.is_ending.get() || self.watching.state() == State::Off {
                return Piece::End;
            }
            if let Some(piece) = self.take(out) {
                return piece;
            }
            smol::future::or(changed, ending).await;
        }
    }

    /// The next piece, if there is one now.
    fn take(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        let camera = Rc::clone(self.watching.camera());
        let intake = camera.intake.borrow();
        let next = match self.find_next(&intake.ring) {
            Some(next) => next,
            None => return self.say_wait(out),
        };
        let (frame, _) = intake.ring.get(next)?;
        if !self.fits(frame) {
            if !frame.is_key() {
                self.next = None; // lost between two key frames
                return self.say_wait(out);
            }
            if let Some(piece) = self.begin(frame, out) {
                return Some(piece);
            }
        }
        self.write_fragment(&intake, next, out);
        Some(Piece::Binary)
    }

    /// The frame to go on with, which may be that of a newer picture group.
    fn find_next(&mut self, ring: &Ring) -> Option<u64> {
        let numbers = ring.numbers();
        if self.watching.state() != State::Live && self.next.is_none_or(|next| next >= numbers.end)
        {
            self.next = None;
            return None;
        }
        let newest_key = ring.key_until(numbers.end);
        let next = match self.next {
            None => newest_key?,
            Some(next) => {
                let lag = self.lag(ring, next);
                let jump = newest_key.filter(|&key| key > next);
                let is_lost = next < numbers.start;
                match jump {
                    Some(key) if is_lost || lag > limits::LIVE_LAG_MAX => {
                        self.skip(next, key);
                        key
                    }
                    None if is_lost => {
                        self.skip(next, numbers.start);
                        self.next = None;
                        return None;
                    }
                    _ => next,
                }
            }
        };
        self.next = Some(next);
        (next < numbers.end).then_some(next)
    }

    fn lag(&self, ring: &Ring, next: u64) -> Ticks {
        let newest = ring.get(ring.numbers().end.saturating_sub(1));
        match (ring.get(next), newest) {
            (Some((next, _)), Some((newest, _))) if next.run == newest.run => {
                newest.decode - next.decode
            }
            _ => Ticks::ZERO,
        }
    }

    fn skip(&mut self, from: u64, to: u64) {
        self.jumped = true;
        self.station.skipped.set(self.station.skipped.get() + (to - from));
    }

    /// Whether a frame belongs to the init segment and the time that the viewer has.
    fn fits(&self, frame: &Frame) -> bool {
        self.told == Told::Init
            && !self.jumped
            && self.base.as_ref().is_some_and(|base| {
                base.run == frame.run
                    && base.epoch == frame.epoch
                    && Arc::ptr_eq(&base.parameter_sets, &frame.parameter_sets)
            })
    }

    /// Begins with a key frame: says what is to be said before it; `None` where that is nothing.
    fn begin(&mut self, key: &Frame, out: &mut Vec<u8>) -> Option<Piece> {
        let same_sets = |base: &Base| *base.parameter_sets == *key.parameter_sets;
        if self.base.as_ref().is_some_and(same_sets) && self.told == Told::Init {
            self.rebase(key);
            return None;
        }
        match (self.form, &self.told) {
            // A player of files takes no second head.
            (Form::File, Told::Init) => Some(Piece::End),
            (Form::Messages, Told::Nothing | Told::Wait(_) | Told::Init) => {
                out.extend_from_slice(mime_type(&key.parameter_sets).as_bytes());
                self.told = Told::Codec;
                self.base = None;
                Some(Piece::Text)
            }
            (Form::File, _) | (Form::Messages, Told::Codec) => {
                write_live_init(out, &key.parameter_sets);
                self.told = Told::Init;
                self.rebase(key);
                Some(Piece::Binary)
            }
        }
    }

    /// The viewer's time goes on with this key frame.
    fn rebase(&mut self, key: &Frame) {
        self.jumped = false;
        self.base = Some(Base {
            run: key.run,
            epoch: key.epoch,
            parameter_sets: Arc::clone(&key.parameter_sets),
            decode_shift: self.time - key.decode,
            presentation_shift: self.time - key.presentation,
        });
    }

    /// Packs what is there, up to the next key frame and a bound.
    fn write_fragment(&mut self, intake: &Intake, first: u64, out: &mut Vec<u8>) {
        let Some(base) = &self.base else { return };
        let ring = &intake.ring;
        let mut decode_time = None;
        let mut opens_on = FirstSample::NonKey;
        let mut bytes = 0;
        let mut number = first;
        self.samples.clear();
        while let Some((frame, data)) = ring.get(number) {
            let is_first = number == first;
            let is_other = frame.run != base.run || frame.epoch != base.epoch || frame.is_key();
            let is_full = bytes + data.len() > limits::LIVE_FRAGMENT_BYTES_MAX
                || self.samples.len() == limits::FRAGMENT_FRAMES_MAX;
            if !is_first && (is_other || is_full) {
                break;
            }
            if is_first && frame.is_key() {
                opens_on = FirstSample::Key;
            }
            let decode = frame.decode + base.decode_shift;
            let presentation = frame.presentation + base.presentation_shift;
            decode_time.get_or_insert(decode);
            let following = ring.get(number + 1).filter(|(next, _)| next.run == frame.run);
            let duration = following
                .map(|(next, _)| next.decode - frame.decode)
                .filter(|duration| *duration <= FRAME_DURATION_MAX)
                .unwrap_or(intake.frame_duration());
            // As in the recorder: frames are shorter than the ring, offsets than minutes.
            self.samples.push(Sample {
                bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
                duration: u32::try_from(duration.0).unwrap_or(u32::MAX),
                composition_offset: i32::try_from((presentation - decode).0).unwrap_or(0),
            });
            self.time = decode + duration;
            bytes += data.len();
            number += 1;
        }
        self.fragments += 1;
        let header = Header {
            sequence_number: self.fragments,
            decode_time: decode_time.unwrap_or(self.time),
            opens_on,
            samples: &self.samples,
        };
        out.reserve_exact(header.bytes() + bytes);
        header.write(out);
        for (_, data) in (first..number).filter_map(|number| ring.get(number)) {
            out.extend_from_slice(data);
        }
        self.next = Some(number);
    }

    /// Says why there is nothing to see, once.
    fn say_wait(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        if self.form == Form::File || self.next.is_some() {
            return None;
        }
        let text = match (self.watching.state(), self.watching.last_error()) {
            (State::Live, _) => "wait: the next key frame of the camera".to_owned(),
            (_, Some(error)) => format!("wait: {error}"),
            (_, None) => "wait: the camera is being connected".to_owned(),
        };
        if matches!(&self.told, Told::Wait(told) if *told == text) {
            return None;
        }
        out.extend_from_slice(text.as_bytes());
        self.told = Told::Wait(text);
        Some(Piece::Text)
    }
}

impl Source for Live {
    fn next<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Pin<Box<dyn Future<Output = Piece> + 'a>> {
        Box::pin(self.wait_for_piece(out))
    }
}

/// As Media Source Extensions want it.
pub(super) fn mime_type(parameter_sets: &ParameterSets) -> String {
    format!("video/mp4; codecs=\"{}\"", parameter_sets.mime())
}

/// A longer one is no frame's duration but a gap.
const FRAME_DURATION_MAX: Ticks = Ticks::from_seconds(2);
