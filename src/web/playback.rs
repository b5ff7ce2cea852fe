//! Recordings for players and downloads: a camera's name and a number in, a part of the file out.
//!
//! No file stays open between two pieces, so that a reader neither delays the release of the card
//! nor keeps the space of a deleted recording from being freed.
//! Spec: RFC 9110 §13, §14.
//! Knows nothing of: sockets, permissions.

use super::{
    MediaPlace, Web,
    answer::{Answer, Body},
    link::Link,
    routes::Asked,
};
use crate::{
    hls::Shift,
    http::{
        etag,
        range::{self, Part},
    },
    limits,
    mp4::{
        self,
        scan::{self, ReadAt},
    },
    runtime,
    storage::{
        CameraId, Command,
        catalog::{Entry, SegmentState},
        disk::{Access, Disk as _, foreign, is_foreign, linux::LinuxDisk},
        layout::{self, Name},
    },
    units::WallTime,
};
use base64::Engine as _;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io,
    ops::Range,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

/// The part of a recording being sent.
pub(super) struct FileBody {
    web: Rc<Web>,
    recording: Recording,
    /// Bytes of the file, or of its fragments if their times are moved.
    range: Range<u64>,
    shift: Option<(Arc<Shift>, u64)>,
    so_far: Option<SoFar>,
    _place: Option<MediaPlace>,
}

/// The duration of a recording that is still being written. It replaces the zeros in its head, with
/// which WebKit and Firefox take the first fragment for the whole file and start over at every seek.
pub(super) struct SoFar {
    places: [u64; 4],
    ticks: [u8; 4],
}

#[derive(Clone)]
pub(super) struct Recording {
    /// The folder that it lies in, and its name.
    file: (CameraId, Name),
    pub path: PathBuf,
    /// The generation of the catalogue it was found in.
    generation: u32,
}

impl Web {
    /// `GET /recordings/{camera}/{NNN}.mp4`.
    pub(super) async fn recording(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        name: &str,
        file: &str,
    ) -> Answer {
        let head = &asked.head;
        let Some((recording, entry)) =
            number_asked_for(file, ".mp4").and_then(|it| self.find(name, it))
        else {
            return Answer::error(404, "no such recording");
        };
        // Until its head has been read, its length is not certain.
        let is_sure = entry.is_read() && !entry.is_from_index();
        let known = is_sure.then_some(entry.bytes);
        let (mut so_far, mut start) = (None, entry.start);
        let length = match known {
            Some(bytes) if head.method != "GET" => bytes,
            // Other programs delete recordings too: no length is announced for one that is gone.
            _ => {
                let path = recording.path.clone();
                let open_ms = (entry.state == SegmentState::Recording).then_some(entry.duration_ms);
                let is_unread = entry.state == SegmentState::Unread;
                let opened = self.reader.run(move || {
                    let file = LinuxDisk.open(&path, Access::Read)?;
                    let length = known.map_or_else(|| length_of_recording(&file), Ok)?;
                    let began = is_unread.then(|| began(&file, length)).flatten();
                    Ok((length, began, open_ms.and_then(|ms| SoFar::read(&file, length, ms))))
                });
                match opened.await.flatten() {
                    Ok((length, began, found)) => {
                        so_far = found;
                        start = began.unwrap_or(start);
                        length
                    }
                    Err(error) => return self.unreadable(&recording, &error),
                }
            }
        };
        let answer = self.hand_out_file(
            asked,
            recording.clone(),
            length,
            etag(&entry, start, length),
            None,
            so_far,
        );
        let answer = match head.field("want-repr-digest") {
            Some(wanted) if head.method == "HEAD" && entry.is_final() => {
                self.with_digest(wanted, &recording, length, answer).await
            }
            _ => answer,
        };
        match head.parameter("download") {
            Some(_) if matches!(answer.status, 200 | 206 | 416) => {
                let name = format!("attachment; filename=\"{name}-{}\"", entry.name.file_name());
                answer.with("Content-Disposition", name)
            }
            _ => answer,
        }
    }

    /// Returns the requested part of a file of `length` bytes with that `etag`.
    pub(super) fn hand_out_file(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        recording: Recording,
        length: u64,
        etag: String,
        shift: Option<Arc<Shift>>,
        so_far: Option<SoFar>,
    ) -> Answer {
        let head = &asked.head;
        if head.field("if-none-match").is_some_and(|tags| etag::names(tags, &etag)) {
            return Answer::new(304, Body::None).with("ETag", etag);
        }
        // A range of another state of the file would not match what the player has (§13.1.5).
        let is_current = head.field("if-range").is_none_or(|tag| tag == etag);
        // Ranges apply only to GET (§14.2).
        let wanted = head.field("range").filter(|_| is_current && head.method == "GET");
        let shift = shift.map(|shift| (shift, 0));
        let body = |status, range| {
            let place = match self.media_place(asked) {
                Ok(place) => place,
                Err(answer) => return answer,
            };
            let web = Rc::clone(self);
            let body = FileBody { web, recording, range, shift, so_far, _place: place };
            Answer::new(status, Body::File(Box::new(body)))
        };
        let answer = match range::part(wanted, length).within(LENGTH_MAX) {
            Part::Whole if usize::try_from(length).is_err() => Answer::error(
                500,
                "the file is too long for one response of this board: request ranges",
            ),
            Part::Whole => body(200, 0..length),
            Part::Some(range) => {
                let content = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                body(206, range).with("Content-Range", content)
            }
            Part::Unsatisfiable => Answer::error(416, "the file is shorter than that")
                .with("Content-Range", format!("bytes */{length}")),
        };
        answer
            .with("ETag", etag)
            .with("Accept-Ranges", "bytes")
            .with("Cache-Control", "private, no-cache")
    }

