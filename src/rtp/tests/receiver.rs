mod shared;
mod sources;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::{
    limits::{REORDER_DELAY_MAX, REORDER_PACKET_BYTES_MAX, REORDER_PACKETS_MAX},
    rtp::{
        Lost, Order, Packet, Receiver,
        rtcp::{ReportBlock, SenderReport},
    },
    units::RtpTime,
};

const START: Duration = Duration::ZERO;

struct Track {
    receiver: Receiver,
    epoch: Instant,
    /// Sequence number, first byte of the payload, lost before.
    out: Vec<(u16, u32)>,
}

impl Track {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the epoch of a test")]
    fn new(order: Order) -> Track {
        Track { receiver: Receiver::new(96, order), epoch: Instant::now(), out: Vec::new() }
    }

    fn packet_of(&mut self, ssrc: u32, payload_type: u8, number: u16, at: Duration) {
        let payload = number.to_be_bytes();
        self.full_packet(ssrc, payload_type, number, &payload, at);
    }

    fn full_packet(
        &mut self,
        ssrc: u32,
        payload_type: u8,
        number: u16,
        payload: &[u8],
        at: Duration,
    ) {
        let timestamp = RtpTime(u32::from(number) * 3600);
        let marker = number.is_multiple_of(2);
        let packet =
            Packet { marker, payload_type, sequence_number: number, timestamp, ssrc, payload };
        let out = &mut self.out;
        let now = self.epoch + at;
        self.receiver.handle_packet(packet, now, &mut |packet: Packet<'_>, lost: Lost| {
            let number = packet.sequence_number;
            assert_eq!(packet.payload[..2], number.to_be_bytes());
            assert_eq!(packet.marker, number.is_multiple_of(2));
            assert_eq!(packet.timestamp.0, u32::from(number) * 3600);
            out.push((number, lost.0));
        });
    }

    fn packets(&mut self, numbers: impl IntoIterator<Item = u16>) -> &mut Track {
        numbers.into_iter().for_each(|number| self.packet_of(1, 96, number, START));
        self
    }

    fn timeout(&mut self, at: Duration) {
        let out = &mut self.out;
        let deliver =
            &mut |packet: Packet<'_>, lost: Lost| out.push((packet.sequence_number, lost.0));
        self.receiver.handle_timeout(self.epoch + at, deliver);
    }

    fn deadline(&self) -> Option<Duration> {
        self.receiver.deadline().map(|deadline| deadline - self.epoch)
    }
}

#[test]
fn packets_in_order_are_delivered_at_once_over_the_wrap() {
    for order in [Order::Reliable, Order::Datagram] {
        let mut track = Track::new(order);
        track.packets([65_534, 65_535, 0, 1]);
        assert_eq!(track.out, [(65_534, 0), (65_535, 0), (0, 0), (1, 0)]);
        assert_eq!(track.receiver.statistics().received, 4);
        assert_eq!(track.deadline(), None);
    }
}

#[test]
fn a_gap_over_tcp_is_a_loss_at_once() {
    let mut track = Track::new(Order::Reliable);
    track.packets([65_535, 3, 4]);
    assert_eq!(track.out, [(65_535, 0), (3, 3), (4, 0)]);
    assert_eq!(track.receiver.statistics().lost, 3);
}

#[test]
fn overtaken_packets_over_udp_are_put_in_order() {
    let mut track = Track::new(Order::Datagram);
    track.packets([65_534, 0, 1, 65_535, 3, 2]);
    assert_eq!(track.out.len(), 6);
    assert!(track.out.windows(2).all(|two| two[1] == (two[0].0.wrapping_add(1), 0)));
    assert_eq!(track.receiver.statistics().lost, 0);
}

#[test]
fn a_packet_that_does_not_come_in_time_is_lost() {
    let mut track = Track::new(Order::Datagram);
    track.packets([10]);
    track.packet_of(1, 96, 12, Duration::from_millis(5));
    track.packet_of(1, 96, 15, Duration::from_millis(9));
    assert_eq!(track.deadline(), Some(Duration::from_millis(5) + REORDER_DELAY_MAX));
    track.timeout(Duration::from_millis(4) + REORDER_DELAY_MAX);
    assert_eq!(track.out, [(10, 0)]);
    track.timeout(Duration::from_millis(5) + REORDER_DELAY_MAX);
    assert_eq!(track.out, [(10, 0), (12, 1)]);
    track.timeout(Duration::from_millis(9) + REORDER_DELAY_MAX);
    assert_eq!(track.out, [(10, 0), (12, 1), (15, 2)]);
    assert_eq!(track.deadline(), None);
    track.packet_of(1, 96, 11, Duration::from_millis(300));
    track.packet_of(1, 96, 12, Duration::from_millis(300));
    let statistics = track.receiver.statistics();
    assert_eq!((statistics.lost, statistics.late, statistics.duplicate), (3, 1, 1));
    assert_eq!(track.out.len(), 3);
}

