//! Packets of an Opus or G.711 track: a packet is a frame.

use crate::{
    sound::{Checked, hostile, packet},
    source::Source,
};
use smolnvr::rtp::{AudioDepacketizer, Lost};

pub fn opus(data: &[u8]) {
    let mut source = Source::new(data);
    let (name, rate) = source.one(&[("opus", 48_000), ("PCMU", 8000), ("PCMA", 16_000)]);
    let channels = source.u8();
    let Some(depacketizer) = AudioDepacketizer::new(name, rate, channels, "") else {
        panic!("{name} is recorded");
    };
    hostile(depacketizer, &mut source.clone());
    while !source.is_empty() {
        let payload = source.piece();
        let Some(mut depacketizer) = AudioDepacketizer::new(name, rate, channels, "") else {
            return;
        };
        let mut sink = Checked::default();
        depacketizer.handle_packet(&packet(true, 5, payload), Lost(0), &mut sink);
        let ticks = match name {
            "opus" => opus_ticks(payload),
            _ => {
                let (samples, rest) = (
                    payload.len() / usize::from(channels.max(1)),
                    payload.len() % usize::from(channels.max(1)),
                );
                (samples > 0 && rest == 0).then_some(samples as u32)
            }
        };
        assert_eq!(sink.frames.len() == 1, ticks.is_some(), "{payload:?}");
        let told = depacketizer.format().and_then(|format| format.frame_ticks(payload));
        assert_eq!(told, ticks);
    }
}

/// RFC 6716 §3.1, table 2, and §3.2; no packet is longer than 120 ms.
fn opus_ticks(packet: &[u8]) -> Option<u32> {
    let first = *packet.first()?;
    let frame = match first >> 3 {
        silk @ 0..12 => [480, 960, 1920, 2880][usize::from(silk % 4)],
        hybrid @ 12..16 => [480, 960][usize::from(hybrid % 2)],
        celt => [120, 240, 480, 960][usize::from(celt % 4)],
    };
    let count = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 63),
    };
    Some(frame * count).filter(|ticks| (1..=5760).contains(ticks))
}
