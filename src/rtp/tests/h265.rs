use super::*;
use crate::rtp::h265::OrderNumbers;

/// x265, 720p.
const VPS: &[u8] = &[
    0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03,
    0x00, 0x00, 0x03, 0x00, 0x5d, 0x95, 0x98, 0x09,
];
const SPS: &[u8] = &[
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
    0x00, 0x5d, 0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x59, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02,
    0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x10,
];
const PPS: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];
const SEI: &[u8] = &[0x4e, 0x01, 0x05, 0x01, 0x11, 0x80];
const SUFFIX_SEI: &[u8] = &[0x50, 0x01, 0x84, 0x01, 0x11, 0x80];
const DELIMITER: &[u8] = &[0x46, 0x01, 0x50];

/// A slice with picture parameter set 0, its address, and its picture's order count, which an IDR
/// picture does not have.
fn slice_of(kind: u8, address: u8, order: u8) -> Vec<u8> {
    let is_first = if address == 0 { "1" } else { "0" };
    let no_output = if (16..=23).contains(&kind) { "1" } else { "" };
    let address = if address == 0 { String::new() } else { format!("{address:08b}") };
    let order = if matches!(kind, 19 | 20) { String::new() } else { format!("{order:08b}") };
    let bits = format!("{is_first}{no_output}1{address}1{order}");
    let bits = format!("{bits:1<32}");
    let bytes = (0..4).map(|byte| u8::from_str_radix(&bits[8 * byte..8 * byte + 8], 2).unwrap());
    let head: Vec<u8> = [kind << 1, 1].into_iter().chain(bytes).collect();
    filled(&head, 20)
}

/// The first slice of a picture of a type.
fn slice(kind: u8) -> Vec<u8> {
    slice_of(kind, 0, 7)
}

fn further_slice(kind: u8) -> Vec<u8> {
    slice_of(kind, 120, 7)
}

const IDR: u8 = 20;
const TRAIL: u8 = 1;

fn run() -> Run {
    Run::new(Codec::H265, &[VPS, SPS, PPS])
}

/// A run whose first access units have proved that marker bits end access units.
fn proven_run() -> Run {
    let mut run = run();
    run.packet(0, Mark::Set, &slice(IDR)).packet(1, Mark::Set, &slice(IDR));
    run.out.units.clear();
    run
}

/// FU packets of at most `size` bytes of payload each, if requested with an order number in the
/// first.
fn fragments(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = nal[2..].len().div_ceil(size);
    let pieces = nal[2..].chunks(size).enumerate();
    pieces
        .map(|(index, piece)| {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index + 1 == count { 0x40 } else { 0 };
            let header = [nal[0] & 0x81 | 49 << 1, nal[1], start | end | nal[0] >> 1];
            [&header, piece].concat()
        })
        .collect()
}

fn feed(run: &mut Run, time: u32, payloads: &[Vec<u8>]) {
    for (index, payload) in payloads.iter().enumerate() {
        let marker = if index + 1 == payloads.len() { Mark::Set } else { Mark::Clear };
        run.packet(time, marker, payload);
    }
}

#[test]
fn every_way_to_pack_nal_units_gives_the_same_unit() {
    let whole = [SEI.to_vec(), slice(IDR), further_slice(IDR)];
    let [sei, first, further] = &whole;
    let mut fu = vec![sei.clone()];
    fu.extend(fragments(first, 7));
    fu.extend(fragments(further, 1));
    let ways = [whole.to_vec(), vec![aggregate(&[48 << 1, 1], &[sei, first, further])], fu];
    for (index, payloads) in ways.iter().enumerate() {
        let mut run = proven_run();
        feed(&mut run, 10, payloads);
        assert_eq!(run.out.nals(), std::slice::from_ref(&whole), "way {index}");
        assert_eq!(run.out.drops, []);
    }
}