    /// Adds the digest of the file, read for this alone: hashing while recording would cost the
    /// board more than all the rest of recording (RFC 9530 §3, §4).
    async fn with_digest(
        &self,
        wanted: &str,
        recording: &Recording,
        length: u64,
        answer: Answer,
    ) -> Answer {
        if answer.status != 200 || !wanted.contains("sha-256") {
            return answer;
        }
        let (mut sum, mut at) = (Sha256::new(), 0);
        while at < length {
            if self.catalog().generation() != recording.generation {
                return Answer::error(503, "the card was released or replaced");
            }
            let path = recording.path.clone();
            let read = self.reader.run(move || {
                let mut piece = vec![0; limits::WEB_PIECE_BYTES];
                let count = LinuxDisk.open(&path, Access::Read)?.read_at(&mut piece, at)?;
                sum.update(piece.get(..count).unwrap_or_default());
                if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok((sum, count)) }
            });
            match read.await.flatten() {
                Ok((so_far, count)) => (sum, at) = (so_far, at + count as u64),
                Err(error) => return self.unreadable(recording, &error),
            }
        }
        let sum = base64::engine::general_purpose::STANDARD.encode(sum.finalize());
        answer.with("Repr-Digest", format!("sha-256=:{sum}:"))
    }

    /// Finds a recording by number or file name (`014`, `0014.MP4`). No part of `file` becomes part
    /// of a path.
    pub(super) fn find(&self, name: &str, file: &str) -> Option<(Recording, Entry)> {
        let mut catalog = self.catalog();
        let (folder, entry) = catalog.find(name, layout::Asked::parse(file)?)?;
        let (file, path) = ((folder.id, entry.name), folder.path(entry.name));
        let entry = *entry;
        catalog.look_at(file.0, file.1);
        Some((Recording { file, path, generation: catalog.generation() }, entry))
    }

    pub(super) fn unreadable(&self, recording: &Recording, error: &io::Error) -> Answer {
        self.report(recording, error);
        if error.kind() == io::ErrorKind::NotFound || is_foreign(error) {
            return Answer::error(404, "the recording is gone");
        }
        Answer::error(503, format!("cannot read the card: {error}"))
    }

    /// Reports an error, after which the card may have turned read-only, or a file that is gone.
    fn report(&self, recording: &Recording, error: &io::Error) {
        let is_gone = error.kind() == io::ErrorKind::NotFound || is_foreign(error);
        if is_gone || error.raw_os_error() == Some(Errno::IO.raw_os_error()) {
            let (camera, name) = recording.file;
            self.daemon.post(Command::ReadFailed { camera, name });
        }
    }
}

impl FileBody {
    pub fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Reads the next piece that differs from the file into `piece`; returns false if there is none
    /// any more, or if the card returns no more.
    pub async fn next(&mut self, piece: &mut Vec<u8>) -> bool {
        let wanted = self.bytes().min(limits::WEB_PIECE_BYTES as u64);
        if wanted == 0 || !self.is_changed() || !self.is_current() {
            return false;
        }
        let (path, offset) = (self.recording.path.clone(), self.range.start);
        let (mut buffer, mut shift) = (std::mem::take(piece), self.shift.clone());
        // At most one piece.
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let read = self.web.reader.run(move || {
            let file = LinuxDisk.open(&path, Access::Read)?;
            if let Some((shift, cursor)) = &mut shift {
                buffer.clear();
                let read_at: ReadAt = &|buffer, at| file.read_at(buffer, at);
                shift.copy(cursor, offset, wanted, &mut buffer, read_at)?;
            } else {
                buffer.resize(wanted, 0);
                let count = file.read_at(&mut buffer, offset)?;
                buffer.truncate(count);
            }
            Ok((buffer, shift))
        });
        match read.await.flatten() {
            Ok((mut buffer, shift)) => {
                self.shift = shift;
                if let Some(so_far) = &self.so_far {
                    so_far.fill_in(&mut buffer, self.range.start);
                }
                self.range.start += buffer.len() as u64;
                *piece = buffer;
                !piece.is_empty()
            }
            Err(error) => {
                self.web.report(&self.recording, &error);
                false
            }
        }
    }

