//! The sender of a track's packets: the next number expected, and the data for reports.
//!
//! Spec: RFC 3550 §6.4.1, Appendix A.1, A.3, A.8.

use std::time::Instant;

use super::{
    Packet,
    rtcp::{ReportBlock, SenderReport},
};
use crate::units::{RtpTime, TICKS_PER_SECOND};

/// A packet's position.
pub(super) enum Position {
    Start,
    /// This many numbers after the one expected.
    Ahead(u32),
    /// Before the one expected; `seen` is unknown beyond the 64 numbers that are remembered.
    Behind {
        seen: Option<bool>,
    },
    /// Too far away, or from another source.
    Elsewhere,
}

/// The sender, as described by its packets.
#[derive(Debug)]
pub(super) struct RtpSource {
    pub ssrc: u32,
    /// The number expected: sequence number, with its wraps above.
    pub next: u32,
    first: u32,
    /// Which of the 64 numbers before `next` have arrived; bit 0 is the last one.
    seen: u64,
    received: u32,
    /// Time stamp of its newest packet.
    pub timestamp: RtpTime,
    /// The stamps before it, newest first.
    earlier: [RtpTime; EARLIER_STAMPS],
    /// As defined in RFC 3550 §6.4.1, times 16.
    jitter: u32,
    epoch: Instant,
    transit: u32,
    expected_before: u32,
    received_before: u32,
    pub sender_report: Option<(SenderReport, Instant)>,
}

impl RtpSource {
    pub fn new(packet: &Packet<'_>, now: Instant) -> RtpSource {
        let first = u32::from(packet.sequence_number);
        RtpSource {
            ssrc: packet.ssrc,
            next: first,
            first,
            seen: 0,
            received: 1,
            timestamp: packet.timestamp,
            earlier: [packet.timestamp; EARLIER_STAMPS],
            jitter: 0,
            epoch: now,
            transit: 0u32.wrapping_sub(packet.timestamp.0),
            expected_before: 0,
            received_before: 0,
            sender_report: None,
        }
    }

    pub fn is_due(&self, sequence_number: u16) -> bool {
        sequence_number == (self.next & 0xffff) as u16
    }

    pub fn position(&self, sequence_number: u16) -> Position {
        let due = (self.next & 0xffff) as u16;
        let ahead = i32::from(sequence_number.wrapping_sub(due).cast_signed());
        match u32::try_from(ahead) {
            Ok(count @ ..=DROPOUT_MAX) => Position::Ahead(count),
            Err(_) if ahead >= -MISORDER_MAX => {
                let bit = ahead.unsigned_abs() - 1;
                Position::Behind { seen: self.seen.checked_shr(bit).map(|it| it & 1 == 1) }
            }
            _ => Position::Elsewhere,
        }
    }

    /// Returns true if a stamp of this source can be this close to its newest one.
    pub fn is_near(&self, timestamp: RtpTime) -> bool {
        (-NEAR_TICKS..=NEAR_TICKS).contains(&timestamp.since(self.timestamp).0)
    }

    /// Returns true if the stream can continue with this packet: a frame later, however far apart
    /// they are, or a few frames earlier with B-frames.
    pub fn may_continue_with(&self, packet: &Packet<'_>) -> bool {
        let later = if packet.ssrc == self.ssrc { PAUSE_TICKS } else { REORDERED_TICKS };
        (-REORDERED_TICKS..=later).contains(&packet.timestamp.since(self.timestamp).0)
    }

    /// Returns true if none of the last packets has this stamp.
    pub fn is_new(&self, timestamp: RtpTime) -> bool {
        timestamp != self.timestamp && !self.earlier.contains(&timestamp)
    }

    /// Records that a packet was delivered, `gap` numbers after the one expected, and how many of
    /// these are lost.
    pub fn advance(&mut self, gap: u32, lost: u32) {
        let steps = gap.saturating_add(1);
        // For reports, packets skipped but not lost count as received.
        self.received = self.received.wrapping_add(gap.saturating_sub(lost));
        self.next = self.next.wrapping_add(steps);
        self.seen = self.seen.checked_shl(steps).unwrap_or(0) | 1;
    }

    /// Continues the count after that number, whatever came before.
    pub fn go_to(&mut self, sequence_number: u16) {
        let number = u32::from(sequence_number);
        (self.first, self.next, self.seen) = (number, number.wrapping_add(1), 1);
        (self.received, self.received_before, self.expected_before) = (1, 0, 0);
    }

    /// Updates the interarrival jitter (RFC 3550 Appendix A.8), in ticks of the video clock.
    pub fn arrived(&mut self, packet: &Packet<'_>, now: Instant) {
        if self.timestamp != packet.timestamp {
            self.earlier.rotate_right(1);
            self.earlier[0] = self.timestamp;
            self.timestamp = packet.timestamp;
        }
        self.received = self.received.wrapping_add(1);
        let elapsed = now.saturating_duration_since(self.epoch).as_micros();
        let ticks = elapsed * TICKS_PER_SECOND.unsigned_abs() as u128 / 1_000_000;
        let transit = ((ticks & 0xffff_ffff) as u32).wrapping_sub(packet.timestamp.0);
        let difference = transit.wrapping_sub(self.transit).cast_signed().unsigned_abs();
        self.transit = transit;
        let decay = self.jitter.saturating_add(8) >> 4;
        self.jitter = self.jitter.saturating_sub(decay).saturating_add(difference);
    }

    pub fn reception(&mut self, now: Instant) -> ReportBlock {
        let expected = self.next.wrapping_sub(self.first);
        let expected_now = expected.wrapping_sub(self.expected_before);
        let received_now = self.received.wrapping_sub(self.received_before);
        let lost_now = u64::from(expected_now.saturating_sub(received_now));
        (self.expected_before, self.received_before) = (expected, self.received);
        let fraction = (lost_now * 256).checked_div(expected_now.into()).unwrap_or(0);
        let (last, since) = self.sender_report.map_or((0, 0), |(SenderReport { ntp, .. }, at)| {
            let since = now.saturating_duration_since(at).as_millis() * 65_536 / 1000;
            ((ntp >> 16 & 0xffff_ffff) as u32, u32::try_from(since).unwrap_or(u32::MAX))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            lost: expected.wrapping_sub(self.received).cast_signed(),
            highest_sequence_number: self.next.wrapping_sub(1),
            jitter: self.jitter >> 4,
            last_sender_report: last,
            since_sender_report: since,
        }
    }
}

/// A larger jump is a new numbering, not a loss (RFC 3550 Appendix A.1).
const DROPOUT_MAX: u32 = 3000;
/// A packet further back belongs to a new numbering and is not late (RFC 3550 Appendix A.1).
const MISORDER_MAX: i32 = 100;
/// Stamps by which a packet of an earlier picture is recognized.
const EARLIER_STAMPS: usize = 16;
/// The longest distance between two frames.
const PAUSE_TICKS: i64 = 40 * TICKS_PER_SECOND;
/// How much earlier a picture may be displayed than those decoded before it.
const REORDERED_TICKS: i64 = 2 * TICKS_PER_SECOND;
/// Stamps further apart belong to two sources.
const NEAR_TICKS: i64 = 10 * TICKS_PER_SECOND;
