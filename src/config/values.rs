//! Types of single settings: each is parsed from TOML, and its existence proves that it is in
//! range. As JSON, a URL has `***` in place of its password.

use super::{
    Camera, Engine, Snapshot, secret,
    setting::Setting,
    toml::{Node, TomlError, TomlValue},
};
use crate::{
    http::url::{Target, TargetError},
    limits,
    motion::Area,
};
use serde_json::Value as Json;
use std::{fmt, ops::Deref, path::PathBuf};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl<const MIN: u64, const MAX: u64> Setting for Bounded<MIN, MAX> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        self.0 = number(node, MIN, MAX)?;
        Ok(())
    }

    fn shown(&self) -> Json {
        self.0.into()
    }
}

fn number(node: &Node, min: u64, max: u64) -> Result<u64, TomlError> {
    let number = match node.value {
        TomlValue::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    let number = number.filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| node.instead_of(&format!("a whole number from {min} to {max}")))
}

/// A value, or a list of at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl Setting for OneOrMore<PathBuf> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let path = |node: &Node| match &node.value {
            TomlValue::Text(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
            _ => Err(node.instead_of("an absolute path, or a list of them")),
        };
        self.0 = match &node.value {
            TomlValue::List(list) if !list.is_empty() => {
                list.iter().map(path).collect::<Result<_, _>>()?
            }
            _ => vec![path(node)?],
        };
        Ok(())
    }

    fn shown(&self) -> Json {
        match self.0.as_slice() {
            [one] => one.shown(),
            more => more.iter().map(Setting::shown).collect(),
        }
    }
}

/// The cameras in order, with distinct names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cameras(pub(super) Vec<Camera>);

impl Deref for Cameras {
    type Target = [Camera];

    fn deref(&self) -> &[Camera] {
        &self.0
    }
}

impl Setting for Cameras {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let TomlValue::List(list) = &node.value else {
            return Err(node.instead_of("[[camera]] sections"));
        };
        for node in list {
            let camera = Camera::of(node)?;
            check_beside(&self.0, &camera)
                .map_err(|message| TomlError::at(node.span.start, message))?;
            self.0.push(camera);
        }
        place_the_first(&mut self.0);
        for ((index, camera), node) in self.0.iter().enumerate().zip(list) {
            let folder = camera.folder();
            let mut before = self.0.iter().take(index);
            if let Some(other) = before.find(|it| it.folder().eq_ignore_ascii_case(folder)) {
                let message = format!(
                    "{:?} and {:?} both record into {folder:?}: every `folder` must be unique",
                    other.name.as_str(),
                    camera.name.as_str()
                );
                return Err(TomlError::at(node.span.start, message));
            }
        }
        Ok(())
    }

    fn shown(&self) -> Json {
        self.iter().map(Setting::shown).collect()
    }
}

/// Checks what a camera must not share with those before it.
fn check_beside(others: &[Camera], camera: &Camera) -> Result<(), String> {
    let name = camera.name.as_str();
    if others.iter().any(|other| other.name == camera.name) {
        return Err(format!("two cameras are named {name:?}: every `name` must be unique"));
    }
    if camera.engine == Engine::Ffmpeg
        && let Some(other) = others.iter().find(|it| it.engine == Engine::Ffmpeg)
    {
        let other = other.name.as_str();
        return Err(format!(
            "{other:?} and {name:?} both have engine = \"ffmpeg\": only one FFmpeg can run at a \
             time, because a board has no memory for two"
        ));
    }
    if others.len() == limits::CAMERAS_MAX {
        return Err(format!("more than {} cameras", limits::CAMERAS_MAX));
    }
    Ok(())
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraName(String);

impl CameraName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A placeholder while a camera's section is being read.
    pub(super) fn unset() -> CameraName {
        CameraName(String::new())
    }

    /// Whether a camera may have this name.
    pub fn is_valid(name: &str) -> bool {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        (1..=32).contains(&name.len()) && name.bytes().all(allowed)
    }
}

impl Setting for CameraName {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let name = node.text()?;
        if !CameraName::is_valid(name) {
            return Err(node.instead_of("1 to 32 characters of a-z, 0-9, - and _"));
        }
        name.clone_into(&mut self.0);
        Ok(())
    }

    fn shown(&self) -> Json {
        self.as_str().into()
    }
}

/// A URL, parsed and as written. `Debug`, errors and JSON do not show its password.
#[derive(Clone, PartialEq)]
pub struct CameraUrl(pub Target, String);