#[test]
fn no_more_packets_wait_than_the_bound() {
    let mut track = Track::new(Order::Datagram);
    let last = 1 + REORDER_PACKETS_MAX as u16;
    track.packets([0]).packets(2..=last);
    assert_eq!(track.out.len(), 1);
    track.packets([last + 2]);
    assert_eq!(track.out.len(), 1 + REORDER_PACKETS_MAX);
    assert_eq!(track.out[1], (2, 1));
    track.packets([last + 1]);
    assert_eq!(track.out.len(), 3 + REORDER_PACKETS_MAX);
    assert_eq!(track.receiver.statistics().lost, 1);
}

#[test]
fn the_packet_that_fills_the_bound_may_be_the_first_of_all() {
    let mut track = Track::new(Order::Datagram);
    let last = 2 + REORDER_PACKETS_MAX as u16;
    track.packets([0]).packets(3..=last).packets([2]);
    assert_eq!(track.out[1], (2, 1));
    assert_eq!(track.out.len(), 2 + REORDER_PACKETS_MAX);
}

#[test]
fn a_packet_too_large_to_hold_back_gives_up_the_missing_one() {
    let mut track = Track::new(Order::Datagram);
    track.packets([0, 2]);
    let mut payload = vec![0; REORDER_PACKET_BYTES_MAX + 1];
    payload[1] = 4;
    track.full_packet(1, 96, 4, &payload, START);
    track.packets([5]);
    assert_eq!(track.out, [(0, 0), (2, 1), (4, 1), (5, 0)]);
}

#[test]
fn unknown_payload_types_are_counted_and_skipped() {
    let mut track = Track::new(Order::Reliable);
    track.packet_of(1, 107, 9, START);
    track.packets([1]);
    track.packet_of(1, 107, 2, START);
    track.packets([2]);
    assert_eq!(track.out, [(1, 0), (2, 0)]);
    assert_eq!(track.receiver.statistics().foreign, 2);
}

#[test]
fn a_new_numbering_counts_as_a_loss() {
    let mut track = Track::new(Order::Reliable);
    track.packets([20_000, 20_001, 50, 51]);
    assert_eq!(track.out, [(20_000, 0), (20_001, 0), (50, 1), (51, 0)]);

    let mut track = Track::new(Order::Datagram);
    track.packets([20_000, 20_001, 50, 51]);
    assert_eq!(track.out, [(20_000, 0), (20_001, 0), (50, 1), (51, 0)]);
}

/// bluenviron/gortsplib#687 and #750 over UDP, where the second packet decides: the first one may
/// begin a key frame.
#[test]
fn over_udp_numbers_that_restart_with_each_picture_group_lose_no_packet() {
    for (renames, start) in [(false, 0), (false, 40_000), (true, 0), (true, 9)] {
        let mut track = Track::new(Order::Datagram);
        let mut out = Vec::new();
        for frame in 0..20_u32 {
            for nth in 0..5 {
                let (group, at) = (frame / 4, (frame % 4) as u16);
                let packet = Packet {
                    marker: nth == 4,
                    payload_type: 96,
                    sequence_number: start + 5 * at + nth,
                    timestamp: RtpTime(frame * 3600),
                    ssrc: if renames { group } else { 7 },
                    payload: &[frame as u8, nth as u8],
                };
                let deliver = &mut |packet: Packet<'_>, Lost(_)| out.push(packet.payload.to_vec());
                track.receiver.handle_packet(packet, track.epoch, deliver);
            }
        }
        let sent = (0..20_u8).flat_map(|frame| (0..5).map(move |nth| vec![frame, nth]));
        assert_eq!(out, sent.collect::<Vec<_>>(), "{renames} {start}");
    }
}

