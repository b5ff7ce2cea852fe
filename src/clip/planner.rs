//! Plans a clip: segments in, one after another; their contributions out.

use super::{
    Clip, ClipEnd, ClipSource, Selection,
    movie::{ClipLayout, SegmentMovie, ShownSpan},
    part::{Part, PartStep, Placed, Tally, walk},
    tables::{KINDS, TableBase, TableKind, Width, Writer},
};
use crate::{
    limits,
    mp4::{
        fragment::Extent,
        scan::{self, FileForm, FileHead, TrackKind},
    },
    units::WallTime,
};
use std::ops::ControlFlow;

/// Collects the segments of a span.
#[derive(Debug)]
pub struct Planner {
    from: WallTime,
    to: WallTime,
    selection: Selection,
    first: Option<First>,
    parts: Vec<Part>,
    /// Decode time at which the next part starts, in ticks of the video.
    end: i64,
    shown: ShownSpan,
    shown_from: WallTime,
    shown_to: WallTime,
    ends: ClipEnd,
}

/// Properties of the first segment, which all have to share.
#[derive(Debug)]
struct First {
    head: FileHead,
    movie: SegmentMovie,
}

/// The result of adding a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// Add the next one.
    More,
    /// The clip is complete, or cannot continue.
    End,
}

impl Planner {
    /// Starts a clip of everything recorded from `from` to `to`.
    pub fn new(from: WallTime, to: WallTime, selection: Selection) -> Planner {
        Planner {
            from,
            to,
            selection,
            first: None,
            parts: Vec::new(),
            end: 0,
            shown: ShownSpan { from: 0, to: 0, offset_min: 0, has_offsets: false },
            shown_from: from,
            shown_to: from,
            ends: ClipEnd::Complete,
        }
    }

    /// Adds the next segment, in order of time; segments outside the span, and files that are not
    /// fragmented recordings, contribute nothing.
    ///
    /// *Cost*: one or two reads of 4 KB per fragment.
    pub fn add(&mut self, source: ClipSource, read_at: scan::ReadAt) -> Added {
        if source.start >= self.to {
            return Added::End;
        }
        if self.parts.len() >= limits::CLIP_SEGMENTS_MAX {
            return self.end_here(ClipEnd::Limit);
        }
        let Some((head, movie)) = read_head(read_at, source.bytes) else {
            let nothing_yet = self.parts.is_empty();
            return if nothing_yet { Added::More } else { self.end_here(ClipEnd::Damage) };
        };
        match &self.first {
            Some(first) if !self.parts.is_empty() => {
                if first.movie != movie || !first.head.lists_like(&head) {
                    return self.end_here(ClipEnd::Parameters);
                }
            }
            _ => self.first = Some(First { head, movie }),
        }
        let Some(First { head, movie }) = &self.first else { return Added::End };
        let mut survey = Survey::new(self, movie.video.timescale, source);
        let begin = head.media_begin;
        let walked = walk(read_at, (begin, source.bytes), head, self.selection, &mut |piece| {
            survey.take(piece)
        });
        let survey = survey.finish();
        let is_over_before = survey.is_first && survey.real_end <= Some(survey.from);
        if survey.part.tally(TrackKind::Video).samples > 0 && !is_over_before {
            self.take_in(survey);
        }
        match walked {
            Ok(()) => Added::More,
            Err(_) if self.parts.is_empty() => Added::More,
            Err(_) => self.end_here(ClipEnd::Damage),
        }
    }

    /// Returns the clip; `None` if nothing was recorded in the span.
    pub fn finish(self) -> Option<Clip> {
        let First { head, movie } = self.first?;
        if self.parts.is_empty() {
            return None;
        }
        Some(Clip {
            head,
            selection: self.selection,
            layout: ClipLayout::new(&movie, &self.parts, self.shown),
            parts: self.parts,
            from: self.shown_from,
            to: self.shown_to,
            ends: self.ends,
        })
    }

