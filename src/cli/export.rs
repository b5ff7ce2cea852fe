//! `smolnvr export`: everything recorded between two times, as one file.
//!
//! The running daemon makes it; without one, it is made here from the files on the card.

use super::{
    Arguments, Usage,
    client::{self, ClientError, Download},
    complain, list, moment, print, status,
};
use crate::{
    clip::{self, Added, Clip, Cursor, Planner, Selection},
    limits,
    storage::reader::LastFile,
    units::WallTime,
    zone::Zone,
};
use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What to export.
struct Wish<'a> {
    camera: &'a str,
    from: WallTime,
    to: WallTime,
    selection: Selection,
}

/// A clip being read, wherever it is made.
struct ClipReader {
    /// The default name of the file.
    name: String,
    from: WallTime,
    to: WallTime,
    /// Why it ends early, as [`clip::Ends::name`].
    ends: String,
    bytes: u64,
    pieces: Box<dyn FnMut() -> Result<Vec<u8>, String>>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let zone = Zone::of_this_machine();
    let (camera, from, to) = arguments.camera_and_span(&zone)?;
    let selection = arguments.selection.unwrap_or(Selection::All);
    let wish = Wish { camera, from, to, selection };
    let result = wish.movie(arguments).and_then(|mut movie| {
        let target = Target::new(arguments.output.as_deref(), &movie.name);
        let saved = target.and_then(|target| target.take(&mut movie));
        saved.map(|path| movie.tell(path.as_deref(), &zone)).map_err(|why| {
            complain(why);
            ExitCode::FAILURE
        })
    });
    Ok(result.map_or_else(|status| status, |()| ExitCode::SUCCESS))
}

impl Wish<'_> {
    fn movie(&self, arguments: &Arguments) -> Result<ClipReader, ExitCode> {
        if arguments.asks_daemon() {
            match Download::begin(&client::socket(arguments), &self.target()) {
                Ok(Ok(download)) => return Ok(ClipReader::of_daemon(download)),
                Ok(Err(refusal)) => return refusal.check().and(Err(ExitCode::FAILURE)),
                Err(ClientError::NoDaemon(_) | ClientError::Socket { .. })
                    if arguments.socket.is_none() => {}
                Err(failure) => {
                    complain(failure);
                    return Err(ExitCode::FAILURE);
                }
            }
        }
        match self.plan(arguments)? {
            Some((clip, files)) => Ok(ClipReader::of_files(self.camera, clip, files)),
            None => {
                complain("nothing was recorded then");
                Err(ExitCode::FAILURE)
            }
        }
    }

    fn target(&self) -> String {
        let Wish { camera, from, to, selection } = self;
        let key_frames = if *selection == Selection::KeyFrames { "&key_frames" } else { "" };
        format!("/clip/{camera}.mp4?from={}&to={}{key_frames}", from.0, to.0)
    }

    /// Plans the clip from the files on the card; returns it with these files.
    fn plan(&self, arguments: &Arguments) -> Result<Option<(Clip, Vec<PathBuf>)>, ExitCode> {
        let entries = list::card::read(arguments, Some(self.camera))?;
        let entries: Vec<_> =
            entries.into_iter().filter(|it| it.may_hold(self.from.0, self.to.0)).collect();
        let mut planner = Planner::new(self.from, self.to, self.selection);
        for (id, entry) in (0..).zip(&entries) {
            let source =
                clip::ClipSource { id, start: WallTime(entry.start_ms), bytes: entry.bytes };
            let file = LastFile::default();
            let path = || Some(entry.path.clone());
            if planner.add(source, &|buffer, at| file.read(id, path, buffer, at)) == Added::End {
                break;
            }
        }
        let files = entries.into_iter().map(|entry| entry.path).collect();
        Ok(planner.finish().map(|clip| (clip, files)))
    }
}

impl ClipReader {
    fn of_daemon(mut download: Download) -> ClipReader {
        let time = |name| download.field(name).and_then(|it| it.parse().ok()).map_or(0, |it| it);
        let name = download.field("Content-Disposition").and_then(|it| it.split('"').nth(1));
        ClipReader {
            name: name.filter(|it| !it.contains('/')).unwrap_or("clip.mp4").to_owned(),
            from: WallTime(time("Clip-From")),
            to: WallTime(time("Clip-To")),
            ends: download.field("Clip-Ends").unwrap_or_default().to_owned(),
            bytes: download.left(),
            pieces: Box::new(move || download.next().map_err(|failure| failure.to_string())),
        }
    }

