//! Video and sound that share one sequence of numbers.

use super::*;

/// Sends video and sound with shared numbers, every fifth one for sound; returns what arrived of
/// both.
fn shared(order: Order, first: u16) -> [Track; 2] {
    let mut tracks = [Track::new(order), Track::new(order)];
    for step in 0..6000_u16 {
        let sound = usize::from(step % 5 == 3);
        let number = first.wrapping_add(step);
        tracks[1 - sound].receiver.came_elsewhere(number);
        tracks[sound].packet_of(1, 96, number, START);
    }
    tracks
}

#[test]
fn numbers_used_on_another_track_are_not_lost() {
    for order in [Order::Reliable, Order::Datagram] {
        for first in [0, 64_000] {
            for track in shared(order, first) {
                assert!(track.out.iter().all(|(_, lost)| *lost == 0), "{order:?}");
                assert!(track.out.len() == 1200 || track.out.len() == 4800);
                assert!(track.receiver.shares_its_count());
                assert_eq!(track.receiver.statistics().lost, 0);
            }
        }
    }
}

#[test]
fn losses_from_shared_numbers_are_counted() {
    for order in [Order::Reliable, Order::Datagram] {
        let mut track = Track::new(order);
        track.packets([10, 11]);
        track.receiver.came_elsewhere(12);
        track.packets([14]); // 13 came on neither track
        track.timeout(REORDER_DELAY_MAX);
        assert_eq!(track.out, [(10, 0), (11, 0), (14, 1)], "{order:?}");
        let reception = track.receiver.reception(track.epoch + REORDER_DELAY_MAX).unwrap();
        assert_eq!((track.receiver.statistics().lost, reception.lost), (1, 1));
    }
}

#[test]
fn over_udp_a_number_of_another_track_may_come_after_packets_that_wait_for_it() {
    let mut track = Track::new(Order::Datagram);
    track.packets([10, 12, 13]);
    assert_eq!(track.out, [(10, 0)]);
    track.receiver.came_elsewhere(11);
    track.timeout(START);
    assert_eq!(track.out, [(10, 0), (12, 0), (13, 0)]);
}

/// As RFC 3550 says; two sequences often begin with the same number.
#[test]
fn tracks_that_use_the_same_numbers_do_not_explain_each_others_losses() {
    for begins_with_video in [true, false] {
        let mut track = Track::new(Order::Reliable);
        if !begins_with_video {
            track.receiver.came_elsewhere(10);
        }
        track.packets([10]);
        (10..14).for_each(|number| track.receiver.came_elsewhere(number));
        track.packets([11, 14]);
        assert_eq!(track.out, [(10, 0), (11, 0), (14, 2)]);
        assert!(!track.receiver.shares_its_count());
    }
}