/// RFC 7798 §4.4; a camera sends them, says ngraziano/SharpRTSP#94.
#[test]
fn decoding_order_numbers_are_not_part_of_a_nal_unit() {
    let whole = [SEI.to_vec(), slice(IDR), further_slice(IDR)];
    let single = |nal: &Vec<u8>| [&nal[..2], &[0, 5], &nal[2..]].concat();
    let mut aggregate = vec![48 << 1, 1, 0, 5];
    for (index, nal) in whole.iter().enumerate() {
        aggregate.extend_from_slice(if index == 0 { &[] } else { &[0] });
        aggregate.extend_from_slice(&(nal.len() as u16).to_be_bytes());
        aggregate.extend_from_slice(nal);
    }
    let mut fu = vec![single(&whole[0])];
    for nal in &whole[1..] {
        let mut all = fragments(nal, 7);
        all[0].splice(3..3, [0, 6]);
        fu.extend(all);
    }
    for (index, payloads) in
        [whole.iter().map(single).collect(), vec![aggregate], fu].iter().enumerate()
    {
        let mut run = Run::new(Codec::H265, &[VPS, SPS, PPS]);
        run.depacketizer = run.depacketizer.described("tx-mode=SRST; sprop-max-don-diff = 2");
        feed(&mut run, 10, payloads);
        feed(&mut run, 20, &[single(&slice(IDR))]);
        assert_eq!(run.out.nals()[..1], [&whole[..]], "way {index}");
        assert_eq!(run.out.drops, []);
    }
    for none in ["", "sprop-max-don-diff=0", "sprop-max-don-diff=x"] {
        assert_eq!(OrderNumbers::new(none), OrderNumbers::Absent, "{none}");
    }
}

#[test]
fn zeros_after_an_aggregate_end_it() {
    for zeros in 0..5 {
        let mut run = proven_run();
        let payload = [aggregate(&[48 << 1, 1], &[SEI, &slice(IDR)]), vec![0; zeros]].concat();
        run.packet(10, Mark::Clear, &payload).packet(10, Mark::Set, &further_slice(IDR));
        assert_eq!(run.out.nals(), [[SEI.to_vec(), slice(IDR), further_slice(IDR)]], "{zeros}");
        assert_eq!(run.out.drops, []);
    }
}

/// pion/rtp#280: a packetizer that advances the time with every NAL unit.
#[test]
fn a_time_stamp_for_each_slice() {
    let whole = vec![slice(TRAIL), further_slice(TRAIL)];
    for marks in [[Mark::Clear, Mark::Set], [Mark::Set, Mark::Set], [Mark::Clear, Mark::Clear]] {
        let mut run = run();
        for time in [10, 3610, 7210] {
            run.packet(time, marks[0], &whole[0]).packet(time + 9, marks[1], &whole[1]);
        }
        run.packet(10_810, Mark::Set, &slice(TRAIL));
        assert_eq!(run.out.times()[..3], [10, 3610, 7210], "{marks:?}");
        assert_eq!(run.out.nals()[..3], [&whole[..], &whole, &whole], "{marks:?}");
        assert_eq!(run.out.drops, []);
    }
}

/// Nothing was lost on the way: the camera never sent it.
#[test]
fn a_picture_whose_first_slice_is_missing_is_malformed() {
    let mut run = proven_run();
    run.packet(10, Mark::Set, &slice(TRAIL)).packet(20, Mark::Set, &further_slice(TRAIL));
    run.packet(30, Mark::Set, &slice(TRAIL)).packet(40, Mark::Set, &slice(TRAIL));
    assert_eq!(run.out.times(), [10, 30]);
    assert_eq!(run.out.drops, [DropCause::Malformed]);
}

/// The same without a marker bit or time stamp between the pictures.
#[test]
fn a_picture_whose_first_slice_is_missing_is_not_added_to_the_one_before() {
    let picture = |order| [slice_of(TRAIL, 0, order), slice_of(TRAIL, 120, order)];
    for (headless, why) in [
        (slice_of(TRAIL, 120, 2), "the order count is another"),
        (slice_of(IDR, 120, 0), "the type is another"),
        (slice_of(TRAIL, 60, 1), "it lies before the last one"),
    ] {
        let mut run = run();
        for nal in picture(0).iter().chain(&picture(1)) {
            run.packet(10, Mark::Clear, nal);
        }
        run.packet(10, Mark::Clear, &headless);
        for nal in picture(3).iter().chain(&picture(4)) {
            run.packet(20, Mark::Clear, nal);
        }
        assert_eq!(run.out.nals(), [picture(0), picture(1), picture(3)], "{why}");
        assert_eq!(run.out.drops, [DropCause::Malformed], "{why}");
    }
}

