//! What a camera's answers mean.
//!
//! Spec: ONVIF Core §8.3 (clock, services, device), Media and Media2 Service Specifications §5
//! (profiles, URIs).

use super::{append, read, text};
use crate::{
    limits::{FIND_PROFILES_MAX, PULL_REFERENCE_BYTES_MAX},
    units::{WallTime, days_of_civil},
    xml::Event,
};
use std::time::Duration;

/// The answer to `GetSystemDateAndTime`; `None` if there is no usable time in it.
pub fn clock(document: &[u8]) -> Option<WallTime> {
    let mut fields = [None::<i64>; 6];
    read(document, &mut |path, event| {
        let ([.., "UTCDateTime", _, name], Event::Text(text)) = (path, event) else { return };
        let at = CLOCK_FIELDS.iter().position(|field| field == name);
        if let Some(field) = at.and_then(|at| fields.get_mut(at)) {
            *field = text.parse().ok();
        }
    });
    let [year, month, day, hour, minute, second] = fields.map(Option::unwrap_or_default);
    // Some cameras say 0000-00-00.
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month);
    let is_time =
        (0..=23).contains(&hour) && (0..=59).contains(&minute) && (0..=60).contains(&second);
    (is_date && (1..=31).contains(&day) && is_time).then(|| {
        let days = days_of_civil(year, month, day);
        WallTime((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
    })
}

/// Where a camera's services for media and events are, as it wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    pub media: Option<String>,
    pub media2: Option<String>,
    pub events: Option<String>,
}

/// The answer to `GetServices`, or to `GetCapabilities`.
pub fn services(document: &[u8]) -> Services {
    let mut services = Services::default();
    let mut namespace = String::new();
    read(document, &mut |path, event| match (path, event) {
        (_, Event::Start(element)) if element.name == "Service" => namespace.clear(),
        ([.., "Service", "Namespace"], Event::Text(text)) => namespace = text.trim().to_owned(),
        ([.., "Service", "XAddr"], Event::Text(text)) => match namespace.as_str() {
            MEDIA => services.media = Some(text.clone().into_owned()),
            MEDIA2 => services.media2 = Some(text.clone().into_owned()),
            EVENTS => services.events = Some(text.clone().into_owned()),
            _ => {}
        },
        ([.., "Capabilities", "Media", "XAddr"], Event::Text(text)) => {
            services.media = Some(text.clone().into_owned());
        }
        ([.., "Capabilities", "Events", "XAddr"], Event::Text(text)) => {
            services.events = Some(text.clone().into_owned());
        }
        _ => {}
    });
    services
}

/// The answer to `GetDeviceInformation`: maker and model.
pub fn information(document: &[u8]) -> (String, String) {
    let (mut maker, mut model) = (String::new(), String::new());
    read(document, &mut |path, event| match (path, event) {
        ([.., "Manufacturer"], Event::Text(text)) => append(&mut maker, text),
        ([.., "Model"], Event::Text(text)) => append(&mut model, text),
        _ => {}
    });
    (maker, model)
}

/// One of a camera's streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub token: String,
    pub name: String,
    /// As the camera writes it: `H264`, `H265`, `JPEG`; empty if it does not say.
    pub codec: String,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub kbit_s: u32,
    /// The lens, or the recorder's channel, that it shows; may be empty.
    pub source: String,
}

impl Profile {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn is_h264(&self) -> bool {
        self.codec.contains("264")
    }

    /// Neither JPEG nor MPEG-4 Part 2.
    fn is_recordable(&self) -> bool {
        self.codec.is_empty() || self.is_h264() || self.codec.contains("265")
    }
}

/// The answer to `GetProfiles` of Media or Media2; at most [`FIND_PROFILES_MAX`], those that are
/// complete.
pub fn profiles(document: &[u8]) -> Vec<Profile> {
    let mut profiles = Vec::new();
    let mut profile = Profile::default();
    read(document, &mut |path, event| match (path, event) {
        ([.., "Profiles"], Event::Start(element)) => {
            profile = Profile::default();
            profile.token = element.attribute("token").unwrap_or_default().into_owned();
        }
        ([.., "Profiles", "Name"], Event::Text(text)) => append(&mut profile.name, text),
        ([.., SOURCE_1 | SOURCE_2, "SourceToken"], Event::Text(text)) => {
            append(&mut profile.source, text);
        }
        (path, Event::Text(text)) => match path {
            [.., VIDEO_1 | VIDEO_2, "Encoding"] => append(&mut profile.codec, text),
            [.., VIDEO_1 | VIDEO_2, "Resolution", "Width"] => {
                profile.width = text.parse().unwrap_or_default();
            }
            [.., VIDEO_1 | VIDEO_2, "Resolution", "Height"] => {
                profile.height = text.parse().unwrap_or_default();
            }
            [.., VIDEO_1 | VIDEO_2, "RateControl", "FrameRateLimit"] => {
                // Media2 has fractions.
                let whole = text.split('.').next().unwrap_or_default();
                profile.fps = whole.parse().unwrap_or_default();
            }
            [.., VIDEO_1 | VIDEO_2, "RateControl", "BitrateLimit"] => {
                profile.kbit_s = text.parse().unwrap_or_default();
            }
            _ => {}
        },
        (_, Event::End("Profiles")) if profiles.len() < FIND_PROFILES_MAX => {
            let profile = std::mem::take(&mut profile);
            if !profile.token.is_empty() {
                profiles.push(profile);
            }
        }
        _ => {}
    });
    profiles
}

