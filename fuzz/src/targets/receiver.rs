//! Packets of a track in any order, time and number of sources; what is delivered and counted is
//! held against what was fed.

use crate::source::Source;
use smolnvr::{
    limits,
    rtp::{Lost, Order, Packet, Receiver, rtcp::SenderReport},
    runtime,
    units::RtpTime,
};
use std::time::{Duration, Instant};

/// A packet that was fed, and how often it came out.
struct Fed {
    sequence_number: u16,
    ssrc: u32,
    payload_bytes: usize,
    delivered: u32,
}

/// All of them, in their order.
struct AllFed(Vec<Fed>);

struct Trial {
    receiver: Receiver,
    order: Order,
    fed: AllFed,
    /// Source and number of what was delivered last.
    last: Option<(u32, u16)>,
    delivered: u64,
    lost: u64,
    restarts: u64,
    /// Numbers that the source delivered or gave up, since it began.
    passed: u64,
    /// Of those, delivered: the newest last.
    numbers: Vec<u16>,
}

pub fn receiver(data: &[u8]) {
    let mut source = Source::new(data);
    let order = source.one(&[Order::Datagram, Order::Reliable]);
    let announced = source.one(&[None, Some(SSRCS[0]), Some(SSRCS[1])]);
    let mut now = runtime::now();
    let mut trial = Trial {
        receiver: Receiver::new(96, order).announced(announced),
        order,
        fed: AllFed(Vec::new()),
        last: None,
        delivered: 0,
        lost: 0,
        restarts: 0,
        passed: 0,
        numbers: Vec::new(),
    };
    let mut next = [source.u16(), source.u16()];
    while !source.is_empty() && trial.fed.0.len() < 400 {
        let choice = source.u8();
        let sender = usize::from(choice & 0xe0 == 0xe0);
        let step = match choice & 7 {
            0..=3 => 0,
            4 => i16::from(source.u8() as i8),
            5 => 1,
            6 => -1,
            _ => source.u16() as i16,
        };
        let sequence_number = next[sender].wrapping_add_signed(step);
        next[sender] = sequence_number.wrapping_add(1);
        if choice & 16 != 0 {
            now += Duration::from_millis(source.u8().into());
            trial.pass_time(now);
        }
        let payload_bytes = match choice & 8 {
            0 => 4,
            _ => 4 + source.below(limits::REORDER_PACKET_BYTES_MAX + 100),
        };
        let payload_type = if choice & 0x3f == 0x3f { 97 } else { 96 };
        trial.feed(sequence_number, SSRCS[sender], payload_type, payload_bytes, now);
    }
    trial.end(now);
}

impl AllFed {
    /// Takes in one that comes out, which must be one that was fed; source and number of it.
    fn take(&mut self, packet: Packet<'_>) -> (u32, u16) {
        let index = packet.payload.first_chunk().map_or(0, |it| u32::from_be_bytes(*it) as usize);
        let fed = &mut self.0[index];
        fed.delivered += 1;
        assert_eq!(fed.delivered, 1, "delivered twice");
        let whole = (fed.sequence_number, fed.ssrc, fed.payload_bytes);
        let number = packet.sequence_number;
        assert_eq!((number, packet.ssrc, packet.payload.len()), whole);
        assert_eq!(packet.timestamp, RtpTime(u32::from(number) * 3600));
        assert_eq!((packet.marker, packet.payload_type), (number.is_multiple_of(3), 96));
        (packet.ssrc, number)
    }
}