    /// Sends the rest, which is the file's own bytes, without them passing through this process. Each
    /// time that there is room, the reader fills it, so that the card is never waited for here, nor a
    /// client there.
    pub async fn send(&mut self, link: &Link) {
        if self.range.is_empty() || self.is_changed() {
            return;
        }
        link.widen(self.web.send_buffer_bytes);
        let sent = match link.socket() {
            Ok(socket) => self.fill(link, socket).await,
            Err(error) => Err(error),
        };
        link.widen(limits::WEB_SEND_BUFFER_BYTES);
        if let Err(error) = sent {
            self.web.report(&self.recording, &error);
        }
    }

    async fn fill(&mut self, link: &Link, mut socket: OwnedFd) -> io::Result<()> {
        while !self.range.is_empty() {
            let room = runtime::timeout(limits::WEB_WRITE_TIMEOUT, link.stream.writable());
            let Some(room) = room.await else {
                link.abandon();
                return Err(io::ErrorKind::TimedOut.into());
            };
            room?;
            // A client may have taken nothing until another card was put in.
            if !self.is_current() {
                break;
            }
            link.taken.set(runtime::now());
            let path = self.recording.path.clone();
            let end = self.range.end.min(self.range.start + limits::WEB_SEND_BYTES);
            let piece = self.range.start..end;
            let job = move || {
                let file = LinuxDisk.open(&path, Access::Read)?;
                Ok((send_file(&socket, &file, piece)?, socket))
            };
            (self.range.start, socket) = self.web.reader.run(job).await.flatten()?;
            if self.range.start == end {
                link.stream.has_room();
            }
        }
        Ok(())
    }

    /// False if the card was released or replaced: this is no longer the same file.
    fn is_current(&self) -> bool {
        self.web.catalog().generation() == self.recording.generation
    }

    /// Returns true if what follows differs from the file.
    fn is_changed(&self) -> bool {
        self.shift.is_some() || self.so_far.as_ref().is_some_and(|it| it.end() > self.range.start)
    }

    pub fn is_at_end(&self) -> bool {
        self.range.is_empty()
    }
}

impl SoFar {
    fn read(file: &File, length: u64, duration_ms: u32) -> Option<SoFar> {
        let read_at: ReadAt = &|buffer, at| file.read_at(buffer, at);
        let places = scan::read_head(read_at, length).ok()?.layout?.durations?;
        let ticks = duration_ms.checked_mul(mp4::TIMESCALE / 1000)?.to_be_bytes();
        Some(SoFar { places, ticks })
    }

    /// The bytes from here on are as they are.
    fn end(&self) -> u64 {
        self.places.iter().max().map_or(0, |place| place.saturating_add(self.ticks.len() as u64))
    }

    /// `piece` lies at `offset` in the file.
    fn fill_in(&self, piece: &mut [u8], offset: u64) {
        for place in self.places {
            for (at, byte) in (place..).zip(self.ticks) {
                let at = at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
                if let Some(there) = at.and_then(|at| piece.get_mut(at)) {
                    *there = byte;
                }
            }
        }
    }
}

/// Sends a part of a file until there is no more room for it, and returns where that was.
fn send_file(socket: &OwnedFd, file: &File, part: Range<u64>) -> io::Result<u64> {
    let mut at = part.start;
    while at < part.end {
        let rest = usize::try_from(part.end - at).unwrap_or(usize::MAX);
        match rustix::fs::sendfile(socket, file, Some(&mut at), rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(at)
}

/// The length of one reply; picoserve stores it in a `usize`.
const LENGTH_MAX: u64 = usize::MAX as u64;

/// The name or number in `014.mp4`, `0014.MP4`, or `14.mp4`.
pub(super) fn number_asked_for<'a>(file: &'a str, wanted: &str) -> Option<&'a str> {
    let (number, kind) = file.split_at_checked(file.len().checked_sub(wanted.len())?)?;
    if !kind.eq_ignore_ascii_case(wanted) {
        return None;
    }
    match layout::Asked::parse(file) {
        Some(_) => Some(file),
        // Only this URL allows short numbers.
        None => Some(number).filter(|it| it.bytes().all(|byte| byte.is_ascii_digit())),
    }
}

/// The length of a file whose head has not been read.
///
/// # Errors
/// An error recognised by [`is_foreign`] if it is not a recording.
fn length_of_recording(file: &File) -> io::Result<u64> {
    let mut first = [0; 8];
    let count = file.read_at(&mut first, 0)?;
    if !layout::begins_with_ftyp(first.get(..count).unwrap_or_default()) {
        return Err(foreign("not a recording"));
    }
    Ok(file.metadata()?.len())
}

/// The start of a recording by its head.
fn began(file: &File, length: u64) -> Option<WallTime> {
    let head = scan::read_head(&|buffer, at| file.read_at(buffer, at), length).ok()?;
    Some(head.identity?.wall)
}

/// Identifies the current bytes of a recording, on whichever card. While it is being written, every
/// fragment and its end change this. Marks do not, so that players can continue.
pub(super) fn etag(entry: &Entry, start: WallTime, length: u64) -> String {
    let is_open = entry.state == SegmentState::Recording;
    let state = if is_open { "-open" } else { "" };
    format!("\"{}-{length:x}-{:x}{state}\"", entry.name.number(), start.0)
}
