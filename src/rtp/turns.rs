//! Decides which of several sources on one track is ours.
//!
//! Spec: RFC 3550 §8 (an SSRC identifies a source). Knows nothing of: losses, order.

use super::{
    Packet,
    receiver::{Deliver, Lost, Order, Receiver},
};
use crate::limits::{REORDER_PACKET_BYTES_MAX, REORDER_PACKETS_MAX};
use std::time::{Duration, Instant};

impl Receiver {
    /// Quirk: an SSRC that changes while numbers and stamps continue (Uniview,
    /// bluenviron/gortsplib#687): the same source under several names, and no loss.
    pub(super) fn adopt_what_goes_on(&mut self, packet: &Packet<'_>) {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc != packet.ssrc) else {
            return;
        };
        if source.is_due(packet.sequence_number) && source.is_near(packet.timestamp) {
            source.ssrc = packet.ssrc;
            self.home = Some(packet.ssrc);
        }
    }

    /// Quirk: Reolink (RLC-410, live555 of 2013) keeps sending packets of an ended session into the
    /// next connection. If the first SSRC comes back after a second one replaced it, the first is
    /// the real stream; the second is then ignored while the first keeps sending.
    ///
    /// Over UDP anyone can send: an announced source is kept while it sends.
    pub(super) fn is_of_another_session(&mut self, ssrc: u32, now: Instant) -> bool {
        let home = *self.home.get_or_insert(ssrc);
        let is_fresh = self.heard.is_some_and(|at| now.saturating_duration_since(at) < TURN_MAX);
        let current = self.source.as_ref().map(|source| source.ssrc);
        if current != Some(ssrc) && is_fresh {
            let is_told = self.order == Order::Datagram && self.announced.is_some();
            self.is_steadfast |= ssrc == home || is_told;
            if self.is_steadfast && current == Some(home) {
                return true;
            }
        }
        if self.order == Order::Reliable || current.is_none_or(|current| current == ssrc) {
            self.heard = Some(now);
        }
        false
    }

    /// Over TCP, holds back the packets of another source until it begins a second frame or ours is
    /// silent; if ours sends first, the two take turns, and the other one is dropped without
    /// counting a loss.
    pub(super) fn waits_for_turn(
        &mut self,
        packet: &Packet<'_>,
        now: Instant,
        deliver: Deliver<'_>,
    ) -> bool {
        let Some(source) = &self.source else { return false };
        if source.ssrc == packet.ssrc || self.is_steadfast {
            let count = self.waiting.len() as u64;
            self.is_steadfast |= count > 0 && self.home == Some(packet.ssrc);
            self.statistics.received -= count;
            self.statistics.foreign += count;
            self.spare.extend(self.waiting.drain(..).map(|waiting| waiting.payload));
            return false;
        }
        let first = self.waiting.first();
        if first.is_some_and(|first| first.ssrc != packet.ssrc) {
            self.statistics.foreign += 1;
            return true;
        }
        let is_of_frame = first.is_none_or(|first| first.timestamp == packet.timestamp);
        let has_room = self.waiting.len() < REORDER_PACKETS_MAX
            && packet.payload.len() <= REORDER_PACKET_BYTES_MAX;
        if is_of_frame && has_room {
            self.statistics.received += 1;
            let held = self.copy(packet, packet.sequence_number.into(), now);
            self.waiting.push(held);
            return true;
        }
        self.give_way(now, deliver);
        false
    }

    /// The source whose packets are held back replaces ours.
    pub(super) fn give_way(&mut self, now: Instant, deliver: Deliver<'_>) {
        for held in std::mem::take(&mut self.waiting) {
            self.statistics.received -= 1;
            let packet = held.packet(self.payload_type);
            match self.is_source(held.ssrc) {
                true => self.handle(packet, now, deliver),
                false => {
                    let lost = Lost(u32::from(!self.may_go_on(&packet)));
                    self.restart(packet, now, lost, deliver);
                }
            }
            self.spare.push(held.payload);
        }
    }
}

/// Sources that send within this time of each other alternate.
const TURN_MAX: Duration = Duration::from_secs(1);
