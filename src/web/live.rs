//! Live view: frames of a ring in, fragmented MP4 out; each viewer has its own time line.
//!
//! A stream starts at the newest key frame. A viewer too slow for the stream skips to the newest
//! key frame; skipped frames are counted.
//! Knows nothing of: sockets, the card.

use super::{
    answer::{Piece, Source},
    packer::Packer,
};
use crate::{
    camera::State,
    codec::ParameterSets,
    daemon::{Daemon, Station, Watching},
    limits,
    media::{Frame, Intake, Ring},
    mp4::init::write_live_init,
    units::Ticks,
};
use std::{pin::Pin, rc::Rc};

/// How the stream is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// An endless file, which ends when the parameter sets change.
    File,
    /// WebSocket messages: a MIME type as text before each init segment, and a reason while there
    /// is none.
    Messages,
}

/// One viewer.
pub(super) struct Live {
    daemon: Rc<Daemon>,
    station: Rc<Station>,
    watching: Watching,
    form: Form,
    /// The next frame; `None` until a key frame is found.
    next: Option<u64>,
    /// What was last sent.
    told: Told,
    packer: Packer,
    /// Frames were skipped: the viewer's time continues without them.
    jumped: bool,
}

#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    /// This reason for waiting.
    Wait(String),
    /// The MIME type; the init segment follows.
    Codec,
    Init,
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
            packer: Packer::default(),
            jumped: false,
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

    /// Returns the next piece if there is one.
    fn take(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        let camera = Rc::clone(self.watching.camera());
        let intake = camera.intake.borrow();
        let next = match self.find_next(&intake) {
            Some(next) => next,
            None => return self.say_wait(out),
        };
        let (frame, _) = intake.ring.get(next)?;
        if !self.fits(frame) {
            if !frame.is_key() {
                self.next = None; // in the middle of a picture group
                return self.say_wait(out);
            }
            if let Some(piece) = self.begin(frame, out) {
                return Some(piece);
            }
        }
        let bound = limits::LIVE_FRAGMENT_BYTES_MAX;
        self.next = Some(self.packer.write_fragment(&intake, next, bound, out));
        Some(Piece::Binary)
    }

    /// Finds the next frame, which may belong to a newer picture group.
    fn find_next(&mut self, intake: &Intake) -> Option<u64> {
        let ring = &intake.ring;
        let numbers = ring.numbers();
        if self.watching.state() != State::Live && self.next.is_none_or(|next| next >= numbers.end)
        {
            self.next = None;
            return None;
        }
        // After a pause, the newest picture group may still date from before it.
        let newest_key = ring.key_until(numbers.end).filter(|&key| intake.is_current(key));
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

    /// Returns true if a frame continues the viewer's init segment and time line.
    fn fits(&self, frame: &Frame) -> bool {
        self.told == Told::Init && !self.jumped && self.packer.fits(frame)
    }

    /// Starts with a key frame: appends what must precede it, if anything.
    fn begin(&mut self, key: &Frame, out: &mut Vec<u8>) -> Option<Piece> {
        if self.told == Told::Init && self.packer.has_head_of(key) {
            self.rebase(key);
            return None;
        }
        match (self.form, &self.told) {
            // File players do not accept a second head.
            (Form::File, Told::Init) => Some(Piece::End),
            (Form::Messages, Told::Nothing | Told::Wait(_) | Told::Init) => {
                out.extend_from_slice(mime_type(&key.parameter_sets).as_bytes());
                self.told = Told::Codec;
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

    fn rebase(&mut self, key: &Frame) {
        self.jumped = false;
        self.packer.go_on_with(key);
    }

    /// Sends the reason for waiting, once.
    fn say_wait(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        if self.form == Form::File || self.next.is_some() {
            return None;
        }
        let text = match (self.watching.state(), self.watching.last_error()) {
            (State::Live, _) => "wait: for the camera's next key frame".to_owned(),
            (_, Some(error)) => format!("wait: {error}"),
            (_, None) => "wait: connecting to the camera".to_owned(),
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

/// The type as Media Source Extensions expect it.
pub(super) fn mime_type(parameter_sets: &ParameterSets) -> String {
    format!("video/mp4; codecs=\"{}\"", parameter_sets.mime())
}
