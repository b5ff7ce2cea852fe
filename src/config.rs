//! Configuration: `/etc/smolnvr.toml` in, checked settings out.
//!
//! ```text
//! config.rs    the settings
//! ├─ keys      the keys of each section
//! ├─ setting   from the tree of the file, and to JSON
//! ├─ values    settings with types of their own
//! ├─ told      programs and servers that are told what happens
//! ├─ place     a camera's label and folder
//! ├─ toml      text → tree with positions
//! ├─ edit      text and change → text
//! ├─ secret    masks passwords in URLs, and restores them
//! └─ store     the file: read, and replaced as a whole
//! ```
//! A setting's type guarantees its range, so nothing is checked twice. Every error names file,
//! line, key and the values allowed.

mod edit;
mod keys;
mod place;
mod secret;
mod setting;
mod store;
mod told;
mod toml;
mod values;

pub use store::{ChangeError, EditRights, change, edited, left_over};
pub use told::{Hooks, Mqtt};
pub use values::{
    Bounded, CameraName, CameraUrl, HttpUrl, LogLevel, Mask, OneOrMore, Record, StoreUrl,
};

use crate::{limits, rtsp::LowerTransport, storage::catalog::Retained};
use setting::Setting as _;
use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// All settings of the daemon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub storage: Storage,
    pub camera: values::Cameras,
    pub web: Web,
    pub rtsp: Rtsp,
    pub marks: Marks,
    pub hooks: Hooks,
    pub mqtt: Mqtt,
    pub archive: Archive,
    pub ffmpeg: Ffmpeg,
    pub log: Log,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// Candidates; the first mounted one is used.
    pub path: OneOrMore<PathBuf>,
    pub require_mount: bool,
    pub segment_seconds: Bounded<2, 3600>,
    pub keep_free_percent: Bounded<0, 90>,
    /// 0: no age limit.
    pub keep_days: Bounded<0, 36_500>,
    /// Older recordings are reduced to their key frames; 0: none.
    pub thin_after_days: Bounded<0, 36_500>,
    /// Recordings in which something happened stay this long, if that is longer.
    pub event_days: Bounded<0, 36_500>,
    pub sync_seconds: Bounded<1, 60>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    pub name: CameraName,
    pub label: place::Label,
    /// `None`: see [`Camera::folder`].
    folder: Option<place::FolderName>,
    /// Without a `folder`, it records where the old system's only camera did.
    is_in_path_itself: bool,
    pub url: CameraUrl,
    /// A smaller stream for live view; the main stream if absent or empty.
    pub live_url: Option<CameraUrl>,
    pub transport: Transport,
    pub engine: Engine,
    pub audio: bool,
    pub record: Record,
    pub buffer_kb: Bounded<256, 65_536>,
    pub snapshot: Snapshot,
    pub snapshot_interval_ms: Bounded<100, 60_000>,
    pub motion: Motion,
    pub motion_sensitivity: Bounded<1, 9>,
    pub motion_mask: Mask,
}

/// What sees motion in front of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Motion {
    #[default]
    Off,
    /// smolnvr, in the camera's small JPEG.
    Jpeg,
    /// majestic's own detectors.
    Majestic,
    /// The camera's own detectors, reported over ONVIF.
    Onvif,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
}

