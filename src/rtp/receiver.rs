//! Orders the packets of one track and reports missing ones.
//!
//! Packets as they arrive in; packets by sequence number out, each with the number lost before it.
//! Also collects the data for receiver reports.
//! Spec: RFC 3550 §6.4.1, Appendix A.1, A.3, A.8.

use std::time::{Duration, Instant};

use super::{
    Packet,
    elsewhere::Elsewhere,
    rtcp::{ReportBlock, SenderReport},
    source::{Position, RtpSource},
};
use crate::{
    limits::{REORDER_DELAY_MAX, REORDER_PACKET_BYTES_MAX, REORDER_PACKETS_MAX},
    units::{RtpTime, TICKS_PER_SECOND, Ticks},
};

/// The transport's guarantees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// TCP: a gap in the numbers is a loss at once.
    Reliable,
    /// UDP: a packet may be overtaken by `REORDER_PACKETS_MAX` others within `REORDER_DELAY_MAX`.
    Datagram,
}

/// Packets lost just before this one. A restarted source counts as one loss, unless its time stamps
/// continue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost(pub u32);

/// Packets received and missing since the receiver was created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Packets of this track, including late and duplicate ones.
    pub received: u64,
    pub lost: u64,
    /// Packets that arrived after they had been given up.
    pub late: u64,
    pub duplicate: u64,
    /// Packets of another payload type or source.
    pub foreign: u64,
    /// Restarts of the source or its numbering.
    pub restarts: u64,
}

/// One track's packets in order, each delivered with the number lost before it.
///
/// Allocates only when packets have to wait: at most `REORDER_PACKETS_MAX` buffers, which are
/// reused.
#[derive(Debug)]
pub struct Receiver {
    pub(super) payload_type: u8,
    pub(super) order: Order,
    pub(super) announced: Option<u32>,
    /// The source that is certainly ours: the announced one, or else the first.
    pub(super) home: Option<u32>,
    /// Two sources have alternated, so ours is kept while it sends.
    pub(super) is_steadfast: bool,
    /// When the last packet of the source arrived.
    pub(super) heard: Option<Instant>,
    /// When the last packet of the payload type arrived.
    typed: Option<Instant>,
    pub(super) source: Option<RtpSource>,
    candidate: Option<Candidate>,
    /// Consecutive packets whose number was not the one due.
    astray: u8,
    elsewhere: Elsewhere,
    /// Over UDP, packets that overtook others, ordered by `extended`; over TCP, packets of another
    /// source, in order of arrival.
    pub(super) waiting: Vec<Waiting>,
    pub(super) spare: Vec<Vec<u8>>,
    pub(super) statistics: Statistics,
}

impl Receiver {
    pub fn new(payload_type: u8, order: Order) -> Receiver {
        Receiver {
            payload_type,
            order,
            announced: None,
            home: None,
            is_steadfast: false,
            heard: None,
            typed: None,
            source: None,
            candidate: None,
            astray: 0,
            elsewhere: Elsewhere::default(),
            waiting: Vec::new(),
            spare: Vec::new(),
            statistics: Statistics::default(),
        }
    }

    /// Sets the source announced by SETUP or PLAY, as a hint.
    #[must_use]
    pub fn announced(self, ssrc: Option<u32>) -> Receiver {
        Receiver { announced: ssrc, home: ssrc, ..self }
    }

