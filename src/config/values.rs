//! Types of single settings: each is parsed from TOML, and its existence proves that it is in
//! range. As JSON, a URL has `***` in place of its password.

use super::{Camera, Engine, Snapshot, secret};
use crate::{
    http::url::{Target, TargetError},
    limits,
    motion::Area,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData, ops::Deref, path::PathBuf};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// A number known when the program is built.
    ///
    /// # Panics
    /// Out of range.
    pub const fn of(value: u64) -> Self {
        assert!(MIN <= value && value <= MAX, "out of range");
        Bounded(value)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MIN: u64, const MAX: u64>;

        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Number<MIN, MAX> {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
                u64::try_from(value)
                    .ok()
                    .filter(|value| (MIN..=MAX).contains(value))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
            }
        }

        deserializer.deserialize_i64(Number::<MIN, MAX>).map(Bounded)
    }
}

/// A value, or a list of at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<'de, T: From<String>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Paths<T>(PhantomData<T>);

        impl<'de, T: From<String>> Visitor<'de> for Paths<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an absolute path, or a list of them")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Vec<T>, E> {
                if !value.starts_with('/') {
                    return Err(E::invalid_value(de::Unexpected::Str(value), &self));
                }
                Ok(vec![T::from(value.to_owned())])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element::<String>()? {
                    paths.extend(Paths(PhantomData).visit_str::<A::Error>(&path)?);
                }
                if paths.is_empty() {
                    return Err(de::Error::invalid_length(0, &self));
                }
                Ok(paths)
            }
        }

        deserializer.deserialize_any(Paths(PhantomData)).map(OneOrMore)
    }
}

impl Serialize for OneOrMore<PathBuf> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            more => more.serialize(serializer),
        }
    }
}

/// The cameras in order, with distinct names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cameras(pub(super) Vec<Camera>);

impl Deref for Cameras {
    type Target = [Camera];

    fn deref(&self) -> &[Camera] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Cameras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Vec<Camera>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[[camera]] sections")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Camera>, A::Error> {
                let mut cameras: Vec<Camera> = Vec::new();
                while let Some(camera) = list.next_element::<Camera>()? {
                    if cameras.iter().any(|other| other.name == camera.name) {
                        return Err(de::Error::custom(format_args!(
                            "two cameras are named {:?}: every `name` must be unique",
                            camera.name.as_str()
                        )));
                    }
                    if camera.engine == Engine::Ffmpeg
                        && let Some(other) = cameras.iter().find(|it| it.engine == Engine::Ffmpeg)
                    {
                        return Err(de::Error::custom(format_args!(
                            "{:?} and {:?} both have engine = \"ffmpeg\": only one FFmpeg can \
                             run at a time, because a board has no memory for two",
                            other.name.as_str(),
                            camera.name.as_str()
                        )));
                    }
                    if cameras.len() == limits::CAMERAS_MAX {
                        let most = limits::CAMERAS_MAX;
                        return Err(de::Error::custom(format_args!("more than {most} cameras")));
                    }
                    cameras.push(camera);
                }
                place_the_first(&mut cameras);
                for (index, camera) in cameras.iter().enumerate() {
                    let folder = camera.folder();
                    let mut before = cameras.iter().take(index);
                    if let Some(other) = before.find(|it| it.folder().eq_ignore_ascii_case(folder))
                    {
                        return Err(de::Error::custom(format_args!(
                            "{:?} and {:?} both record into {folder:?}: every `folder` must be unique",
                            other.name.as_str(),
                            camera.name.as_str()
                        )));
                    }
                }
                Ok(cameras)
            }
        }

        deserializer.deserialize_seq(List).map(Cameras)
    }
}

/// The first camera records into the path itself, as in earlier versions, unless another camera is
/// configured to.
fn place_the_first(cameras: &mut [Camera]) {
    let is_taken =
        cameras.iter().any(|it| it.folder.as_ref().is_some_and(|it| it.is_path_itself()));
    if let Some(first) = cameras.first_mut() {
        first.is_in_path_itself = !is_taken;
    }
}

/// 1 to 32 of a-z, 0-9, `-` and `_`: valid as a folder name and in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CameraName(String);

impl CameraName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a camera may have this name.
    pub fn is_valid(name: &str) -> bool {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        (1..=32).contains(&name.len()) && name.bytes().all(allowed)
    }
}

impl<'de> Deserialize<'de> for CameraName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if CameraName::is_valid(&name) {
            return Ok(CameraName(name));
        }
        Err(de::Error::invalid_value(
            de::Unexpected::Str(&name),
            &"1 to 32 characters of a-z, 0-9, - and _",
        ))
    }
}

/// A URL, parsed and as written. `Debug`, errors and JSON do not show its password.
#[derive(Clone, PartialEq)]
pub struct CameraUrl(pub Target, String);

impl CameraUrl {
    /// Includes the password.
    pub fn as_str(&self) -> &str {
        &self.1
    }

    /// Text that must not be shown: passwords, and the user name with its password.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = secret::values(&self.1);
        secrets.extend(self.0.credentials().map(|it| it.password.clone()));
        secrets
    }
}

impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for CameraUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(String::deserialize(deserializer)?, str::parse).map_err(de::Error::custom)
    }
}

impl Serialize for CameraUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&secret::mask(&self.1))
    }
}

/// Reads `""` as no URL.
pub(super) fn optional_url<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CameraUrl>, D::Error> {
    let url = String::deserialize(deserializer)?;
    if url.is_empty() {
        Ok(None)
    } else {
        checked(url, str::parse).map(Some).map_err(de::Error::custom)
    }
}

pub(super) fn url_or_empty<S: Serializer>(
    url: &Option<CameraUrl>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => url.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

pub(super) fn address_or_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<std::net::SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address = || {
        text.parse().map_err(|_| {
            de::Error::custom("expected an address with a port, such as \"0.0.0.0:8554\", or \"\"")
        })
    };
    if text.is_empty() { Ok(None) } else { address().map(Some) }
}

pub(super) fn or_empty<S: Serializer>(
    value: &Option<std::net::SocketAddr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_str(""),
    }
}

/// A URL that `parse` accepts.
pub(super) fn checked(
    url: String,
    parse: fn(&str) -> Result<Target, TargetError>,
) -> Result<CameraUrl, String> {
    if url.len() > limits::URL_BYTES_MAX {
        let most = limits::URL_BYTES_MAX;
        return Err(format!("the URL is longer than {most} characters"));
    }
    let target = parse(&url).map_err(|error| error.to_string())?;
    Ok(CameraUrl(target, url))
}

/// When a camera is recorded, from the start on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    Off,
    #[default]
    On,
    /// Only what happens.
    Events,
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;

        impl Visitor<'_> for Choice {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true, false or \"events\"")
            }

            fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<Record, E> {
                Ok(if is_on { Record::On } else { Record::Off })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Record, E> {
                let is_known = text == EVENTS;
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                is_known.then_some(Record::Events).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Choice)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Record::Events => serializer.serialize_str(EVENTS),
            other => serializer.serialize_bool(*other == Record::On),
        }
    }
}

const EVENTS: &str = "events";

/// A URL starting with `http://`. `Debug` and errors do not show its password.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("http://***")
    }
}

impl HttpUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn target(&self) -> Target {
        Target::http(&self.0).expect("it was parsed before")
    }
}

/// A URL of a WebDAV folder, `http://`, or of S3, `s3+http://`. `Debug` does not show its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&secret::mask(&self.0))
    }
}

impl StoreUrl {
    pub fn is_s3(&self) -> bool {
        self.0.starts_with(S3)
    }

    pub fn target(&self) -> Target {
        Target::http(self.0.trim_start_matches(S3)).expect("it was parsed before")
    }
}

pub(super) fn store_or_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<StoreUrl>, D::Error> {
    let url = String::deserialize(deserializer)?;
    if url.is_empty() {
        return Ok(None);
    }
    if !is_http(url.strip_prefix(S3).unwrap_or(&url)) {
        return Err(de::Error::custom(
            "expected \"\", http://USER:PASSWORD@HOST/FOLDER or s3+http://KEY:SECRET@HOST/BUCKET",
        ));
    }
    Ok(Some(StoreUrl(url)))
}

pub(super) fn masked<S: Serializer>(
    url: &Option<StoreUrl>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&url.as_ref().map_or_else(String::new, |url| secret::mask(&url.0)))
}

const S3: &str = "s3+";

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "auto" => Ok(Snapshot::Auto),
            "off" => Ok(Snapshot::Off),
            url if is_http(url) => Ok(Snapshot::Url(HttpUrl(text))),
            _ => Err(de::Error::custom(format_args!(
                "expected \"auto\", \"off\" or an http:// URL of at most {} characters",
                limits::URL_BYTES_MAX
            ))),
        }
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Snapshot::Auto => serializer.serialize_str("auto"),
            Snapshot::Off => serializer.serialize_str("off"),
            Snapshot::Url(url) => serializer.serialize_str(&secret::mask(url.as_str())),
        }
    }
}

fn is_http(url: &str) -> bool {
    url.len() <= limits::URL_BYTES_MAX && Target::http(url).is_ok()
}

/// Where motion does not count: areas as [`Area::list`] reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mask(String);

impl Mask {
    pub fn areas(&self) -> Vec<Area> {
        Area::list(&self.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Area::list(&text) {
            Some(_) => Ok(Mask(text)),
            None => Err(de::Error::custom(
                "expected areas as left, top, right and bottom in percent: \"0 0 100 10, 60 40 100 60\"",
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub log::LevelFilter);

impl Default for LogLevel {
    fn default() -> Self {
        LogLevel(log::LevelFilter::Info)
    }
}

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let level = match text.as_str() {
            "error" => log::LevelFilter::Error,
            "warn" => log::LevelFilter::Warn,
            "info" => log::LevelFilter::Info,
            "debug" => log::LevelFilter::Debug,
            _ => {
                return Err(de::Error::unknown_variant(&text, &["error", "warn", "info", "debug"]));
            }
        };
        Ok(LogLevel(level))
    }
}

impl Serialize for LogLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.as_str().to_ascii_lowercase())
    }
}
