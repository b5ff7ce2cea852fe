//! A fixed stream through everything between the socket and the card, for `ci/bench.py` to count
//! instructions of.
//!
//! usage: path SECONDS
//!
//! 4 Mbit/s of H.264: 25 frames a second of 20 KB, in packets of 1,400 bytes. Prints the bytes of
//! media.

#![expect(clippy::unwrap_used, reason = "a test's tool ends where something is not as it must be")]
#![allow(dead_code, reason = "it uses the source alone")]

#[path = "support/fragment.rs"]
mod fragment;
#[path = "support/line.rs"]
mod line;

use line::{Sets, Source};
use smolnvr::{
    codec::Codec,
    media::Intake,
    mp4::identity,
    recorder::{Moment, Recorder},
    rtp::{Depacketizer, Order, Packet, Receiver},
    storage::{CameraId, Command},
    units::{Ticks, WallTime},
};
use std::{
    env,
    time::{Duration, Instant},
};

const FRAMES_A_SECOND: u64 = 25;
const FRAME_BYTES: usize = 20_000;

fn main() {
    let seconds: u64 = env::args().nth(1).unwrap().parse().unwrap();
    // Made once: only what smolnvr does with them is to be counted.
    let sets = Sets::First;
    let mut source = Source { ssrc: 7, sequence: 0, offset: 0, ticks: 3600, sets };
    let second: Vec<Vec<Vec<u8>>> = (0..FRAMES_A_SECOND)
        .map(|number| source.packets(number, number == 0, FRAME_BYTES))
        .collect();

    let mut intake = Intake::new(2 << 20);
    let mut receiver = Receiver::new(96, Order::Reliable);
    let mut depacketizer = Depacketizer::new(Codec::H264, &[]);
    let mut recorder = Recorder::new(CameraId(0), Ticks::from_seconds(60), 0);
    let mut buffers = vec![Vec::new()];
    intake.begin_run();
    recorder.card_accepts(true);
    recorder.start(&intake.ring);
    #[expect(clippy::disallowed_methods, reason = "a point to count from")]
    let mut now = Instant::now();
    let (mut sequence, mut bytes, mut stored) = (0_u16, 0, 0);
    for number in 0..seconds * FRAMES_A_SECOND {
        let timestamp = (number as u32 * 3600).to_be_bytes();
        for template in &second[(number % FRAMES_A_SECOND) as usize] {
            let mut packet = [0; 1600];
            let packet = &mut packet[..template.len()];
            packet.copy_from_slice(template);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&timestamp);
            sequence = sequence.wrapping_add(1);
            bytes += packet.len();
            intake.arrived(now);
            let packet = Packet::parse(packet).unwrap();
            receiver.handle_packet(packet, now, &mut |packet, lost| {
                depacketizer.handle_packet(&packet, lost, &mut intake);
            });
        }
        now += Duration::from_millis(40);
        let wall = WallTime(1_800_000_000_000 + number as i64 * 40);
        let moment = Moment { now, wall, clock: identity::ClockTrust::Trusted, up_ms: 0 };
        while let Some(command) = recorder.poll(&intake.ring, moment, &mut buffers) {
            if let Command::Append { fragment, .. } = command {
                stored += fragment.bytes.len();
                recorder.durable(fragment.frames.end);
                buffers.push(fragment.bytes);
                recorder.returned(Ok(()));
            }
        }
    }
    assert!(stored > bytes * 9 / 10, "{stored} of {bytes} bytes went to the card");
    println!("{bytes}");
}
