//! What cameras do against RFC 6184.

use super::*;

#[test]
fn marker_bit_on_sps_pps_or_sei() {
    let mut run = run();
    for time in [10, 20] {
        for nal in [SPS, PPS, SEI] {
            run.packet(time, Mark::Set, nal);
        }
        run.packet(time, Mark::Set, &idr());
    }
    run.packet(30, Mark::Set, &inter());
    assert_eq!(
        run.out.nals(),
        [vec![SEI.to_vec(), idr()], vec![SEI.to_vec(), idr()], vec![inter()]]
    );
    assert_eq!(run.out.times(), [10, 20, 30]);
}

#[test]
fn sei_with_a_time_stamp_of_its_own_goes_with_the_next_picture() {
    let mut run = proven_run();
    run.packet(9, Mark::Set, SEI).packet(10, Mark::Set, &idr());
    assert_eq!(run.out.nals(), [[SEI.to_vec(), idr()]]);
    assert_eq!(run.out.times(), [10]);
}

#[test]
fn marker_bit_on_every_slice() {
    let mut run = run();
    for time in [10, 20, 30] {
        run.packet(time, Mark::Set, &idr()).packet(time, Mark::Set, &idr_further());
    }
    run.end();
    assert_eq!(
        run.out.nals(),
        [[idr(), idr_further()], [idr(), idr_further()], [idr(), idr_further()]]
    );
    assert_eq!(run.out.drops, []);
}

#[test]
fn marker_bit_on_every_slice_that_shows_late() {
    let mut run = proven_run();
    run.packet(10, Mark::Set, &idr()).packet(10, Mark::Set, &idr_further());
    assert_eq!(run.out.drops, [DropCause::Malformed]);
    for time in [20, 30, 40] {
        run.packet(time, Mark::Set, &idr()).packet(time, Mark::Set, &idr_further());
    }
    assert_eq!(run.out.times(), [10, 20, 30]);
    assert_eq!(run.out.nals()[1..], [[idr(), idr_further()], [idr(), idr_further()]]);
}

#[test]
fn two_frames_of_one_time_stamp_stay_two() {
    let mut run = run();
    run.packet(10, Mark::Set, &idr()).packet(10, Mark::Set, &inter());
    run.packet(20, Mark::Set, &inter()).packet(20, Mark::Set, &inter());
    assert_eq!(run.out.times(), [10, 10, 20, 20]);
}

#[test]
fn two_fields_of_one_time_stamp_are_one_unit() {
    let mut run = Run::new(Codec::H264, &[INTERLACED_SPS, &[0x68, 0xfb, 0xa3, 0xcb, 0x30]]);
    run.packet(10, Mark::Set, &idr()).packet(10, Mark::Set, &inter());
    run.packet(20, Mark::Set, &inter()).packet(20, Mark::Set, &inter());
    run.packet(30, Mark::Set, &inter()).packet(40, Mark::Set, &inter()).end();
    assert_eq!(run.out.times(), [10, 20, 30, 40]);
    assert_eq!(run.out.nals()[1], [inter(), inter()]);
}

#[test]
fn annex_b_start_codes_inside_an_rtp_payload() {
    for code in [&START_CODE[1..], START_CODE] {
        let stream = [code, SPS, code, PPS, code, SEI, code, &idr(), code, &idr_further()].concat();
        let whole = [SEI.to_vec(), idr(), idr_further()];
        let mut run = Run::new(Codec::H264, &[]);
        run.packet(10, Mark::Set, &stream).packet(11, Mark::Set, &stream);
        run.packet(12, Mark::Set, &stream[code.len()..]).end();
        assert_eq!(run.out.nals(), [whole.clone(), whole.clone(), whole.clone()]);

        // one fragmented NAL unit with the others inside, cut at every place
        for size in 1..40 {
            let mut run = Run::new(Codec::H264, &[]);
            let pieces = fragments(&stream[code.len()..], size);
            for (index, piece) in pieces.iter().enumerate() {
                let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
                run.packet(10, marker, piece);
            }
            assert_eq!(run.end().out.nals(), std::slice::from_ref(&whole), "{size}");
        }
        let mut run = proven_run();
        run.packet(
            10,
            Mark::Set,
            &aggregate(&[24], &[&[code, SEI].concat(), &[code, &idr()].concat()]),
        );
        assert_eq!(run.out.nals(), [[SEI.to_vec(), idr()]]);
    }
}

