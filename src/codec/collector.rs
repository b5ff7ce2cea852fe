//! Collects parameter sets from wherever they come; tells which ones a picture needs, and where they go.
//!
//! As long as they keep still they lie in the sample entry alone, and a rare change that comes with a
//! key frame is one of the sample entry. Where a set changes in mid-group, or group for group, sets lie
//! in the samples from then on: all of them before a picture at which decoding can start, those that
//! changed before any other. `mp4` says why that goes with the sample entry's name.
//! Spec: H.264 §7.4.1.2.1, H.265 §7.4.2.4.2 (which set is in force). Knows nothing of: packets, samples.

use std::sync::Arc;

use super::{
    Codec, Kind, ParameterSets, RandomAccess, Sequence, Slice, SliceHeader, Unreadable, h264, h265,
    slice::{self, Syntax},
};
use crate::limits::{
    PARAMETER_SET_BYTES_MAX, PARAMETER_SETS_BYTES_MAX, PARAMETER_SETS_STILL_PICTURES,
};

/// Collects parameter sets from SDP and stream: offer each NAL unit, begin each picture.
///
/// Sets are known by their ids, a newer one takes the place of an older. Bounded by the ids that there
/// are and by `PARAMETER_SETS_BYTES_MAX`; the set that changed longest ago makes way.
#[derive(Debug)]
pub struct Collector {
    codec: Codec,
    /// By `Kind`, each in the order in which they last changed.
    sets: [Vec<Set>; 3],
    /// Of all NAL units in `sets`.
    bytes: usize,
    /// A set changed since the last picture began.
    changed: bool,
    /// Of the set that the last picture refers to.
    picture_id: Option<u32>,
    /// Of the sequence in force.
    sequence_id: Option<u32>,
    /// What the sample entry is made of.
    current: Option<Arc<ParameterSets>>,
    /// Pictures since then.
    pictures: u32,
    /// A sequence parameter set came since the last picture began, known or not.
    sequence_came: bool,
    /// Pictures since the one that such a set came before.
    without_sequence: u32,
    /// A picture came at which decoding can start.
    begun: bool,
    place: Place,
}

