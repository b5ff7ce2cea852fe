//! What must be on the cards: from what was done and said alone.

use super::{
    clip::{Checked, Clip, May, SLACK, State, ensure},
    contents::{Contents, Key},
    *,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Model {
    cards: BTreeMap<u64, Contents>,
    card: u64,
    /// Boot, its true begin, and when its clock became right.
    pub boots: Vec<([u8; 16], i64, Option<i64>)>,
    begun: BTreeMap<usize, (String, Clip)>,
    given: BTreeMap<usize, (Vec<u8>, Vec<u8>, u64)>,
    open: BTreeMap<usize, Key>,
    pub wish: Option<SpanWish>,
    /// Cameras of marks whose time nobody knew.
    doubtful_marks: BTreeSet<String>,
    started_at: i64,
}

impl Model {
    fn here(&mut self) -> &mut Contents {
        self.cards.entry(self.card).or_default()
    }

    pub fn owners(&mut self) -> Vec<String> {
        let mut owners: BTreeSet<_> =
            self.here().clips.values().map(|it| it.owner.clone()).collect();
        owners.insert("yard".into());
        owners.into_iter().collect()
    }

    pub fn begins(
        &mut self,
        place: &Place,
        codec: Codec,
        start: &SegmentStart,
        boot: [u8; 16],
        truth: i64,
    ) {
        let clip = Clip {
            owner: place.name.clone(),
            codec,
            boot,
            wall: (start.clock == ClockTrust::Trusted).then_some(start.wall.0),
            truth,
            media: Vec::new(),
            fragments: Vec::new(),
            key_frames: Vec::new(),
            durable: 0,
            state: State::Open,
            is_there: May::Yes,
            kept: May::No,
            event: May::No,
            thinned: May::No,
        };
        self.begun.insert(place.id.0, (place.folder.clone(), clip));
    }

    pub fn appends(&mut self, camera: CameraId, bytes: &[u8], key_frame: &[u8], frames_end: u64) {
        self.given.insert(camera.0, (bytes.to_vec(), key_frame.to_vec(), frames_end));
    }

    pub fn marks(&mut self, mark: &Mark, truth: i64) {
        if mark.begin.clock == ClockTrust::Untrusted {
            self.doubtful_marks.insert(mark.camera.clone());
        }
        let (from, to) = (truth - 5_000, truth + 2_000 + 30_000);
        let clips = self.here().clips.values_mut().filter(|it| it.owner == mark.camera);
        for clip in clips.filter(|clip| clip.event != May::Yes) {
            match clip.overlaps(from, to) {
                May::No => {}
                it => clip.event = it,
            }
        }
    }

    pub fn wishes(&mut self, wish: &SpanWish) {
        self.wish = Some(wish.clone());
    }

    /// Of what was not yet said to be done, anything may be so.
    pub fn power_was_cut(&mut self, bench: &Bench) {
        let log = bench.disk.log();
        let removed: BTreeSet<u32> = log
            .iter()
            .filter_map(|line| line.strip_prefix("remove ")?.strip_suffix(".mp4")?.parse().ok())
            .collect();
        self.wish = None;
        self.begun.clear();
        self.given.clear();
        self.open.clear();
        let here = self.here();
        here.index_is_behind = true;
        for ((_, number), clip) in &mut here.clips {
            if clip.state == State::Open {
                clip.state = if clip.durable == 0 { State::Unborn } else { State::Torn };
            }
            if clip.state == State::Unborn || removed.contains(number) {
                clip.is_there = May::Either;
            }
            if clip.kept != May::Yes && clip.event != May::Yes && clip.thinned == May::No {
                clip.thinned = May::Either;
            }
        }
    }

    pub fn swaps(&mut self, card: u64) {
        self.card = card;
    }

    pub fn starts(&mut self, truth: i64) {
        self.started_at = truth;
    }

    fn key(bench: &Bench, file: &crate::storage::Recording) -> Option<Key> {
        let list = bench.catalog.lock().unwrap();
        Some((folder_of(bench, &list.folder(file.folder)?.directory), file.name.number()))
    }

    pub fn hears(&mut self, event: Event, bench: &Bench, wall: WallTime) -> Checked {
        let is_ailing = bench.disk.is_out_of_changes();
        match event {
            Event::Opened { .. }
            | Event::OpenFailed { .. }
            | Event::Returned { .. }
            | Event::Durable { .. }
            | Event::Closed { .. } => self.hears_of_open(event, is_ailing)?,
            Event::Deleted { file, reason } => {
                if reason == DeleteReason::Empty && file.name.is_longer() {
                    return Ok(()); // a copy of which nothing but the name reached the card
                }
                let key = Model::key(bench, &file).ok_or("of no folder")?;
                // Its name was the last that reached the card.
                let here = self.here();
                let is_unknown = !here.clips.contains_key(&key) && here.is_new(&key);
                if reason == DeleteReason::Empty && is_unknown {
                    return Ok(());
                }
                self.may_go(&key, reason, bench, wall)?;
                self.here().clips.remove(&key);
            }
            Event::Thinned { file } => {
                let key = Model::key(bench, &file).ok_or("of no folder")?;
                let days = i64::from(bench.settings.thin_after_days);
                let clip = self.here().clips.get_mut(&key).ok_or("not there")?;
                ensure(clip.kept != May::Yes && clip.event != May::Yes, || format!("{clip:?}"))?;
                let age = wall.0 - clip.end();
                ensure(age > days * DAY - SLACK, || format!("{age} ms old"))?;
                clip.thinned = May::Yes;
            }
            Event::SpanDone { result, .. } => self.span_was_done(result, is_ailing)?,
            Event::Mended { file, .. } => {
                if file.name.is_longer() {
                    return Ok(()); // a copy
                }
                let key = Model::key(bench, &file).ok_or("of no folder")?;
                let clip = self.here().clips.get(&key);
                ensure(clip.is_none_or(|it| it.state != State::Closed), || "it was closed".into())?;
            }
            Event::Corrected { .. } | Event::IndexUnused { .. } => {
                let is_behind = self.here().index_is_behind;
                ensure(is_ailing || is_behind, || "the index was wrong".into())?;
            }
            Event::State(CardState::Ok | CardState::Absent(_) | CardState::Released)
            | Event::Dated { .. }
            | Event::AgeDoubtful
            | Event::Ended => {}
            Event::State(_) | Event::MarksUnwritten { .. } | Event::MarkLost => {
                ensure(is_ailing, || "nothing was wrong".into())?;
            }
            _ => return Err("unexpected".into()),
        }
        Ok(())
    }

    /// Of what is being recorded.
    fn hears_of_open(&mut self, event: Event, is_ailing: bool) -> Checked {
        match event {
            Event::Opened { camera, number } => {
                let (folder, clip) = self.begun.remove(&camera.0).ok_or("nobody asked")?;
                let here = self.here();
                let highest = here.highest.get(&folder).copied();
                ensure(highest.is_none_or(|highest| number > highest), || {
                    format!("{number} was used: {highest:?}")
                })?;
                let key = (folder, number);
                here.clips.insert(key.clone(), clip);
                self.open.insert(camera.0, key);
            }
            Event::OpenFailed { camera, .. } => {
                self.begun.remove(&camera.0);
                ensure(is_ailing, || "nothing was wrong".into())?;
            }
            Event::Returned { camera, result, .. } => {
                let (bytes, key_frame, end) =
                    self.given.remove(&camera.0).ok_or("nobody gave it")?;
                let open = self.open.get(&camera.0).cloned();
                match result {
                    Ok(()) => {
                        let clip = open
                            .and_then(|key| self.here().clips.get_mut(&key))
                            .ok_or("not open")?;
                        clip.media.extend(bytes);
                        clip.key_frames.extend(key_frame);
                        clip.fragments.push((clip.media.len(), end));
                    }
                    Err(_) => ensure(is_ailing, || "nothing was wrong".into())?,
                }
            }
            Event::Durable { camera, frames_end } => {
                let key = self.open.get(&camera.0).cloned().ok_or("not open")?;
                let here = self.here();
                let clip = here.clips.get_mut(&key).ok_or("not there")?;
                clip.durable = clip.fragments.iter().filter(|(_, end)| *end <= frames_end).count();
                here.highest.insert(key.0, key.1);
            }
            Event::Closed { camera, number, ending } => {
                let key = self.open.remove(&camera.0).ok_or("not open")?;
                ensure(key.1 == number, || format!("{key:?} was open"))?;
                if let Some(clip) = self.here().clips.get_mut(&key) {
                    clip.state = match ending {
                        Ending::Whole => State::Closed,
                        _ if clip.durable == 0 => State::Unborn,
                        _ => State::Torn,
                    };
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn may_go(
        &mut self,
        key: &Key,
        reason: DeleteReason,
        bench: &Bench,
        wall: WallTime,
    ) -> Checked {
        let (wish, doubtful) = (self.wish.clone(), self.doubtful_marks.clone());
        let here = self.here();
        let clip = here.clips.get(key).ok_or("not there")?;
        ensure(clip.kept != May::Yes, || format!("it is kept: {clip:?}"))?;
        let Settings { keep_days, event_days, .. } = bench.settings;
        let age = wall.0 - clip.end();
        let is_protected = |clip: &Clip| {
            let age = wall.0 - clip.end();
            clip.event == May::Yes && age < i64::from(event_days) * DAY - SLACK
        };
        match reason {
            DeleteReason::Age => {
                let days = i64::from(keep_days);
                ensure(days > 0 && age > days * DAY - SLACK, || format!("{age} ms old"))?;
                ensure(!is_protected(clip), || "something happened in it".into())
            }
            DeleteReason::Room => {
                // A mark of another boot in 1970 may be taken for one in it, when its head is read.
                let may_be_event = |it: &Clip| {
                    it.event != May::No || it.wall.is_none() && doubtful.contains(&it.owner)
                };
                let mut older = here.clips.range((key.0.clone(), 0)..key.clone());
                let left = older.find(|(_, it)| {
                    it.kept == May::No
                        && it.is_there == May::Yes
                        && it.state == State::Closed
                        && !(event_days > 0 && may_be_event(it))
                });
                ensure(left.is_none(), || format!("{left:?} is older"))?;
                let of_folder = || here.clips.iter().filter(|(it, _)| it.0 == key.0).map(|it| it.1);
                let bytes = |clip: &Clip| match clip.thinned {
                    May::No => clip.media.len(),
                    _ => clip.key_frames.len(),
                };
                let events: usize = of_folder().filter(|it| may_be_event(it)).map(bytes).sum();
                let all: usize = of_folder().filter(|it| it.kept != May::Yes).map(bytes).sum();
                // Heads and indexes count as well there.
                let is_share = events * 100 > all * 38;
                // Beside the one that is being written there may be nothing else.
                let is_last = !here.clips.iter().any(|(it, other)| {
                    it.0 == key.0
                        && it != key
                        && other.is_there == May::Yes
                        && other.state == State::Closed
                        && other.kept == May::No
                        && !may_be_event(other)
                });
                let is_allowed = !is_protected(clip) || is_share || is_last;
                ensure(is_allowed, || format!("an event: {events} of {all}"))
            }
            DeleteReason::Empty => ensure(clip.durable == 0, || format!("{clip:?}")),
            DeleteReason::Asked => {
                let wish =
                    wish.filter(|it| it.action == SpanAction::Delete && it.camera == clip.owner);
                ensure(wish.is_some(), || "nobody asked".into())
            }
            DeleteReason::Count => Err("there are few".into()),
        }
    }

    fn span_was_done(&mut self, result: Result<SpanDone, SpanError>, is_ailing: bool) -> Checked {
        let wish = self.wish.take().ok_or("nobody asked")?;
        let mut counts = [0_u32; 2];
        let is_done = result.is_ok();
        let clips = self.here().clips.values_mut().filter(|it| it.owner == wish.camera);
        for clip in clips {
            let is_sure =
                clip.wall.is_some() && clip.is_there == May::Yes && clip.state == State::Closed;
            let overlap = match clip.overlaps(wish.from.0, wish.to.0) {
                May::Yes if is_sure => May::Yes,
                May::Yes | May::Either => May::Either,
                May::No if clip.wall.is_none() => May::Either, // found under another time
                May::No => continue,
            };
            counts[usize::from(overlap == May::Either)] += 1;
            let target = match (&result, wish.action) {
                (Err(SpanError::Failed(_) | SpanError::Card), _) => May::Either,
                (Err(_), _) | (_, SpanAction::Delete) => continue,
                (_, SpanAction::Keep) => May::Yes,
                (_, SpanAction::Release) => May::No,
            };
            if clip.kept != target {
                clip.kept = if overlap == May::Yes { target } else { May::Either };
            }
        }
        let [sure, either] = counts;
        match result {
            Ok(done) if wish.action == SpanAction::Delete => {
                ensure(done.left <= sure + either, || format!("{done:?}, {sure} are left"))
            }
            Ok(done) => {
                let count = done.segments + done.left;
                let is_it = (sure..=sure + either).contains(&count);
                ensure(is_it, || format!("{done:?} of {sure} and perhaps {either}"))
            }
            Err(SpanError::NothingThere) => ensure(sure == 0, || format!("{sure} are there")),
            Err(SpanError::Full { .. } | SpanError::Unread) => Ok(()),
            Err(SpanError::NoPlace) => ensure(sure == 0, || format!("{sure} have one")),
            Err(_) => ensure(is_ailing && !is_done, || "nothing was wrong".into()),
        }
    }

    /// The list, the files and the model are one.
    pub fn check(
        &mut self,
        bench: &Bench,
        is_full: bool,
        wall: Option<WallTime>,
        truth: i64,
    ) -> Checked {
        let list = bench.catalog.lock().unwrap();
        if !list.complete() {
            return ensure(!is_full, || "still being read".into());
        }
        let boots = self.boots.clone();
        let is_doubtful = self.doubtful_marks.clone();
        let here = self.cards.entry(self.card).or_default();
        let dated = here.dated_boots();
        let mut found = BTreeSet::new();
        for folder in list.folders() {
            let directory = folder_of(bench, &folder.directory);
            for entry in folder.entries() {
                let key = (directory.clone(), entry.name.number());
                let fault = |what: String| format!("{key:?}: {what}: {entry:?}");
                if !here.clips.contains_key(&key) && here.index_is_behind && here.is_new(&key) {
                    continue; // it was being begun when the power was cut
                }
                let clip =
                    here.clips.get_mut(&key).ok_or_else(|| fault("nobody recorded it".into()))?;
                ensure(found.insert(key.clone()), || fault("twice".into()))?;
                if clip.state == State::Unborn {
                    continue;
                }
                ensure(list.camera(folder, entry) == clip.owner, || {
                    fault(format!("is {}'s", clip.owner))
                })?;
                ensure(entry.codec == Some(clip.codec), || fault(format!("{:?}", clip.codec)))?;
                let boot = boots.iter().find(|it| it.0 == clip.boot).unwrap();
                let is_current = boots.last().unwrap().0 == clip.boot;
                clip.dates(entry, boot.2, is_current, dated.contains(&clip.boot)).map_err(fault)?;
                clip.marked(entry, is_doubtful.contains(&clip.owner)).map_err(fault)?;
                if clip.state == State::Open {
                    continue;
                }
                ensure(entry.state == SegmentState::Whole, || fault("not whole".into()))?;
                let path = folder.path(entry.name);
                let bytes = fs::metadata(&path).map_err(|error| fault(error.to_string()))?.len();
                ensure(entry.bytes == bytes, || fault(format!("{bytes} bytes")))?;
                if is_full || clip.state == State::Torn {
                    clip.bytes(&fs::read(&path).unwrap()).map_err(fault)?;
                }
                ensure(i64::from(entry.duration_ms) == clip.length(), || fault("length".into()))?;
                (clip.state, clip.is_there) = (State::Closed, May::Yes);
                let highest = here.highest.entry(directory.clone()).or_insert(0);
                *highest = (*highest).max(key.1);
            }
        }
        here.keep_only(&found)?;
        if is_full {
            let mut entries = list.folders().iter().flat_map(|folder| folder.entries());
            here.index_is_behind &= entries.any(|it| it.is_from_index() || !it.is_indexed());
            here.overdue(bench, wall, truth - self.started_at)?;
        }
        Ok(())
    }
}

fn folder_of(bench: &Bench, directory: &Path) -> String {
    match directory.strip_prefix(bench.disk.root()).unwrap().to_str().unwrap() {
        "" => ".".into(),
        folder => folder.into(),
    }
}
