//! What a camera offers, according to DESCRIBE, SETUP and PLAY: tracks, and the channels that carry
//! them.
//!
//! Spec: RFC 2326 §1.3, §12.33, §12.39.
//! Knows nothing of: requests, the syntax of an SDP.

use super::{
    Delivery, Metadata, PacketKind, Tracks,
    header::{TransportField, rtp_info},
};
use crate::{codec::Codec, rtp::AudioDepacketizer, units::RtpTime};

/// What a server offers under one URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presentation {
    /// The URL for requests about all tracks.
    pub control: String,
    /// In the order of the SDP.
    pub tracks: Vec<Track>,
}

/// One `m=` section, with the results of SETUP and PLAY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub media: Media,
    /// The encoding's name as in the SDP: `H264`, `PCMU`.
    pub encoding: String,
    pub payload_type: u8,
    /// Ticks per second of its RTP time.
    pub clock_rate: u32,
    /// Audio channels (`rtpmap`), 1 by default.
    pub channels: u8,
    /// The URL for SETUP.
    pub control: String,
    /// `fmtp` parameters as written; several lines are joined with `; `.
    pub format_parameters: String,
    /// NAL units of the `sprop-` parameters in order, without start codes; a camera may omit them
    /// and send them in-band.
    pub parameter_sets: Vec<Vec<u8>>,
    /// How its data is delivered; `None` until it is set up.
    pub transport: Option<TrackTransport>,
    /// The server refused to set it up, and it is dispensable.
    pub is_refused: bool,
    /// As stated by SETUP or PLAY: a hint.
    pub ssrc: Option<u32>,
    /// The first packet as stated by PLAY: a hint, because cameras state wrong ones.
    pub rtp_info: Option<RtpInfo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Video(Codec),
    /// Video of another encoding.
    OtherVideo,
    Audio,
    /// Metadata, text.
    Other,
}

/// How a track's packets are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackTransport {
    /// In `$` blocks of these channels.
    Interleaved { rtp: u8, rtcp: u8 },
    /// To this port of ours and the next one, from these of the server if it names them.
    Datagrams { rtp_port: u16, server_ports: Option<(u16, u16)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpInfo {
    pub sequence: Option<u16>,
    pub time: Option<RtpTime>,
}

/// The next step on the way to PLAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    SetUp {
        track: usize,
    },
    Play,
    /// There is no video that can be recorded.
    Nothing,
}

