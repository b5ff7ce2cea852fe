//! Pictures of recordings: a camera's name and a number in, a JPEG of the first frame out.
//!
//! Made on request, one at a time, and cached by the browser: a recording's first frame never
//! changes.
//! Spec: RFC 9110 §13.

use super::{
    Web,
    answer::{Answer, Body},
};
use crate::{
    http::{etag, request::Head},
    mp4::scan::{self, FileState},
    still::KeyFrame,
    storage::disk::{Access, Disk as _, linux::LinuxDisk},
};
use std::{io, os::unix::fs::FileExt as _, path::Path, rc::Rc};

impl Web {
    /// `GET /recordings/{camera}/{NNN}.jpg`.
    pub(super) async fn thumbnail(
        self: &Rc<Self>,
        head: &Head<'_>,
        name: &str,
        file: &str,
    ) -> Answer {
        let Some((recording, entry)) = self.find(name, file.strip_suffix(".jpg").unwrap_or(file))
        else {
            return Answer::error(404, "no such recording");
        };
        let etag = format!("\"{}-{:x}-picture\"", entry.name.number(), entry.start.0);
        if head.field("if-none-match").is_some_and(|tags| etag::names(tags, &etag)) {
            return Answer::new(304, Body::None).with("ETag", etag);
        }
        // A waiting request holds no frame in memory.
        let _turn = self.thumbnail.lock().await;
        let path = recording.path.clone();
        let frame = match self.reader.run(move || first(&path)).await.flatten() {
            Ok(Ok(frame)) => frame,
            Ok(Err(reason)) => return Answer::error(503, reason),
            Err(error) => return self.unreadable(&recording, &error),
        };
        match self.daemon.stills.jpeg(&frame).await {
            Ok(bytes) => Answer::new(200, Body::Bytes { kind: "image/jpeg", bytes: bytes.into() })
                .with("ETag", etag)
                .with("Cache-Control", "private, max-age=86400"),
            Err(error) => Answer::error(503, error.to_string()),
        }
    }
}

/// Returns the first frame of a recording, or why it has none.
fn first(path: &Path) -> io::Result<Result<KeyFrame, String>> {
    let file = LinuxDisk.open(path, Access::Read)?;
    let length = file.metadata()?.len();
    let read_at = |buffer: &mut [u8], at: u64| file.read_at(buffer, at);
    match scan::read_first(&read_at, length) {
        Ok(first) => {
            let frame = KeyFrame::new(&first.parameter_sets, &first.sample);
            Ok(frame.map_err(|error| error.to_string()))
        }
        Err(FileState::Unreadable { error, .. }) => Err(error),
        Err(_) => Ok(Err("the recording does not start with a picture".into())),
    }
}