/// IDR pictures have no order count.
#[test]
fn an_idr_picture_without_its_first_slice_is_malformed_among_idr_pictures() {
    let mut run = run();
    let whole = [slice(IDR), further_slice(IDR)];
    for nal in [&whole[0], &whole[1], &whole[1], &whole[0], &whole[1], &whole[0]] {
        run.packet(10, Mark::Clear, nal);
    }
    assert_eq!(run.out.nals(), [whole.clone(), whole]);
    assert_eq!(run.out.drops, [DropCause::Malformed]);
}

#[test]
fn another_source_that_begins_in_mid_group_is_not_stored_after_ours() {
    for (order, is_ours) in [(41, true), (38, true), (0, true), (90, false)] {
        let mut run = proven_run();
        for frame in 1..=40 {
            run.packet_of(1, u32::from(frame) * 3600, &slice_of(TRAIL, 0, frame));
        }
        run.packet_of(2, 41 * 3600, &slice_of(TRAIL, 0, order));
        let drops: &[DropCause] = if is_ours { &[] } else { &[DropCause::Incomplete] };
        assert_eq!(run.out.drops, drops, "{order}");
    }
}

#[test]
fn slices_with_an_unknown_parameter_set_are_never_stored() {
    let unknown = |first: u8| filled(&[TRAIL << 1, 1, first, 0xff], 20); // of set 1
    let mut run = proven_run();
    run.packet(10, Mark::Set, &slice(TRAIL));
    run.packet(20, Mark::Clear, &unknown(0xaf)).packet(20, Mark::Set, &unknown(0x2f));
    run.packet(30, Mark::Clear, &slice(TRAIL)).packet(30, Mark::Set, &unknown(0x2f));
    run.packet(40, Mark::Set, &slice(TRAIL));
    assert_eq!(run.out.times(), [10, 40]);
    assert_eq!(run.out.drops, [DropCause::NoParameterSets; 2]);
}

#[test]
fn sets_at_the_end_of_a_run_do_not_mark_the_first_picture_of_the_next() {
    for ends in [false, true] {
        let mut run = proven_run();
        for time in 0..20 {
            run.packet(10 + time, Mark::Set, &slice(TRAIL));
        }
        run.packet(40, Mark::Clear, &aggregate(&[48 << 1, 1], &[VPS, SPS, PPS]));
        if ends {
            run.end();
        }
        run.packet(40, Mark::Set, &slice(TRAIL)).end();
        let told = if ends { RandomAccess::None } else { RandomAccess::RecoveryPoint };
        assert_eq!(run.out.units.last().unwrap().0.access, told);
    }
}

#[test]
fn random_access_and_leading_pictures_are_recognized() {
    let mut run = proven_run();
    let kinds = [21, 9, 7, 1, 0, 16];
    for (time, kind) in (10..).zip(kinds) {
        run.packet(time, Mark::Set, &slice(kind));
    }
    let told: Vec<_> =
        run.out.units.iter().map(|(unit, _)| (unit.access, unit.leading, unit.reference)).collect();
    use {Leading as L, RandomAccess as R};
    let expected = [
        (R::Cra, L::None, true),
        (R::None, L::Skipped, true),
        (R::None, L::Decodable, true),
        (R::None, L::None, true),
        (R::None, L::None, false),
        (R::Bla, L::None, true),
    ];
    assert_eq!(told, expected);
}

#[test]
fn parameter_sets_and_delimiters_are_left_out_of_samples() {
    let mut run = Run::new(Codec::H265, &[]);
    let nals = [DELIMITER, VPS, SPS, PPS, SEI, &slice(IDR), SUFFIX_SEI];
    run.packet(10, Mark::Set, &aggregate(&[48 << 1, 1], &nals));
    feed(&mut run, 11, &nals.map(<[u8]>::to_vec));
    let whole = [SEI.to_vec(), slice(IDR), SUFFIX_SEI.to_vec()];
    assert_eq!(run.end().out.nals(), [whole.clone(), whole]);
    assert_eq!(run.out.units[0].0.parameter_sets.picture().width, 1280);
}

