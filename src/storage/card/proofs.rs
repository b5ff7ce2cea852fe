//! Proofs that the card keeps what it is given: samples of recordings, read back from the card
//! itself.
//!
//! A card that claims more space than it has drops or overwrites what exceeds it, and reports no
//! error. A sample is 4 KB of a recording, of which the checksum is kept in RAM; whenever a
//! recording is closed, its own sample and an older one are read past the page cache and compared.
//! So such a card is found while it is filled for the first time.

use std::time::Instant;

use super::Card;
use crate::{
    limits::{CARD_PROOF_BYTES, CARD_PROOFS_MAX, CARD_STEP_INTERVAL},
    storage::{
        CameraId, Event,
        catalog::SegmentState,
        disk::{Access, Disk},
        index::checksum,
        layout::Name,
    },
};

/// The samples that are kept, oldest first, evenly over the recordings since the start.
#[derive(Default)]
pub(super) struct Proofs {
    samples: Vec<ProofSample>,
    /// One in `1 << sparsity` recordings is sampled for good.
    sparsity: u32,
    closed: u32,
    /// Which older sample is compared next.
    turn: usize,
    /// Those to be compared now.
    waiting: Vec<ProofSample>,
}

/// What was written to one place of a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProofSample {
    camera: CameraId,
    name: Name,
    offset: u64,
    checksum: u32,
    /// The length of the file; once it has another one, the sample is void.
    bytes: u64,
}

/// A sample of a file that is still open.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    offset: u64,
    checksum: u32,
}

impl Taken {
    /// The beginning of a fragment; `None` if it is too short.
    pub fn of(fragment: &[u8], offset: u64) -> Option<Taken> {
        Some(Taken { offset, checksum: checksum(fragment.get(..CARD_PROOF_BYTES)?) })
    }
}

impl Proofs {
    fn add(&mut self, sample: ProofSample) {
        self.waiting.clear();
        self.waiting.push(sample);
        if !self.samples.is_empty() {
            self.turn = (self.turn + 1) % self.samples.len();
            self.waiting.extend(self.samples.get(self.turn));
        }
        if self.closed.is_multiple_of(1 << self.sparsity) {
            self.samples.push(sample);
        }
        self.closed = self.closed.wrapping_add(1);
        if self.samples.len() > CARD_PROOFS_MAX {
            // Every second one, and from now on at twice the distance.
            let mut nth = 0;
            self.samples.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.sparsity = (self.sparsity + 1).min(16);
        }
    }
}

impl<D: Disk> Card<D> {
    /// A recording that has a sample was closed.
    pub(super) fn sampled(&mut self, camera: CameraId, name: Name, taken: Taken, bytes: u64) {
        let Taken { offset, checksum } = taken;
        self.proofs.add(ProofSample { camera, name, offset, checksum, bytes });
    }

    /// When a sample is compared next.
    pub(super) fn next_proof(&self) -> Option<Instant> {
        (!self.proofs.waiting.is_empty()).then_some(self.head_pause)
    }

    /// Compares one sample with what the card has.
    pub(super) fn proof_step(&mut self, now: Instant) {
        self.head_pause = now + CARD_STEP_INTERVAL;
        let Some(sample) = self.proofs.waiting.pop() else { return };
        if self.has_moved(now) {
            return;
        }
        match self.is_as_written(&sample) {
            Some(true) => {}
            Some(false) => {
                self.drop_sample(&sample);
                let file = self.recording(sample.camera, sample.name);
                self.list().facts.wrong_bytes_at = Some((sample.name, sample.offset));
                self.events.push_back(Event::Forgotten { file, offset: sample.offset });
            }
            None => self.drop_sample(&sample),
        }
    }

    fn drop_sample(&mut self, sample: &ProofSample) {
        self.proofs.samples.retain(|it| it != sample);
    }

    /// Whether the card still has what was written; `None` if that cannot be told.
    fn is_as_written(&self, sample: &ProofSample) -> Option<bool> {
        let entry = *self.list().folder(sample.camera)?.get(sample.name)?;
        if entry.state != SegmentState::Whole || entry.bytes != sample.bytes {
            return None;
        }
        let path = self.path(sample.camera, sample.name).ok()?;
        let file = self.disk.open(&path, Access::Read).ok()?;
        let mut buffer = vec![0; CARD_PROOF_BYTES];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let offset = sample.offset + filled as u64;
            // Errors have their own consequences where recordings are read.
            match self.disk.read_back(&file, rest, offset).ok()? {
                0 => return Some(false),
                count => filled += count,
            }
        }
        Some(checksum(&buffer) == sample.checksum)
    }
}
