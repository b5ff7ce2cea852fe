//! Quirks: deviations of certain cameras from the RFCs, each with a name; none by default.
//!
//! Replies are changed as text, frames as payloads and packets. A recorder must cope with all of
//! them.

use crate::clip::Codec;
use crate::message::Reply;

macro_rules! quirks {
    ($($(#[$doc:meta])* $quirk:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Quirk {
            $($(#[$doc])* $quirk,)*
        }

        impl Quirk {
            /// All quirks with their names.
            pub const ALL: &[(&str, Quirk)] = &[$(($name, Quirk::$quirk),)*];
        }
    };
}

quirks! {
    /// `Content-Base: 127.0.0.1:8554/cam/`.
    ContentBaseWithoutScheme = "content-base-without-scheme",
    /// `ssrc= d6d6627`.
    SpacesInSsrc = "spaces-in-ssrc",
    /// A comma instead of a semicolon.
    CommaBeforeSsrc = "comma-before-ssrc",
    SemicolonBehindRtpInfo = "semicolon-behind-rtp-info",
    WrongRtpInfo = "wrong-rtp-info",
    /// Sender reports and goodbyes of a source that sends nothing.
    StrangeReports = "strange-reports",
    /// Packets of a payload type that the description does not know.
    StrangePayloadTypes = "strange-payload-types",
    /// Packets of another payload type than the description announces.
    OtherPayloadType = "other-payload-type",
    /// PLAY is answered with another session id than SETUP.
    OtherSessionId = "other-session-id",
    /// Packets of another session, on our channel.
    TwoSources = "two-sources",
    NoContentType = "no-content-type",
    SdpWithoutOrigin = "sdp-without-origin",
    UnreadableMedia = "unreadable-media",
    /// NAL units with start codes between them in one payload.
    StartCodes = "start-codes",
    /// Marker bit on packets of parameter sets and SEI.
    EarlyMarkers = "early-markers",
    /// The type in the FU header changes after the first fragment.
    ChangingFragmentType = "changing-fragment-type",
    EmptyFragments = "empty-fragments",
    JunkAfterSps = "junk-after-sps",
    /// Interleaved channels 6 and 7, whatever was requested.
    OtherChannels = "other-channels",
    /// The reply says channels 6 and 7; packets come on those requested.
    UntrueChannels = "untrue-channels",
    /// `RTP/AVP` answered for `RTP/AVP/TCP`.
    AvpForTcp = "avp-for-tcp",
    /// Blocks of a channel that was not set up.
    StrangeChannel = "strange-channel",
    /// Basic before Digest.
    SeveralChallenges = "several-challenges",
    /// The connection ends after a 401; the challenge is valid on the next one.
    CloseBehindChallenge = "close-behind-challenge",
    /// OPTIONS is answered with 404.
    NoOptions = "no-options",
    /// GET_PARAMETER is not announced, and ends the connection.
    DropOnGetParameter = "drop-on-get-parameter",
    /// GET_PARAMETER is announced but answered with 454.
    NoGetParameter = "no-get-parameter",
    /// The reply to SETUP for UDP names no port of the server.
    NoServerPort = "no-server-port",
    NoTransport = "no-transport",
    /// Sender reports contain the time since the camera was switched on.
    NoWallTime = "no-wall-time",
}

/// The quirks of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quirks(pub Vec<Quirk>);

impl Quirks {
    pub fn has(&self, quirk: Quirk) -> bool {
        self.0.contains(&quirk)
    }

    pub(crate) fn reply(&self, method: &str, mut reply: Reply) -> Reply {
        if self.has(Quirk::ContentBaseWithoutScheme) {
            reply.edit("Content-Base", |value| Some(value.replace("rtsp://", "")));
        }
        if self.has(Quirk::NoContentType) {
            reply.edit("Content-Type", |_| None);
        }
        if self.has(Quirk::SpacesInSsrc) {
            reply.edit("Transport", |value| Some(value.replace("ssrc=", "ssrc= ")));
        }
        if self.has(Quirk::CommaBeforeSsrc) {
            reply.edit("Transport", |value| Some(value.replace(";ssrc", ",ssrc")));
        }
        if self.has(Quirk::AvpForTcp) {
            reply.edit("Transport", |value| Some(value.replace("RTP/AVP/TCP", "RTP/AVP")));
        }
        if self.has(Quirk::NoServerPort) {
            let without = |value: &str| value.split(";server_port").next().map(str::to_owned);
            reply.edit("Transport", without);
        }
        if self.has(Quirk::NoTransport) {
            reply.edit("Transport", |_| None);
        }
        if self.has(Quirk::SemicolonBehindRtpInfo) {
            reply.edit("RTP-Info", |value| Some(format!("{value};")));
        }
        if self.has(Quirk::WrongRtpInfo) {
            let wrong = "url=rtsp://10.0.0.1/H264;seq=70000;rtptime=-1";
            reply.edit("RTP-Info", |_| Some(wrong.into()));
        }
        if self.has(Quirk::OtherSessionId) && method == "PLAY" {
            reply.edit("Session", |value| Some(format!("9{value}")));
        }
        if self.has(Quirk::DropOnGetParameter) {
            reply.edit("Public", |value| Some(value.replace(" GET_PARAMETER,", "")));
        }
        reply
    }

    pub(crate) fn description(&self, sdp: &str) -> String {
        let mut sdp = sdp.to_owned();
        if self.has(Quirk::SdpWithoutOrigin) {
            sdp = sdp.split_inclusive('\n').filter(|line| !line.starts_with("o=")).collect();
        }
        if self.has(Quirk::UnreadableMedia) {
            sdp.push_str("m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\n");
            sdp.push_str("a=rtpmap:95 TP-LINK/90000\r\na=control:track3\r\nm=\r\n");
        }
        sdp
    }

    /// Changes NAL units before they are cut into payloads.
    pub(crate) fn nal_units(&self, codec: Codec, nals: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let is_sps = |nal: &[u8]| match codec {
            Codec::H264 => codec.nal_type(nal) == 7,
            Codec::H265 => codec.nal_type(nal) == 33,
            Codec::Jpeg => false,
        };
        let mut nals = nals;
        if self.has(Quirk::JunkAfterSps) {
            for nal in nals.iter_mut().filter(|nal| is_sps(nal)) {
                nal.extend_from_slice(&[0x7e, 0x21]);
            }
        }
        if self.has(Quirk::StartCodes) {
            nals = vec![nals.join(&[0, 0, 0, 1][..])];
        }
        nals
    }

    /// Changes a frame's payloads.
    pub(crate) fn payloads(&self, codec: Codec, payloads: &mut Vec<Vec<u8>>) {
        // The position of the FU header.
        let fragment = |payload: &[u8]| match codec {
            Codec::H264 => (codec.nal_type(payload) == 28).then_some(1),
            Codec::H265 => (codec.nal_type(payload) == 49).then_some(2),
            Codec::Jpeg => None,
        };
        if self.has(Quirk::ChangingFragmentType) {
            for payload in payloads.iter_mut() {
                if let Some(byte) = fragment(payload).and_then(|at| payload.get_mut(at))
                    && *byte & 0x80 == 0
                {
                    *byte = *byte & 0xc0 | 1;
                }
            }
        }
        if self.has(Quirk::EmptyFragments) {
            let empty = |payload: &Vec<u8>| {
                let at = fragment(payload).filter(|at| payload[*at] & 0x40 == 0)?;
                let mut empty = payload[..=at].to_vec();
                empty[at] &= 0x3f;
                Some(empty)
            };
            let doubled = payloads.drain(..).flat_map(|it| {
                let empty = empty(&it);
                [Some(it), empty]
            });
            *payloads = doubled.flatten().collect::<Vec<_>>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Status;

    #[test]
    fn quirks_change_replies() {
        let reply = |quirk, name: &str, value: &str| {
            let reply = Reply::new(Status::Ok, Some("1")).header(name, value);
            let bytes = Quirks(vec![quirk]).reply("PLAY", reply).to_bytes();
            let text = String::from_utf8(bytes).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.map(str::to_owned)
        };
        let base = reply(Quirk::ContentBaseWithoutScheme, "Content-Base", "rtsp://h/x/");
        assert_eq!(base.as_deref(), Some("h/x/"));
        assert_eq!(reply(Quirk::NoTransport, "Transport", "RTP/AVP"), None);
        let ports = reply(Quirk::NoServerPort, "Transport", "a;client_port=1-2;server_port=3-4");
        assert_eq!(ports.as_deref(), Some("a;client_port=1-2"));
        assert_eq!(reply(Quirk::OtherSessionId, "Session", "7").as_deref(), Some("97"));
    }

    #[test]
    fn names_are_unique() {
        for (index, (name, _)) in Quirk::ALL.iter().enumerate() {
            assert!(!Quirk::ALL[..index].iter().any(|(other, _)| other == name), "{name}");
        }
    }
}