#[test]
fn zeros_that_are_no_start_code_stay() {
    let nal = [&[0x65, 0x88, 0, 0, 3, 1, 0, 0, 2, 0][..], &[0; 40], &[5]].concat();
    for size in 1..nal.len() {
        let mut run = proven_run();
        let pieces = fragments(&nal, size);
        for (index, piece) in pieces.iter().enumerate() {
            let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
            run.packet(10, marker, piece);
        }
        assert_eq!(run.out.nals(), [[nal.clone()]], "{size}");
    }
}

#[test]
fn zeros_behind_a_nal_unit() {
    let padded = [&idr()[..], &[0, 0, 0]].concat();
    let mut run = proven_run();
    run.packet(10, Mark::Set, &padded).packet(11, Mark::Set, &fragments(&padded, 100)[0]);
    run.packet(12, Mark::Set, &aggregate(&[24], &[&padded]));
    assert_eq!(run.out.nals(), [[idr()], [idr()], [idr()]]);
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

#[test]
fn junk_after_the_sps() {
    let mut run = run();
    for (time, junk) in [(10, [1, 2]), (20, [3, 4])] {
        let nals = [&[SPS, &junk[..]].concat(), PPS, &idr()];
        run.packet(time, Mark::Set, &aggregate(&[24], &nals));
    }
    run.end();
    let [(first, _), (second, _)] = &run.out.units[..] else { panic!("two units") };
    assert!(Arc::ptr_eq(&first.parameter_sets, &second.parameter_sets));
    assert!(first.parameter_sets.nals().any(|nal| nal == SPS));
}

#[test]
fn parameter_sets_only_in_band() {
    let mut run = Run::new(Codec::H264, &[]);
    run.packet(1, Mark::Set, &idr()).packet(2, Mark::Set, &inter());
    assert!(run.out.times().is_empty());
    assert_eq!(run.out.drops, [DropCause::NoParameterSets; 2]);
    assert_eq!(run.depacketizer.parameter_sets(), None);
    run.packet(3, Mark::Clear, SPS);
    for piece in fragments(PPS, 2) {
        run.packet(3, Mark::Clear, &piece);
    }
    run.packet(3, Mark::Set, &idr()).packet(4, Mark::Set, &inter());
    assert_eq!(run.out.times(), [3, 4]);
}

#[test]
fn parameter_sets_only_in_sdp() {
    let mut run = Run::new(Codec::H264, &[&[START_CODE, SPS, START_CODE, PPS].concat()]);
    run.packet(1, Mark::Set, &idr()).end();
    assert_eq!(run.out.units[0].0.parameter_sets.picture().width, 1920);
}

#[test]
fn parameter_sets_in_sdp_and_in_band_that_differ() {
    let mut run = Run::new(Codec::H264, &[OTHER_SPS, &[0x68, 0xcb, 0x83, 0xcb, 0x20]]);
    run.packet(1, Mark::Set, &idr());
    run.packet(2, Mark::Clear, SPS).packet(2, Mark::Clear, PPS).packet(2, Mark::Set, &idr()).end();
    let widths: Vec<u32> =
        run.out.units.iter().map(|(unit, _)| unit.parameter_sets.picture().width).collect();
    assert_eq!(widths, [640, 1920]);
}

#[test]
fn a_set_forbidden_bit_drops_the_unit() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, &idr()).packet(10, Mark::Set, &filled(&[0xe5, 0x44], 8));
    assert_eq!(run.out.drops, [DropCause::Malformed]);
    assert!(run.out.times().is_empty());
}

#[test]
fn an_endless_parameter_set_is_bounded() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, &filled(&[0x7c, 0x87], 60_000));
    for _ in 0..10 {
        run.packet(10, Mark::Clear, &filled(&[0x7c, 0x07], 60_000));
    }
    run.packet(10, Mark::Clear, &filled(&[0x7c, 0x47], 1)).packet(10, Mark::Set, &idr());
    assert_eq!(run.out.nals(), [[idr()]]);
}
