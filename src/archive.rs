//! Copies closed recordings to a store of the user's: WebDAV or S3.
//!
//! ```text
//! archive.rs   which recording is next, pauses, the reported state
//! ├─ carrier   one request: the connection, the file, the answer
//! ├─ errand    the next request for a recording
//! └─ sign      S3 signatures
//! ```
//! Oldest first, one at a time, over one connection. No progress is written to the card: after a
//! start, or with another card, the store is asked for recordings, newest first, until it has one.
//! Each recording is asked for once before it is sent, so progress lost in a power cut costs only a
//! question. Reading waits while the card writes. Off unless `archive.url` is set.

mod carrier;
mod errand;
mod sign;

use self::{
    carrier::{Carrier, CarryError},
    errand::{Errand, Protocol},
};
use crate::{
    config,
    daemon::archived::Archived,
    limits,
    mp4::identity::{ClockTrust, SegmentMarks},
    runtime,
    storage::{
        catalog::{Catalog, Entry, Owner},
        layout::Asked,
    },
    web::Web,
};
use smol::future;
use std::{cell::Cell, path::PathBuf, rc::Rc};

/// Copies recordings whenever `archive.url` is set, until the daemon ends.
pub(crate) fn start(web: Rc<Web>) {
    let executor = Rc::clone(&web.daemon.executor);
    runtime::spawn(&executor, async move {
        let daemon = &web.daemon;
        loop {
            let settings = daemon.config.borrow().archive.clone();
            let changed = daemon.reloaded.until(|| daemon.config.borrow().archive != settings);
            match &settings.url {
                Some(url) => {
                    daemon.archived.replace(Some(Archived::default()));
                    let carrier = Carrier::new(Rc::clone(&web), url, &settings);
                    let archive = Archive {
                        web: &web,
                        settings: &settings,
                        carrier,
                        at: Vec::new(),
                        is_failing: Cell::default(),
                    };
                    // On the heap, so that it takes memory only while it runs.
                    future::or(Box::pin(archive.run()), changed).await;
                    daemon.archived.replace(None);
                }
                None => changed.await,
            }
        }
    });
}

struct Archive<'a> {
    web: &'a Rc<Web>,
    settings: &'a config::Archive,
    carrier: Carrier,
    /// For each camera, the generation of the list and the recording up to which the store has
    /// everything.
    at: Vec<(String, u32, i64)>,
    /// A reason to wait was logged, and its end was not yet.
    is_failing: Cell<bool>,
}

/// A recording to copy.
struct Item {
    camera: String,
    entry: Entry,
    path: PathBuf,
}