impl Trial {
    fn feed(&mut self, number: u16, ssrc: u32, payload_type: u8, bytes: usize, now: Instant) {
        let before = *self.receiver.statistics();
        let (delivered, mut held) = (self.delivered, self.waiting());
        let mut payload = vec![0x5a; bytes];
        payload[..4].copy_from_slice(&(self.fed.0.len() as u32).to_be_bytes());
        let was_fed = self.numbers.contains(&number);
        self.fed.0.push(Fed { sequence_number: number, ssrc, payload_bytes: bytes, delivered: 0 });
        let packet = Packet {
            marker: number.is_multiple_of(3),
            payload_type,
            sequence_number: number,
            timestamp: RtpTime(u32::from(number) * 3600),
            ssrc,
            payload: &payload,
        };
        self.with(|receiver, deliver| {
            receiver.handle_packet(packet, now, &mut |packet, lost| deliver(packet, lost))
        });
        let after = *self.receiver.statistics();
        // Below 0: with this packet, the one before it is of a new numbering.
        let mut foreign = after.foreign.cast_signed() - before.foreign.cast_signed();
        let received = after.received.cast_signed() - before.received.cast_signed();
        assert_eq!(foreign + received, 1, "it counts once");
        assert!(payload_type == 96 || foreign == 1, "of another payload type");
        let (late, twice) = (after.late - before.late, after.duplicate - before.duplicate);
        if self.order == Order::Reliable && held > 0 && self.waiting() == 0 {
            if foreign == 0 {
                // The other source's come out, each by itself.
                return self.check(now);
            }
            assert_eq!(foreign, held.cast_signed(), "all of them are left out");
            (foreign, held) = (0, 0);
        }
        let of_no_use = foreign + (late + twice).cast_signed();
        assert!(of_no_use <= 1);
        if of_no_use == 1 {
            assert_eq!(self.delivered, delivered, "what is of no use delivers nothing");
        } else if self.order == Order::Reliable {
            assert_eq!(self.delivered + self.waiting(), delivered + held + 1, "it waits or not");
        }
        // One that was given up is late, and one that came before is not.
        let recent = self
            .numbers
            .iter()
            .rev()
            .take_while(|it| number.wrapping_sub(**it) >= 0x8000 || **it == number);
        if late == 1 {
            let age = self.last.map_or(0, |(_, last)| last.wrapping_sub(number));
            assert!(age >= 64 || !recent.clone().any(|it| *it == number), "{number} came before");
        }
        assert!(twice == 0 || was_fed || self.is_waiting(number), "{number} never came");
        self.check(now);
    }

    /// It was fed and neither delivered nor counted away yet.
    fn is_waiting(&self, number: u16) -> bool {
        let before = &self.fed.0[..self.fed.0.len() - 1];
        before.iter().any(|it| it.sequence_number == number && it.delivered == 0)
    }

    fn pass_time(&mut self, now: Instant) {
        self.with(|receiver, deliver| {
            receiver.handle_timeout(now, &mut |packet, lost| deliver(packet, lost))
        });
        assert!(self.receiver.deadline().is_none_or(|deadline| deadline > now));
        self.check(now);
    }

