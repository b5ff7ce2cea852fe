//! Session descriptions: the body of a DESCRIBE reply in, its tracks out.
//!
//! Spec: RFC 4566, RFC 2326 appendix C, RFC 6184 §8.2, RFC 7798 §7.2. There are no errors:
//! unreadable parts are skipped.
//! Knows nothing of: requests, the content of parameter sets.

use super::presentation::{Media, Presentation, Track};
use crate::{
    codec::Codec,
    limits::{PARAMETER_SET_BYTES_MAX, SDP_MEDIA_MAX, SDP_PARAMETER_SETS_MAX},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Parses an SDP; relative URLs in it refer to `base` (RFC 2326 §C.1.1).
pub(super) fn parse(sdp: &str, base: &str) -> Presentation {
    let mut presentation = Presentation { control: base.to_owned(), tracks: Vec::new() };
    let mut place = Place::Session;
    let mut sections = 0;
    // Some end it like a C string.
    for line in sdp.split(['\r', '\n', '\0']) {
        let Some((kind, value)) = line.trim().split_once('=') else { continue };
        match (kind.trim_end(), &mut place) {
            ("m", _) => {
                place.leave(base, &mut presentation);
                sections += 1;
                place = match Section::new(value) {
                    Some(section) if sections <= SDP_MEDIA_MAX => Place::Section(section),
                    _ => Place::Skipped,
                };
            }
            ("a", Place::Section(section)) => section.attribute(value),
            ("a", Place::Session) => {
                if let Some(control) = value.trim_start().strip_prefix("control:") {
                    presentation.control = joined(base, control.trim());
                }
            }
            _ => {}
        }
    }
    place.leave(base, &mut presentation);
    presentation
}

/// Returns the base of relative URLs in a DESCRIBE reply: Content-Base, Content-Location or the
/// request URI (RFC 2326 §C.1.1). It is used in request lines, so line ends from folded fields are
/// removed.
pub(super) fn base(fields: [Option<&str>; 2], uri: &str) -> String {
    let urls =
        fields.into_iter().flatten().filter_map(|value| value.split(char::is_control).next());
    match urls.map(str::trim_end).find(|value| !value.is_empty()) {
        Some(value) if value.starts_with('/') => {
            let authority = uri.strip_prefix("rtsp://").unwrap_or_default();
            let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
            ["rtsp://", authority, value].concat()
        }
        Some(value) => with_scheme(value),
        None => uri.to_owned(),
    }
}

/// Quirk: Anjvision (SV3C SV-B01POE-1080P-L) sends `192.168.1.10:554/stream0/`; RFC 2326 §12.11
/// requires an absolute URL. Vikylin (YC2367C-ISU-28) sends `rtsp://rtsp://10.1.8.83:554/stream0/`.
fn with_scheme(base: &str) -> String {
    let base = base.strip_prefix("rtsp://").filter(|it| it.starts_with("rtsp:")).unwrap_or(base);
    if base.contains("://") { base.to_owned() } else { ["rtsp://", base].concat() }
}

/// Makes `control` an absolute URL. Cameras mean "appended to the base", whatever RFC 1808 says
/// about a base without a trailing slash or with a query (Dahua, GW Security), and all clients do
/// that.
fn joined(base: &str, control: &str) -> String {
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    if control.contains("://") {
        return control.to_owned();
    }
    let control = control.strip_prefix('/').unwrap_or(control);
    let slash = if base.ends_with('/') || control.starts_with('?') { "" } else { "/" };
    [base, slash, control].concat()
}

/// The section of a line.
enum Place {
    /// Before the first `m=`.
    Session,
    Section(Section),
    /// In an unreadable section, or one too many.
    Skipped,
}

/// The lines of an `m=` section.
struct Section {
    kind: String,
    formats: Vec<u8>,
    /// Payload types and their descriptions.
    maps: Vec<(u8, String)>,
    parameters: Vec<(u8, String)>,
    control: String,
}

impl Place {
    fn leave(&mut self, base: &str, presentation: &mut Presentation) {
        if let Place::Section(section) = std::mem::replace(self, Place::Skipped) {
            presentation.tracks.extend(section.into_track(base));
        }
    }
}

impl Section {
    /// Parses `video 0 RTP/AVP 96`.
    ///
    /// Quirk: TP-Link (TL-IPC44AW) has `application/TP-LINK 0 RTP/AVP smart/1/90000`: a section
    /// without a payload type is skipped with all its lines.
    fn new(value: &str) -> Option<Section> {
        let mut words = value.split_whitespace();
        let kind = words.next()?.to_owned();
        let formats: Vec<u8> =
            words.skip(2).filter_map(|word| word.parse().ok()).filter(|pt| *pt < 128).collect();
        if formats.is_empty() {
            return None;
        }
        let (maps, parameters, control) = Default::default();
        Some(Section { kind, formats, maps, parameters, control })
    }

    fn attribute(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let value = value.trim();
        match name.trim() {
            "control" => self.control = value.to_owned(),
            "rtpmap" => self.maps.extend(numbered(value)),
            "fmtp" => self.parameters.extend(numbered(value)),
            _ => {}
        }
    }

    /// Returns the track of the first supported format, or else of the first.
    fn into_track(self, base: &str) -> Option<Track> {
        let mut formats = self.formats.iter().map(|payload_type| self.format(*payload_type));
        let first = formats.next()?;
        let is_recordable = |format: &Format| matches!(format.media, Media::Video(_));
        let Format { media, payload_type, encoding, clock_rate, channels } =
            if is_recordable(&first) {
                first
            } else {
                formats.find(is_recordable).unwrap_or(first)
            };
        let mine = |(number, parameters): &(u8, String)| {
            self.is_meant(*number, payload_type).then(|| parameters.clone())
        };
        let format_parameters =
            self.parameters.iter().filter_map(mine).collect::<Vec<_>>().join("; ");
        let parameter_sets = match media {
            Media::Video(codec) => parameter_sets(codec, &format_parameters),
            _ => Vec::new(),
        };
        Some(Track {
            media,
            encoding,
            payload_type,
            clock_rate,
            channels,
            control: joined(base, &self.control),
            format_parameters,
            parameter_sets,
            transport: None,
            is_refused: false,
            ssrc: None,
            rtp_info: None,
        })
    }

    /// Whether a line of the section is about a payload type. Quirk: of a section with one format
    /// the lines have another number than the first.
    fn is_meant(&self, number: u8, payload_type: u8) -> bool {
        number == payload_type || self.formats.len() == 1 && payload_type >= DYNAMIC_MIN
    }

    /// What `rtpmap` or RFC 3551 §6 says of a payload type. Quirk: no `rtpmap`; the sets of `fmtp`
    /// tell.
    fn format(&self, payload_type: u8) -> Format {
        let map = self.maps.iter().find(|(number, _)| self.is_meant(*number, payload_type));
        let known = || STATIC_MAPS.iter().find(|(number, _)| *number == payload_type);
        let has = |name: &str| {
            let mut parameters = self.parameters.iter();
            parameters.any(|(number, it)| self.is_meant(*number, payload_type) && it.contains(name))
        };
        let map = match (map, known()) {
            (Some((_, map)), _) => map.as_str(),
            (None, Some((_, map))) => map,
            (None, None) if has("sprop-parameter-sets") => "H264",
            (None, None) if has("sprop-sps") => "H265",
            (None, None) => "unknown",
        };
        let mut parts = map.split('/').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let encoding: String = name.chars().filter(char::is_ascii_graphic).take(32).collect();
        let media = match self.kind.as_str() {
            "video" if encoding.eq_ignore_ascii_case("H264") => Media::Video(Codec::H264),
            "video" if ["H265", "HEVC"].iter().any(|name| encoding.eq_ignore_ascii_case(name)) => {
                Media::Video(Codec::H265)
            }
            "video" => Media::OtherVideo,
            "audio" => Media::Audio,
            _ => Media::Other,
        };
        let usual_rate = if media == Media::Audio { 8000 } else { 90_000 };
        let clock_rate = parts.next().and_then(|rate| rate.parse().ok()).filter(|rate| *rate > 0);
        Format {
            media,
            payload_type,
            encoding,
            clock_rate: clock_rate.unwrap_or(usual_rate),
            channels: parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1),
        }
    }
}

