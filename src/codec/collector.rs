//! Collects parameter sets from wherever they come; hands out the set in force.

use std::sync::Arc;

use super::{Codec, Kind, ParameterSets, Sequence, h264, h265};
use crate::limits::{PARAMETER_SET_BYTES_MAX, PARAMETER_SETS_MAX};

/// Collects parameter sets from SDP and stream: offer each NAL unit, take the set in force.
///
/// Sets are known by their ids, a newer one takes the place of an older; of several SPS the one
/// that changed last is in force. Bounded by `PARAMETER_SETS_MAX` of a kind.
#[derive(Debug)]
pub struct Collector {
    codec: Codec,
    /// By `Kind`, each in the order in which they last changed.
    sets: [Vec<Set>; 3],
    current: Option<Arc<ParameterSets>>,
    changed: bool,
}

impl Collector {
    pub fn new(codec: Codec) -> Collector {
        Collector { codec, sets: Default::default(), current: None, changed: false }
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
        let Some(sets) = self.sets.get_mut(kind as usize) else { return };
        match sets.iter().position(|known| known.id == set.id) {
            Some(index) if sets.get(index).is_some_and(|known| *known.nal == *set.nal) => return,
            Some(index) => drop(sets.remove(index)),
            None if sets.len() >= PARAMETER_SETS_MAX => return,
            None => {}
        }
        sets.push(Set { id: set.id, refers_to: set.refers_to, nal: set.nal.into() });
        self.changed = true;
    }

    /// The set in force, once it is complete: the same `Arc` as long as nothing changed in meaning.
    pub fn current(&mut self) -> Option<Arc<ParameterSets>> {
        if self.changed {
            self.changed = false;
            let new = self.build();
            if new.as_ref() != self.current.as_deref() {
                self.current = new.map(Arc::new);
            }
        }
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
        Some((kind, Set { id, refers_to, nal }))
    }

    fn build(&self) -> Option<ParameterSets> {
        let [videos, sequences, pictures] = &self.sets;
        let is_complete = |sequence: &&Set| {
            let has_video = self.codec == Codec::H264
                || videos.iter().any(|video| video.id == sequence.refers_to);
            has_video && pictures.iter().any(|picture| picture.refers_to == sequence.id)
        };
        let sequences: Vec<&Set> = sequences.iter().rev().filter(is_complete).collect();
        let in_force = sequence(self.codec, &sequences.first()?.nal)?;
        let is_used = |video: &&Set| sequences.iter().any(|by| by.refers_to == video.id);
        let is_usable = |picture: &&Set| sequences.iter().any(|of| of.id == picture.refers_to);
        let nals = [
            videos.iter().filter(is_used).map(|set| set.nal.clone()).collect(),
            sequences.iter().map(|set| set.nal.clone()).collect(),
            pictures.iter().filter(is_usable).map(|set| set.nal.clone()).collect(),
        ];
        Some(ParameterSets { codec: self.codec, sequence: in_force, nals })
    }
}

#[derive(Debug)]
struct Set<N = Box<[u8]>> {
    id: u32,
    /// The set of the kind above that it builds on.
    refers_to: u32,
    nal: N,
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
