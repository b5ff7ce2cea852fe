//! Collects parameter sets from all sources, and determines which ones a picture needs and where
//! they are stored.
//!
//! While sets do not change they are only in the sample entry, and a rare change at a key frame
//! changes the sample entry. If sets change in the middle of a picture group, or with every group,
//! they go into the samples from then on: all of them before a picture at which decoding can start,
//! the changed ones before any other. `mp4` explains why that fits the sample entry's name.
//! Spec: H.264 §7.4.1.2.1, H.265 §7.4.2.4.2 (which set is active).
//! Knows nothing of: packets, samples.

use std::sync::Arc;

use super::{
    Codec, ParameterSets, RandomAccess, Sequence, SetKind, Slice, SliceHeader, Unreadable, h264,
    h265,
    slice::{self, Syntax},
};
use crate::limits::{
    PARAMETER_SET_BYTES_MAX, PARAMETER_SETS_BYTES_MAX, PARAMETER_SETS_STILL_PICTURES,
};

/// Collects parameter sets from SDP and stream: offer each NAL unit, begin each picture.
///
/// Sets are identified by their ids; a newer one replaces an older one. Bounded by the number of
/// ids and by `PARAMETER_SETS_BYTES_MAX`; the set that changed longest ago is dropped.
#[derive(Debug)]
pub struct Collector {
    codec: Codec,
    /// By `SetKind`, each ordered by last change.
    sets: [Vec<Set>; 3],
    /// Total size of the NAL units in `sets`.
    bytes: usize,
    /// A set has changed since the last picture began.
    changed: bool,
    /// The id of the last picture's set.
    picture_id: Option<u32>,
    /// The id of the active sequence.
    sequence_id: Option<u32>,
    /// The sets in the sample entry.
    current: Option<Arc<ParameterSets>>,
    /// Pictures since that changed.
    pictures: u32,
    /// A sequence parameter set has arrived since the last picture began, known or new.
    sequence_came: bool,
    /// Pictures since one that was preceded by such a set.
    without_sequence: u32,
    /// There has been a picture at which decoding can start.
    begun: bool,
    place: Place,
}

/// Where the sets needed by a picture are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    SampleEntry,
    Samples,
}