    /// Takes a packet; delivers it and the later ones that waited for it, or nothing yet.
    pub fn handle_packet(
        &mut self,
        packet: Packet<'_>,
        now: Instant,
        deliver: &mut impl FnMut(Packet<'_>, Lost),
    ) {
        self.handle(packet, now, deliver);
    }

    /// Returns true if the packet has another payload type while none of ours arrives, or continues
    /// where ours ended.
    pub fn is_of_other_type_alone(&self, packet: &Packet<'_>, now: Instant) -> bool {
        let is_silent = |at| now.saturating_duration_since(at) > TYPE_SILENCE;
        let goes_on = |source: &RtpSource| {
            source.ssrc == packet.ssrc && source.is_due(packet.sequence_number)
        };
        packet.payload_type != self.payload_type
            && (self.typed.is_none_or(is_silent) || self.source.as_ref().is_some_and(goes_on))
    }

    /// Counts what arrived instead of a packet.
    pub fn take_unreadable(&mut self) {
        self.statistics.received += 1;
    }

    pub fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// Accepts this payload type from now on.
    pub fn adopt_type(&mut self, payload_type: u8) {
        self.payload_type = payload_type;
    }

    /// Reports a packet with this number on another track of the session. It is not missing here if
    /// the camera numbers its tracks together.
    pub fn came_elsewhere(&mut self, sequence_number: u16) {
        match self.source.as_ref().map(|source| source.position(sequence_number)) {
            Some(Position::Behind { seen: Some(true) }) => self.elsewhere.give_up(),
            _ => self.elsewhere.note(sequence_number),
        }
    }

    /// Returns true if numbers missing here were used on another track.
    pub fn shares_its_count(&self) -> bool {
        self.elsewhere.explained()
    }

    /// Gives up on overdue packets.
    pub fn handle_timeout(&mut self, now: Instant, deliver: &mut impl FnMut(Packet<'_>, Lost)) {
        let is_overdue = |it: &Receiver| it.deadline().is_some_and(|deadline| deadline <= now);
        if self.order == Order::Reliable {
            if is_overdue(self) {
                self.give_way(now, deliver);
            }
            return;
        }
        self.deliver_due(deliver);
        while is_overdue(self) {
            self.give_up_gap(deliver);
        }
    }

    /// When `handle_timeout` is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.arrived).min()?.checked_add(REORDER_DELAY_MAX)
    }

    /// Returns true if packets of this source are delivered.
    pub fn is_source(&self, ssrc: u32) -> bool {
        self.source.as_ref().is_some_and(|source| source.ssrc == ssrc)
    }

    /// Like `is_source`, but true for any possible source until the first packet has arrived.
    pub fn may_be_source(&self, ssrc: u32) -> bool {
        self.source.is_none() || self.is_source(ssrc)
    }

    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Notes the camera's report, to which the next `reception` refers.
    ///
    /// Quirk: RTCP from an unknown SSRC. Only reports of the delivered source count.
    pub fn handle_sender_report(&mut self, report: &SenderReport, now: Instant) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == report.ssrc) {
            source.sender_report = Some((*report, now));
        }
    }

    /// The newest report of the source.
    pub fn sender_report(&self) -> Option<&SenderReport> {
        self.source.as_ref()?.sender_report.as_ref().map(|(report, _)| report)
    }

    /// Returns the contents of a receiver report, counted since the last call; `None` before the
    /// first packet.
    pub fn reception(&mut self, now: Instant) -> Option<ReportBlock> {
        self.source.as_mut().map(|source| source.reception(now))
    }

    pub(super) fn handle(&mut self, packet: Packet<'_>, now: Instant, deliver: Deliver<'_>) {
        // Quirk: unknown payload types. Metadata and vendor streams share the channel.
        if packet.payload_type != self.payload_type {
            self.statistics.foreign += 1;
            return;
        }
        self.typed = Some(now);
        self.adopt_what_goes_on(&packet);
        if self.is_of_another_session(packet.ssrc, now) {
            self.statistics.foreign += 1;
            return;
        }
        if self.order == Order::Reliable && self.waits_for_turn(&packet, now, deliver) {
            return;
        }
        let position = match &mut self.source {
            None => Position::Start,
            Some(source) if source.ssrc != packet.ssrc => Position::Elsewhere,
            Some(source) => source.position(packet.sequence_number),
        };
        if self.are_numbers_senseless(&packet, &position) {
            return self.take_as_it_comes(packet, now, deliver);
        }
        let run = match &self.candidate {
            Some(it) if (it.ssrc, it.due) == (packet.ssrc, packet.sequence_number) => it.run,
            _ => 0,
        };
        // Over UDP, a jump in our own source's numbers also needs a second packet to confirm it.
        let is_ours = self.announced == Some(packet.ssrc) && !self.is_source(packet.ssrc);
        let is_believed = self.order == Order::Reliable || is_ours || run > 0;
        let is_late = match position {
            Position::Behind { seen } => !self.is_later(&packet, seen),
            _ => false,
        };
        match position {
            Position::Start => self.start(packet, now, Lost(0), deliver),
            Position::Ahead(count) => self.take(packet, count, now, deliver),
            Position::Behind { .. } if is_late && run >= BEHIND_RUN => {
                self.restart(packet, now, Lost(1), deliver);
            }
            Position::Behind { seen } if is_late => {
                self.statistics.received += 1;
                if seen == Some(true) {
                    self.statistics.duplicate += 1;
                } else {
                    self.statistics.late += 1;
                }
                self.expect_after(&packet, run, None);
            }
            Position::Behind { .. } | Position::Elsewhere if is_believed => {
                let lost = Lost(u32::from(!self.may_go_on(&packet)));
                let first = self.candidate.take().and_then(|it| it.first).filter(|_| run > 0);
                let Some(first) = first else { return self.restart(packet, now, lost, deliver) };
                self.statistics.foreign -= 1;
                self.restart(first.packet(self.payload_type), now, lost, deliver);
                self.spare.push(first.payload);
                self.take(packet, 0, now, deliver);
            }
            Position::Behind { .. } | Position::Elsewhere => {
                self.statistics.foreign += 1;
                let fits = packet.payload.len() <= REORDER_PACKET_BYTES_MAX;
                let first = fits.then(|| self.copy(&packet, packet.sequence_number.into(), now));
                self.expect_after(&packet, run, first);
            }
        }
    }

    /// Quirk: numbers that restart while the time stamps continue (bluenviron/gortsplib#750),
    /// perhaps with another SSRC. Over TCP nothing is lost.
    pub(super) fn may_go_on(&self, packet: &Packet<'_>) -> bool {
        let is_next = |source: &RtpSource| source.may_continue_with(packet);
        self.order == Order::Reliable && self.source.as_ref().is_some_and(is_next)
    }

    /// Returns true if the packet belongs to a picture that had not begun yet, so that it is
    /// neither late nor a duplicate. Over TCP, a number that was `seen` with another stamp, as far as
    /// is known, may also belong to a picture displayed earlier; one that was not is late (a relay of
    /// datagrams).
    fn is_later(&self, packet: &Packet<'_>, seen: Option<bool>) -> bool {
        self.source.as_ref().is_some_and(|source| match self.order {
            Order::Datagram => {
                let ticks = packet.timestamp.since(source.timestamp).0;
                (1..=RENUMBERED_TICKS_MAX).contains(&ticks)
            }
            Order::Reliable => {
                let is_ahead = packet.timestamp.since(source.timestamp) > Ticks::ZERO;
                let is_new = source.is_new(packet.timestamp);
                (is_ahead || seen != Some(false)) && is_new && source.may_continue_with(packet)
            }
        })
    }

    /// Quirk: numbers that stand still, count by two or have their bytes swapped. TCP keeps the
    /// order whatever the numbers are.
    fn are_numbers_senseless(&mut self, packet: &Packet<'_>, position: &Position) -> bool {
        if !self.may_be_source(packet.ssrc) {
            return false;
        }
        let is_due = match (position, &self.source) {
            (Position::Ahead(count), Some(source)) => {
                self.missing(source.next.wrapping_add(*count)) == 0
            }
            (Position::Start, _) => true,
            _ => false,
        };
        self.astray = if is_due { 0 } else { self.astray.saturating_add(1) };
        self.order == Order::Reliable && self.astray > ASTRAY_MIN
    }

    fn take_as_it_comes(&mut self, packet: Packet<'_>, now: Instant, deliver: Deliver<'_>) {
        let Some(source) = &mut self.source else { return };
        self.statistics.received += 1;
        self.statistics.restarts += 1;
        source.arrived(&packet, now);
        source.go_to(packet.sequence_number);
        deliver(packet, Lost(0));
    }

    fn expect_after(&mut self, packet: &Packet<'_>, run: u8, first: Option<Waiting>) {
        let (ssrc, due) = (packet.ssrc, packet.sequence_number.wrapping_add(1));
        let before =
            self.candidate.replace(Candidate { ssrc, due, run: run.saturating_add(1), first });
        self.spare.extend(before.and_then(|it| it.first).map(|it| it.payload));
    }

    fn start(&mut self, packet: Packet<'_>, now: Instant, lost: Lost, deliver: Deliver<'_>) {
        self.statistics.received += 1;
        self.candidate = None;
        let mut source = RtpSource::new(&packet, now);
        source.advance(0, 0);
        self.source = Some(source);
        deliver(packet, lost);
    }

    pub(super) fn restart(
        &mut self,
        packet: Packet<'_>,
        now: Instant,
        lost: Lost,
        deliver: Deliver<'_>,
    ) {
        while !self.waiting.is_empty() {
            self.give_up_gap(deliver);
        }
        self.elsewhere.forget();
        self.statistics.restarts += 1;
        self.start(packet, now, lost, deliver);
    }

    /// Takes the packet that is `count` numbers after the one due.
    fn take(&mut self, packet: Packet<'_>, count: u32, now: Instant, deliver: Deliver<'_>) {
        self.statistics.received += 1;
        self.candidate = None;
        self.elsewhere.came_here(packet.sequence_number);
        let Some(source) = &mut self.source else { return };
        source.arrived(&packet, now);
        let extended = source.next.wrapping_add(count);
        if self.waiting.iter().any(|waiting| waiting.extended == extended) {
            self.statistics.duplicate += 1;
            return;
        }
        if self.missing(extended) > 0 && self.order == Order::Datagram {
            if packet.payload.len() <= REORDER_PACKET_BYTES_MAX {
                self.wait(packet, extended, now);
                if self.waiting.len() > REORDER_PACKETS_MAX {
                    self.give_up_gap(deliver);
                }
                return;
            }
            while self.waiting.first().is_some_and(|first| first.precedes(extended)) {
                self.give_up_gap(deliver);
            }
        }
        let lost = self.pass(extended);
        deliver(packet, lost);
        self.deliver_due(deliver);
    }

    /// Counts the numbers up to this one that were seen nowhere.
    fn missing(&self, extended: u32) -> u32 {
        let Some(source) = &self.source else { return 0 };
        self.elsewhere.missing(source.next, extended)
    }

    /// Continues after the packet with that number; returns the number lost before it.
    fn pass(&mut self, extended: u32) -> Lost {
        let lost = self.missing(extended);
        let Some(source) = &mut self.source else { return Lost(0) };
        let gap = extended.wrapping_sub(source.next);
        self.elsewhere.explain(gap - lost);
        source.advance(gap, lost);
        self.statistics.lost += u64::from(lost);
        Lost(lost)
    }

    fn wait(&mut self, packet: Packet<'_>, extended: u32, now: Instant) {
        let waiting = self.copy(&packet, extended, now);
        let index = self.waiting.partition_point(|other| other.precedes(extended));
        self.waiting.insert(index, waiting);
    }

    /// A copy of a packet that has to wait.
    pub(super) fn copy(&mut self, packet: &Packet<'_>, extended: u32, now: Instant) -> Waiting {
        let mut payload =
            self.spare.pop().unwrap_or_else(|| Vec::with_capacity(REORDER_PACKET_BYTES_MAX));
        payload.clear();
        payload.extend_from_slice(packet.payload);
        Waiting {
            extended,
            arrived: now,
            marker: packet.marker,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            payload,
        }
    }

    /// Counts the packets missing before the first waiting one as lost, and delivers up to the next
    /// gap.
    fn give_up_gap(&mut self, deliver: Deliver<'_>) {
        self.deliver_first(deliver);
        self.deliver_due(deliver);
    }

    fn deliver_due(&mut self, deliver: Deliver<'_>) {
        while let Some(first) = self.waiting.first()
            && self.missing(first.extended) == 0
        {
            self.deliver_first(deliver);
        }
    }

    /// Delivers the first waiting packet.
    fn deliver_first(&mut self, deliver: Deliver<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = self.waiting.remove(0);
        let lost = self.pass(waiting.extended);
        if let Some(source) = &mut self.source {
            source.ssrc = waiting.ssrc;
        }
        deliver(waiting.packet(self.payload_type), lost);
        self.spare.push(waiting.payload);
    }
}

