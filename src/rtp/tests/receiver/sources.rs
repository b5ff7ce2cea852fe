//! Several sources in one stream: which one is ours.

use super::*;

#[test]
fn another_ssrc_over_tcp_counts_as_a_loss() {
    let mut track = Track::new(Order::Reliable);
    track.packets([7, 8]);
    track.packet_of(2, 96, 500, START);
    track.packet_of(2, 96, 501, START);
    assert_eq!(track.out, [(7, 0), (8, 0), (500, 1), (501, 0)]);
    assert_eq!(track.receiver.statistics().restarts, 1);
}

#[test]
fn another_ssrc_over_udp_needs_two_packets_in_a_row() {
    let mut track = Track::new(Order::Datagram);
    track.packets([7, 9]);
    track.packet_of(2, 96, 500, START);
    track.packets([10]);
    track.packet_of(2, 96, 502, START);
    assert_eq!(track.out, [(7, 0)]);
    track.packet_of(2, 96, 503, START);
    track.packet_of(2, 96, 504, START);
    assert_eq!(track.out, [(7, 0), (9, 1), (10, 0), (502, 1), (503, 0), (504, 0)]);
    assert_eq!(track.receiver.statistics().foreign, 1);
}

#[test]
fn over_udp_the_announced_source_is_adopted_at_its_first_packet() {
    let mut track = Track::new(Order::Datagram);
    track.receiver = Receiver::new(96, Order::Datagram).announced(Some(1));
    track.packet_of(2, 96, 40_000, START);
    track.packets([7, 8]);
    assert_eq!(track.out, [(40_000, 0), (7, 1), (8, 0)]);
}

#[test]
fn packets_of_an_earlier_session_take_turns_with_ours() {
    let mut track = Track::new(Order::Reliable);
    track.receiver = Receiver::new(96, Order::Reliable).announced(Some(1));
    // Every 40 ms three packets of each; the other one was first.
    for frame in 0..25u16 {
        let at = Duration::from_millis(u64::from(frame) * 40);
        for (ssrc, base) in [(2, 40_000), (1, 100)] {
            for number in 0..3 {
                track.packet_of(ssrc, 96, base + 3 * frame + number, at);
            }
        }
    }
    let (theirs, ours) = track.out.split_at(3);
    assert_eq!(theirs, [(40_000, 0), (40_001, 0), (40_002, 0)]);
    assert_eq!(ours[0], (100, 1), "a new source");
    assert!(ours[1..].iter().zip(101..).all(|(it, number)| *it == (number, 0)));
    assert_eq!((ours.len(), track.receiver.statistics().foreign), (75, 72));
    // Ours falls silent: the other one may be all there is.
    track.packet_of(2, 96, 50_000, Duration::from_secs(3));
    assert_eq!(track.out.last(), Some(&(50_000, 1)));
}

/// Its packets come between ours, one frame at a time, and each source has its own numbers.
#[test]
fn another_source_that_takes_turns_with_ours_from_the_second_frame_on_costs_nothing() {
    let mut track = Track::new(Order::Reliable);
    for frame in 0..25u16 {
        let at = Duration::from_millis(u64::from(frame) * 40);
        for (ssrc, number) in [(1, 100 + frame), (2, 40_000 + frame), (3, 9 + frame)] {
            track.timeout(at);
            track.packet_of(ssrc, 96, number, at);
        }
    }
    assert_eq!(track.out, (100..125).map(|number| (number, 0)).collect::<Vec<_>>());
    let statistics = track.receiver.statistics();
    assert_eq!((statistics.received, statistics.foreign, statistics.restarts), (25, 50, 0));
}

#[test]
fn over_udp_another_source_that_takes_turns_with_ours_replaces_it_once_at_most() {
    let mut track = Track::new(Order::Datagram);
    for frame in 0..25u16 {
        let at = Duration::from_millis(u64::from(frame) * 40);
        for (ssrc, base) in [(1, 100), (2, 40_000)] {
            (0..3).for_each(|number| track.packet_of(ssrc, 96, base + 3 * frame + number, at));
        }
    }
    let ours: Vec<_> = track.out.iter().filter(|(number, _)| *number < 40_000).collect();
    assert_eq!((track.out.len(), ours.len()), (3 + 75, 75));
    assert_eq!(ours.iter().map(|(_, lost)| lost).sum::<u32>(), 1);
}

