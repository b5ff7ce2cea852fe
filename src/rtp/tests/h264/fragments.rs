//! Fragmented NAL units (RFC 6184 §5.8) as cameras send them.

use super::*;

/// Cameras that drop fragments when their buffer is full number only the packets they send.
#[test]
fn a_fragmented_unit_without_an_end_bit_is_incomplete_if_all_others_had_one() {
    for (before, is_whole) in [(3, true), (16, false)] {
        let mut run = run();
        for time in 0..before {
            for piece in fragments(&idr(), 10) {
                run.packet(time * 3600, Mark::Clear, &piece);
            }
        }
        let pieces = fragments(&idr(), 10);
        let cut = before * 3600;
        run.packet(cut, Mark::Clear, &pieces[0]).packet(cut, Mark::Set, &pieces[1]);
        run.packet(cut + 3600, Mark::Set, &idr()).end();
        assert_eq!(run.out.times().contains(&cut), is_whole, "{before}");
        assert!(run.out.times().contains(&(cut + 3600)));
        assert_eq!(run.out.drops.contains(&DropCause::Malformed), !is_whole);
    }
}

#[test]
fn fu_type_that_changes_mid_unit() {
    let mut pieces = fragments(&idr(), 8);
    pieces[1][1] = 1;
    pieces[2][1] = 7;
    let mut run = proven_run();
    for (index, piece) in pieces.iter().enumerate() {
        let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
        run.packet(10, marker, piece);
    }
    assert_eq!(run.out.nals(), [[idr()]]);
    assert_eq!(run.out.drops, []);
}

#[test]
fn empty_fragments() {
    let mut pieces = vec![vec![0x7c, 0x85], vec![0x7c, 0x05]];
    let body = fragments(&idr(), 8);
    pieces.extend(body.iter().map(|piece| [&[0x7c, 0x05], &piece[2..]].concat()));
    pieces.push(vec![0x7c, 0x45]);
    let mut run = proven_run();
    for (index, piece) in pieces.iter().enumerate() {
        let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
        run.packet(10, Mark::Clear, &[]).packet(10, marker, piece);
    }
    run.packet(11, Mark::Clear, &inter()).packet(11, Mark::Set, &[]);
    assert_eq!(run.out.nals(), [[idr()], [inter()]]);
    assert_eq!(run.out.drops, []);
}

#[test]
fn no_start_bit_on_the_first_fragment() {
    let mut pieces = fragments(&idr(), 9);
    pieces[0][1] &= 0x7f;
    let mut run = proven_run();
    for time in [10, 20] {
        for (index, piece) in pieces.iter().enumerate() {
            let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
            run.packet(time, marker, piece);
        }
    }
    assert_eq!(run.out.nals(), [[idr()], [idr()]]);
    assert_eq!(run.out.drops, []);
    // After a gap it may be any fragment.
    run.packet_after_loss(1, 30, Mark::Clear, &pieces[0]).packet(30, Mark::Set, &pieces[3]);
    run.packet(40, Mark::Set, &idr());
    assert_eq!(run.out.times(), [10, 20, 40]);
}

/// The numbers continue: the camera dropped the fragment before it numbered its packets.
#[test]
fn a_fragmented_unit_without_a_start_bit_is_incomplete_if_all_others_had_one() {
    for (before, is_whole) in [(3, true), (16, false)] {
        let mut run = run();
        for time in 0..before {
            for piece in fragments(&idr(), 10) {
                run.packet(time * 3600, Mark::Clear, &piece);
            }
        }
        let mut pieces = fragments(&idr(), 10);
        pieces[0][1] &= 0x7f;
        let cut = before * 3600;
        for (index, piece) in pieces.iter().enumerate() {
            let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
            run.packet(cut, marker, piece);
        }
        run.packet(cut + 3600, Mark::Set, &idr()).packet(cut + 7200, Mark::Set, &idr()).end();
        assert_eq!(run.out.times().contains(&cut), is_whole, "{before}");
        assert!(run.out.times().contains(&(cut + 3600)));
        let drops: &[DropCause] = if is_whole { &[] } else { &[DropCause::Malformed] };
        assert_eq!(run.out.drops, drops, "{before}");
    }
}

#[test]
fn no_end_bit_on_the_last_fragment() {
    let mut run = proven_run();
    for time in [10, 20, 30] {
        let mut pieces = fragments(&idr(), 8);
        let last = pieces.len() - 1;
        pieces[last][1] &= !0x40;
        for (index, piece) in pieces.iter().enumerate() {
            run.packet(time, if index == last { Mark::Set } else { Mark::Clear }, piece);
        }
    }
    assert_eq!(run.out.nals(), [[idr()], [idr()]]);
    assert_eq!(run.out.drops, []);
}