struct Format {
    media: Media,
    payload_type: u8,
    encoding: String,
    clock_rate: u32,
    channels: u8,
}

/// Splits `96 something` into payload type and rest.
fn numbered(value: &str) -> Option<(u8, String)> {
    let (number, rest) = value.split_once([' ', '\t'])?;
    Some((number.parse().ok()?, rest.trim().to_owned()))
}

/// Decodes the NAL units in the `sprop-` parameters of `fmtp`; empty, too long, too many or invalid
/// ones are skipped.
fn parameter_sets(codec: Codec, format_parameters: &str) -> Vec<Vec<u8>> {
    let names: &[&str] = match codec {
        Codec::H264 => &["sprop-parameter-sets"],
        Codec::H265 => &["sprop-vps", "sprop-sps", "sprop-pps"],
    };
    let mut sets = Vec::new();
    for name in names {
        let values = format_parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split(','));
        for value in values {
            let value = value.trim().trim_matches('"');
            if value.len() > PARAMETER_SET_BYTES_MAX * 4 / 3 {
                continue;
            }
            let bytes = BASE64.decode(value).unwrap_or_default();
            sets.extend(nal_units(&bytes).map(<[u8]>::to_vec));
        }
    }
    sets.truncate(SDP_PARAMETER_SETS_MAX * names.len());
    sets
}

/// Quirk: GW Security (GW4089IP) leaves start codes in: `aO48gAAAAAE=` is a PPS and an empty unit.
/// A NAL unit never contains 00 00 01, nor ends in 00 (H.264 §7.4.1).
fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let code = bytes.windows(3).position(|three| three == [0, 0, 1]);
        let (unit, after) = match code.and_then(|at| bytes.split_at_checked(at)) {
            Some((unit, code_and_after)) => (unit, code_and_after.get(3..)),
            None => (bytes, None),
        };
        rest = after;
        let end = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        unit.get(..end)
    })
    .filter(|unit| !unit.is_empty())
}

/// Base64 as written by cameras: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Payload types from here on mean what `rtpmap` says (RFC 3551 §6).
const DYNAMIC_MIN: u8 = 96;
/// The entries of RFC 3551 §6 that cameras use.
const STATIC_MAPS: [(u8, &str); 12] = [
    (0, "PCMU/8000"),
    (3, "GSM/8000"),
    (4, "G723/8000"),
    (8, "PCMA/8000"),
    (9, "G722/8000"),
    (10, "L16/44100/2"),
    (11, "L16/44100"),
    (14, "MPA/90000"),
    (18, "G729/8000"),
    (26, "JPEG/90000"),
    (32, "MPV/90000"),
    (33, "MP2T/90000"),
];

#[cfg(test)]
#[path = "tests/sdp.rs"]
mod tests;