/// bluenviron/gortsplib#750.
#[test]
fn over_tcp_a_new_numbering_loses_nothing_if_the_time_stamps_continue() {
    let mut track = Track::new(Order::Reliable);
    let mut lost = Vec::new();
    for (time, number) in (0..).zip([20_000, 20_001, 0, 1, 40_000]) {
        let (marker, timestamp) = (true, RtpTime(time * 3600));
        let packet = Packet {
            marker,
            payload_type: 96,
            sequence_number: number,
            timestamp,
            ssrc: 1,
            payload: &[],
        };
        let deliver = &mut |_: Packet<'_>, Lost(count)| lost.push(count);
        track.receiver.handle_packet(packet, track.epoch, deliver);
    }
    assert_eq!(lost, [0; 5]);
    let statistics = track.receiver.statistics();
    assert_eq!((statistics.lost, statistics.restarts), (0, 2));
}

#[test]
fn a_numbering_that_goes_back_a_little_is_adopted_after_a_few_packets() {
    for order in [Order::Reliable, Order::Datagram] {
        for back in [100, 150] {
            let mut track = Track::new(order);
            track.packets(150..=160).packets(back..back + 20);
            assert_eq!(track.out.len(), 11 + 12);
            assert_eq!(track.out[11], (back + 8, 1));
            assert_eq!(track.receiver.statistics().restarts, 1);
        }
    }
}

#[test]
fn every_packet_sent_twice_comes_out_once() {
    for order in [Order::Reliable, Order::Datagram] {
        let mut track = Track::new(order);
        track.packets((0..200).flat_map(|number| [number, number]));
        assert_eq!(track.out.len(), 200);
        assert!(track.out.iter().all(|(_, lost)| *lost == 0));
        assert_eq!(track.receiver.statistics().duplicate, 200);
    }
}

#[test]
fn the_reception_contains_losses_and_the_last_sender_report() {
    let mut track = Track::new(Order::Reliable);
    assert_eq!(track.receiver.reception(track.epoch), None);
    track.packets([65_535]);
    let report = SenderReport {
        ssrc: 1,
        ntp: 0x1111_2222_3333_4444,
        rtp_time: RtpTime(0),
        packets: 0,
        octets: 0,
    };
    track.receiver.handle_sender_report(&report, track.epoch);
    let stranger = SenderReport { ssrc: 2, ntp: u64::MAX, ..report };
    track.receiver.handle_sender_report(&stranger, track.epoch);
    assert_eq!(track.receiver.sender_report(), Some(&report));
    let second = Duration::from_secs(1);
    track.packet_of(1, 96, 2, Duration::ZERO);
    let expected = ReportBlock {
        ssrc: 1,
        fraction_lost: 128, // 2 of 4
        lost: 2,
        highest_sequence_number: 0x1_0002,
        jitter: 0,
        last_sender_report: 0x2222_3333,
        since_sender_report: 65_536,
    };
    let reception = track.receiver.reception(track.epoch + second).unwrap();
    assert!(reception.jitter > 0, "three time stamps at one time");
    assert_eq!(ReportBlock { jitter: 0, ..reception }, expected);
    let reception = track.receiver.reception(track.epoch + second).unwrap();
    assert_eq!((reception.fraction_lost, reception.lost), (0, 2));
}

proptest! {
    /// Whatever arrives: each number comes out once, in rising order, and the losses add up.
    #[test]
    fn order_rises_and_losses_add_up(
        datagram: bool,
        start: u16,
        steps in prop::collection::vec((-20i16..25, 0u64..60), 1..200),
    ) {
        let order = if datagram { Order::Datagram } else { Order::Reliable };
        let mut track = Track::new(order);
        let (mut number, mut now) = (start, Duration::ZERO);
        track.packet_of(1, 96, start, now);
        for (step, millis) in steps {
            number = number.wrapping_add_signed(step);
            now += Duration::from_millis(millis);
            track.timeout(now);
            track.packet_of(1, 96, number, now);
        }
        track.timeout(now + Duration::from_secs(1));
        prop_assert_eq!(track.deadline(), None);
        if track.receiver.statistics().restarts == 0 {
            for two in track.out.windows(2) {
                prop_assert_eq!(u32::from(two[1].0.wrapping_sub(two[0].0)), 1 + two[1].1);
            }
            let lost: u32 = track.out.iter().map(|(_, lost)| lost).sum();
            prop_assert_eq!(u64::from(lost), track.receiver.statistics().lost);
        }
    }
}