    fn end_here(&mut self, ends: ClipEnd) -> Added {
        self.ends = ends;
        Added::End
    }

    fn take_in(&mut self, survey: Survey) {
        let mut part = survey.part;
        let video = part.tallies[TrackKind::Video as usize];
        part.shift = self.end - i64::try_from(video.first).unwrap_or(i64::MAX);
        let on_axis = |time: i64| time.saturating_add(part.shift);
        let decoded = video.last.saturating_add(video.last_duration.into());
        let mut end = i64::try_from(decoded).unwrap_or(i64::MAX);
        if self.selection == Selection::All {
            // A run may break off after a frame that is shown later than it is decoded: the next
            // part begins then.
            end = end.max(survey.real_end.unwrap_or(end));
        }
        let end = on_axis(end);
        if self.parts.is_empty() {
            self.shown.from = survey.shown_from.map_or(0, on_axis);
            self.shown_from = survey.wall(survey.shown_from);
        }
        self.shown.to = survey.shown_to.map_or(end, on_axis).max(self.shown.from);
        self.shown_to = survey.wall(survey.shown_to.or(survey.real_end));
        self.shown.offset_min = self.shown.offset_min.min(survey.offset_min);
        self.shown.has_offsets |= survey.has_offsets;
        self.end = end;
        self.parts.push(part);
    }
}

/// Reads the head and `moov` of a fragmented file.
fn read_head(read_at: scan::ReadAt, len: u64) -> Option<(FileHead, SegmentMovie)> {
    let head = scan::read_head(read_at, len).ok()?;
    if head.form != FileForm::Fragmented || head.video.is_none() {
        return None;
    }
    let movie = scan::read_boxes(read_at, len, &[*b"moov"], limits::CLIP_MOVIE_BYTES_MAX)?;
    Some((head, SegmentMovie::read(&movie)?))
}

/// Counts one segment's contribution.
struct Survey {
    source: ClipSource,
    timescale: u32,
    selection: Selection,
    is_first: bool,
    /// The span, in ticks of the file.
    from: i64,
    to: i64,
    part: Part,
    counters: [Counter; 2],
    /// Samples of the current fragment.
    pending: Vec<Placed>,
    pending_media: u64,
    offset_min: i32,
    has_offsets: bool,
    /// Presentation times of the frame shown at the start of the span, and of the first one after
    /// its end; `None` means the part's own.
    shown_from: Option<i64>,
    shown_to: Option<i64>,
    /// The end of the last fragment.
    real_end: Option<i64>,
}

/// The tables of one track.
struct Counter {
    writers: [Writer; 6],
    entries: [u32; 6],
    out: Vec<u8>,
    tally: Tally,
}

impl Survey {
    fn new(planner: &Planner, timescale: u32, source: ClipSource) -> Survey {
        let ticks = |time: WallTime| {
            let millis = i128::from(time.0) - i128::from(source.start.0);
            i64::try_from(millis * i128::from(timescale) / 1000).unwrap_or(i64::MAX)
        };
        Survey {
            source,
            timescale,
            selection: planner.selection,
            is_first: planner.parts.is_empty(),
            from: ticks(planner.from.max(source.start)),
            to: ticks(planner.to),
            part: Part { source: source.id, ..Part::default() },
            counters: [Counter::new(), Counter::new()],
            pending: Vec::new(),
            pending_media: 0,
            offset_min: 0,
            has_offsets: false,
            shown_from: None,
            shown_to: None,
            real_end: None,
        }
    }

    fn take(&mut self, piece: PartStep) -> ControlFlow<()> {
        match piece {
            PartStep::Sample(placed) => self.pending.push(placed),
            PartStep::Media { bytes, .. } => self.pending_media += bytes,
            PartStep::Fragment { begin, end, extent } => {
                let flow = self.take_fragment(begin, end, extent);
                self.pending.clear();
                self.pending_media = 0;
                return flow;
            }
        }
        ControlFlow::Continue(())
    }