    fn of_files(camera: &str, clip: Clip, files: Vec<PathBuf>) -> ClipReader {
        let (mut at, mut cursor, file) = (0, Cursor::default(), LastFile::default());
        ClipReader {
            name: format!("{camera}_{}.mp4", clip.from.file_name()),
            from: clip.from,
            to: clip.to,
            ends: clip.ends.name().to_owned(),
            bytes: clip.bytes(),
            pieces: Box::new(move || {
                let mut piece = Vec::new();
                let path = |id: u32| files.get(id as usize).cloned();
                let read: clip::ReadSource =
                    &|id, buffer, at| file.read(id, || path(id), buffer, at);
                clip.read(&mut cursor, at, limits::CLIENT_PIECE_BYTES, &mut piece, read)
                    .map_err(|error| format!("cannot read the card: {error}"))?;
                at += piece.len() as u64;
                Ok(piece)
            }),
        }
    }

    /// Reports what was saved, and whether it ends earlier than requested.
    fn tell(&self, path: Option<&Path>, zone: &Zone) {
        let [from, to] = [self.from, self.to].map(|time| moment::local(time, zone));
        if let Some(path) = path {
            let size = status::size(i64::try_from(self.bytes).unwrap_or(i64::MAX));
            print(&format!("{}: {from} to {to}, {size}\n", path.display()));
        }
        let most = limits::CLIP_SEGMENTS_MAX;
        match &*self.ends {
            "parameters" => complain(format_args!(
                "it ends at {to}, where codec, picture size or sound change: export the rest too"
            )),
            "damage" => complain(format_args!("it ends at {to}: the rest is damaged")),
            "limit" => complain(format_args!("it ends at {to}: a clip holds {most} recordings")),
            _ => {}
        }
    }
}

/// Where a clip is written.
enum Target {
    StandardOutput,
    /// A pipe or a device, written directly.
    Stream(PathBuf),
    /// A file that gets its name once it is complete.
    File(PathBuf),
}

impl Target {
    fn new(output: Option<&Path>, name: &str) -> Result<Target, String> {
        let Some(output) = output else { return Ok(Target::File(name.into())) };
        if output == Path::new("-") {
            return Ok(Target::StandardOutput);
        }
        match fs::metadata(output) {
            Ok(found) if found.is_dir() => Ok(Target::File(output.join(name))),
            Ok(found) if !found.is_file() => Ok(Target::Stream(output.to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", output.display()))
            }
            _ => Ok(Target::File(output.to_owned())),
        }
    }

    /// Writes everything; returns the file's path.
    fn take(self, movie: &mut ClipReader) -> Result<Option<PathBuf>, String> {
        let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
        match self {
            Target::StandardOutput => {
                copy(movie, &mut io::stdout().lock(), |error| format!("standard output: {error}"))?;
                Ok(None)
            }
            Target::Stream(path) => {
                let file = File::options().write(true).open(&path);
                let mut file = file.map_err(|error| failed(&path, error))?;
                copy(movie, &mut file, |error| failed(&path, error))?;
                Ok(Some(path))
            }
            Target::File(path) => {
                let mut part = path.clone().into_os_string();
                part.push(".part");
                let part = PathBuf::from(part);
                let result = File::create(&part).map_err(|error| failed(&part, error));
                let result = result.and_then(|mut file| {
                    copy(movie, &mut file, |error| failed(&path, error))?;
                    let saved = file.sync_all().and_then(|()| fs::rename(&part, &path));
                    saved.map_err(|error| failed(&path, error))
                });
                if result.is_err() {
                    // The file may not exist.
                    let _ = fs::remove_file(&part);
                }
                result.map(|()| Some(path))
            }
        }
    }
}

fn copy(
    movie: &mut ClipReader,
    out: &mut impl Write,
    failed: impl Fn(io::Error) -> String,
) -> Result<(), String> {
    let mut progress = Progress::default();
    let mut copied = 0;
    while copied < movie.bytes {
        let piece = (movie.pieces)()?;
        out.write_all(&piece).map_err(&failed)?;
        copied += piece.len() as u64;
        progress.show(copied, movie.bytes);
    }
    out.flush().map_err(failed)
}

/// A progress line on a terminal.
#[derive(Default)]
struct Progress {
    percent: u64,
}

impl Progress {
    fn show(&mut self, done: u64, all: u64) {
        let percent = u64::try_from(u128::from(done) * 100 / u128::from(all)).unwrap_or(100);
        if percent == self.percent || !io::stderr().is_terminal() {
            return;
        }
        self.percent = percent;
        // If standard error is closed, nobody can be told.
        let _ = write!(io::stderr(), "\r{percent:3} %");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.percent > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
