//! Packets of a LATM track (RFC 3016): its `fmtp` parameters, then packets.

use crate::{
    sound::{Checked, hostile, packet},
    source::Source,
};
use smolnvr::{
    rtp::{AudioDepacketizer, Lost},
    units::RtpTime,
};

pub const WORDS: &[&str] =
    &["cpresent=0;", "cpresent=1;", "config=40002410;", "config=400024203fc0;", "object=2;"];

pub fn latm(data: &[u8]) {
    let mut source = Source::new(data);
    if source.flag() {
        return packed(&mut source);
    }
    let (clock_rate, parameters) = (source.one(&[16_000, 90_000, u32::MAX, 1]), source.text());
    if let Some(depacketizer) = AudioDepacketizer::new("MP4A-LATM", clock_rate, 1, &parameters) {
        hostile(depacketizer, &mut source);
    }
}

/// Elements of one frame each, in one packet or several, whose configuration the SDP tells. One of
/// which a packet is missing does not come.
fn packed(source: &mut Source<'_>) {
    let depacketizer =
        AudioDepacketizer::new("MP4A-LATM", 16_000, 1, "cpresent=0; config=400028103fc0");
    let mut depacketizer = depacketizer.expect("is LATM");
    let (mut sink, mut expected, mut time) = (Checked::default(), Vec::new(), source.u32());
    let (mut lost, mut missing) = (0, 0);
    while !source.is_empty() && expected.len() < 200 {
        time = time.wrapping_add(1024);
        let frame = [&[0x21], source.piece()].concat();
        let mut element = vec![255; frame.len() / 255];
        element.push((frame.len() % 255) as u8);
        element.extend(&frame);
        let size = 1 + source.below(600);
        let pieces: Vec<&[u8]> = element.chunks(size).collect();
        // Not the first: how a rest of that begins cannot be told.
        let hurt = Some(source.below(256)).filter(|it| (1..pieces.len()).contains(it));
        for (nth, piece) in pieces.iter().enumerate() {
            if hurt == Some(nth) {
                (lost, missing) = (lost + 1, missing + 1);
                continue;
            }
            let packet = packet(nth + 1 == pieces.len(), time, piece);
            depacketizer.handle_packet(&packet, Lost(std::mem::take(&mut missing)), &mut sink);
        }
        if hurt.is_none() {
            expected.push((RtpTime(time), frame));
        }
    }
    assert_eq!(sink.frames, expected);
    assert_eq!((sink.lost, sink.malformed), (lost - u64::from(missing), 0));
}
