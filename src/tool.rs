//! The FFmpeg on this machine: its configured path and its own output in, a usable tool or the
//! reason against it out.
//!
//! ```text
//! tool.rs      finds FFmpeg and its capabilities
//! ├─ address   passes it a camera's address
//! └─ turn      one at a time
//! ```
//! Spec: ffmpeg(1), elf(5).

mod address;
mod turn;

pub use self::{address::Address, turn::ToolTurn};

use crate::{
    limits,
    process::{Error, Program},
    runtime,
};
use std::{
    env,
    fmt::{self, Write as _},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// An FFmpeg that is able to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    path: PathBuf,
    version: String,
    /// Of libavformat, on which the options depend.
    format: (u32, u32),
    /// The RTSP demuxer's name for its socket timeout.
    timeout_option: Option<&'static str>,
    can_concat: bool,
}

/// Why there is no usable FFmpeg; `Display` says what to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Not found in any of these places.
    Missing(Vec<PathBuf>),
    NotExecutable(PathBuf),
    /// Built for this processor, which is not ours.
    OtherProcessor(PathBuf, &'static str),
    /// Its dynamic loader or interpreter is missing.
    NoLoader(PathBuf),
    NoProgram(PathBuf),
    /// Older than 3.2: the version.
    TooOld(PathBuf, String),
    /// Built without this format.
    Lacks(PathBuf, &'static str),
    /// Its output is not FFmpeg's.
    Mute(PathBuf, String),
}

impl Tool {
    /// Looks for FFmpeg at the configured path, then beside our own binary, and queries its
    /// capabilities in three short runs.
    ///
    /// # Errors
    /// What is wrong with the first file found.
    pub async fn find(path: &Path) -> Result<Tool, Unfit> {
        let path = find_program(path).await?;
        let version = ask(&path, &["-version"]).await;
        let version = match version {
            Ok(text) => text,
            Err(error) => return Err(explain(path, error).await),
        };
        let said = |error: Error| Unfit::Mute(path.clone(), error.to_string());
        let formats = ask(&path, &["-hide_banner", "-formats"]).await.map_err(said)?;
        let rtsp = ask(&path, &["-hide_banner", "-h", "demuxer=rtsp"]).await.map_err(said)?;
        Tool::understand(path, &version, &formats, &rtsp)
    }

    /// Parses the output of `-version`, `-formats` and `-h demuxer=rtsp`.
    fn understand(path: PathBuf, version: &str, formats: &str, rtsp: &str) -> Result<Tool, Unfit> {
        let first = version.lines().next().unwrap_or_default();
        let name = first.strip_prefix("ffmpeg version ").and_then(|it| it.split(' ').next());
        let (Some(name), Some(format)) = (name, libavformat(version)) else {
            return Err(Unfit::Mute(path, shortened(first)));
        };
        let name = shortened(name);
        if format < FORMAT_3_2 {
            return Err(Unfit::TooOld(path, name));
        }
        for (direction, format) in [('D', "rtsp"), ('E', "segment"), ('E', "mp4")] {
            if !has_format(formats, direction, format) {
                return Err(Unfit::Lacks(path, format));
            }
        }
        Ok(Tool {
            path,
            version: name,
            format,
            timeout_option: timeout_option(rtsp),
            can_concat: has_format(formats, 'D', "concat"),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the address has to go into the arguments, where `ps` shows it. Since 5.0
    /// `concat` passes options on to its inputs; before, the camera would be asked for UDP.
    pub fn shows_address(&self) -> bool {
        !self.can_concat || self.format < FORMAT_5_0
    }

    fn timeout_option(&self) -> Option<&'static str> {
        self.timeout_option
    }

    #[cfg(test)]
    pub fn known(major: u32, timeout_option: Option<&'static str>) -> Tool {
        let path = PathBuf::from("/usr/bin/ffmpeg");
        let format = if major < 5 { FORMAT_3_2 } else { FORMAT_5_0 };
        let version = major.to_string();
        Tool { path, version, format, timeout_option, can_concat: true }
    }
}

async fn ask(path: &Path, arguments: &[&str]) -> Result<String, Error> {
    let program = Program::new(path).arguments(arguments);
    let limit = limits::FFMPEG_ANSWER_TIMEOUT;
    let answer = program.run(&[], limits::FFMPEG_ANSWER_BYTES_MAX, limit).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Returns the first possible path of FFmpeg at which there is a file.
///
/// # Errors
/// `Missing`.
pub async fn find_program(path: &Path) -> Result<PathBuf, Unfit> {
    let beside = beside();
    for place in places(path).iter().chain(&beside) {
        // Not on this thread: the path may be on the card.
        let (file, place) = (place.clone(), place.clone());
        if runtime::unblock(move || file.is_file()).await {
            return Ok(place);
        }
    }
    Err(Unfit::Missing([path.to_owned()].into_iter().chain(beside).collect()))
}

/// Explains why an existing file does not behave like FFmpeg.
pub async fn explain(path: PathBuf, error: Error) -> Unfit {
    runtime::unblock(move || diagnose(path, &error)).await
}

/// Where the program may be: in `PATH` if it has no slash.
fn places(path: &Path) -> Vec<PathBuf> {
    if path.components().count() > 1 || path.is_absolute() {
        return std::path::absolute(path).into_iter().collect();
    }
    let list = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    env::split_paths(&list).map(|folder| folder.join(path)).collect()
}

/// FFmpeg's places in the system that smolnvr replaces: beside our own binary.
fn beside() -> Vec<PathBuf> {
    let ours = env::current_exe().ok();
    let folder = ours.as_deref().and_then(Path::parent);
    folder.into_iter().flat_map(|folder| BESIDE.map(|name| folder.join(name))).collect()
}

fn diagnose(path: PathBuf, error: &Error) -> Unfit {
    let head = head(&path);
    let (machine, ours) = (machine(&head), machine(&self::head(Path::new(OURSELVES))));
    match error {
        Error::NotStarted(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Unfit::NotExecutable(path)
        }
        // A shell runs what the kernel cannot, and its error message would mislead.
        Error::NotStarted(_) | Error::Failed { .. } if machine.is_some() && machine != ours => {
            Unfit::OtherProcessor(path, machine.map_or("", |(_, name)| name))
        }
        Error::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
            Unfit::NoLoader(path)
        }
        Error::NotStarted(_) => Unfit::NoProgram(path),
        Error::Failed { .. } if machine.is_none() && !head.starts_with(b"#!") => {
            Unfit::NoProgram(path)
        }
        error => Unfit::Mute(path, error.to_string()),
    }
}

/// The first bytes of a file; zeroes if it cannot be read.
fn head(path: &Path) -> [u8; 20] {
    let mut head = [0; 20];
    // A file shorter than that is not a program either.
    let _ = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    head
}

/// The processor an ELF file is built for.
fn machine(head: &[u8; 20]) -> Option<(u16, &'static str)> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let bytes = [head[18], head[19]];
    let is_big_endian = head[5] == 2;
    let number = if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    Some((
        number,
        match number {
            3 => "x86",
            8 => "MIPS",
            40 => "ARM",
            62 => "x86-64",
            183 => "AArch64",
            243 => "RISC-V",
            _ => "another processor",
        },
    ))
}

/// `libavformat    59. 27.100 / 59. 27.100`
fn libavformat(text: &str) -> Option<(u32, u32)> {
    let line = text.lines().find_map(|line| line.strip_prefix("libavformat"))?;
    let mut numbers = line.split('/').next()?.split('.').map(|number| number.trim().parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Parses ` DE rtsp            RTSP output`: `D` can read, `E` can write.
fn has_format(text: &str, direction: char, name: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        let flags = words.next().unwrap_or_default();
        let is_right = flags.len() <= 3 && flags.contains(direction);
        is_right && words.next().is_some_and(|names| names.split(',').any(|it| it == name))
    })
}

/// Before 5.0, `-timeout` made FFmpeg wait for incoming connections instead.
fn timeout_option(help: &str) -> Option<&'static str> {
    let line = |name: &str| {
        help.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap_or_default()
    };
    if !line("-stimeout").is_empty() {
        Some("stimeout")
    } else if line("-timeout").contains("microseconds") {
        Some("timeout")
    } else {
        None
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(SAID_CHARACTERS_MAX).collect()
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FFmpeg {} ({})", self.version, self.path.display())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |path: &PathBuf| path.display().to_string();
        match self {
            Unfit::Missing(places) => {
                let mut list = String::new();
                for path in places {
                    let separator = if list.is_empty() { "" } else { ", " };
                    let _ = write!(list, "{separator}{}", path.display());
                }
                write!(f, "no FFmpeg ({list}): install it or set `path` in [ffmpeg]")
            }
            Unfit::NotExecutable(path) => {
                write!(f, "{0} is not executable: chmod +x {0}", place(path))
            }
            Unfit::OtherProcessor(path, processor) => write!(
                f,
                "{} is built for {processor}: install one for {}",
                place(path),
                env::consts::ARCH
            ),
            Unfit::NoLoader(path) => {
                write!(f, "{} needs a missing system library: install a static FFmpeg", place(path))
            }
            Unfit::NoProgram(path) => {
                write!(f, "{} is not a program: copy FFmpeg there again", place(path))
            }
            Unfit::TooOld(path, version) => {
                write!(f, "{} is FFmpeg {version}: 3.2 or later is needed", place(path))
            }
            Unfit::Lacks(path, what) => write!(
                f,
                "{} was built without {what}: install one with rtsp, segment and mp4",
                place(path)
            ),
            Unfit::Mute(path, said) => write!(
                f,
                "{} does not behave like FFmpeg ({said}): set `path` in [ffmpeg]",
                place(path)
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// The old system kept the first one beside its scripts.
const BESIDE: [&str; 2] = ["ffmpeg-3.2", "ffmpeg"];
const DEFAULT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const OURSELVES: &str = "/proc/self/exe";
/// libavformat of FFmpeg 3.2 and 5.0.
const FORMAT_3_2: (u32, u32) = (57, 56);
const FORMAT_5_0: (u32, u32) = (59, 16);
const SAID_CHARACTERS_MAX: usize = 80;

#[cfg(test)]
mod tests;
