//! Packets of sound, and a sink that holds a depacketizer to its contract.

use crate::source::Source;
use smolnvr::{
    limits::AUDIO_FRAME_BYTES_MAX,
    rtp::{AudioDepacketizer, AudioSink, AudioUnit, DropCause, Lost, Packet},
    units::RtpTime,
};

/// The output.
#[derive(Default)]
pub struct Checked {
    pub frames: Vec<(RtpTime, Vec<u8>)>,
    pub lost: u64,
    pub malformed: u64,
    pub bytes: usize,
}

impl AudioSink for Checked {
    fn audio_frame(&mut self, frame: AudioUnit<'_>) {
        assert!(!frame.bytes.is_empty() && frame.bytes.len() <= AUDIO_FRAME_BYTES_MAX);
        assert_eq!(frame.format.frame_ticks(frame.bytes), Some(frame.ticks));
        assert!(frame.ticks > 0 && frame.format.channels() > 0);
        self.bytes += frame.bytes.len();
        self.frames.push((frame.timestamp, frame.bytes.to_vec()));
    }

    fn audio_drop(&mut self, cause: DropCause) {
        match cause {
            DropCause::Loss { packets } => self.lost += u64::from(packets),
            DropCause::Malformed => self.malformed += 1,
            other => panic!("{other:?} of sound"),
        }
    }
}

/// Any payloads at all.
pub fn hostile(mut depacketizer: AudioDepacketizer, source: &mut Source<'_>) {
    let mut sink = Checked::default();
    let (mut time, mut fed, mut lost, mut packets) = (source.u32(), 0, 0, 0);
    while !source.is_empty() {
        let choice = source.u8();
        time = time.wrapping_add(match choice & 3 {
            0 => 0,
            1 | 2 => 1024,
            _ => source.u32(),
        });
        let missing = if choice & 0x1c == 0x1c { 1 + u32::from(source.u8()) } else { 0 };
        let mut payload = source.piece().to_vec();
        if choice & 0x60 == 0x60 {
            payload.resize(payload.len() + 8100, 0x55);
        }
        fed += payload.len();
        lost += u64::from(missing);
        packets += 1;
        let packet = packet(choice & 0x80 != 0, time, &payload);
        depacketizer.handle_packet(&packet, Lost(missing), &mut sink);
        assert!(sink.bytes <= fed, "{} bytes of {fed}", sink.bytes);
        assert_eq!(sink.lost, lost);
        assert!(sink.malformed <= packets);
    }
}

pub fn packet(marker: bool, time: u32, payload: &[u8]) -> Packet<'_> {
    let (payload_type, sequence_number, ssrc) = (97, 0, 1);
    Packet { marker, payload_type, sequence_number, timestamp: RtpTime(time), ssrc, payload }
}