/// Where the sets lie that a picture needs.
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

    /// Takes one NAL unit with its header, without a start code; what is no valid parameter set is
    /// ignored. Allocates only where the set is new in meaning.
    pub fn offer(&mut self, nal: &[u8]) {
        if nal.len() > PARAMETER_SET_BYTES_MAX {
            return;
        }
        let Some((kind, set)) = self.parse(without_padding(nal)) else { return };
        self.sequence_came |= kind == Kind::Sequence;
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

    /// The sets in force before the first picture, once they are complete: those of the sequence that
    /// changed last. The same `Arc` as long as nothing changed.
    pub fn current(&mut self) -> Option<Arc<ParameterSets>> {
        if !self.begun {
            self.begin(None, RandomAccess::None);
        }
        self.current.clone()
    }

    /// Begins a picture whose first slice refers to that picture parameter set; answers the sets that
    /// its sample entry is made of, `None` where what it needs is not known, and whether decoding can
    /// start there. The same `Arc` as before unless a decoder has to begin anew.
    ///
    /// Some encoders refresh pictures bit by bit, and repeat their sets where a round begins, but send no
    /// recovery point.
    ///
    /// *Cost*: no allocation unless the answer is new.
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

    /// Reads the beginning of a slice's header, from its first bytes.
    ///
    /// # Errors
    /// `ParameterSet`: what it refers to did not come. `Malformed`: the camera's fault, or it sends
    /// another codec.
    pub fn slice_header(&self, slice: &Slice, nal: &[u8]) -> Result<SliceHeader, Unreadable> {
        let id = slice.picture_set.ok_or(Unreadable::Malformed)?;
        let picture = self.find(Kind::Picture, id).ok_or(Unreadable::ParameterSet)?;
        let sequence = self.find(Kind::Sequence, picture.refers_to);
        slice::read(nal, sequence.ok_or(Unreadable::ParameterSet)?.syntax, picture.syntax)
    }

    /// Says that a picture may have been lost since the last set: what it came before is not known.
    pub fn lose(&mut self) {
        self.sequence_came = false;
    }

    /// Hands out the sets that belong into the picture's sample, in an order in which they can be read.
    pub fn sets_in_sample(&mut self, access: RandomAccess, mut write: impl FnMut(&[u8])) {
        if self.place == Place::SampleEntry {
            return;
        }
        let Some(sequence_id) = self.sequence_id else { return };
        let all = access != RandomAccess::None;
        let video_id = self.find(Kind::Sequence, sequence_id).map(|set| set.refers_to);
        for (kind, sets) in KINDS.into_iter().zip(&mut self.sets) {
            for set in sets.iter_mut().filter(|set| all || set.is_unsent) {
                let is_needed = match kind {
                    Kind::Video => Some(set.id) == video_id,
                    Kind::Sequence => set.id == sequence_id,
                    Kind::Picture => set.refers_to == sequence_id,
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

    fn parse<'a>(&self, nal: &'a [u8]) -> Option<(Kind, Set<&'a [u8]>)> {
        let (kind, id, refers_to) = match self.codec {
            Codec::H264 => h264::parameter_set(nal)?,
            Codec::H265 => h265::parameter_set(nal)?,
        };
        let mut nal = nal;
        if kind == Kind::Sequence {
            nal = without_junk(nal, &sequence(self.codec, nal)?);
        }
        let syntax = Syntax::of(self.codec, kind, nal)?;
        Some((kind, Set { id, refers_to, nal, syntax, is_unsent: true }))
    }

    /// A decoder forgets what refers to a set that changes.
    fn send_again_what_refers_to(&mut self, kind: Kind, id: u32) {
        let [_, sequences, pictures] = &mut self.sets;
        let mut forget = |sequence: u32| {
            let of_it = pictures.iter_mut().filter(|set| set.refers_to == sequence);
            of_it.for_each(|set| set.is_unsent = true);
        };
        match kind {
            Kind::Video => {
                for set in sequences.iter_mut().filter(|set| set.refers_to == id) {
                    set.is_unsent = true;
                    forget(set.id);
                }
            }
            Kind::Sequence => forget(id),
            Kind::Picture => {}
        }
    }

    /// The newest of each kind stay.
    fn make_way(&mut self) {
        while self.bytes > PARAMETER_SETS_BYTES_MAX {
            let Some(sets) = self.sets.iter_mut().max_by_key(|sets| sets.len()) else { return };
            if sets.len() <= 1 {
                return;
            }
            self.bytes -= sets.remove(0).nal.len();
        }
    }

    fn find(&self, kind: Kind, id: u32) -> Option<&Set> {
        self.sets.get(kind as usize)?.iter().find(|set| set.id == id)
    }

    /// The sequence in force: the one that the picture's set refers to. Where that is not told, the one
    /// that changed last.
    fn sequence_of(&self, picture_id: Option<u32>) -> Option<u32> {
        let [_, sequences, _] = &self.sets;
        let mut newest_first = sequences.iter().rev();
        let found = match picture_id {
            Some(id) => {
                let picture = self.find(Kind::Picture, id)?;
                newest_first.find(|it| it.id == picture.refers_to && self.is_complete(it))
            }
            None => newest_first.find(|it| self.is_complete(it)),
        };
        found.map(|sequence| sequence.id)
    }

    fn is_complete(&self, sequence: &Set) -> bool {
        let [_, _, pictures] = &self.sets;
        let has_video =
            self.codec == Codec::H264 || self.find(Kind::Video, sequence.refers_to).is_some();
        has_video && pictures.iter().any(|picture| picture.refers_to == sequence.id)
    }

    /// Sets changed, or others are in force: the sample entry changes, or they lie in the samples now.
    fn settle(&mut self, access: RandomAccess) {
        let Some(sequence) = self.sequence_id.and_then(|id| self.find(Kind::Sequence, id)) else {
            return;
        };
        let Some(current) = &self.current else { return self.put_in_force() };
        let goes_on = current.nals().any(|nal| *nal == *sequence.nal)
            || sequence.parse(self.codec).is_some_and(|it| it.decodes_like(&current.sequence));
        let is_rare = self.place == Place::SampleEntry
            && self.pictures > PARAMETER_SETS_STILL_PICTURES
            && !matches!(access, RandomAccess::None | RandomAccess::RecoveryPoint);
        match (goes_on && self.begun && !is_rare, self.are_held(sequence)) {
            (true, false) => self.place = Place::Samples,
            (false, false) => self.put_in_force(),
            (_, true) => {}
        }
    }

    /// Whether the sample entry holds all that pictures of a sequence need.
    fn are_held(&self, sequence: &Set) -> bool {
        let [_, _, pictures] = &self.sets;
        let is_held =
            |set: &Set| self.current.iter().flat_map(|it| it.nals()).any(|nal| *nal == *set.nal);
        is_held(sequence)
            && self.find(Kind::Video, sequence.refers_to).is_none_or(is_held)
            && pictures.iter().filter(|set| set.refers_to == sequence.id).all(is_held)
    }

    fn put_in_force(&mut self) {
        self.current = self.build().map(Arc::new);
        self.pictures = 0;
        let sequence = self.sequence_id.and_then(|id| self.find(Kind::Sequence, id));
        // No sample entry holds all sets that there can be.
        let fits = sequence.is_some_and(|sequence| self.are_held(sequence));
        self.place = if fits { Place::SampleEntry } else { Place::Samples };
        self.sets.iter_mut().flatten().for_each(|set| set.is_unsent = !fits);
    }

    /// The sequence in force first, then further complete ones, the newest first.
    fn build(&self) -> Option<ParameterSets> {
        let [videos, sequences, pictures] = &self.sets;
        let in_force = self.find(Kind::Sequence, self.sequence_id?)?;
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
    /// The set of the kind above that it builds on.
    refers_to: u32,
    nal: N,
    /// What slice headers need to know of it.
    syntax: Syntax,
    /// It changed, and neither the sample entry nor a sample holds it yet.
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

/// A parameter set ends in a byte with its stop bit, so zeros behind it, and the `00 00 03` that
/// zeros turn into, are padding (H.264 §7.4.1.1).
fn without_padding(mut nal: &[u8]) -> &[u8] {
    loop {
        nal = match nal {
            [rest @ .., 0] | [rest @ .., 0, 0, 3] => rest,
            _ => return nal,
        }
    }
}

/// Quirk: junk after the SPS. Several cameras send a few bytes behind the stop bit, some of them
/// other ones each time; decoders do not look there.
fn without_junk<'a>(nal: &'a [u8], sequence: &Sequence) -> &'a [u8] {
    sequence.length.and_then(|length| nal.get(..length)).unwrap_or(nal)
}

/// An encoder that repeats its sets with more than every tenth picture says nothing by it.
const PICTURES_OF_A_ROUND_MIN: u32 = 9;
const KINDS: [Kind; 3] = [Kind::Video, Kind::Sequence, Kind::Picture];
/// What `avcC` can count (ISO/IEC 14496-15 §5.3.3.1.2): of 32 and 256 ids one less.
const SEQUENCES_LISTED_MAX: usize = 31;
const PICTURES_LISTED_MAX: usize = 255;