impl Collector {
    pub fn new(codec: Codec) -> Collector {
        Collector {
            codec,
            sets: Default::default(),
            bytes: 0,
            changed: false,
            picture_id: None,
            sequence_id: None,
            current: None,
            pictures: 0,
            sequence_came: false,
            without_sequence: 0,
            begun: false,
            place: Place::SampleEntry,
        }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Offers a NAL unit with its header, without a start code; anything but a valid parameter set
    /// is ignored. Allocates only if the set's meaning is new.
    pub fn offer(&mut self, nal: &[u8]) {
        if nal.len() > PARAMETER_SET_BYTES_MAX {
            return;
        }
        let Some((kind, set)) = self.parse(without_padding(nal)) else { return };
        self.sequence_came |= kind == SetKind::Sequence;
        let Some(sets) = self.sets.get_mut(kind as usize) else { return };
        let position = sets.iter().position(|known| known.id == set.id);
        let mut nal = Vec::new();
        match position.and_then(|index| sets.get(index)) {
            Some(known) if known.nal == set.nal => return,
            Some(_) => nal = sets.remove(position.unwrap_or_default()).nal,
            None => {}
        }
        self.bytes = self.bytes - nal.len() + set.nal.len();
        nal.clear();
        nal.extend_from_slice(set.nal);
        let Set { id, refers_to, syntax, .. } = set;
        sets.push(Set { nal, id, refers_to, syntax, is_unsent: true });
        self.changed = true;
        self.send_again_what_refers_to(kind, set.id);
        self.make_way();
    }

    /// Returns the active sets before the first picture, once they are complete: those of the
    /// sequence that changed last. The same `Arc` while nothing changes.
    pub fn current(&mut self) -> Option<Arc<ParameterSets>> {
        if !self.begun {
            self.begin(None, RandomAccess::None);
        }
        self.current.clone()
    }

    /// Begins a picture whose first slice refers to that picture parameter set. Returns the sets
    /// for its sample entry, or `None` if some are missing, and whether decoding can start there.
    /// The same `Arc` as before unless a decoder has to be reset.
    ///
    /// Some encoders refresh pictures gradually, and repeat their sets at the start of each round,
    /// but send no recovery point.
    ///
    /// *Cost*: allocates only for a new result.
    pub fn begin_picture(
        &mut self,
        picture_id: Option<u32>,
        access: RandomAccess,
    ) -> (Option<Arc<ParameterSets>>, RandomAccess) {
        let came = std::mem::take(&mut self.sequence_came);
        let tells = came && self.without_sequence >= PICTURES_OF_A_ROUND_MIN;
        self.without_sequence = if came { 0 } else { self.without_sequence.saturating_add(1) };
        self.pictures = self.pictures.saturating_add(1);
        let access = match access {
            RandomAccess::None if tells => RandomAccess::RecoveryPoint,
            access => access,
        };
        (self.begin(picture_id, access), access)
    }

    /// Reads the start of a slice header from a slice's first bytes.
    ///
    /// # Errors
    /// `ParameterSet` if the set it refers to has not arrived. `Malformed` if it is invalid, or of
    /// another codec.
    pub fn slice_header(&self, slice: &Slice, nal: &[u8]) -> Result<SliceHeader, Unreadable> {
        let id = slice.picture_set.ok_or(Unreadable::Malformed)?;
        let picture = self.find(SetKind::Picture, id).ok_or(Unreadable::ParameterSet)?;
        let sequence = self.find(SetKind::Sequence, picture.refers_to);
        slice::read(nal, sequence.ok_or(Unreadable::ParameterSet)?.syntax, picture.syntax)
    }

    /// Reports that a picture may have been lost since the last set, so that it is unknown which
    /// picture that set preceded.
    pub fn lose(&mut self) {
        self.sequence_came = false;
    }

    /// Passes on the sets that belong in the picture's sample, in an order in which they can be
    /// parsed.
    pub fn sets_in_sample(&mut self, access: RandomAccess, mut write: impl FnMut(&[u8])) {
        if self.place == Place::SampleEntry {
            return;
        }
        let Some(sequence_id) = self.sequence_id else { return };
        let all = access != RandomAccess::None;
        let video_id = self.find(SetKind::Sequence, sequence_id).map(|set| set.refers_to);
        for (kind, sets) in KINDS.into_iter().zip(&mut self.sets) {
            for set in sets.iter_mut().filter(|set| all || set.is_unsent) {
                let is_needed = match kind {
                    SetKind::Video => Some(set.id) == video_id,
                    SetKind::Sequence => set.id == sequence_id,
                    SetKind::Picture => set.refers_to == sequence_id,
                };
                if is_needed {
                    set.is_unsent = false;
                    write(&set.nal);
                }
            }
        }
    }

    fn begin(
        &mut self,
        picture_id: Option<u32>,
        access: RandomAccess,
    ) -> Option<Arc<ParameterSets>> {
        if self.changed || picture_id != self.picture_id {
            self.changed = false;
            self.picture_id = picture_id;
            self.sequence_id = self.sequence_of(picture_id);
            self.settle(access);
        }
        self.begun |= access != RandomAccess::None;
        self.sequence_id?;
        self.current.clone()
    }

    fn parse<'a>(&self, nal: &'a [u8]) -> Option<(SetKind, Set<&'a [u8]>)> {
        let (kind, id, refers_to) = match self.codec {
            Codec::H264 => h264::parameter_set(nal)?,
            Codec::H265 => h265::parameter_set(nal)?,
        };
        let mut nal = nal;
        if kind == SetKind::Sequence {
            nal = without_junk(nal, &sequence(self.codec, nal)?);
        }
        let syntax = Syntax::of(self.codec, kind, nal)?;
        Some((kind, Set { id, refers_to, nal, syntax, is_unsent: true }))
    }

    /// A decoder forgets sets that refer to a changed one.
    fn send_again_what_refers_to(&mut self, kind: SetKind, id: u32) {
        let [_, sequences, pictures] = &mut self.sets;
        let mut forget = |sequence: u32| {
            let of_it = pictures.iter_mut().filter(|set| set.refers_to == sequence);
            of_it.for_each(|set| set.is_unsent = true);
        };
        match kind {
            SetKind::Video => {
                for set in sequences.iter_mut().filter(|set| set.refers_to == id) {
                    set.is_unsent = true;
                    forget(set.id);
                }
            }
            SetKind::Sequence => forget(id),
            SetKind::Picture => {}
        }
    }

    /// Keeps the newest of each kind.
    fn make_way(&mut self) {
        while self.bytes > PARAMETER_SETS_BYTES_MAX {
            let Some(sets) = self.sets.iter_mut().max_by_key(|sets| sets.len()) else { return };
            if sets.len() <= 1 {
                return;
            }
            self.bytes -= sets.remove(0).nal.len();
        }
    }

    fn find(&self, kind: SetKind, id: u32) -> Option<&Set> {
        self.sets.get(kind as usize)?.iter().find(|set| set.id == id)
    }

    /// The active sequence: the one that the picture's set refers to. If that is unknown, the one
    /// that changed last.
    fn sequence_of(&self, picture_id: Option<u32>) -> Option<u32> {
        let [_, sequences, _] = &self.sets;
        let mut newest_first = sequences.iter().rev();
        let found = match picture_id {
            Some(id) => {
                let picture = self.find(SetKind::Picture, id)?;
                newest_first.find(|it| it.id == picture.refers_to && self.is_complete(it))
            }
            None => newest_first.find(|it| self.is_complete(it)),
        };
        found.map(|sequence| sequence.id)
    }

    fn is_complete(&self, sequence: &Set) -> bool {
        let [_, _, pictures] = &self.sets;
        let has_video =
            self.codec == Codec::H264 || self.find(SetKind::Video, sequence.refers_to).is_some();
        has_video && pictures.iter().any(|picture| picture.refers_to == sequence.id)
    }