#[test]
fn another_payload_type_is_alone_while_none_of_ours_comes() {
    let mut track = Track::new(Order::Reliable);
    let packet = |payload_type| Packet {
        marker: false,
        payload_type,
        sequence_number: 1,
        timestamp: RtpTime(0),
        ssrc: 1,
        payload: &[],
    };
    let is_alone = |track: &Track, payload_type, millis| {
        let now = track.epoch + Duration::from_millis(millis);
        track.receiver.is_of_other_type_alone(&packet(payload_type), now)
    };
    assert!(is_alone(&track, 35, 0) && !is_alone(&track, 96, 0));
    track.packets([1]);
    assert!(!is_alone(&track, 35, 1500) && is_alone(&track, 35, 2500));
    let next = Packet { sequence_number: 2, ..packet(35) };
    assert!(track.receiver.is_of_other_type_alone(&next, track.epoch), "it goes on");
    track.receiver.adopt_type(35);
    track.packet_of(1, 35, 2, Duration::from_millis(2500));
    assert_eq!(track.out, [(1, 0), (2, 0)]);
    assert!(!is_alone(&track, 96, 3000));
}

#[test]
fn over_tcp_numbers_that_restart_with_each_picture_lose_nothing() {
    let mut track = Track::new(Order::Reliable);
    let (mut out, mut sent) = (Vec::new(), Vec::new());
    for (picture, packets) in (0..200).zip([3, 150, 1, 1, 1, 40, 2, 7].into_iter().cycle()) {
        for number in 0..packets {
            sent.push((picture, number, 0));
            let packet = Packet {
                marker: number + 1 == packets,
                payload_type: 96,
                sequence_number: number,
                timestamp: RtpTime(picture * 3600),
                ssrc: 1,
                payload: &[],
            };
            let now = track.epoch;
            track.receiver.handle_packet(packet, now, &mut |packet: Packet<'_>, lost: Lost| {
                out.push((packet.timestamp.0 / 3600, packet.sequence_number, lost.0));
            });
        }
    }
    assert_eq!(out, sent);
}

/// Pictures displayed earlier than those decoded before them, and pictures seconds apart.
#[test]
fn over_tcp_numbers_that_restart_with_each_b_frame_or_slow_frame_lose_nothing() {
    const ORDER: [u32; 3] = [3, 1, 2];
    let reordered = |nth: u32| (nth / 3 * 3 + ORDER[nth as usize % 3]) * 3600;
    let ways: [&dyn Fn(u32) -> u32; 3] = [&reordered, &|nth| nth * 90_000, &|nth| nth * 2_700_000];
    for stamp in ways {
        let mut track = Track::new(Order::Reliable);
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        for (picture, packets) in (0..60).zip([9, 3, 120, 1].into_iter().cycle()) {
            for number in 0..packets {
                sent.push((stamp(picture), number, 0));
                let packet = Packet {
                    marker: number + 1 == packets,
                    payload_type: 96,
                    sequence_number: number,
                    timestamp: RtpTime(stamp(picture)),
                    ssrc: 1,
                    payload: &[],
                };
                let now = track.epoch;
                track.receiver.handle_packet(packet, now, &mut |packet: Packet<'_>, lost: Lost| {
                    out.push((packet.timestamp.0, packet.sequence_number, lost.0));
                });
            }
        }
        assert_eq!(out, sent);
    }
}

#[test]
fn over_tcp_numbers_that_make_no_sense_are_soon_ignored() {
    let ways: [fn(u16) -> u16; 3] = [|_| 7, |nth| 2 * nth, |nth| nth.swap_bytes()];
    for number in ways {
        let mut track = Track::new(Order::Reliable);
        (0..200).for_each(|nth| track.packet_of(1, 96, number(nth), START));
        let rest = &track.out[track.out.len() - 160..];
        assert!(rest.iter().all(|(_, lost)| *lost == 0), "{rest:?}");
        let last: Vec<u16> = rest.iter().map(|(number, _)| *number).collect();
        assert_eq!(last, (40..200).map(number).collect::<Vec<_>>());
    }
    // Every third one is lost.
    let mut track = Track::new(Order::Reliable);
    track.packets((0..300).filter(|nth| nth % 3 > 0));
    assert_eq!(track.receiver.statistics().lost, 99);
}
