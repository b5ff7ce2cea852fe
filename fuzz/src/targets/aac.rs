//! Packets of an AAC track (RFC 3640): its `fmtp` parameters, then packets.

use crate::{
    sound::{Checked, hostile, packet},
    source::Source,
};
use smolnvr::{
    rtp::{AudioDepacketizer, Lost},
    units::RtpTime,
};

pub const WORDS: &[&str] = &[
    "mode=AAC-hbr;",
    "mode=AAC-lbr;",
    "config=1408;",
    "config=1190;",
    "sizelength=13;",
    "indexlength=3;",
    "indexdeltalength=3;",
    "sizeLength=6;",
    "indexlength=2;",
    "CTSDeltaLength=0;",
];

pub fn aac(data: &[u8]) {
    let mut source = Source::new(data);
    if source.flag() {
        return packed(&mut source);
    }
    let (clock_rate, parameters) =
        (source.one(&[16_000, 8000, 90_000, u32::MAX, 1, 0]), source.text());
    if let Some(depacketizer) = AudioDepacketizer::new("MPEG4-GENERIC", clock_rate, 1, &parameters)
    {
        hostile(depacketizer, &mut source);
    }
}

/// Frames, several in a packet or one in several, come out as they are.
fn packed(source: &mut Source<'_>) {
    let parameters = "mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1408";
    let depacketizer = AudioDepacketizer::new("MPEG4-GENERIC", 16_000, 1, parameters);
    let mut depacketizer = depacketizer.expect("is AAC");
    let (mut sink, mut expected, mut time) = (Checked::default(), Vec::new(), source.u32());
    while !source.is_empty() && expected.len() < 200 {
        time = time.wrapping_add(20 * 1024);
        let frames: Vec<Vec<u8>> =
            (0..1 + source.below(4)).map(|_| [&[0x21], source.piece()].concat()).collect();
        let size = source.below(64);
        if frames.len() == 1 && size > 0 {
            let frame = &frames[0];
            let mut end = 0;
            for piece in frame.chunks(size) {
                end += piece.len();
                let header = ((frame.len() as u16) << 3).to_be_bytes();
                let payload = [&[0, 16], &header[..], piece].concat();
                let packet = packet(end == frame.len(), time, &payload);
                depacketizer.handle_packet(&packet, Lost(0), &mut sink);
            }
        } else {
            let mut payload = (16 * frames.len() as u16).to_be_bytes().to_vec();
            let headers = frames.iter().flat_map(|it| ((it.len() as u16) << 3).to_be_bytes());
            payload.extend(headers);
            payload.extend(frames.concat());
            depacketizer.handle_packet(&packet(true, time, &payload), Lost(0), &mut sink);
        }
        expected.extend(
            frames
                .into_iter()
                .enumerate()
                .map(|(nth, frame)| (RtpTime(time.wrapping_add(1024 * nth as u32)), frame)),
        );
    }
    assert_eq!(sink.frames, expected);
    assert_eq!((sink.lost, sink.malformed), (0, 0));
}