    /// Hands the receiver over, and takes in what it delivers.
    fn with(&mut self, call: impl FnOnce(&mut Receiver, &mut dyn FnMut(Packet<'_>, Lost))) {
        let (before, held) = (*self.receiver.statistics(), self.waiting());
        let mut came = Vec::new();
        call(&mut self.receiver, &mut |packet, lost| came.push((self.fed.take(packet), lost)));
        let restarts = self.receiver.statistics().restarts - before.restarts;
        // One that was held back until the next confirmed its numbering.
        let confirmed = before.foreign.saturating_sub(self.receiver.statistics().foreign);
        if self.order == Order::Reliable && held > 0 && restarts > 0 {
            // Several of another source, the first of which is a new one; their numbers may jump.
            for (nth, (packet, Lost(lost))) in came.into_iter().enumerate() {
                let due = self.last.map(|(_, last)| last.wrapping_add(1).wrapping_add(lost as u16));
                self.follow(packet, lost, nth == 0 || due != Some(packet.1));
            }
            self.restarts = self.receiver.statistics().restarts;
            return;
        }
        assert!(restarts <= 1 && restarts as usize <= came.len());
        assert!(confirmed <= restarts);
        let begins_anew = came.len().checked_sub((restarts + confirmed) as usize);
        for (nth, (packet, Lost(lost))) in came.into_iter().enumerate() {
            self.follow(packet, lost, restarts == 1 && Some(nth) == begins_anew);
        }
    }

    /// One packet came out; `begins_anew` says that it is the first of another source or numbering.
    fn follow(&mut self, (ssrc, number): (u32, u16), lost: u32, begins_anew: bool) {
        self.delivered += 1;
        match self.last {
            None => assert_eq!((lost, begins_anew), (0, false)),
            Some(_) if begins_anew => {
                assert!(lost == 1 || self.order == Order::Reliable, "something is missing");
                self.restarts += 1;
                self.passed = 0;
                self.numbers.clear();
            }
            Some((source, last)) => {
                let step = u32::from(number.wrapping_sub(last));
                assert_eq!(step, lost + 1, "{number} after {last}");
                let may_change = step == 1 || self.order == Order::Datagram; // It may have waited.
                assert!(source == ssrc || may_change, "{number} of {ssrc:x} after {last}");
                self.lost += u64::from(lost);
                self.passed += u64::from(lost);
            }
        }
        self.passed += 1;
        self.last = Some((ssrc, number));
        self.numbers.push(number);
    }

    /// What came in and neither came out nor was of no use.
    fn waiting(&self) -> u64 {
        let statistics = self.receiver.statistics();
        statistics.received - statistics.late - statistics.duplicate - self.delivered
    }

    fn check(&mut self, now: Instant) {
        let statistics = *self.receiver.statistics();
        assert_eq!(statistics.lost, self.lost);
        assert_eq!(statistics.restarts, self.restarts);
        let waiting = self.waiting();
        assert!(waiting <= limits::REORDER_PACKETS_MAX as u64, "{waiting} wait");
        assert_eq!(waiting > 0, self.receiver.deadline().is_some());
        if let Some(deadline) = self.receiver.deadline() {
            assert!(deadline <= now + limits::REORDER_DELAY_MAX);
        }
        if let Some((ssrc, _)) = self.last {
            assert!(self.receiver.is_source(ssrc) && self.receiver.may_be_source(ssrc));
        }
    }

    /// What waits comes out, and everything was counted.
    fn end(&mut self, now: Instant) {
        let end = now + limits::REORDER_DELAY_MAX;
        self.pass_time(end);
        assert_eq!(self.receiver.deadline(), None);
        let statistics = *self.receiver.statistics();
        let useful = self.delivered + statistics.late + statistics.duplicate;
        assert_eq!(statistics.received, useful);
        assert_eq!(statistics.received + statistics.foreign, self.fed.0.len() as u64);
        let Some((ssrc, last)) = self.last else { return };
        let report = SenderReport {
            ssrc,
            ntp: 0x1234_5678_9abc_def0,
            rtp_time: RtpTime(1),
            packets: 0,
            octets: 0,
        };
        let stranger = SenderReport { ssrc: !ssrc, ntp: 1, ..report };
        self.receiver.handle_sender_report(&report, end);
        self.receiver.handle_sender_report(&stranger, end);
        assert_eq!(self.receiver.sender_report(), Some(&report));
        let reception =
            self.receiver.reception(end + Duration::from_secs(2)).expect("packets came");
        assert_eq!((reception.ssrc, reception.highest_sequence_number as u16), (ssrc, last));
        assert_eq!(
            (reception.last_sender_report, reception.since_sender_report),
            (0x5678_9abc, 131_072)
        );
        if statistics.restarts == 0 {
            let expected = self.lost + self.delivered;
            assert_eq!(self.passed, expected);
            // RFC 3550 §6.4.1: what came late or twice came.
            let lost = expected as i64 - statistics.received as i64;
            assert!(i64::from(reception.lost) >= lost, "{} of {lost}", reception.lost);
            let fraction = (lost.max(0) as u64 * 256).checked_div(expected).unwrap_or(0);
            assert!(u64::from(reception.fraction_lost) >= fraction.min(255));
        }
        let again = self.receiver.reception(end).expect("as before");
        assert_eq!(again.fraction_lost, 0, "nothing was expected since");
    }
}

const SSRCS: [u32; 2] = [0x1111_1111, 0x2222_2222];
