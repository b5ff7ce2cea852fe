//! Values of RTSP header fields: text in, typed values out.
//!
//! Spec: RFC 2326 §12.14, §12.29, §12.33, §12.37, §12.39.

use super::presentation::TrackTransport;
use crate::{limits::SESSION_TIMEOUT_DEFAULT, units::RtpTime};
use std::time::Duration;

/// `Session` (§12.37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionField<'a> {
    pub(super) id: &'a str,
    pub(super) timeout: Option<Duration>,
}

/// The server's choice in `Transport` (§12.39).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransportField {
    pub(super) channels: Channels,
    pub(super) ssrc: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Named(TrackTransport),
    /// Neither channels nor ports: those requested.
    AsAsked,
    /// The server sends UDP, from these ports if it names them.
    Ports(Option<(u16, u16)>),
}

/// One entry of `RTP-Info` (§12.33). Only a hint: cameras send wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpInfoEntry<'a> {
    pub(super) url: &'a str,
    pub(super) sequence: Option<u16>,
    pub(super) time: Option<RtpTime>,
    pub(super) ssrc: Option<u32>,
}

impl<'a> SessionField<'a> {
    /// `None` without an id. A timeout of 0 s or longer than the default counts as the default:
    /// asking too often does no harm.
    pub(super) fn parse(value: &'a str) -> Option<SessionField<'a>> {
        let mut parts = value.split(';');
        let id = parts.next()?.split_whitespace().next()?;
        let timeout = parts
            .filter_map(parameter)
            .find(|(name, _)| name.eq_ignore_ascii_case("timeout"))
            .and_then(|(_, seconds)| seconds.parse().ok())
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(seconds).min(SESSION_TIMEOUT_DEFAULT));
        Some(SessionField { id, timeout })
    }
}

impl TransportField {
    /// Quirk: some firmware answers `RTP/AVP` when asked for `RTP/AVP/TCP`, and sends interleaved
    /// anyway: what matters is whether it names ports.
    pub(super) fn parse(value: &str) -> TransportField {
        let mut field = TransportField { channels: Channels::AsAsked, ssrc: None };
        // If there are several, the first was chosen.
        for (name, value) in
            value.split(',').next().unwrap_or_default().split(';').filter_map(parameter)
        {
            if name.eq_ignore_ascii_case("interleaved") {
                if let Some(channels) = interleaved(value) {
                    field.channels = Channels::Named(channels);
                }
            } else if name.eq_ignore_ascii_case("server_port") {
                if !matches!(field.channels, Channels::Named(_)) {
                    field.channels = Channels::Ports(pair(value));
                }
            } else if name.eq_ignore_ascii_case("client_port") {
                if field.channels == Channels::AsAsked {
                    field.channels = Channels::Ports(None);
                }
            } else if name.eq_ignore_ascii_case("ssrc") {
                field.ssrc = ssrc(value);
            }
        }
        field
    }
}

impl RtpInfoEntry<'_> {
    /// Returns true if it refers to the track with that control URL; its own may be relative.
    pub(super) fn is_of(&self, control: &str) -> bool {
        fn last_segment(url: &str) -> &str {
            url.rsplit('/').next().unwrap_or_default()
        }
        self.url == control || last_segment(self.url) == last_segment(control)
    }
}

/// Parses the entries of an `RTP-Info` value.
///
/// Quirk: Laureii cameras end it with `;`, and values may be wrong or not numbers (`rtptime=-1`
/// from Wowza): such a part is ignored.
pub(super) fn rtp_info(value: &str) -> impl Iterator<Item = RtpInfoEntry<'_>> {
    value.split(',').filter_map(|entry| {
        let mut info = RtpInfoEntry { url: "", sequence: None, time: None, ssrc: None };
        // The URL may contain `=` and even `;` in its query: the last of each name counts.
        for (name, value) in entry.split(';').filter_map(parameter) {
            if name.eq_ignore_ascii_case("url") {
                info.url = value;
            } else if name.eq_ignore_ascii_case("seq") {
                info.sequence = value.parse().ok();
            } else if name.eq_ignore_ascii_case("rtptime") {
                info.time = value.parse().ok().map(RtpTime);
            } else if name.eq_ignore_ascii_case("ssrc") {
                info.ssrc = ssrc(value);
            }
        }
        (!info.url.is_empty()).then_some(info)
    })
}

/// Returns true if a list of methods (`Public`, §12.28) contains this one.
pub(super) fn lists(public: &str, method: &str) -> bool {
    public.split([',', ' ']).any(|item| item.eq_ignore_ascii_case(method))
}

/// Splits `name=value`, without blanks and quotes.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim(), value.trim().trim_matches('"')))
}

/// Parses `0-1`, or `0` with the next one for RTCP.
fn interleaved(value: &str) -> Option<TrackTransport> {
    let (rtp, rtcp) = value.split_once('-').map_or((value, None), |(a, b)| (a, Some(b)));
    let rtp = rtp.trim().parse().ok()?;
    let rtcp = rtcp.and_then(|text| text.trim().parse().ok()).unwrap_or(u8::wrapping_add(rtp, 1));
    Some(TrackTransport::Interleaved { rtp, rtcp })
}

