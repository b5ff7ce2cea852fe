//! What cameras and users do in that year.

use super::*;

impl Year {
    pub fn record(&mut self, seen: &mut Seen, is_cut: bool) {
        let fragments = 3 + self.random.below(6);
        self.run += u64::from(self.chance(3)); // the camera was away
        for place in self.cameras() {
            let codec = if self.chance(8) { Codec::H265 } else { Codec::H264 };
            let start = SegmentStart {
                parameter_sets: samples::parameter_sets(codec),
                wall: self.board(),
                clock: self.boot.clock,
                up_ms: self.up_ms(),
                run: self.run,
                ..Bench::start()
            };
            self.model.begins(&place, codec, &start, self.boot.id, self.truth);
            let events = self.bench().send(Command::Open { camera: place.id, start });
            self.observe(events, seen);
        }
        for nth in 0..fragments {
            for place in self.cameras() {
                self.append(place.id, nth, seen);
            }
            self.pass(MINUTE, seen);
            if is_cut && self.chance(fragments) {
                return;
            }
        }
        for place in self.cameras() {
            let events = self.bench().send(Command::Close { camera: place.id });
            self.observe(events, seen);
        }
        seen.recordings += 1;
    }

    /// A minute of two frames.
    fn append(&mut self, camera: CameraId, nth: u64, seen: &mut Seen) {
        let is_key = nth.is_multiple_of(3);
        let first = if is_key { 9_000 } else { 15_000 } + self.random.below(9_000);
        let sizes = [u32::try_from(first).unwrap(), 20_000];
        let duration = 30 * 90_000;
        let sample = |bytes| Sample { bytes, duration, composition_offset: 0 };
        let samples = sizes.map(sample);
        let header = FragmentHeader {
            sequence_number: u32::try_from(nth + 1).unwrap(),
            decode_time: Ticks(i64::try_from(nth).unwrap() * 2 * i64::from(duration)),
            opens_on: if is_key { Key } else { NonKey },
            samples: &samples,
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        let extent = header.extent();
        let mut key_frame = Vec::new();
        for size in sizes {
            let frame = self.frame(size);
            if is_key && key_frame.is_empty() {
                key_frame = frame.clone();
            }
            bytes.extend(frame);
        }
        let end = self.bench().frames + 2;
        let frames = self.bench().frames..end;
        self.bench().frames = end;
        self.model.appends(camera, &bytes, &key_frame, end);
        let fragment = Fragment { bytes, extent, frames };
        let events = self.bench().send(Command::Append { camera, fragment });
        self.observe(events, seen);
    }

    /// One NAL unit of bytes that no other has.
    fn frame(&mut self, bytes: u32) -> Vec<u8> {
        let mut frame = (bytes - 4).to_be_bytes().to_vec();
        frame.extend([0x61, 0x61]);
        while frame.len() < bytes as usize {
            frame.extend(self.random.below(u64::MAX).to_le_bytes());
        }
        frame.truncate(bytes as usize);
        frame
    }

    pub fn mark(&mut self, seen: &mut Seen) {
        let places = self.cameras();
        let Some(place) = places.first() else { return };
        let ago = self.random.below(8).cast_signed() * 60_000;
        let (up_ms, wall) = (self.up_ms().saturating_sub(ago.cast_unsigned()), self.board());
        let begin = SegmentTime {
            boot: self.boot.id,
            up_ms: Some(up_ms),
            wall: WallTime(wall.0 - ago),
            clock: self.boot.clock,
        };
        let (source, kind) = (Word::new("script").unwrap(), Word::new("motion").unwrap());
        let (camera, words, course) = (place.name.clone(), String::new(), Course::Over);
        let mark = Mark { camera, source, kind, words, begin, length_ms: 2000, course };
        self.model.marks(&mark, self.truth - ago);
        seen.marked += 1;
        self.note(format!("mark of {}", mark.camera));
        let events = self.bench().send(Command::Mark { camera: place.id, mark: Box::new(mark) });
        self.observe(events, seen);
    }

    /// Keeps, releases or deletes what was recorded in half a day lately.
    pub fn span(&mut self, seen: &mut Seen) {
        let action = match self.random.below(8) {
            0..4 => SpanAction::Keep,
            4..6 => SpanAction::Release,
            _ => SpanAction::Delete,
        };
        let owners = self.model.owners();
        let camera =
            owners[usize::try_from(self.random.below(owners.len() as u64)).unwrap()].clone();
        let ago = self.random.below(20).cast_signed() * DAY;
        let from = WallTime(self.truth - ago - DAY / 2);
        let to = WallTime(self.truth - ago);
        self.note(format!("{action:?} of {camera}, {from} to {to}"));
        let wish = SpanWish { id: 5, camera, from, to, action };
        self.model.wishes(&wish);
        let events = self.bench().send(Command::Span(wish));
        self.observe(events, seen);
        self.pass(SECOND, seen);
        assert!(self.model.wish.is_none(), "a wish is answered");
        seen.kept += 1;
    }

    pub fn configure(&mut self, seen: &mut Seen) {
        let pick =
            |random: &mut Random, of: [u32; 3]| of[usize::try_from(random.below(3)).unwrap()];
        let mut settings = self.bench().settings.clone();
        match self.random.below(5) {
            0 => settings.keep_days = pick(&mut self.random, [0, 6, 20]),
            1 | 2 => settings.thin_after_days = pick(&mut self.random, [1, 2, 6]),
            3 => settings.event_days = pick(&mut self.random, [0, 10, 30]),
            _ => settings.cameras = self.other_cameras(),
        }
        let cameras: Vec<_> = settings
            .cameras
            .iter()
            .map(|it| format!("{}:{} in {}", it.id.0, it.name, it.folder))
            .collect();
        let Settings { keep_days, thin_after_days, event_days, .. } = settings;
        self.note(format!(
            "keep {keep_days}, thin {thin_after_days}, events {event_days}, {cameras:?}"
        ));
        seen.configured += 1;
        let is_off = self.chance(3); // edited meanwhile
        if is_off {
            self.shut_down(seen);
        }
        self.bench().settings = settings.clone();
        if is_off {
            return self.start_again(seen);
        }
        let events = self.bench().send(Command::Configure(Box::new(settings)));
        self.observe(events, seen);
    }

    /// Cameras leave, come, get other names and change folders.
    fn other_cameras(&mut self) -> Vec<Place> {
        let before = self.cameras();
        let mut cameras: Vec<Place> = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let name = ["yard", "gate", "porch"][usize::try_from(self.random.below(3)).unwrap()];
            let folder = [name, ".", "den", name][usize::try_from(self.random.below(4)).unwrap()];
            if cameras.iter().any(|it| it.name == name || it.folder == folder) {
                continue;
            }
            let known = before.iter().find(|it| it.name == name && it.folder == folder);
            self.ids += 1;
            let id = known.map_or(CameraId(self.ids), |it| it.id);
            cameras.push(place(id, name, folder));
        }
        cameras
    }
}
