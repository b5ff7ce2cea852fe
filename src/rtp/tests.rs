//! Shared by the depacketizer tests: a sink that checks its calls, and streams of packets.

use super::*;
use crate::codec::Codec;

mod any;
mod h264;
mod h265;
mod jpeg;
mod packet;
mod receiver;
mod rtcp;

/// Collects access units, and panics on calls out of order.
#[derive(Default)]
struct Units {
    units: Vec<(AccessUnit, Vec<Vec<u8>>)>,
    drops: Vec<DropCause>,
    nals: Vec<Vec<u8>>,
    is_open: bool,
}

impl Sink for Units {
    fn nal_begin(&mut self) {
        assert!(!self.is_open);
        self.is_open = true;
        self.nals.push(Vec::new());
    }

    fn nal_append(&mut self, bytes: &[u8]) {
        assert!(self.is_open && !bytes.is_empty());
        self.nals.last_mut().unwrap().extend_from_slice(bytes);
    }

    fn nal_end(&mut self) {
        assert!(self.is_open);
        self.is_open = false;
    }

    fn access_unit_end(&mut self, unit: AccessUnit) {
        assert!(!self.is_open && !self.nals.is_empty());
        self.units.push((unit, std::mem::take(&mut self.nals)));
    }

    fn access_unit_drop(&mut self, cause: DropCause) {
        assert!(!self.is_open);
        self.nals.clear();
        self.drops.push(cause);
    }
}

impl Units {
    /// Time stamps of the units received.
    fn times(&self) -> Vec<u32> {
        self.units.iter().map(|(unit, _)| unit.timestamp.0).collect()
    }

    fn nals(&self) -> Vec<Vec<Vec<u8>>> {
        self.units.iter().map(|(_, nals)| nals.clone()).collect()
    }
}

/// A depacketizer with its output.
struct Run {
    depacketizer: Depacketizer,
    out: Units,
}

impl Run {
    fn new(codec: Codec, sets: &[&[u8]]) -> Run {
        let sets: Vec<Vec<u8>> = sets.iter().map(|set| set.to_vec()).collect();
        Run { depacketizer: Depacketizer::new(codec, &sets), out: Units::default() }
    }

    fn packet(&mut self, timestamp: u32, marker: Mark, payload: &[u8]) -> &mut Run {
        self.packet_after_loss(0, timestamp, marker, payload)
    }

    fn packet_after_loss(
        &mut self,
        lost: u32,
        timestamp: u32,
        marker: Mark,
        payload: &[u8],
    ) -> &mut Run {
        let packet = packet(timestamp, marker, payload);
        self.depacketizer.handle_packet(&packet, Lost(lost), &mut self.out);
        self
    }

    fn packet_of(&mut self, ssrc: u32, timestamp: u32, payload: &[u8]) -> &mut Run {
        let packet = Packet { ssrc, ..packet(timestamp, Mark::Set, payload) };
        self.depacketizer.handle_packet(&packet, Lost(0), &mut self.out);
        self
    }

    fn end(&mut self) -> &mut Run {
        self.depacketizer.end(&mut self.out);
        self
    }
}

fn packet(timestamp: u32, marker: Mark, payload: &[u8]) -> Packet<'_> {
    let (payload_type, sequence_number, ssrc) = (96, 0, 1);
    let (marker, timestamp) = (marker == Mark::Set, RtpTime(timestamp));
    Packet { marker, payload_type, sequence_number, timestamp, ssrc, payload }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Set,
    Clear,
}

/// A NAL unit with this many bytes after `start`, none of them 0; if it is a slice, it refers to
/// set 0.
fn filled(start: &[u8], length: usize) -> Vec<u8> {
    let filling = (0..length).map(|index| (index % 120 + 0x84) as u8);
    start.iter().copied().chain(filling).collect()
}

/// `header`, then each NAL unit preceded by its length, as in STAP-A and AP.
fn aggregate(header: &[u8], nals: &[&[u8]]) -> Vec<u8> {
    let mut payload = header.to_vec();
    for nal in nals {
        payload.extend((nal.len() as u16).to_be_bytes());
        payload.extend(*nal);
    }
    payload
}
