//! Live view: frames of a ring in, fragmented MP4 out; each viewer has a time line of its own.
//!
//! A stream starts at the newest key frame. A viewer too slow for the stream skips to the newest
//! key frame; skipped frames are counted.
//! Knows nothing of: sockets, the card.

use super::{
    Web,
    answer::{Piece, Source},
    packer::Packer,
    places::Client,
};
use crate::{
    camera::State,
    codec::{self, AudioFormat, ParameterSets},
    daemon::{Station, Watching},
    limits,
    media::{Follower, Frame, Intake},
    mp4::init::write_live_init,
};
use std::{pin::Pin, rc::Rc};

/// How the stream is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// An endless file, which ends when the parameter sets change.
    File,
    /// WebSocket messages: a MIME type as text before each init segment, and a reason while there
    /// is none.
    Messages,
}

/// One viewer.
pub(super) struct Live {
    web: Rc<Web>,
    station: Rc<Station>,
    watching: Watching,
    framing: Framing,
    follower: Follower,
    /// What was last sent.
    told: Told,
    packer: Packer,
    client: Rc<dyn Client>,
    /// The next picture is held back until other clients have read theirs.
    wants_room: bool,
}

#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    /// A message with this reason for waiting.
    Wait(String),
    /// The MIME type; the init segment follows.
    Codec,
    Init,
}

impl Live {
    /// `with_sound`: with the camera's sound, if it sends some and `audio = true`.
    pub fn new(
        web: &Rc<Web>,
        station: Rc<Station>,
        framing: Framing,
        with_sound: bool,
        client: Rc<dyn Client>,
    ) -> Live {
        Live {
            web: Rc::clone(web),
            watching: station.watch(),
            station,
            framing,
            follower: Follower::default(),
            told: Told::Nothing,
            packer: Packer::new(with_sound.then(Box::default)),
            client,
            wants_room: false,
        }
    }

    async fn wait_for_piece(&mut self, out: &mut Vec<u8>) -> Piece {
        // The client has read the previous piece.
        self.web.unread.release(&self.client);
        loop {
            let freed = self.web.unread.freed.changed();
            let changed = self.watching.changed.changed();
            let ending = self.web.daemon.changed.changed();
            if self.web.daemon.is_ending() || self.watching.state() == State::Off {
                return Piece::End;
            }
            if let Some(piece) = self.take(out) {
                return piece;
            }
            let changed = smol::future::or(changed, ending);
            match self.wants_room {
                true => smol::future::or(freed, changed).await,
                false => changed.await,
            }
        }
    }

    /// Returns the next piece if there is one.
    fn take(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        let camera = Rc::clone(self.watching.camera());
        let intake = camera.intake.borrow();
        let next = self.follower.find(&intake, self.watching.state() == State::Live);
        let skipped = &self.station.skipped;
        skipped.set(skipped.get() + self.follower.take_skipped());
        let Some(next) = next else { return self.say_wait(out) };
        let (frame, data) = intake.ring.get(next)?;
        if !self.fits(&intake, frame) {
            if !frame.is_key() {
                self.follower.lose(); // in the middle of a picture group
                return self.say_wait(out);
            }
            if let Some(piece) = self.begin(&intake, frame, out) {
                return Some(piece);
            }
        }
        let bound = limits::LIVE_FRAGMENT_BYTES_MAX;
        self.wants_room = !self.web.unread.admits(&self.client, data.len());
        if self.wants_room {
            return None;
        }
        self.follower.go_on(self.packer.write_fragment(&intake, next, bound, out));
        Some(Piece::Binary)
    }

    /// Returns true if a frame continues the viewer's init segment and time line.
    fn fits(&self, intake: &Intake, frame: &Frame) -> bool {
        self.told == Told::Init
            && !self.follower.has_jumped
            && self.packer.fits(frame)
            && self.fits_sound(intake)
    }

    /// Returns true if the sound still fits: a file keeps the sound it began with.
    fn fits_sound(&self, intake: &Intake) -> bool {
        self.framing == Framing::File || self.packer.sound.as_ref().is_none_or(|it| it.fits(intake))
    }

    /// Starts with a key frame: appends what must precede it, if anything.
    fn begin(&mut self, intake: &Intake, key: &Frame, out: &mut Vec<u8>) -> Option<Piece> {
        let fits = self.packer.has_head_of(key) && self.fits_sound(intake);
        if self.told == Told::Init && fits {
            self.rebase(intake, key);
            return None;
        }
        match (self.framing, &self.told) {
            // File players do not accept a second head.
            (Framing::File, Told::Init) => Some(Piece::End),
            (Framing::Messages, Told::Nothing | Told::Wait(_) | Told::Init) => {
                if let Some(sound) = &mut self.packer.sound {
                    sound.choose(intake);
                }
                out.extend_from_slice(mime_type(&key.parameter_sets, self.sound()).as_bytes());
                self.told = Told::Codec;
                Some(Piece::Text)
            }
            (Framing::File, _) | (Framing::Messages, Told::Codec) => {
                if let (Framing::File, Some(sound)) = (self.framing, &mut self.packer.sound) {
                    sound.choose(intake);
                }
                write_live_init(out, &key.parameter_sets, self.sound());
                self.told = Told::Init;
                self.rebase(intake, key);
                Some(Piece::Binary)
            }
        }
    }

    fn rebase(&mut self, intake: &Intake, key: &Frame) {
        self.follower.has_jumped = false;
        self.packer.go_on_with(intake, key);
    }

    /// The sound that the head announces.
    fn sound(&self) -> Option<&AudioFormat> {
        self.packer.sound.as_ref()?.format()
    }

    /// Sends the reason for waiting, once.
    fn say_wait(&mut self, out: &mut Vec<u8>) -> Option<Piece> {
        if self.framing == Framing::File || self.follower.has_place() {
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

impl Drop for Live {
    fn drop(&mut self) {
        self.web.unread.release(&self.client);
    }
}

impl Source for Live {
    fn next<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Pin<Box<dyn Future<Output = Piece> + 'a>> {
        Box::pin(self.wait_for_piece(out))
    }
}

/// The type as Media Source Extensions expect it.
pub(super) fn mime_type(parameter_sets: &ParameterSets, sound: Option<&AudioFormat>) -> String {
    ["video/mp4; codecs=\"", &codec::mime(parameter_sets, sound), "\""].concat()
}