impl Transport {
    /// FFmpeg's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

impl From<Transport> for LowerTransport {
    fn from(transport: Transport) -> LowerTransport {
        match transport {
            Transport::Tcp => LowerTransport::Tcp,
            Transport::Udp => LowerTransport::Udp,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    #[default]
    Native,
    Ffmpeg,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Snapshot {
    #[default]
    Auto,
    Off,
    Url(HttpUrl),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    pub listen: SocketAddr,
    pub auth: Auth,
    pub connections_max: Bounded<4, 64>,
    pub hosts: Vec<String>,
}

/// Hands streams on to other programs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rtsp {
    /// Where to listen; `None`, which is `""`: nowhere.
    pub listen: Option<SocketAddr>,
}

/// Copies closed recordings to a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    /// `None`, which is `""`: no copies.
    pub url: Option<StoreUrl>,
    /// Only recordings in which something happened.
    pub marked_only: bool,
    pub kb_per_second: Bounded<10, 100_000>,
    /// The region of an S3 store.
    pub region: String,
}

/// How much video belongs to an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    pub before_seconds: Bounded<0, 60>,
    pub after_seconds: Bounded<1, 600>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    Password,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ffmpeg {
    pub path: PathBuf,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    pub level: LogLevel,
}

/// Why there is no configuration; `Display` is one line that tells the user what to do.
#[derive(Debug)]
pub enum Error {
    Unreadable { file: PathBuf, source: io::Error },
    Wrong { file: PathBuf, line: usize, message: String },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// `Unreadable` if the file cannot be read, `Wrong` if its content is invalid.
    pub fn read(file: &Path) -> Result<Config, Error> {
        let text = store::read(file)
            .map_err(|source| Error::Unreadable { file: file.to_owned(), source })?;
        Config::parse(&text, file)
    }

    /// Checks a text. `file` is only used in errors.
    pub fn parse(text: &str, file: &Path) -> Result<Config, Error> {
        let wrong = |wrong: toml::TomlError| Error::Wrong {
            file: file.to_owned(),
            line: wrong.line(text),
            message: wrong.to_string(),
        };
        let document = toml::parse(text).map_err(wrong)?;
        Config::of(&document).map_err(wrong)
    }

    fn of(document: &toml::Node) -> Result<Config, toml::TomlError> {
        let mut config = Config::default();
        config.read(document)?;
        Ok(config)
    }

    /// Lets cameras that existed before keep their folders, whatever their order in the list.
    pub fn stay_in_place(&mut self, before: &Config) {
        let Some(first) = self.camera.first().filter(|first| first.is_in_path_itself) else {
            return;
        };
        let holder = before.camera.iter().find(|it| it.folder() == place::PATH_ITSELF);
        let stays = |it: &Camera| {
            self.camera.iter().any(|camera| camera.name == it.name && camera.folder.is_none())
        };
        let is_elsewhere = before.camera.iter().any(|it| {
            it.name == first.name && first.folder.is_none() && it.folder() != place::PATH_ITSELF
        });
        if !is_elsewhere && !holder.is_some_and(stays) {
            return;
        }
        for camera in &mut self.camera.0 {
            camera.is_in_path_itself = holder.is_some_and(|it| it.name == camera.name);
        }
    }

    /// The settings in the shape of the file, with every key, and `***` for each password.
    pub fn to_json(&self) -> serde_json::Value {
        let mut all = self.shown();
        for (index, camera) in self.camera.iter().enumerate() {
            all["camera"][index]["folder"] = camera.folder().into();
        }
        all
    }

    /// Returns `url` with each `***` replaced by the value at that place in the camera's URLs, if
    /// they have the same host.
    ///
    /// # Errors
    /// They have no value there, or there is no such camera.
    pub fn unmasked(&self, url: &str, camera: &str) -> Result<String, secret::Unknown> {
        let camera = self.camera.iter().find(|known| known.name.as_str() == camera);
        secret::unmask(url, &camera.map(Camera::addresses).unwrap_or_default())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreadable { file, source } => write!(f, "{}: {source}", file.display()),
            Error::Wrong { file, line, message } => {
                write!(f, "{}:{line}: {message}", file.display())
            }
        }
    }
}

impl std::error::Error for Error {}

impl Camera {
    fn of(section: &toml::Node) -> Result<Camera, toml::TomlError> {
        let mut camera = Camera::unset();
        camera.read(section)?;
        for key in ["name", "url"] {
            if section.get(key).is_none() {
                let message = format!("the key `{key}` is missing");
                return Err(toml::TomlError::at(section.span.start, message));
            }
        }
        Ok(camera)
    }