/// Parses `6970-6971`, or `6970` with the next one for RTCP; `None` if one is 0 or not a port.
fn pair(value: &str) -> Option<(u16, u16)> {
    let (rtp, rtcp) = value.split_once('-').map_or((value, None), |(a, b)| (a, Some(b)));
    let rtp: u16 = rtp.trim().parse().ok()?;
    let rtcp = rtcp.and_then(|text| text.trim().parse().ok()).or(rtp.checked_add(1))?;
    (rtp > 0 && rtcp > 0).then_some((rtp, rtcp))
}

/// Eight hexadecimal digits (§12.39).
///
/// Quirk: Hikvision pads with blanks (`ssrc= d6d6627`), Rubetek writes `0x`, others fewer digits.
/// It is a hint: an unreadable one is ignored.
fn ssrc(value: &str) -> Option<u32> {
    let value = value.trim();
    let digits = value.strip_prefix("0x").unwrap_or(value);
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(value: &str) -> Option<(&str, Option<u64>)> {
        SessionField::parse(value).map(|field| (field.id, field.timeout.map(|t| t.as_secs())))
    }

    #[test]
    fn a_session_field_has_an_id_and_perhaps_a_timeout() {
        assert_eq!(session("9a90de54; timeout=60"), Some(("9a90de54", Some(60))));
        assert_eq!(session("       708345999;Timeout = 30 ;x"), Some(("708345999", Some(30))));
        assert_eq!(session("F8F8E425"), Some(("F8F8E425", None)));
        assert_eq!(session("1;timeout=0"), Some(("1", None)));
        assert_eq!(session("1;timeout=99999999999"), Some(("1", Some(60))));
        assert_eq!(session("1;timeout=x"), Some(("1", None)));
        assert_eq!(session(";timeout=60"), None);
        assert_eq!(session(""), None);
    }

    #[test]
    fn a_transport_field_names_channels_ports_or_neither() {
        let channels = |value| TransportField::parse(value).channels;
        let named = |rtp, rtcp| Channels::Named(TrackTransport::Interleaved { rtp, rtcp });
        assert_eq!(channels("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=30A98EE7"), named(0, 1));
        assert_eq!(channels("RTP/AVP;unicast;interleaved=4-7"), named(4, 7));
        assert_eq!(channels("RTP/AVP/TCP;interleaved=6"), named(6, 7));
        assert_eq!(channels("RTP/AVP/TCP;unicast"), Channels::AsAsked);
        assert_eq!(channels("RTP/AVP/TCP;interleaved=256-257"), Channels::AsAsked);
        let ports = |pair| Channels::Ports(pair);
        assert_eq!(channels("RTP/AVP;client_port=4-5;server_port=6-7"), ports(Some((6, 7))));
        assert_eq!(channels("RTP/AVP;server_port=6;client_port=4-5"), ports(Some((6, 7))));
        assert_eq!(channels("RTP/AVP;client_port=4-5"), ports(None));
        assert_eq!(channels("RTP/AVP;client_port=4-5;server_port=0-0"), ports(None));
        assert_eq!(channels("RTP/AVP;client_port=4-5;server_port=65535"), ports(None));
        assert_eq!(channels("RTP/AVP/TCP;client_port=4-5;interleaved=0-1"), named(0, 1));
        assert_eq!(channels(""), Channels::AsAsked);
    }

    #[test]
    fn an_ssrc_is_hexadecimal() {
        let ssrc = |value| TransportField::parse(value).ssrc;
        assert_eq!(ssrc("RTP/AVP/TCP;ssrc=30A98EE7;interleaved=0-1"), Some(0x30a9_8ee7));
        assert_eq!(ssrc("RTP/AVP/TCP;ssrc=0x1f"), Some(0x1f));
        assert_eq!(ssrc("RTP/AVP/TCP;ssrc=1234567890"), None);
        assert_eq!(ssrc("RTP/AVP/TCP"), None);
    }

    #[test]
    fn an_rtp_info_field_has_an_entry_for_each_track() {
        let value = "url=trackID=1;seq=16852;rtptime=1070938629;ssrc=dcc4a0d8,\
                     url=rtsp://h/x?a=b/trackID=2;seq=1;rtptime=-1";
        let entries: Vec<_> = rtp_info(value).collect();
        assert_eq!(
            entries,
            [
                RtpInfoEntry {
                    url: "trackID=1",
                    sequence: Some(16852),
                    time: Some(RtpTime(1_070_938_629)),
                    ssrc: Some(0xdcc4_a0d8),
                },
                RtpInfoEntry {
                    url: "rtsp://h/x?a=b/trackID=2",
                    sequence: Some(1),
                    time: None,
                    ssrc: None,
                },
            ]
        );
        assert_eq!(rtp_info(" ,;;seq=1").count(), 0);
    }

    #[test]
    fn public_lists_methods() {
        let public = "OPTIONS, DESCRIBE,get_parameter";
        assert!(lists(public, "GET_PARAMETER") && lists(public, "DESCRIBE"));
        assert!(!lists(public, "SET_PARAMETER") && !lists(public, "PARAMETER"));
    }
}
