//! Whatever arrives, calls are balanced (the sink checks), and units sent whole come out whole.

use proptest::prelude::*;

use super::*;

const H264_SETS: [&[u8]; 2] = [&[0x67, 66, 0x40, 30, 0xf4, 0x4b, 0x20], &[0x68, 0xce, 0x3c, 0x80]];

fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![Just(Mark::Set), Just(Mark::Clear)]
}

/// Payloads that are likely to be parsed: a packet type, then small numbers and random bytes.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        any::<u8>(),
        Just(0x65),
        Just(0x41),
        Just(0x67),
        Just(0x06),
        24u8..30,
        Just(0x7c),
        Just(40), // H.265: IDR, AP, FU, PACI
        Just(96),
        Just(98),
        Just(100),
        Just(0),
    ];
    let second = prop_oneof![any::<u8>(), Just(0x85), Just(0x45), Just(5), Just(1), Just(0)];
    let rest = prop::collection::vec(any::<u8>(), 0..60);
    (first, second, rest, 0usize..62).prop_map(|(first, second, rest, length)| {
        let small = |byte: u8| if byte < 150 { byte & 3 } else { byte };
        let mut payload: Vec<u8> =
            [first, second].into_iter().chain(rest.into_iter().map(small)).collect();
        payload.truncate(length);
        payload
    })
}

/// A NAL unit without zeros; its kind depends on its place in the unit.
fn any_slice(first: bool) -> impl Strategy<Value = Vec<u8>> {
    let start = if first { [0x65, 0x88, 0x84, 0x04] } else { [0x65, 0x42, 0x21, 0x02] };
    prop::collection::vec(1u8.., 1..200).prop_map(move |rest| [&start[..], &rest].concat())
}

fn any_unit() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (any_slice(true), prop::collection::vec(any_slice(false), 0..3))
        .prop_map(|(first, further)| [vec![first], further].concat())
}

/// Packs a unit: single NAL units, fragments or one aggregate.
fn pack(unit: &[Vec<u8>], size: usize) -> Vec<Vec<u8>> {
    if size == 0 {
        let nals: Vec<&[u8]> = unit.iter().map(|nal| &nal[..]).collect();
        return vec![aggregate(&[0x78], &nals)];
    }
    let mut payloads = Vec::new();
    for nal in unit {
        if nal.len() <= size {
            payloads.push(nal.clone());
            continue;
        }
        let pieces: Vec<&[u8]> = nal[1..].chunks(size).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index + 1 == pieces.len() { 0x40 } else { 0 };
            payloads.push([&[0x7c, start | end | 5], *piece].concat());
        }
    }
    payloads
}

proptest! {
    #[test]
    fn no_packets_unbalance_the_sink(
        h265: bool,
        packets in prop::collection::vec((any_payload(), any_mark(), 0u32..3, 0u32..20), 0..30),
    ) {
        let codec = if h265 { Codec::H265 } else { Codec::H264 };
        let mut run = Run::new(codec, &H264_SETS);
        let mut time = 0;
        for (payload, marker, step, lost) in packets {
            time += step;
            run.packet_after_loss(lost.saturating_sub(17), time, marker, &payload);
        }
        run.end();
        prop_assert!(!run.out.is_open && run.out.nals.is_empty());
    }

    /// Every unit comes out byte for byte; with losses, only whole ones come out.
    #[test]
    fn what_is_sent_comes_out_and_nothing_else(
        units in prop::collection::vec((any_unit(), 0usize..80), 1..8),
        missing in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut packets = Vec::new();
        for (time, (unit, size)) in units.iter().enumerate() {
            let payloads = pack(unit, *size);
            let last = payloads.len() - 1;
            let with_marker = payloads.into_iter().enumerate();
            packets.extend(with_marker.map(|(index, payload)| (time as u32, index == last, payload)));
        }
        let missing: Vec<usize> = missing.iter().map(|index| index.index(packets.len())).collect();
        let mut run = Run::new(Codec::H264, &H264_SETS);
        let mut lost = 0;
        let mut hurt = vec![false; units.len()];
        for (index, (time, marker, payload)) in packets.iter().enumerate() {
            if missing.contains(&index) {
                lost += 1;
                hurt[*time as usize] = true;
                continue;
            }
            let marker = if *marker { Mark::Set } else { Mark::Clear };
            run.packet_after_loss(lost, *time, marker, payload);
            lost = 0;
        }
        run.end();
        let whole: Vec<Vec<Vec<u8>>> = units
            .iter()
            .zip(&hurt)
            .filter(|(_, hurt)| !**hurt)
            .map(|((unit, _), _)| unit.clone())
            .collect();
        prop_assert_eq!(run.out.nals(), whole);
    }
}