#[test]
fn a_source_that_replaces_ours_loses_no_packet_of_its_first_frame() {
    let mut track = Track::new(Order::Reliable);
    track.packets([7, 8]);
    track.packet_of(2, 96, 500, START);
    assert_eq!(track.out, [(7, 0), (8, 0)], "ours may come again");
    track.timeout(REORDER_DELAY_MAX);
    assert_eq!(track.out, [(7, 0), (8, 0), (500, 1)]);
    assert_eq!(track.deadline(), None);
}

/// BogdanovKirill/RtspClientSharp#98: while the camera turns, a packet of type 50, whose number
/// stands still, comes beside each packet.
#[test]
fn packets_of_another_type_whose_numbers_stand_still_cost_nothing() {
    for order in [Order::Datagram, Order::Reliable] {
        let mut track = Track::new(order);
        for number in 100..110 {
            track.packet_of(1, 96, number, START);
            track.packet_of(1, 50, 4000, START);
        }
        assert_eq!(track.out, (100..110).map(|number| (number, 0)).collect::<Vec<_>>());
        assert_eq!(track.receiver.statistics().foreign, 10);
    }
}

/// With new numbers too: bluenviron/gortsplib#687 and #750 at once.
#[test]
fn over_tcp_another_ssrc_whose_time_stamps_continue_loses_nothing() {
    let mut track = Track::new(Order::Reliable);
    let mut out = Vec::new();
    for frame in 0..30_u32 {
        let at = track.epoch + Duration::from_millis(u64::from(frame) * 40);
        for nth in 0..3_u16 {
            let packet = Packet {
                marker: nth == 2,
                payload_type: 96,
                sequence_number: (frame / 7 * 9_999) as u16 + 3 * (frame % 7) as u16 + nth,
                timestamp: RtpTime(frame * 3600),
                ssrc: frame / 7,
                payload: &[frame as u8, nth as u8],
            };
            let deliver = &mut |packet: Packet<'_>, Lost(lost)| {
                out.push((packet.payload[0], packet.payload[1], lost));
            };
            track.receiver.handle_timeout(at, deliver);
            track.receiver.handle_packet(packet, at, deliver);
        }
    }
    let sent = (0..30).flat_map(|frame| (0..3).map(move |nth| (frame, nth, 0)));
    assert_eq!(out, sent.collect::<Vec<_>>());
}

/// bluenviron/gortsplib#687: Uniview.
#[test]
fn another_ssrc_whose_numbers_continue_is_the_same_source() {
    for order in [Order::Reliable, Order::Datagram] {
        let mut track = Track::new(order);
        for (number, ssrc) in (0..100).zip([1, 2, 3, 3, 1, 9].iter().cycle()) {
            track.packet_of(*ssrc, 96, number, START);
        }
        assert_eq!(track.out.len(), 100, "{order:?}");
        assert!(track.out.iter().all(|(_, lost)| *lost == 0));
        let statistics = track.receiver.statistics();
        assert_eq!((statistics.foreign, statistics.restarts), (0, 0));
    }
}

#[test]
fn over_udp_the_announced_source_is_kept_while_it_sends() {
    let mut track = Track::new(Order::Datagram);
    track.receiver = Receiver::new(96, Order::Datagram).announced(Some(1));
    for number in 0..100 {
        let at = Duration::from_millis(u64::from(number) * 40);
        track.packet_of(1, 96, number, at);
        for stranger in 0..8 {
            track.packet_of(2, 96, 40_000 + 8 * number + stranger, at);
        }
    }
    assert!(track.out.iter().zip(0..).all(|(it, number)| *it == (number, 0)));
    assert_eq!((track.out.len(), track.receiver.statistics().foreign), (100, 800));
    // It falls silent: the other one may be all there is.
    for number in 50_000..50_010 {
        track.packet_of(2, 96, number, Duration::from_secs(8));
    }
    assert_eq!(track.out.last(), Some(&(50_009, 0)));
}