#[test]
fn marker_bit_on_vps_sps_pps_or_sei() {
    let mut run = run();
    for time in [10, 20] {
        for nal in [VPS, SPS, PPS, SEI, &slice(IDR)] {
            run.packet(time, Mark::Set, nal);
        }
    }
    let whole = [SEI.to_vec(), slice(IDR)];
    assert_eq!(run.end().out.nals(), [whole.clone(), whole]);
}

#[test]
fn marker_bit_on_every_slice() {
    let mut run = run();
    for time in [10, 20] {
        run.packet(time, Mark::Set, &slice(IDR)).packet(time, Mark::Set, &further_slice(IDR));
    }
    let whole = [slice(IDR), further_slice(IDR)];
    assert_eq!(run.end().out.nals(), [whole.clone(), whole]);
}

#[test]
fn annex_b_start_codes_inside_an_rtp_payload() {
    let code = [0, 0, 0, 1];
    let mut stream = Vec::new();
    for nal in [VPS, SPS, PPS, &slice(IDR), &further_slice(IDR)] {
        stream.extend([&code, nal].concat());
    }
    let whole = [slice(IDR), further_slice(IDR)];
    let mut run = Run::new(Codec::H265, &[]);
    run.packet(10, Mark::Set, &stream).packet(11, Mark::Set, &stream[4..]).end();
    assert_eq!(run.out.nals(), [whole.clone(), whole.clone()]);
    for size in 1..40 {
        let mut run = Run::new(Codec::H265, &[]);
        feed(&mut run, 10, &fragments(&stream[4..], size));
        assert_eq!(run.end().out.nals(), std::slice::from_ref(&whole), "{size}");
    }
}

#[test]
fn every_truncation_of_every_packet_is_dropped_or_shorter() {
    let first = slice(IDR);
    let fu = fragments(&first, 100).remove(0);
    for payload in [first.clone(), aggregate(&[48 << 1, 1], &[SEI, &first]), fu] {
        for length in 0..=payload.len() {
            let mut run = proven_run();
            run.packet(10, Mark::Set, &payload[..length]).packet(11, Mark::Set, &slice(TRAIL));
            assert_eq!(run.out.times().last(), Some(&11), "{length} of {payload:02x?}");
            assert!(length < payload.len() || run.out.times() == [10, 11]);
            for nal in run.out.nals().iter().flatten() {
                let is_part = first.starts_with(nal) || SEI.starts_with(nal);
                assert!(is_part || *nal == slice(TRAIL));
            }
        }
    }
}

#[test]
fn a_loss_inside_a_fragmented_slice_drops_the_unit() {
    for missing in 0..3 {
        let mut run = proven_run();
        let pieces = fragments(&slice(IDR), 7);
        let mut lost = 0;
        for (index, piece) in pieces.iter().enumerate() {
            if index == missing {
                lost = 1;
                continue;
            }
            let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
            run.packet_after_loss(lost, 10, marker, piece);
            lost = 0;
        }
        run.packet_after_loss(lost, 11, Mark::Set, &slice(TRAIL));
        assert_eq!(run.out.times(), [11]);
        assert_eq!(run.out.drops[0], DropCause::Loss { packets: 1 });
    }
}

#[test]
fn a_paci_packet_is_malformed() {
    let mut run = proven_run();
    run.packet(10, Mark::Set, &[50 << 1, 1, IDR << 1, 0, 1, 2]);
    assert_eq!(run.out.drops, [DropCause::Malformed]);
}

#[test]
fn a_payload_of_the_track_is_recognized_by_its_sets_and_its_key_frames() {
    let run = run();
    let ways = [slice(IDR), fragments(&slice(IDR), 9).remove(0)];
    for payload in [SPS.to_vec(), aggregate(&[48 << 1, 1], &[VPS, SPS])].iter().chain(&ways) {
        assert!(run.depacketizer.recognizes(payload), "{payload:02x?}");
    }
    let last = fragments(&slice(IDR), 9).pop().unwrap();
    for payload in [&slice(TRAIL)[..], &further_slice(IDR), VPS, PPS, SEI, &last, &[40], &[]] {
        assert!(!run.depacketizer.recognizes(payload), "{payload:02x?}");
    }
}
