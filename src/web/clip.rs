//! Clips: a camera's name and a span in, one MP4 file made of many recordings out.
//!
//! `clip` produces the bytes; this module handles their files and HTTP. A board has memory for so
//! many recordings in all clips. They are held, so that retention deletes others first.

use super::{
    MediaPlace, Web,
    answer::{Answer, Body, Piece, Source},
    places::Client,
    routes::Asked,
};
use crate::{
    clip::{self, Added, Clip, Cursor, Planner, Selection},
    http::{
        etag,
        range::{self, Part},
        request::Head,
    },
    limits, runtime,
    storage::{
        CameraId,
        catalog::{Catalog, Entry, Folder},
        layout::Name,
        reader::LastFile,
    },
    units::WallTime,
};
use std::{fs, io, ops::Range, path::PathBuf, pin::Pin, rc::Rc, sync::Arc};

/// The recordings that a clip is made from, held while this lives.
struct Segments {
    web: Rc<Web>,
    files: Arc<Files>,
    /// The generation of the catalogue they were found in.
    generation: u32,
    _room: MediaPlace,
}

struct Files {
    folders: Vec<(CameraId, PathBuf)>,
    files: Vec<SegmentFile>,
}

struct SegmentFile {
    /// Index into the folders.
    folder: usize,
    name: Name,
    start: WallTime,
    bytes: u64,
    /// The entry comes from the file, not just from the index.
    is_sure: bool,
}

/// The part of a clip being sent.
struct ClipBody {
    clip: Arc<Clip>,
    cursor: Cursor,
    segments: Segments,
    range: Range<u64>,
    _place: Option<MediaPlace>,
}

/// The clip requested.
struct Query {
    from: WallTime,
    to: WallTime,
    selection: Selection,
}

