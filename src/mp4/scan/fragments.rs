//! Checks fragments: sizes must add up, times increase, and NAL units fill their samples. Passes
//! the samples to a visitor.

use super::{
    What,
    head::{Defaults, FileHead},
    window::{BoxHeader, ReadAt, ScanError, Window, damage},
};
use crate::{
    mp4::fragment::{
        BASE_DATA_OFFSET_PRESENT, DATA_OFFSET_PRESENT, DEFAULT_SAMPLE_DURATION_PRESENT,
        DEFAULT_SAMPLE_FLAGS_PRESENT, DEFAULT_SAMPLE_SIZE_PRESENT, Extent,
        FIRST_SAMPLE_FLAGS_PRESENT, FirstSample, SAMPLE_COMPOSITION_OFFSET_PRESENT,
        SAMPLE_DESCRIPTION_INDEX_PRESENT, SAMPLE_DURATION_PRESENT, SAMPLE_FLAGS_PRESENT,
        SAMPLE_SIZE_PRESENT,
    },
    units::Ticks,
};
use std::ops::Range;

/// Checks the fragments of a file one after another.
pub(super) struct FragmentWalk<'a> {
    video: Defaults,
    /// Present in our own files with sound.
    audio: Option<Defaults>,
    /// `None` if the samples are not NAL units of a known codec.
    length_bytes: Option<u8>,
    /// Our files have no other tracks, and media without gaps.
    is_ours: bool,
    /// Decode time of the last sample so far, of video and sound.
    last_samples: [Option<u64>; 2],
    media: Window<'a>,
    visit: Option<&'a mut dyn FnMut(&ListedSample)>,
}

/// A sample, as listed by its fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedSample {
    pub track: TrackKind,
    /// The position of its bytes in the file.
    pub at: u64,
    pub bytes: u32,
    /// In ticks of the track, like the next two.
    pub decode_time: u64,
    pub duration: u32,
    pub composition_offset: i32,
    /// Whether decoding can start with it.
    pub is_key: bool,
}

/// The tracks that are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackKind {
    Video = 0,
    Audio = 1,
}

pub(super) struct Checked {
    pub end: u64,
    /// The payload of `mdat`.
    pub media: Range<u64>,
    /// `None` if the fragment contains no video.
    pub extent: Option<Extent>,
}

/// A `moof` being checked.
struct Fragment {
    moof: BoxHeader,
    mdat: BoxHeader,
    look_at_nal_units: bool,
    /// Totals of the checked samples.
    listed_bytes: u64,
    other_tracks: bool,
    opens_on: Option<FirstSample>,
    start: i64,
    end: i64,
}

/// The fields of a `trun` that stand before its samples.
struct Run {
    /// With the version in the upper byte.
    flags: u32,
    samples: u32,
    /// Those of the first sample, in place of its own.
    first_flags: Option<u32>,
}

/// State passed between the boxes of a `traf`.
struct Traf {
    /// `None` for a track that is not checked.
    track: Option<TrackKind>,
    defaults: Defaults,
    decode_time: u64,
    /// The position of the next run's samples.
    data: u64,
    data_base: u64,
}

