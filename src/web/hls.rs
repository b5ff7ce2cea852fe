//! HLS: a camera's name and a span in, a playlist of its recordings out; serves also the pieces
//! that the playlist names.
//!
//! `hls` writes the text and shifts the times; this module handles files and HTTP.

use super::{
    Web,
    answer::{Answer, Body, Maker},
    clip::{HASH_OF_NOTHING, hash_on, recordings_of, time, time_after},
    playback::{Recording, number_asked_for},
    routes::Asked,
};
use crate::{
    hls::{self, Grain, Growth, Playlist, Shift},
    http::request::Head,
    limits,
    mp4::scan::{self, FileState, Subsegment, Subsegments},
    storage::{
        catalog::{Entry, Folder, SegmentState},
        disk::{Access, Disk as _, linux::LinuxDisk},
        layout::Name,
    },
    units::WallTime,
};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// The recordings of a playlist.
#[derive(Default)]
struct Found {
    folders: Vec<PathBuf>,
    list: Vec<FoundFile>,
}

struct FoundFile {
    /// Index into the folders.
    folder: usize,
    name: Name,
    recording: hls::ListedRecording,
}

impl Web {
    /// `GET /hls/{camera}.m3u8?from=&to=`.
    pub(super) async fn playlist(self: &Rc<Self>, head: &Head<'_>, file: &str) -> Answer {
        let Some(camera) = file.strip_suffix(".m3u8") else {
            return Answer::error(404, "a playlist is /hls/CAMERA.m3u8?from=MS&to=MS");
        };
        let now = self.daemon.clock.now();
        let span = time(head, "from").and_then(|from| match head.parameter("to") {
            Some(_) => Ok((from, time_after(from, head)?)),
            None => Ok((from, WallTime(i64::MAX))),
        });
        let (from, to) = match span {
            Ok(span) => span,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let longest = limits::HLS_SPAN_MAX;
        if i128::from(to.0.min(now.0)) - i128::from(from.0) > longest.as_millis().cast_signed() {
            let hours = longest.as_secs() / 3600;
            return Answer::error(400, format!("a playlist has at most {hours} hours"));
        }
        let segment = self.daemon.config.borrow().storage.segment_seconds.get();
        let growth = match to > now {
            true => Growth::Growing(Duration::from_secs(segment) + limits::HLS_KEY_FRAME_WAIT),
            false => Growth::Ended,
        };
        let found = match self.found(camera, from, to, Duration::from_secs(segment)) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let span = i128::from(to.0) - i128::from(from.0);
        let is_short = span <= limits::HLS_FINE_SPAN_MAX.as_millis().cast_signed();
        let is_long = u128::from(segment) * 1000 >= limits::HLS_PIECE.as_millis() * 3 / 2;
        let grain = if is_short && is_long { Grain::Ranges } else { Grain::Recordings };
        let playlist = Playlist::new(camera, (from, to), growth, grain);
        match self.fill(playlist, &found, grain).await {
            Ok(playlist) if playlist.is_empty() && growth == Growth::Ended => {
                Answer::error(404, "nothing was recorded then")
            }
            Ok(playlist) => Answer::made("application/vnd.apple.mpegurl", playlist),
            Err(error) => Answer::error(503, format!("the card cannot be read: {error}")),
        }
    }

    /// Finds the closed recordings of the span, oldest first.
    fn found(
        &self,
        camera: &str,
        from: WallTime,
        to: WallTime,
        segment: Duration,
    ) -> Result<Found, Answer> {
        let catalog = self.catalog();
        let mut found = Found::default();
        for (folder, entry) in recordings_of(&catalog, camera, from, to)? {
            if is_closed(entry) && entry.duration_ms > 0 {
                found.push(folder, entry, segment);
            }
            if found.list.len() > limits::HLS_RECORDINGS_MAX {
                let most = limits::HLS_RECORDINGS_MAX;
                let wrong = format!("a playlist has at most {most} recordings: ask for less");
                return Err(Answer::error(400, wrong));
            }
        }
        found.list.reverse();
        Ok(found)
    }

    /// Adds the recordings, reading heads one at a time where needed, so that other readers get
    /// their turns. Unreadable recordings are left out.
    async fn fill(
        &self,
        mut playlist: Playlist,
        found: &Found,
        grain: Grain,
    ) -> io::Result<Playlist> {
        for file in &found.list {
            let recording = file.recording;
            let mut seen = (None, None);
            if grain == Grain::Ranges || playlist.must_see_init(&recording) {
                let path = found.path(file);
                match self.reader.run(move || look(&path, &recording, grain)).await? {
                    Some(found) => seen = found,
                    None => continue,
                }
            }
            playlist.add(recording, seen.0, seen.1.as_ref());
        }
        Ok(playlist)
    }

    /// `GET /hls/{camera}/{number}.mp4`.
    pub(super) async fn hls_init(&self, camera: &str, file: &str) -> Answer {
        let Some((recording, entry)) = self.closed(camera, file, ".mp4") else {
            return gone();
        };
        let path = recording.path.clone();
        let job = move || open(&path).map(|file| hls::init(&read(&file), entry.bytes));
        match self.reader.run(job).await.flatten() {
            Ok(Some(init)) => {
                Answer::new(200, Body::Bytes { kind: "video/mp4", bytes: init.into() })
                    .with("Cache-Control", "private, no-cache")
            }
            Ok(None) => no_fragments(),
            Err(error) => self.unreadable(&recording, &error),
        }
    }

    /// `GET /hls/{camera}/{number}.m4s?t=`.
    pub(super) async fn hls_media(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        camera: &str,
        file: &str,
    ) -> Answer {
        let Some((recording, entry)) = self.closed(camera, file, ".m4s") else {
            return gone();
        };
        let Some(time) = asked.head.parameter("t").and_then(|time| time.parse::<i32>().ok()) else {
            return Answer::error(400, "t is a time in milliseconds");
        };
        let (path, length) = (recording.path.clone(), entry.bytes);
        let job = move || Shift::read(&read(&open(&path)?), length, time.into()).map_err(into_io);
        match self.reader.run(job).await.flatten() {
            Ok(shift) => {
                let etag = format!("\"{}-{length:x}-{time}\"", entry.name.number());
                let bytes = shift.bytes();
                self.hand_out_file(asked, recording, bytes, etag, Some(Arc::new(shift)), None)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => no_fragments(),
            Err(error) => self.unreadable(&recording, &error),
        }
    }

    /// Finds a closed recording.
    fn closed(&self, camera: &str, file: &str, kind: &str) -> Option<(Recording, Entry)> {
        let found = number_asked_for(file, kind).and_then(|number| self.find(camera, number));
        found.filter(|(_, entry)| is_closed(entry))
    }
}

fn is_closed(entry: &Entry) -> bool {
    matches!(entry.state, SegmentState::Whole | SegmentState::Cut)
}

fn gone() -> Answer {
    Answer::error(404, "no such recording")
}

fn no_fragments() -> Answer {
    Answer::error(404, "the recording has no fragments")
}

impl Found {
    fn push(&mut self, folder: &Folder, entry: &Entry, segment: Duration) {
        let known = self.folders.iter().position(|it| *it == folder.directory);
        let at = known.unwrap_or(self.folders.len());
        if known.is_none() {
            self.folders.push(folder.directory.clone());
        }
        let recording = hls::ListedRecording {
            // A listed recording has a number.
            number: entry.address().unwrap_or_default(),
            start: entry.start,
            duration_ms: entry.duration_ms,
            codecs: entry.codecs_number(),
            is_full: u128::from(entry.duration_ms) >= segment.as_millis(),
        };
        self.list.push(FoundFile { folder: at, name: entry.name, recording });
    }

    fn path(&self, file: &FoundFile) -> PathBuf {
        let folder = self.folders.get(file.folder).map_or(Path::new(""), PathBuf::as_path);
        folder.join(file.name.file_name())
    }
}

impl Maker for Playlist {
    fn make(&self, piece: usize, out: &mut Vec<u8>) -> bool {
        self.write(piece, out)
    }
}

/// A hash of a recording's init segment, and its index.
type Seen = (Option<u64>, Option<Subsegments>);

/// Returns `None` if the recording is gone or has no fragments.
fn look(path: &Path, recording: &hls::ListedRecording, grain: Grain) -> Option<Seen> {
    let file = open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let init = hash_on(HASH_OF_NOTHING, &hls::init(&read(&file), length)?);
    if grain == Grain::Recordings {
        return Some((Some(init), None));
    }
    let index = scan::read_subsegments(&read(&file), length).ok()?;
    let whole = || {
        let begin = scan::read_head(&read(&file), length).ok()?.media_begin;
        let bytes = u32::try_from(length.checked_sub(begin)?).ok()?;
        let duration = recording.duration_ms;
        let list = vec![Subsegment { begin, bytes, duration, opens_on_key: true }];
        Some(Subsegments { timescale: 1000, list })
    };
    Some((Some(init), Some(index.or_else(whole)?)))
}

fn open(path: &Path) -> io::Result<File> {
    LinuxDisk.open(path, Access::Read)
}

fn read(file: &File) -> impl Fn(&mut [u8], u64) -> io::Result<usize> + '_ {
    |buffer, at| file.read_at(buffer, at)
}

fn into_io(state: FileState) -> io::Error {
    match state {
        FileState::Unreadable { error, .. } => error,
        _ => io::ErrorKind::InvalidData.into(),
    }
}