    /// Every key at its default, without a name and a URL yet.
    fn unset() -> Camera {
        Camera {
            name: CameraName::unset(),
            label: place::Label::default(),
            folder: None,
            is_in_path_itself: false,
            url: CameraUrl::unset(),
            live_url: None,
            transport: Transport::default(),
            engine: Engine::default(),
            audio: false,
            record: Record::default(),
            buffer_kb: Bounded::of(limits::BUFFER_KB_DEFAULT),
            snapshot: Snapshot::default(),
            snapshot_interval_ms: Bounded::of(1000),
            motion: Motion::default(),
            motion_sensitivity: Bounded::of(5),
            motion_mask: Mask::default(),
        }
    }

    /// Describes a setting that has no effect in combination with others.
    pub fn left_out(&self) -> Option<&'static str> {
        let is_by_ffmpeg = self.engine == Engine::Ffmpeg;
        match self {
            _ if is_by_ffmpeg && self.record == Record::Events => {
                Some("everything is recorded: record = \"events\" requires engine = \"native\"")
            }
            _ if self.motion == Motion::Jpeg && self.snapshot == Snapshot::Off => {
                Some("no motion is seen: motion = \"jpeg\" looks at snapshots")
            }
            _ if is_by_ffmpeg && self.audio => {
                Some("no sound is recorded: audio = true requires engine = \"native\"")
            }
            _ => None,
        }
    }

    /// Returns the folder below the storage path; `.` is the path itself. The default is the
    /// camera's name. The first camera of a file records into the path itself, as before there were
    /// folders, unless another camera is configured to.
    pub fn folder(&self) -> &str {
        match &self.folder {
            Some(folder) => folder.as_str(),
            None if self.is_in_path_itself => place::PATH_ITSELF,
            None => self.name.as_str(),
        }
    }

    /// Returns the name shown to users.
    pub fn label(&self) -> &str {
        if self.label.as_str().is_empty() { self.name.as_str() } else { self.label.as_str() }
    }

    /// Returns true if the cameras differ in nothing but their labels.
    pub fn runs_as(&self, other: &Camera) -> bool {
        let label = self.label.clone();
        let folder = self.folder.clone();
        let is_in_path_itself = self.is_in_path_itself;
        self.folder() == other.folder()
            && *self == Camera { label, folder, is_in_path_itself, ..other.clone() }
    }

    /// The URLs as written, with passwords.
    fn addresses(&self) -> Vec<&str> {
        let snapshot = match &self.snapshot {
            Snapshot::Url(url) => Some(url.as_str()),
            Snapshot::Auto | Snapshot::Off => None,
        };
        let live = self.live_url.as_ref().map(CameraUrl::as_str);
        [Some(self.url.as_str()), live, snapshot].into_iter().flatten().collect()
    }
}

impl Storage {
    /// How long recordings stay.
    pub fn retained(&self) -> Retained {
        Retained {
            keep_free_percent: self.keep_free_percent.get(),
            keep_days: self.keep_days.get(),
            thin_after_days: self.thin_after_days.get(),
            event_days: self.event_days.get(),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            path: OneOrMore(vec![PathBuf::from("/mnt/mmcblk0p1/recordings")]),
            require_mount: true,
            segment_seconds: Bounded::of(60),
            keep_free_percent: Bounded::of(5),
            keep_days: Bounded::of(0),
            thin_after_days: Bounded::of(0),
            event_days: Bounded::of(0),
            sync_seconds: Bounded::of(5),
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        Web {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            auth: Auth::Password,
            connections_max: Bounded::of(24),
            hosts: Vec::new(),
        }
    }
}

impl Default for Marks {
    fn default() -> Self {
        Marks { before_seconds: Bounded::of(5), after_seconds: Bounded::of(30) }
    }
}

impl Default for Archive {
    fn default() -> Self {
        let region = "us-east-1".to_owned();
        Archive { url: None, marked_only: false, kb_per_second: Bounded::of(1000), region }
    }
}

impl Default for Ffmpeg {
    fn default() -> Self {
        Ffmpeg { path: PathBuf::from("ffmpeg") }
    }
}

#[cfg(test)]
mod tests;