impl<'a> FragmentWalk<'a> {
    /// `media` is a second window, so that samples can be read while their list is.
    pub fn new(head: &FileHead, media: Window<'a>) -> FragmentWalk<'a> {
        FragmentWalk {
            video: head.track,
            audio: head.audio.filter(|_| head.identity.is_some()),
            length_bytes: head.video.as_ref().map(|video| video.length_bytes),
            is_ours: head.identity.is_some(),
            last_samples: [None; 2],
            media,
            visit: None,
        }
    }

    /// Passes every sample of video and sound to `visit`.
    pub fn visiting(self, visit: &'a mut dyn FnMut(&ListedSample)) -> FragmentWalk<'a> {
        FragmentWalk { visit: Some(visit), ..self }
    }

    /// Checks the fragment that starts with `moof`; NAL units from `looked_at_from` on.
    pub fn check(
        &mut self,
        window: &mut Window,
        moof: BoxHeader,
        looked_at_from: u64,
    ) -> Result<Checked, ScanError> {
        self.media.position = moof.end;
        let mdat = self.media.box_header(window.len())?;
        if mdat.kind != *b"mdat" {
            return Err(damage(mdat.begin, What::UnexpectedBox { kind: mdat.kind }));
        }
        let mut fragment = Fragment::new(moof, mdat);
        fragment.look_at_nal_units = mdat.end > looked_at_from;
        self.check_trafs(window, &mut fragment)?;
        let present = mdat.end - mdat.body;
        let listed = fragment.listed_bytes;
        let adds_up = if self.is_ours { listed == present } else { listed <= present };
        if !adds_up && (self.is_ours || !fragment.other_tracks) {
            return Err(damage(mdat.begin, What::MediaBytes { listed, present }));
        }
        if fragment.look_at_nal_units && present > 0 {
            self.media.position = mdat.end - 1;
            self.media.u8()?; // readable to its end
        }
        Ok(Checked { end: mdat.end, media: mdat.body..mdat.end, extent: fragment.extent() })
    }

    fn check_trafs(
        &mut self,
        window: &mut Window,
        fragment: &mut Fragment,
    ) -> Result<(), ScanError> {
        window.position = fragment.moof.body;
        while window.position < fragment.moof.end {
            let header = window.box_header(fragment.moof.end)?;
            if header.kind == *b"traf" {
                self.check_traf(window, header, fragment)?;
            }
            window.position = header.end;
        }
        Ok(())
    }

    fn check_traf(
        &mut self,
        window: &mut Window,
        traf: BoxHeader,
        fragment: &mut Fragment,
    ) -> Result<(), ScanError> {
        let mut state = Traf {
            track: None,
            defaults: self.video,
            decode_time: 0,
            data: fragment.mdat.body,
            data_base: fragment.moof.begin,
        };
        window.position = traf.body;
        while window.position < traf.end {
            let header = window.box_header(traf.end)?;
            match &header.kind {
                b"tfhd" => {
                    let flags = window.u32()?;
                    let id = window.u32()?;
                    (state.track, state.defaults) = match self.audio {
                        _ if id == self.video.id => (Some(TrackKind::Video), self.video),
                        Some(audio) if id == audio.id => (Some(TrackKind::Audio), audio),
                        _ => (None, self.video),
                    };
                    fragment.other_tracks |= state.track.is_none();
                    if flags & BASE_DATA_OFFSET_PRESENT != 0 {
                        state.data_base = window.u64()?;
                    }
                    if flags & SAMPLE_DESCRIPTION_INDEX_PRESENT != 0 {
                        window.u32()?;
                    }
                    if flags & DEFAULT_SAMPLE_DURATION_PRESENT != 0 {
                        state.defaults.duration = window.u32()?;
                    }
                    if flags & DEFAULT_SAMPLE_SIZE_PRESENT != 0 {
                        state.defaults.size = window.u32()?;
                    }
                    if flags & DEFAULT_SAMPLE_FLAGS_PRESENT != 0 {
                        state.defaults.flags = window.u32()?;
                    }
                }
                b"tfdt" => {
                    let wide = window.u32()? >> 24 != 0;
                    state.decode_time = if wide { window.u64()? } else { u64::from(window.u32()?) };
                    if let Some(track) = state.track {
                        self.check_decode_time(header, track, state.decode_time)?;
                    }
                }
                b"trun" => {
                    if let Some(track) = state.track {
                        self.check_run(window, header, track, &mut state, fragment)?;
                    }
                }
                _ => {}
            }
            if window.position > header.end {
                return Err(header.ends_too_early());
            }
            window.position = header.end;
        }
        Ok(())
    }

    /// Decode times of a track must increase strictly throughout a file.
    fn check_decode_time(
        &self,
        tfdt: BoxHeader,
        track: TrackKind,
        time: u64,
    ) -> Result<(), ScanError> {
        let latest = u64::MAX >> 2; // leaves room to add durations
        match self.last_samples.get(track as usize).copied().flatten() {
            Some(before) if time <= before => {
                Err(damage(tfdt.begin, What::DecodeTime { time, before }))
            }
            before if time > latest => {
                let before = before.unwrap_or(0);
                Err(damage(tfdt.begin, What::DecodeTime { time, before }))
            }
            _ => Ok(()),
        }
    }

    fn check_run(
        &mut self,
        window: &mut Window,
        trun: BoxHeader,
        track: TrackKind,
        state: &mut Traf,
        fragment: &mut Fragment,
    ) -> Result<(), ScanError> {
        let flags = window.u32()?;
        let samples = window.u32()?;
        let has = |flag: u32| flags & flag != 0;
        if has(DATA_OFFSET_PRESENT) {
            let offset = i64::from(window.u32()?.cast_signed());
            state.data = state.data_base.saturating_add_signed(offset);
        }
        let first_flags = if has(FIRST_SAMPLE_FLAGS_PRESENT) { Some(window.u32()?) } else { None };
        let fields = [
            SAMPLE_DURATION_PRESENT,
            SAMPLE_SIZE_PRESENT,
            SAMPLE_FLAGS_PRESENT,
            SAMPLE_COMPOSITION_OFFSET_PRESENT,
        ];
        let sample_bytes = 4 * fields.iter().filter(|flag| has(**flag)).count() as u64;
        let run_bytes = trun.end - trun.begin;
        // Samples without fields of their own could be listed by the billion at no cost.
        let room = trun.end.saturating_sub(window.position);
        if sample_bytes * u64::from(samples) > room
            || (sample_bytes == 0 && samples > DEFAULT_SAMPLES_MAX)
        {
            return Err(damage(trun.begin, What::SamplesBeyondRun { samples, run_bytes }));
        }
        let media = fragment.mdat;
        if state.data < media.body
            || (self.is_ours && state.data != media.body + fragment.listed_bytes)
        {
            let (offset, media) = (state.data, media.body);
            return Err(damage(trun.begin, What::MediaOffset { offset, media }));
        }
        self.check_samples(window, track, &Run { flags, samples, first_flags }, state, fragment)
    }

    fn check_samples(
        &mut self,
        window: &mut Window,
        track: TrackKind,
        run: &Run,
        state: &mut Traf,
        fragment: &mut Fragment,
    ) -> Result<(), ScanError> {
        let has = |flag: u32| run.flags & flag != 0;
        for nth in 0..run.samples {
            let Defaults { mut duration, mut size, flags: mut own, .. } = state.defaults;
            let mut offset = 0;
            if has(SAMPLE_DURATION_PRESENT) {
                duration = window.u32()?;
            }
            if has(SAMPLE_SIZE_PRESENT) {
                size = window.u32()?;
            }
            if has(SAMPLE_FLAGS_PRESENT) {
                own = window.u32()?;
            }
            if let Some(flags) = run.first_flags.filter(|_| nth == 0) {
                own = flags;
            }
            if has(SAMPLE_COMPOSITION_OFFSET_PRESENT) {
                // Version 0 defines them as unsigned, but some writers use signed ones.
                offset = window.u32()?.cast_signed();
            }
            if track == TrackKind::Video {
                fragment.take(own, state.decode_time, duration, offset.into());
            }
            self.check_sample(track, state.data, size, fragment)?;
            if let Some(last) = self.last_samples.get_mut(track as usize) {
                *last = Some(state.decode_time);
            }
            self.tell(&ListedSample {
                track,
                at: state.data,
                bytes: size,
                decode_time: state.decode_time,
                duration,
                composition_offset: offset,
                is_key: own & SAMPLE_IS_NON_SYNC == 0,
            });
            state.decode_time = state.decode_time.saturating_add(u64::from(duration));
            state.data = state.data.saturating_add(u64::from(size));
            fragment.listed_bytes += u64::from(size);
        }
        Ok(())
    }

    fn tell(&mut self, sample: &ListedSample) {
        if let Some(visit) = &mut self.visit {
            visit(sample);
        }
    }

    /// Checks that the sample lies in the media and, for video, that its NAL units fill it exactly.
    fn check_sample(
        &mut self,
        track: TrackKind,
        begin: u64,
        size: u32,
        fragment: &Fragment,
    ) -> Result<(), ScanError> {
        let end = begin.saturating_add(u64::from(size));
        let media = fragment.mdat;
        if end > media.end {
            let (listed, present) = (end - media.body, media.end - media.body);
            return Err(damage(media.begin, What::MediaBytes { listed, present }));
        }
        let looks = fragment.look_at_nal_units && track == TrackKind::Video;
        let Some(length_bytes) = self.length_bytes.filter(|_| looks) else {
            return Ok(());
        };
        let mut at = begin;
        while at < end {
            let room = end - at;
            if room <= u64::from(length_bytes) {
                return Err(damage(at, What::NalUnit { bytes: 0, left: room }));
            }
            self.media.position = at;
            let mut bytes = 0;
            for _ in 0..length_bytes {
                bytes = bytes << 8 | u64::from(self.media.u8()?);
            }
            let left = room - u64::from(length_bytes);
            if bytes == 0 || bytes > left {
                return Err(damage(at, What::NalUnit { bytes, left }));
            }
            at = self.media.position + bytes;
            let header = self.media.u8()?;
            if header & 0x80 != 0 {
                return Err(damage(at - bytes, What::NalHeader(header))); // forbidden_zero_bit
            }
        }
        Ok(())
    }
}

/// Returns the times of the video in one fragment, even if its media is missing; `None` if there is
/// none.
pub(super) fn times(
    read_at: ReadAt,
    len: u64,
    head: &FileHead,
    moof: BoxHeader,
) -> Result<Option<Extent>, ScanError> {
    let mut walk = FragmentWalk::new(head, Window::new(read_at, len));
    let body = moof.end + 8;
    let mut fragment =
        Fragment::new(moof, BoxHeader { kind: *b"mdat", begin: moof.end, body, end: u64::MAX });
    walk.check_trafs(&mut Window::new(read_at, len), &mut fragment)?;
    Ok(fragment.extent())
}

impl Fragment {
    fn new(moof: BoxHeader, mdat: BoxHeader) -> Fragment {
        Fragment {
            moof,
            mdat,
            look_at_nal_units: false,
            listed_bytes: 0,
            other_tracks: false,
            opens_on: None,
            start: i64::MAX,
            end: 0,
        }
    }

    fn extent(&self) -> Option<Extent> {
        let (start, end) = (Ticks(self.start), Ticks(self.end));
        self.opens_on.map(|opens_on| Extent { opens_on, start, end })
    }

    /// Adds the times of one sample; `flags` matter for the first.
    fn take(&mut self, flags: u32, decode_time: u64, duration: u32, offset: i64) {
        if self.opens_on.is_none() {
            self.opens_on = Some(match (flags & SAMPLE_IS_NON_SYNC, flags & SAMPLE_DEPENDS_ON) {
                (0, 0) => FirstSample::RecoveryPoint,
                (0, _) => FirstSample::Key,
                _ => FirstSample::NonKey,
            });
        }
        let decode_time = i64::try_from(decode_time).unwrap_or(i64::MAX);
        let presented = decode_time.saturating_add(offset);
        self.start = self.start.min(presented);
        self.end = self.end.max(presented.max(decode_time).saturating_add(i64::from(duration)));
    }
}

impl BoxHeader {
    pub(super) fn ends_too_early(&self) -> ScanError {
        let size = self.end - self.begin;
        damage(self.begin, What::BoxSize { kind: self.kind, size })
    }
}

const SAMPLE_IS_NON_SYNC: u32 = 0x0001_0000;
/// 0: unknown.
const SAMPLE_DEPENDS_ON: u32 = 0x0300_0000;
/// Samples of a run that lists none of their fields.
const DEFAULT_SAMPLES_MAX: u32 = 65_536;