impl Web {
    /// `GET /clip/{camera}.mp4?from=&to=`.
    pub(super) async fn clip(self: &Rc<Self>, asked: &Asked<'_>, file: &str) -> Answer {
        let Some(camera) = file.strip_suffix(".mp4") else {
            return Answer::error(404, "expected /clip/CAMERA.mp4?from=MS&to=MS");
        };
        let query = match Query::of(&asked.head) {
            Ok(query) => query,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let segments = match self.segments(asked, camera, &query).await {
            Ok(segments) => segments,
            Err(answer) => return answer,
        };
        let clip = match segments.plan(&query).await {
            Ok(Some(clip)) => Arc::new(clip),
            Ok(None) => return Answer::error(404, "nothing was recorded then"),
            Err(error) => return Answer::error(503, format!("cannot read the card: {error}")),
        };
        self.hand_out(asked, camera, clip, segments)
    }

    /// Waits for room for the recordings in the span, and finds them, ordered by number.
    async fn segments(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        camera: &str,
        query: &Query,
    ) -> Result<Segments, Answer> {
        let count = recordings_of(&self.catalog(), camera, query.from, query.to)?.count();
        let count = count.clamp(limits::CLIP_SEGMENTS_MIN, limits::CLIP_SEGMENTS_MAX);
        let sharer = asked.who.sharer(asked.link.peer.address());
        let room = self.clips.freed.until_some(|| {
            let client = Rc::clone(asked.link) as Rc<dyn Client>;
            self.clips.take(client, sharer, count)
        });
        let room = runtime::timeout(limits::CLIP_ROOM_TIMEOUT, room).await.ok_or_else(|| {
            Answer::error(503, "other clips are being sent: try again when one is finished")
                .with("Retry-After", "10")
        })?;
        let mut catalog = self.catalog();
        let mut files = Files { folders: Vec::new(), files: Vec::new() };
        for (folder, entry) in recordings_of(&catalog, camera, query.from, query.to)? {
            let known = files.folders.iter().position(|(id, _)| *id == folder.id);
            let at = known.unwrap_or(files.folders.len());
            if known.is_none() {
                files.folders.push((folder.id, folder.directory.clone()));
            }
            let (name, start, bytes) = (entry.name, entry.start, entry.bytes);
            let is_sure = !entry.is_from_index();
            files.files.push(SegmentFile { folder: at, name, start, bytes, is_sure });
        }
        files.files.reverse();
        // One more than allowed, so that the planner notices.
        files.files.truncate(limits::CLIP_SEGMENTS_MAX + 1);
        files.hold(&mut catalog, 1);
        files.look_at(&mut catalog);
        let (files, generation) = (Arc::new(files), catalog.generation());
        Ok(Segments { web: Rc::clone(self), files, generation, _room: room })
    }

    fn hand_out(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        camera: &str,
        clip: Arc<Clip>,
        segments: Segments,
    ) -> Answer {
        let head = &asked.head;
        let length = clip.bytes();
        let etag = segments.etag(&clip);
        if head.field("if-none-match").is_some_and(|tags| etag::names(tags, &etag)) {
            return Answer::new(304, Body::None).with("ETag", etag);
        }
        let is_current = head.field("if-range").is_none_or(|tag| tag == etag);
        let wanted = head.field("range").filter(|_| is_current && head.method == "GET");
        let (status, range) = match range::part(wanted, length) {
            Part::Whole => (200, 0..length),
            Part::Some(range) => (206, range),
            Part::Unsatisfiable => {
                return Answer::error(416, "the clip is shorter than that")
                    .with("Content-Range", format!("bytes */{length}"));
            }
        };
        let place = match self.media_place(asked) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        let name = clip.from.file_name();
        let (sent, content) = (range.end - range.start, range.clone());
        let answer = [
            ("Clip-From", clip.from.0.to_string()),
            ("Clip-To", clip.to.0.to_string()),
            ("Clip-Ends", clip.ends.name().to_owned()),
        ];
        let body = ClipBody { clip, cursor: Cursor::default(), segments, range, _place: place };
        let source: Box<dyn Source> = Box::new(body);
        let mut answer = answer.into_iter().fold(
            Answer::new(status, Body::Stream { kind: "video/mp4", source }),
            |answer, (field, value)| answer.with(field, value),
        );
        if status == 206 {
            let last = content.end - 1;
            answer =
                answer.with("Content-Range", format!("bytes {}-{last}/{length}", content.start));
        }
        answer
            .with("Content-Length", sent.to_string())
            .with("Content-Disposition", format!("inline; filename=\"{camera}_{name}.mp4\""))
            .with("ETag", etag)
            .with("Accept-Ranges", "bytes")
            .with("Cache-Control", "private, no-cache")
    }
}

/// The recordings in a span, newest first; or why they are not known.
pub(super) fn recordings_of<'a>(
    catalog: &'a Catalog,
    camera: &str,
    from: WallTime,
    to: WallTime,
) -> Result<impl Iterator<Item = (&'a Folder, &'a Entry)>, Answer> {
    if catalog.read_to().is_some_and(|read_to| read_to > from) {
        let wait = "the card is still being read and that time has not been reached: try again";
        return Err(Answer::error(503, wait).with("Retry-After", "2"));
    }
    let Some(owner) = catalog.owner(camera) else {
        return Err(Answer::error(404, "no recordings of that camera"));
    };
    let lies_in = move |entry: &Entry| entry.is_read() && entry.start < to && entry.end() > from;
    Ok(catalog.recordings(owner, None).filter(move |(_, entry)| lies_in(entry)))
}

/// A time in the address.
pub(super) fn time(head: &Head<'_>, name: &str) -> Result<WallTime, String> {
    let time = head.parameter(name).unwrap_or_default().parse().map(WallTime);
    time.map_err(|_| format!("{name}: expected a time in milliseconds since 1970, UTC"))
}

/// `to` in the address, which follows `from`.
pub(super) fn time_after(from: WallTime, head: &Head<'_>) -> Result<WallTime, String> {
    let to = time(head, "to")?;
    if to > from { Ok(to) } else { Err("to: expected a time after `from`".to_owned()) }
}

impl Query {
    fn of(head: &Head<'_>) -> Result<Query, String> {
        let from = time(head, "from")?;
        let to = time_after(from, head)?;
        let selection = match head.parameter("key_frames") {
            Some(_) => Selection::KeyFrames,
            None => Selection::All,
        };
        Ok(Query { from, to, selection })
    }
}