pub(super) type Deliver<'a> = &'a mut dyn FnMut(Packet<'_>, Lost);

/// A foreign source or numbering, which is adopted after enough consecutive packets: a single one
/// may be a stray (RFC 3550 Appendix A.1).
#[derive(Debug)]
struct Candidate {
    ssrc: u32,
    /// Sequence number of its next packet.
    due: u16,
    /// Its packets so far.
    run: u8,
    /// The first packet, kept until the second decides: it may begin the only key frame for
    /// seconds.
    first: Option<Waiting>,
}

/// A packet that overtook another.
#[derive(Debug)]
pub(super) struct Waiting {
    extended: u32,
    arrived: Instant,
    marker: bool,
    pub timestamp: RtpTime,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

impl Waiting {
    pub fn packet(&self, payload_type: u8) -> Packet<'_> {
        Packet {
            marker: self.marker,
            payload_type,
            sequence_number: (self.extended & 0xffff) as u16,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload: &self.payload,
        }
    }

    fn precedes(&self, extended: u32) -> bool {
        self.extended.wrapping_sub(extended).cast_signed() < 0
    }
}

/// If the numbering restarts this soon after the previous packet, nothing was lost.
const RENUMBERED_TICKS_MAX: i64 = TICKS_PER_SECOND / 2;
/// After this many consecutive packets that were not due, the numbers are ignored: no network does
/// that.
const ASTRAY_MIN: u8 = 32;
/// After this many consecutive packets that seem late, the numbering must have gone back a little.
const BEHIND_RUN: u8 = 8;
/// A payload type absent for this long no longer belongs to the stream.
const TYPE_SILENCE: Duration = Duration::from_secs(2);
