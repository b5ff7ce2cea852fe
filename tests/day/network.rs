//! What a network does to the packets of a bad day: some are overtaken, doubled, late or strange.

use crate::{BadDay, FRAME};
use smolnvr::rtp::Order;

/// The receiver's knowledge of the source's packets.
#[derive(Default)]
pub struct Network {
    /// Packets of the source are delivered.
    pub is_known: bool,
    pub is_first: bool,
    /// Until then: the number that the next packet must have.
    pub due: Option<u16>,
    /// The packet before that one is a whole frame.
    pub whole_waits: bool,
    /// Time of the newest packet that was delivered.
    pub time: Option<u32>,
    /// Lost since the last that arrived, and before one that arrived.
    pub missing: u64,
    pub lost: u64,
    pub restarts: u64,
    /// Arrives when it is given up, at the frame of that number.
    pub late: Vec<(u64, Vec<u8>)>,
    /// Arrives behind the first packet of the next frame.
    pub held: Option<Vec<u8>>,
}

pub enum Arrival {
    Delivered,
    DeliveredWithTheOneBefore,
    Waits,
}

/// Half a second of 90 kHz.
const TICKS_GOING_ON_MAX: i32 = 45_000;

impl BadDay {
    /// What becomes of a packet that arrives: over UDP the second in a row tells that a source is
    /// another one, and over TCP a source whose times go on is the same.
    pub fn arrives(&mut self, packet: &[u8]) -> Arrival {
        let network = &mut self.network;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let time = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let before = network.time;
        let mut arrival = Arrival::Delivered;
        if !network.is_known {
            let is_due = network.due.replace(sequence.wrapping_add(1)) == Some(sequence);
            let confirms = self.order == Order::Datagram && !network.is_first;
            if confirms && !is_due {
                return Arrival::Waits;
            }
            network.is_known = true;
            let ticks = before.map(|before| time.wrapping_sub(before).cast_signed());
            let goes_on = ticks.is_some_and(|ticks| (0..=TICKS_GOING_ON_MAX).contains(&ticks));
            if !network.is_first && (self.order == Order::Datagram || !goes_on) {
                network.restarts += 1;
                self.gate_is_open = false;
            }
            if confirms {
                arrival = Arrival::DeliveredWithTheOneBefore;
            }
        }
        network.time = Some(time);
        network.lost += std::mem::take(&mut network.missing);
        arrival
    }

    /// Sends what arrives of a frame, perhaps out of order, twice, and with what belongs to
    /// nothing.
    pub fn deliver(&mut self, mut packets: Vec<Vec<u8>>, number: u64) {
        let is_known = self.gate_is_open && self.network.is_known;
        let can_reorder = is_known && self.order == Order::Datagram;
        if can_reorder && packets.len() > 1 && self.one_in(5) {
            let at = self.below(packets.len() as u64 - 1) as usize;
            packets.swap(at, at + 1); // datagrams overtake each other
        }
        let is_last = number + 1 == self.frames;
        let held = self.network.held.take();
        let holds = can_reorder && held.is_none() && !is_last && packets.len() > 1;
        let next_held = if holds && self.one_in(30) { packets.pop() } else { None };
        let mut held = held.into_iter();
        for packet in packets {
            if self.gate_is_open && self.one_in(100) {
                self.line.packet(b"no RTP at all");
                let mut strange = packet.clone();
                strange[1] = strange[1] & 0x80 | 107;
                self.line.packet(&strange);
            }
            if can_reorder && self.one_in(200) {
                let mut stray = packet.clone();
                stray[2] ^= 0x40; // with numbers that go on it would be the same source
                stray[8..12].copy_from_slice(b"tray");
                self.line.packet(&stray);
            }
            self.line.packet(&packet);
            if self.network.is_known && self.one_in(30) {
                self.line.packet(&packet);
            }
            if let Some(packet) = held.next() {
                self.line.packet(&packet);
            }
        }
        if let Some(packet) = held.next() {
            self.line.packet(&packet);
        }
        self.network.held = next_held;
    }

    pub fn deliver_held(&mut self) {
        if let Some(packet) = self.network.held.take() {
            self.line.packet(&packet);
            self.line.pass(FRAME);
        }
    }

    pub fn deliver_late(&mut self, number: u64) {
        let is_due = |(due, _): &mut (u64, Vec<u8>)| *due <= number;
        let late: Vec<_> = self.network.late.extract_if(.., is_due).collect();
        // It is not late where none that came after it has arrived, and waited in vain.
        if self.network.missing == 0 && self.network.held.is_none() {
            late.iter().for_each(|(_, packet)| self.line.packet(packet));
        }
    }
}