impl CameraUrl {
    /// Of a camera whose section is being read.
    pub(super) fn unset() -> CameraUrl {
        CameraUrl("rtsp://unset/".parse().expect("is a URL"), String::new())
    }

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

impl Setting for CameraUrl {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        *self = checked(node, str::parse)?;
        Ok(())
    }

    fn shown(&self) -> Json {
        secret::mask(&self.1).into()
    }
}

/// A URL that `parse` reads; `""` means none.
pub(super) struct UrlOrNone<'a>(pub &'a mut Option<CameraUrl>, pub Parse);

type Parse = fn(&str) -> Result<Target, TargetError>;

impl Setting for UrlOrNone<'_> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let is_given = !node.text()?.is_empty();
        *self.0 = is_given.then(|| checked(node, self.1)).transpose()?;
        Ok(())
    }

    fn shown(&self) -> Json {
        self.0.as_ref().map_or_else(|| "".into(), CameraUrl::shown)
    }
}

fn checked(node: &Node, parse: Parse) -> Result<CameraUrl, TomlError> {
    let url = node.text()?;
    if url.len() > limits::URL_BYTES_MAX {
        let most = limits::URL_BYTES_MAX;
        let message = format!("the URL is longer than {most} characters");
        return Err(TomlError::at(node.span.start, message));
    }
    let target = parse(url).map_err(|error| TomlError::at(node.span.start, error.to_string()))?;
    Ok(CameraUrl(target, url.to_owned()))
}

/// When a camera is recorded, from the start on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    Off,
    #[default]
    On,
    /// Only events.
    Events,
}

impl Setting for Record {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        *self = match &node.value {
            TomlValue::Boolean(true) => Record::On,
            TomlValue::Boolean(false) => Record::Off,
            TomlValue::Text(text) if text == EVENTS => Record::Events,
            _ => return Err(node.instead_of("true, false or \"events\"")),
        };
        Ok(())
    }

    fn shown(&self) -> Json {
        match self {
            Record::Events => EVENTS.into(),
            other => (*other == Record::On).into(),
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

/// `""` is no store.
impl Setting for Option<StoreUrl> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let url = node.text()?;
        if !url.is_empty() && !is_http(url.strip_prefix(S3).unwrap_or(url)) {
            let message = "expected \"\", http://USER:PASSWORD@HOST/FOLDER or \
                           s3+http://KEY:SECRET@HOST/BUCKET";
            return Err(TomlError::at(node.span.start, message));
        }
        *self = (!url.is_empty()).then(|| StoreUrl(url.to_owned()));
        Ok(())
    }

    fn shown(&self) -> Json {
        self.as_ref().map_or_else(String::new, |url| secret::mask(&url.0)).into()
    }
}

const S3: &str = "s3+";

impl Setting for Snapshot {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        *self = match node.text()? {
            "auto" => Snapshot::Auto,
            "off" => Snapshot::Off,
            url if is_http(url) => Snapshot::Url(HttpUrl(url.to_owned())),
            _ => {
                let most = limits::URL_BYTES_MAX;
                let message = format!(
                    "expected \"auto\", \"off\" or an http:// URL of at most {most} characters"
                );
                return Err(TomlError::at(node.span.start, message));
            }
        };
        Ok(())
    }

    fn shown(&self) -> Json {
        match self {
            Snapshot::Auto => "auto".into(),
            Snapshot::Off => "off".into(),
            Snapshot::Url(url) => secret::mask(url.as_str()).into(),
        }
    }
}

fn is_http(url: &str) -> bool {
    url.len() <= limits::URL_BYTES_MAX && Target::http(url).is_ok()
}

/// Where motion does not count: areas as [`Area::list`] reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(String);

impl Mask {
    pub fn areas(&self) -> Vec<Area> {
        Area::list(&self.0).unwrap_or_default()
    }
}

impl Setting for Mask {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let areas = node.text()?;
        if Area::list(areas).is_none() {
            return Err(node.instead_of(
                "areas as left, top, right and bottom in percent: \"0 0 100 10, 60 40 100 60\"",
            ));
        }
        areas.clone_into(&mut self.0);
        Ok(())
    }

    fn shown(&self) -> Json {
        self.0.as_str().into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub log::LevelFilter);

impl Default for LogLevel {
    fn default() -> Self {
        LogLevel(log::LevelFilter::Info)
    }
}