impl Archive<'_> {
    async fn run(mut self) {
        let mut pause = limits::ARCHIVE_PAUSE_MIN;
        loop {
            if let Some(obstacle) = self.obstacle() {
                // Another module has logged it.
                self.told(|it| (it.state, it.reason) = ("waiting", Some(obstacle)));
                runtime::sleep(limits::ARCHIVE_INTERVAL).await;
                continue;
            }
            let result = match self.next().await {
                Ok(None) => {
                    self.tell("idle", None);
                    runtime::sleep(limits::ARCHIVE_INTERVAL).await;
                    continue;
                }
                Ok(Some(item)) => {
                    if pause == limits::ARCHIVE_PAUSE_MIN {
                        self.tell("sending", None);
                    }
                    self.bring(item).await
                }
                Err(trouble) => Err(trouble),
            };
            match result {
                Ok(()) => pause = limits::ARCHIVE_PAUSE_MIN,
                Err(trouble) => {
                    self.told(|it| it.failures += 1);
                    self.tell("waiting", Some(trouble.to_string()));
                    runtime::sleep(pause.max(self.carrier.retry_after)).await;
                    pause = (pause * 2).min(limits::ARCHIVE_PAUSE_MAX);
                }
            }
        }
    }

    /// Why nothing can be copied now.
    fn obstacle(&self) -> Option<String> {
        if self.web.daemon.trust.get() != ClockTrust::Trusted {
            return Some("the clock is not set".to_owned());
        }
        let card = self.web.daemon.card.borrow().name();
        let is_readable = ["ok", "full", "read-only"].contains(&card);
        (!is_readable).then(|| ["the card is ", card].concat())
    }

    /// Sends a recording, unless the store has it. A recording that cannot be read is skipped. One
    /// that the store refuses is not: nearly always the store is full or its settings are wrong,
    /// which affects every recording.
    async fn bring(&mut self, item: Item) -> Result<(), CarryError> {
        let bytes = item.entry.bytes;
        let mut errand = self.errand(&item);
        let was_known = self.carrier.is_known;
        let result = self.carrier.carry(&mut errand, &item.path, bytes).await;
        let is_sent = match result {
            Ok(is_sent) => is_sent,
            Err(trouble) => {
                if !matches!(trouble, CarryError::Card(_)) || self.obstacle().is_some() {
                    return Err(trouble);
                }
                let file = item.entry.file();
                log::warn!("archive: camera={} file={file} left out: {trouble}", item.camera);
                self.told(|it| it.skipped += 1);
                false
            }
        };
        // Only what the store said makes outdated what was assumed; one left out stays left out.
        if !was_known && self.carrier.is_known {
            self.at.clear();
        }
        if is_sent {
            self.told(|it| (it.sent, it.sent_bytes) = (it.sent + 1, it.sent_bytes + bytes));
        }
        let address = item.entry.address().unwrap_or_default();
        if let Some((.., at)) = self.at.iter_mut().find(|(camera, ..)| *camera == item.camera) {
            *at = address.into();
        }
        Ok(())
    }

    fn errand(&self, item: &Item) -> Errand {
        let start = item.entry.start;
        let time: String =
            start.to_string().chars().filter(|it| !matches!(it, '-' | ':')).collect();
        let number = item.entry.address().unwrap_or_default();
        let name = format!("{}/{}/{time}-{number:06}.mp4", item.camera, start.date());
        let is_s3 = self.settings.url.as_ref().is_some_and(config::StoreUrl::is_s3);
        let protocol = if is_s3 { Protocol::S3 } else { Protocol::WebDav };
        Errand::new(protocol, [self.carrier.folder(), "/", &name].concat(), item.entry.bytes)
    }

    /// Returns the oldest recording that the store lacks, and counts the backlog on the way.
    async fn next(&mut self) -> Result<Option<Item>, CarryError> {
        let generation = self.web.catalog().generation();
        let cameras: Vec<String> =
            self.web.catalog().tallies().iter().map(|(camera, _)| (*camera).to_owned()).collect();
        let (mut oldest, mut backlog, mut backlog_bytes) = (None::<Item>, 0, 0);
        for camera in cameras {
            let known = self.at.iter().find(|(of, at, _)| *of == camera && *at == generation);
            let after = match known {
                Some((.., after)) => *after,
                None => {
                    let after = self.look(&camera).await?;
                    self.at.retain(|(of, ..)| *of != camera);
                    self.at.push((camera.clone(), generation, after));
                    after
                }
            };
            let catalog = self.web.catalog();
            let Some(owner) = catalog.owner(&camera) else { continue };
            let (count, bytes, first) = self.candidates(&catalog, owner, after);
            (backlog, backlog_bytes) = (backlog + count, backlog_bytes + bytes);
            let Some(entry) = first else { continue };
            if oldest.as_ref().is_none_or(|it| entry.start.0 < it.entry.start.0)
                && let Some((camera, entry, path)) = place(&catalog, camera, entry)
            {
                oldest = Some(Item { camera, entry, path });
            }
        }
        self.told(|it| (it.backlog, it.backlog_bytes) = (backlog, backlog_bytes));
        Ok(oldest)
    }

    /// Returns the newest recording of a camera that the store has; -1 if it has none.
    async fn look(&mut self, camera: &str) -> Result<i64, CarryError> {
        let mut before = None;
        loop {
            let item = {
                let catalog = self.web.catalog();
                let Some(owner) = catalog.owner(camera) else { return Ok(-1) };
                let mut found = catalog.recordings(owner, before);
                let found = found.find(|(_, entry)| self.is_wanted(entry));
                let Some((folder, entry)) = found else { return Ok(-1) };
                let (entry, path) = (*entry, folder.path(entry.name));
                Item { camera: camera.to_owned(), entry, path }
            };
            before = item.entry.address();
            let errand = self.errand(&item);
            if self.carrier.has(errand).await? {
                return Ok(item.entry.address().unwrap_or_default().into());
            }
            // Wrong keys are not tried on every recording: the first one sent shows whether the
            // store accepts them.
            if !self.carrier.is_known {
                return Ok(-1);
            }
        }
    }

    /// The number and bytes of the recordings to send after that one, and the oldest of them;
    /// without those that may still change and everything newer than such a one.
    fn candidates(
        &self,
        catalog: &Catalog,
        owner: Owner,
        after: i64,
    ) -> (usize, u64, Option<Entry>) {
        let found = catalog.recordings(owner, None);
        let found = found.map(|(_, entry)| entry).take_while(|entry| entry.is_after(after));
        let mut wanted = (0, 0, None);
        for entry in found {
            if !entry.is_final() || self.may_be_marked(entry) {
                wanted = (0, 0, None);
            } else if self.is_wanted(entry) {
                wanted = (wanted.0 + 1, wanted.1 + entry.bytes, Some(*entry));
            }
        }
        wanted
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        entry.is_final()
            && entry.is_read()
            && (!self.settings.marked_only || entry.marks().has(SegmentMarks::EVENT))
    }

    fn may_be_marked(&self, entry: &Entry) -> bool {
        let wait = i64::try_from(limits::ARCHIVE_MARK_WAIT.as_millis()).unwrap_or(i64::MAX);
        self.settings.marked_only
            && entry.clock_trusted
            && entry.end().0.saturating_add(wait) > self.web.daemon.clock.now().0
    }

    fn told(&self, change: impl FnOnce(&mut Archived)) {
        if let Some(archived) = &mut *self.web.daemon.archived.borrow_mut() {
            change(archived);
        }
    }

    /// Sets the reported state. Logs the first reason to wait, and when waiting ends.
    fn tell(&self, state: &'static str, reason: Option<String>) {
        match &reason {
            Some(reason) if !self.is_failing.replace(true) => {
                log::warn!("archive=waiting reason=\"{reason}\"");
            }
            None if self.is_failing.replace(false) => log::info!("archive=ok"),
            _ => {}
        }
        self.told(|it| (it.state, it.reason) = (state, reason));
        self.web.daemon.changed.notify();
    }
}

fn place(catalog: &Catalog, camera: String, entry: Entry) -> Option<(String, Entry, PathBuf)> {
    let asked = Asked::Number(entry.address()?);
    let (folder, entry) = catalog.find(&camera, asked)?;
    let path = folder.path(entry.name);
    Some((camera, *entry, path))
}