impl Segments {
    /// Examines every segment, one at a time, so that other readers get their turns.
    async fn plan(&self, query: &Query) -> io::Result<Option<Clip>> {
        let mut planner = Planner::new(query.from, query.to, query.selection);
        for id in 0..self.files.files.len() {
            let files = Arc::clone(&self.files);
            let (back, added) = self
                .web
                .reader
                .run(move || {
                    let file = LastFile::default();
                    let added = files.source(id).map_or(Added::End, |source| {
                        planner.add(source, &|buffer, at| files.read(&file, source.id, buffer, at))
                    });
                    (planner, added)
                })
                .await?;
            planner = back;
            if added == Added::End {
                break;
            }
        }
        Ok(planner.finish())
    }

    /// Identifies the clip's bytes: its recordings, their lengths, and the span.
    fn etag(&self, clip: &Clip) -> String {
        let mut hash = HASH_OF_NOTHING;
        let mut add = |value: u64| hash = hash_on(hash, &value.to_be_bytes());
        for id in clip.sources() {
            let Some(file) = self.files.files.get(id as usize) else { continue };
            add(u64::from(file.name.number()));
            add(file.bytes);
            add(file.start.0.cast_unsigned());
        }
        add(clip.from.0.cast_unsigned());
        add(clip.to.0.cast_unsigned());
        format!("\"{:x}-{hash:x}\"", clip.bytes())
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        let mut catalog = self.web.catalog();
        if catalog.generation() == self.generation {
            self.files.hold(&mut catalog, -1);
        }
    }
}

impl Files {
    fn source(&self, id: usize) -> Option<clip::ClipSource> {
        let file = self.files.get(id)?;
        Some(clip::ClipSource { id: u32::try_from(id).ok()?, start: file.start, bytes: file.bytes })
    }

    fn read(&self, file: &LastFile, id: u32, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let path = || {
            let segment = self.files.get(id as usize)?;
            let (_, folder) = self.folders.get(segment.folder)?;
            let path = folder.join(segment.name.file_name());
            let is_it = segment.is_sure || fs::symlink_metadata(&path).ok()?.len() == segment.bytes;
            is_it.then_some(path)
        };
        file.read(id, path, buffer, at)
    }

    /// Queues a check of the recordings known only from the index.
    fn look_at(&self, catalog: &mut Catalog) {
        for file in self.files.iter().filter(|file| !file.is_sure) {
            if let Some((id, _)) = self.folders.get(file.folder) {
                catalog.look_at(*id, file.name);
            }
        }
    }

    fn hold(&self, catalog: &mut Catalog, change: i8) {
        for file in &self.files {
            let folder = self.folders.get(file.folder);
            let folder = folder.and_then(|(id, _)| catalog.folder_mut(*id));
            if let Some(entry) = folder.and_then(|folder| folder.get_mut(file.name)) {
                entry.hold(change);
            }
        }
    }
}

/// FNV-1a: no attacker gains anything from a collision.
pub(super) fn hash_on(hash: u64, bytes: &[u8]) -> u64 {
    let on = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(hash, on)
}

pub(super) const HASH_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

impl Source for ClipBody {
    fn next<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Pin<Box<dyn Future<Output = Piece> + 'a>> {
        Box::pin(async move {
            let wanted = (self.range.end - self.range.start).min(limits::WEB_PIECE_BYTES as u64);
            // The card was released or replaced.
            if wanted == 0 || self.segments.web.catalog().generation() != self.segments.generation {
                return Piece::End;
            }
            let (clip, files) = (Arc::clone(&self.clip), Arc::clone(&self.segments.files));
            let (mut cursor, at, mut piece) = (self.cursor, self.range.start, std::mem::take(out));
            let job = move || {
                let file = LastFile::default();
                let read: clip::ReadSource = &|id, buffer, at| files.read(&file, id, buffer, at);
                // At most one piece.
                let count = usize::try_from(wanted).unwrap_or(0);
                clip.read(&mut cursor, at, count, &mut piece, read)?;
                Ok((piece, cursor))
            };
            match self.segments.web.reader.run(job).await.flatten() {
                Ok((piece, cursor)) => {
                    self.range.start += piece.len() as u64;
                    self.cursor = cursor;
                    *out = piece;
                    Piece::Binary
                }
                Err(error) => {
                    let error: io::Error = error;
                    log::warn!("web: a clip ends early: cannot read the card: {error}");
                    Piece::End
                }
            }
        })
    }
}