    /// Sets changed, or others became active: updates the sample entry, or moves them into the
    /// samples.
    fn settle(&mut self, access: RandomAccess) {
        let Some(sequence) = self.sequence_id.and_then(|id| self.find(SetKind::Sequence, id))
        else {
            return;
        };
        let Some(current) = &self.current else { return self.put_in_force() };
        let parsed = sequence.parse(self.codec);
        let goes_on = parsed.is_some_and(|it| it.decodes_like(&current.sequence));
        let is_rare = self.place == Place::SampleEntry
            && self.pictures > PARAMETER_SETS_STILL_PICTURES
            && !matches!(access, RandomAccess::None | RandomAccess::RecoveryPoint);
        match goes_on {
            true if self.are_held(sequence) => {}
            true if self.begun && !is_rare => self.place = Place::Samples,
            _ => self.put_in_force(),
        }
    }

    /// Returns true if the sample entry contains all sets that pictures of a sequence need.
    fn are_held(&self, sequence: &Set) -> bool {
        let [_, _, pictures] = &self.sets;
        let is_held =
            |set: &Set| self.current.iter().flat_map(|it| it.nals()).any(|nal| *nal == *set.nal);
        is_held(sequence)
            && self.find(SetKind::Video, sequence.refers_to).is_none_or(is_held)
            && pictures.iter().filter(|set| set.refers_to == sequence.id).all(is_held)
    }

    fn put_in_force(&mut self) {
        self.current = self.build().map(Arc::new);
        self.pictures = 0;
        let sequence = self.sequence_id.and_then(|id| self.find(SetKind::Sequence, id));
        // A sample entry cannot hold every possible set.
        let fits = sequence.is_some_and(|sequence| self.are_held(sequence));
        self.place = if fits { Place::SampleEntry } else { Place::Samples };
        self.sets.iter_mut().flatten().for_each(|set| set.is_unsent = !fits);
    }

    /// The active sequence first, then other complete ones, the newest first.
    fn build(&self) -> Option<ParameterSets> {
        let [videos, sequences, pictures] = &self.sets;
        let in_force = self.find(SetKind::Sequence, self.sequence_id?)?;
        let others = sequences.iter().rev();
        let others = others.filter(|set| set.id != in_force.id && self.is_complete(set));
        let listed = std::iter::once(in_force).chain(others).take(SEQUENCES_LISTED_MAX);
        let sequences: Vec<&Set> = listed.collect();
        let is_used = |video: &&Set| sequences.iter().any(|by| by.refers_to == video.id);
        let is_usable = |picture: &&Set| sequences.iter().any(|of| of.id == picture.refers_to);
        let more = pictures.iter().filter(is_usable).count().saturating_sub(PICTURES_LISTED_MAX);
        let nals = [
            videos.iter().filter(is_used).map(Set::boxed).collect(),
            sequences.iter().map(|set| set.boxed()).collect(),
            pictures.iter().filter(is_usable).skip(more).map(Set::boxed).collect(),
        ];
        Some(ParameterSets { codec: self.codec, sequence: in_force.parse(self.codec)?, nals })
    }
}

#[derive(Debug)]
struct Set<N = Vec<u8>> {
    id: u32,
    /// The set of the kind above that it refers to.
    refers_to: u32,
    nal: N,
    /// What parsing slice headers requires of it.
    syntax: Syntax,
    /// It has changed, and is neither in the sample entry nor in a sample yet.
    is_unsent: bool,
}

impl Set {
    fn parse(&self, codec: Codec) -> Option<Sequence> {
        sequence(codec, &self.nal)
    }

    fn boxed(&self) -> Box<[u8]> {
        self.nal.as_slice().into()
    }
}

fn sequence(codec: Codec, nal: &[u8]) -> Option<Sequence> {
    match codec {
        Codec::H264 => h264::sequence(nal),
        Codec::H265 => h265::sequence(nal),
    }
}

/// A parameter set ends with the byte that contains its stop bit. Zeros after it, and the `00 00
/// 03` into which they are escaped, are padding (H.264 §7.4.1.1).
fn without_padding(mut nal: &[u8]) -> &[u8] {
    loop {
        nal = match nal {
            [rest @ .., 0] | [rest @ .., 0, 0, 3] => rest,
            _ => return nal,
        }
    }
}

/// Quirk: junk after the SPS. Several cameras send a few bytes after the stop bit, some of them
/// different ones each time; decoders ignore them.
fn without_junk<'a>(nal: &'a [u8], sequence: &Sequence) -> &'a [u8] {
    sequence.length.and_then(|length| nal.get(..length)).unwrap_or(nal)
}

/// If an encoder repeats its sets with more than every tenth picture, that has no meaning.
const PICTURES_OF_A_ROUND_MIN: u32 = 9;
const KINDS: [SetKind; 3] = [SetKind::Video, SetKind::Sequence, SetKind::Picture];
/// The most that `avcC` can count (ISO/IEC 14496-15 §5.3.3.1.2): one less than the 32 and 256 ids.
const SEQUENCES_LISTED_MAX: usize = 31;
const PICTURES_LISTED_MAX: usize = 255;