impl Presentation {
    /// Returns the names of all encodings, for messages: `JPEG, PCMU`.
    pub fn encodings(&self) -> String {
        let names: Vec<&str> = self.tracks.iter().map(|track| track.encoding.as_str()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    }

    /// Returns the first track of each wanted kind that is not set up yet.
    pub(super) fn next_wanted(&self, wanted: Tracks, metadata: Metadata) -> Wanted {
        let first = |is_it: fn(&Track) -> bool| self.tracks.iter().position(is_it);
        let is_video: fn(&Track) -> bool = match wanted {
            Tracks::Jpeg => Track::is_jpeg,
            _ => |it| matches!(it.media, Media::Video(_)),
        };
        let Some(video) = first(is_video) else {
            return Wanted::Nothing;
        };
        let audio = match wanted {
            Tracks::Video | Tracks::Jpeg => None,
            Tracks::VideoAndAudio => first(Track::is_wanted_audio),
            Tracks::VideoAndNumbers => first(Track::is_offered_audio),
        };
        let metadata = match metadata {
            Metadata::No => None,
            Metadata::IfOffered => first(Track::is_metadata),
        };
        let is_missing = |track: &usize| self.tracks.get(*track).is_some_and(Track::is_not_set_up);
        match [Some(video), audio, metadata].into_iter().flatten().find(is_missing) {
            Some(track) => Wanted::SetUp { track },
            None => Wanted::Play,
        }
    }

    /// Returns true if the camera offers sound that was not set up.
    pub fn has_sound_apart(&self) -> bool {
        self.tracks.iter().any(|track| track.is_offered_audio() && track.is_not_set_up())
    }

    /// Returns the track and kind of a channel, if it was set up.
    pub(super) fn channel(&self, channel: u8) -> Option<(usize, PacketKind)> {
        self.tracks.iter().enumerate().find_map(|(track, it)| match it.transport? {
            TrackTransport::Interleaved { rtp, .. } if rtp == channel => {
                Some((track, PacketKind::Rtp))
            }
            TrackTransport::Interleaved { rtcp, .. } if rtcp == channel => {
                Some((track, PacketKind::Rtcp))
            }
            TrackTransport::Interleaved { .. } | TrackTransport::Datagrams { .. } => None,
        })
    }

    /// Returns true if another track already uses this transport.
    ///
    /// Quirk: some servers answer every SETUP with the channels of the first one, but send on those
    /// requested.
    pub(super) fn is_taken(&self, transport: TrackTransport) -> bool {
        let TrackTransport::Interleaved { rtp, .. } = transport else { return false };
        self.channel(rtp).is_some()
    }

    /// Returns what the next SETUP asks for: the two channels after the last one used, or the next
    /// ports.
    pub(super) fn free_transport(&self, delivery: Delivery) -> TrackTransport {
        let transports = self.tracks.iter().filter_map(|track| track.transport);
        match delivery {
            Delivery::Interleaved => {
                let last = transports.filter_map(TrackTransport::last_channel).max();
                let rtp = last.map_or(0, |last| last.wrapping_add(1));
                TrackTransport::Interleaved { rtp, rtcp: rtp.wrapping_add(1) }
            }
            Delivery::Datagrams { rtp_ports } => {
                let rtp_port = rtp_ports.get(transports.count()).copied().unwrap_or_default();
                TrackTransport::Datagrams { rtp_port, server_ports: None }
            }
        }
    }

    /// Notes that the server refused a track; returns false if that is indispensable.
    pub(super) fn refuse(&mut self, track: usize) -> bool {
        let track = self.tracks.get_mut(track);
        let track = track.filter(|track| track.media == Media::Audio || track.is_metadata());
        track.map(|track| track.is_refused = true).is_some()
    }

    pub(super) fn is_any_set_up(&self) -> bool {
        !self.tracks.iter().all(Track::is_not_set_up)
    }

    pub(super) fn set_up(
        &mut self,
        track: usize,
        transport: TrackTransport,
        field: &TransportField,
    ) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.transport = Some(transport);
            track.ssrc = field.ssrc;
        }
    }

    /// Applies the value of an `RTP-Info` field.
    ///
    /// Quirk: GW Security (GW4089IP) uses another URL than that of SETUP; with one track there is
    /// no ambiguity.
    pub(super) fn set_rtp_info(&mut self, value: &str) {
        let is_media = |track: &&Track| !track.is_not_set_up() && !track.is_metadata();
        let is_only = self.tracks.iter().filter(is_media).count() == 1;
        for track in self.tracks.iter_mut().filter(|track| !track.is_not_set_up()) {
            let entry = rtp_info(value)
                .find(|entry| entry.is_of(&track.control))
                .or_else(|| rtp_info(value).next().filter(|_| is_only));
            if let Some(entry) = entry {
                track.rtp_info = Some(RtpInfo { sequence: entry.sequence, time: entry.time });
                track.ssrc = entry.ssrc.or(track.ssrc);
            }
        }
    }
}

impl TrackTransport {
    fn last_channel(self) -> Option<u8> {
        match self {
            TrackTransport::Interleaved { rtp, rtcp } => Some(rtp.max(rtcp)),
            TrackTransport::Datagrams { .. } => None,
        }
    }
}

impl Track {
    /// Returns the depacketizer for a sound track; `None` if that kind of sound is not supported.
    pub fn audio(&self) -> Option<AudioDepacketizer> {
        let Track { encoding, clock_rate, channels, format_parameters, .. } = self;
        AudioDepacketizer::new(encoding, *clock_rate, *channels, format_parameters)
    }

    fn is_wanted_audio(&self) -> bool {
        self.is_offered_audio() && self.audio().is_some()
    }

    fn is_offered_audio(&self) -> bool {
        self.media == Media::Audio && !self.is_refused
    }

    /// Returns true for RTP/JPEG (RFC 2435).
    fn is_jpeg(&self) -> bool {
        self.media == Media::OtherVideo && self.encoding.eq_ignore_ascii_case("JPEG")
    }

    /// Returns true for a stream of ONVIF metadata that is not compressed and not refused.
    pub fn is_metadata(&self) -> bool {
        self.encoding.eq_ignore_ascii_case("vnd.onvif.metadata") && !self.is_refused
    }

    fn is_not_set_up(&self) -> bool {
        self.transport.is_none()
    }
}
