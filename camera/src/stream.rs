//! Streams: a clip under a name, and how it is played.

use std::sync::Mutex;

use crate::clip::{Clip, Frame};
use crate::faults::Faults;
use crate::locked;
use crate::metadata::{self, Metadata};
use crate::packetize::Aggregation;
use crate::quirks::Quirks;
use crate::sdp::{self, Announced, ParameterSets};
use crate::sound::Sound;
use crate::statistics::TransportKind;

/// How a stream is played; [`Default`] is a well-behaved camera.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    pub speed: Speed,
    /// Frames a session sends before [`Then`]; `None`: for ever.
    pub frames: Option<u64>,
    pub then: Then,
    /// The frame of the endlessly repeated clip with which every PLAY begins.
    pub first_frame: u64,
    /// RTP time of the first frame; `None`: different for each session, but the same in each run.
    pub start_timestamp: Option<u32>,
    /// Sequence number of the first packet; `None`: as above.
    pub start_sequence: Option<u16>,
    pub parameter_sets: ParameterSets,
    pub announced: Announced,
    pub aggregation: Aggregation,
    pub transports: Transports,
    /// The timeout announced in the `Session` header.
    pub session_timeout_seconds: u32,
    /// A client that sends nothing for this long is cut off, even if it receives.
    pub timeout: Timeout,
    /// Every n-th request must answer a new challenge.
    pub renew_nonce_every: Option<u64>,
    /// PLAY over this transport succeeds, but no packet follows.
    pub silent_over: Option<TransportKind>,
    /// DESCRIBE is answered with 302 and this address.
    pub redirect: Option<String>,
    /// In mid-session, the frames and parameter sets of another clip follow.
    pub switch: Option<Switch>,
    /// Sound beside the video.
    pub sound: Option<Sound>,
    /// ONVIF metadata beside the video.
    pub metadata: Option<Metadata>,
    pub quirks: Quirks,
    pub faults: Faults,
}

/// From frame `after` of a session on, another clip is played from its beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switch {
    pub after: u64,
    pub clip: Clip,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timeout {
    #[default]
    Announced,
    Enforced,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            speed: Speed::Times(1.0),
            frames: None,
            then: Then::Stay,
            first_frame: 0,
            start_timestamp: None,
            start_sequence: None,
            parameter_sets: ParameterSets::Both,
            announced: Announced::AsItIs,
            aggregation: Aggregation::Small,
            transports: Transports::Any,
            session_timeout_seconds: 60,
            timeout: Timeout::Announced,
            renew_nonce_every: None,
            silent_over: None,
            redirect: None,
            switch: None,
            sound: None,
            metadata: None,
            quirks: Quirks::default(),
            faults: Faults::default(),
        }
    }
}

/// How fast frames are sent; their RTP times do not change.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Speed {
    /// 1 is real time. A TCP client that reads slowly slows it down; nothing is dropped.
    Times(f64),
    /// As fast as the client reads.
    Max,
}

/// What follows the last frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Then {
    /// Silence; the connection stays open and requests are answered.
    #[default]
    Stay,
    /// RTCP BYE, then silence.
    Bye,
    /// The connection closes.
    Close,
}

/// The transports that SETUP may request; others are answered with 461.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transports {
    #[default]
    Any,
    Tcp,
    Udp,
}

/// One stream of a camera.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) clip: Clip,
    pub(crate) options: Options,
    pub(crate) sdp: String,
    faults: Mutex<Faults>,
    /// Documents for all sessions.
    said: Mutex<Vec<String>>,
}

impl Stream {
    pub(crate) fn new(name: String, clip: Clip, options: Options) -> Stream {
        let sdp = sdp::describe(&clip, options.parameter_sets, options.announced);
        let sound = options.sound.as_ref().map(Sound::description).unwrap_or_default();
        let metadata = options.metadata.as_ref().map(|_| metadata::description());
        let sdp = options.quirks.description(&(sdp + &sound + &metadata.unwrap_or_default()));
        let faults = Mutex::new(options.faults.clone());
        Stream { name, clip, options, sdp, faults, said: Mutex::default() }
    }

    /// Frame `number` of a session that begins with frame `first` of the clip.
    pub(crate) fn frame(&self, first: u64, number: u64) -> Frame<'_> {
        match &self.options.switch {
            Some(Switch { after, clip }) if number >= *after => {
                let (start, frame) = (self.clip.frame(first + after), clip.frame(number - after));
                let (pts, send_time) = (start.pts + frame.pts, start.send_time + frame.send_time);
                Frame { unit: frame.unit, pts, send_time }
            }
            _ => self.clip.frame(first + number),
        }
    }

    pub(crate) fn say(&self, document: String) {
        locked(&self.said).push(document);
    }

    /// The documents from number `first` on.
    pub(crate) fn said_since(&self, first: usize) -> Vec<String> {
        locked(&self.said).get(first..).unwrap_or_default().to_vec()
    }

    /// The current faults.
    pub(crate) fn faults(&self) -> Faults {
        locked(&self.faults).clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *locked(&self.faults) = faults;
    }
}