/// The profile to record, the largest; and the smallest of H.264 for the live picture, if it is
/// another one and shows the same: recorders have many channels, some cameras two lenses.
pub fn choice(profiles: &[Profile]) -> Option<(&Profile, Option<&Profile>)> {
    let mut main: Option<&Profile> = None;
    for profile in profiles {
        let rank = |it: &Profile| (it.is_recordable(), it.pixels());
        if main.is_none_or(|best| rank(profile) > rank(best)) {
            main = Some(profile);
        }
    }
    let main = main?;
    let small = profiles.iter().filter(|it| it.is_h264() && it.token != main.token);
    let small = small.filter(|it| (1..=main.pixels()).contains(&it.pixels()));
    let is_same =
        |it: &&Profile| it.source == main.source || it.source.is_empty() || main.source.is_empty();
    let small = small.filter(is_same);
    Some((main, small.min_by_key(|it| it.pixels())))
}

/// The answer to `GetStreamUri` or `GetSnapshotUri`, as the camera wrote it.
pub fn uri(document: &[u8]) -> Option<String> {
    let mut uri = String::new();
    read(document, &mut |path, event| {
        if let ([.., "Uri"], Event::Text(text)) = (path, event) {
            uri += text;
        }
    });
    (!uri.is_empty()).then_some(uri)
}

/// How long a subscription lives, by the answer that made or renewed it: the difference of two
/// times, since the camera's clock may be wrong.
pub fn lifetime(document: &[u8]) -> Option<Duration> {
    let (mut begin, mut end) = (None, None);
    read(document, &mut |path, event| match (path, event) {
        ([.., "CurrentTime"], Event::Text(text)) => begin = moment(text),
        ([.., "TerminationTime"], Event::Text(text)) => end = moment(text),
        _ => {}
    });
    end?.checked_sub(begin?).map(Duration::from_secs)
}

/// Reads `2026-11-30T06:00:00Z` as seconds since the month began.
fn moment(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once('T')?;
    let (_, day) = date.rsplit_once('-')?;
    let number = |text: Option<&str>| text.and_then(|it| it.get(..2)?.parse::<u64>().ok());
    let mut parts = time.split(':');
    let (hour, minute, second) =
        (number(parts.next())?, number(parts.next())?, number(parts.next())?);
    Some(((number(Some(day))? * 24 + hour) * 60 + minute) * 60 + second)
}

/// Returns the content of `ReferenceParameters`, to be sent back in a header, with the declarations
/// of its prefixes; empty if it is long or uses others.
pub fn reference(document: &[u8]) -> String {
    let document = text(document);
    let inner = || {
        let (before, rest) = document.split_once("ReferenceParameters>")?;
        let (inner, _) = rest.split_once("ReferenceParameters>")?;
        let inner = inner.rsplit_once("</")?.0.trim();
        let is_fit = inner.len() <= PULL_REFERENCE_BYTES_MAX
            && inner.starts_with('<')
            && !inner.contains("<!");
        let (mut out, mut rest) = (String::new(), Some(inner).filter(|_| is_fit)?);
        // A declaration that is missing at an element is taken from an element around it.
        while let Some((text, tag)) = rest.split_once('<') {
            let (name, after) = tag.split_at(tag.find(['>', '/', ' ', '\t', '\r', '\n'])?);
            (out, rest) = ([&out, text, "<", name].concat(), after);
            if out.len() > PULL_REFERENCE_BYTES_MAX {
                return None;
            }
            let Some((prefix, _)) = name.split_once(':') else { continue };
            let key = ["xmlns:", prefix, "="].concat();
            if !inner.contains(&key) {
                let (_, value) = before.rsplit_once(&key)?;
                let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''))?;
                let end = value.get(1..)?.find(quote)? + 2;
                out = [&out, " ", &key, value.get(..end)?].concat();
            }
        }
        out.push_str(rest);
        Some(out).filter(|out| out.len() <= 2 * PULL_REFERENCE_BYTES_MAX)
    };
    inner().unwrap_or_default()
}

/// A profile's video in Media, and in Media2.
const VIDEO_1: &str = "VideoEncoderConfiguration";
const VIDEO_2: &str = "VideoEncoder";
/// The same of what it shows.
const SOURCE_1: &str = "VideoSourceConfiguration";
const SOURCE_2: &str = "VideoSource";
const CLOCK_FIELDS: [&str; 6] = ["Year", "Month", "Day", "Hour", "Minute", "Second"];
pub const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
pub const EVENTS: &str = "http://www.onvif.org/ver10/events/wsdl";
pub const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
pub const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";