    fn take_fragment(&mut self, begin: u64, end: u64, extent: Option<Extent>) -> ControlFlow<()> {
        let has_begun = self.part.end > 0;
        match extent {
            Some(extent) if has_begun && extent.start.0 >= self.to => {
                return ControlFlow::Break(());
            }
            // Decoding starts at the last key frame at or before the start of the span.
            Some(extent)
                if extent.opens_on.is_key()
                    && (!has_begun || (self.is_first && extent.start.0 <= self.from)) =>
            {
                self.begin_again(begin);
            }
            _ if !has_begun => return ControlFlow::Continue(()),
            _ => {}
        }
        self.count();
        self.part.end = end;
        self.part.media_bytes += self.pending_media;
        let extent_end = extent.map(|extent| extent.end.0);
        self.real_end = self.real_end.max(extent_end);
        ControlFlow::Continue(())
    }

    fn begin_again(&mut self, begin: u64) {
        self.part = Part { source: self.source.id, begin, ..Part::default() };
        self.counters = [Counter::new(), Counter::new()];
        (self.offset_min, self.has_offsets) = (0, false);
        (self.shown_from, self.shown_to, self.real_end) = (None, None, None);
    }

    fn count(&mut self) {
        for placed in &self.pending {
            let sample = &placed.sample;
            if let Some(counter) = self.counters.get_mut(sample.track as usize) {
                counter.take(placed);
            }
            if sample.track == TrackKind::Audio || self.selection == Selection::KeyFrames {
                continue;
            }
            self.offset_min = self.offset_min.min(sample.composition_offset);
            self.has_offsets |= sample.composition_offset != 0;
            let decoded = i64::try_from(sample.decode_time).unwrap_or(i64::MAX);
            let shown = decoded.saturating_add(sample.composition_offset.into());
            if self.is_first && shown <= self.from {
                self.shown_from = self.shown_from.max(Some(shown));
            }
            if shown >= self.to {
                self.shown_to = Some(self.shown_to.map_or(shown, |before| before.min(shown)));
            }
        }
        for counter in &mut self.counters {
            counter.writers.iter_mut().for_each(Writer::fragment);
        }
    }

    fn finish(mut self) -> Survey {
        for (counter, tally) in self.counters.iter_mut().zip(&mut self.part.tallies) {
            *tally = counter.finish();
        }
        self
    }

    /// The wall time of a time in the file; `None` means its start.
    fn wall(&self, ticks: Option<i64>) -> WallTime {
        let millis = ticks.unwrap_or(0).saturating_mul(1000) / i64::from(self.timescale);
        WallTime(self.source.start.0.saturating_add(millis))
    }
}

impl Counter {
    fn new() -> Counter {
        Counter {
            writers: KINDS.map(|kind| Writer::new(kind, Width::Bits32, TableBase::default())),
            entries: [0; 6],
            out: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn take(&mut self, placed: &Placed) {
        self.write(|writer, out| writer.sample(placed, out));
        let tally = &mut self.tally;
        if tally.samples == 0 {
            tally.first = placed.sample.decode_time;
        }
        tally.samples += 1;
        (tally.last, tally.last_duration) = (placed.sample.decode_time, placed.sample.duration);
    }

    fn finish(&mut self) -> Tally {
        self.write(Writer::finish);
        let chunks = self.writers[TableKind::Places as usize].chunks();
        Tally { entries: self.entries, chunks, ..self.tally }
    }

    fn write(&mut self, mut write: impl FnMut(&mut Writer, &mut Vec<u8>)) {
        for (writer, entries) in self.writers.iter_mut().zip(&mut self.entries) {
            write(writer, &mut self.out);
            let entry_bytes = writer.entry_bytes();
            *entries += (self.out.len() / entry_bytes) as u32;
            self.out.clear();
        }
    }
}
