//! Faults: the only place that damages a stream.
//!
//! Each session has a [`Filter`] between packetizer and transport. It gets the packets of a frame
//! before they are sent, may change them, and decides whether the session continues. Frames and
//! packets are counted from the session's beginning. Faults of replies are in `quirks`.

use crate::clip::Codec;
use crate::packetize::{self, Packet};

/// Faults and their times; none by default. May change while sessions play.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// The connection closes after this many frames.
    pub drop_after: Option<u64>,
    /// Nothing more is sent after this many frames, but the connection stays open.
    pub stall_after: Option<u64>,
    pub timestamp_jump: Option<TimestampJump>,
    pub clock: Clock,
    /// After this many frames, packets have another SSRC and numbering.
    pub restart_after: Option<u64>,
    /// Every n-th packet is lost, with its sequence number.
    pub lose_every: Option<u64>,
    /// How many packets in a thousand are lost, sent twice, or overtaken by the next few.
    pub lose_per_mille: u32,
    pub double_per_mille: u32,
    pub reorder_per_mille: u32,
    /// Meaningless bytes come before every n-th packet.
    pub garbage_every: Option<u64>,
    /// A packet whose header announces far more bytes than follow comes before every n-th packet.
    pub absurd_every: Option<u64>,
    /// At most this many kilobits a second get through.
    pub link_kbit: Option<u64>,
}

/// From frame `after` on, all RTP times are `ticks` later (or earlier).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampJump {
    pub after: u64,
    pub ticks: i32,
}

/// The unit of RTP times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// 90,000 ticks a second.
    #[default]
    True,
    /// Milliseconds.
    Millis,
    /// Nothing: each frame has the time of the first.
    Still,
    /// This percentage of the true ticks.
    Percent(u32),
}

/// What is sent in place of a frame's packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outgoing {
    Packet(Packet),
    /// A further copy, or a packet that belongs to nothing.
    Extra(Vec<u8>),
    /// Bytes between packets; over UDP, in a datagram of their own.
    Raw(Vec<u8>),
}

/// What to do with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Send the current content of the list.
    Send,
    /// Not now: ask again later.
    Wait,
    /// Close the connection.
    Close,
}

/// The losses of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Loss {
    /// Packets missing before one that was sent, from this frame or earlier ones.
    pub packets: u64,
    /// A part of this frame's picture was lost.
    pub picture: bool,
}

/// The state of one session's faults.
#[derive(Debug)]
pub(crate) struct Filter {
    codec: Codec,
    packets: u64,
    random: u64,
    /// Packets lost since the last one that was sent.
    lost: u64,
    /// Packets held back, each with the number of packets that still overtake it.
    held: Vec<(u32, Packet)>,
}

impl Faults {
    /// Sets the fault called `name`; `off` ends it.
    ///
    /// # Errors
    /// Why the name or value is wrong.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || -> Result<Option<u64>, String> {
            if value == "off" {
                return Ok(None);
            }
            value.parse().map(Some).map_err(|_| format!("{name}: {value:?} is no number"))
        };
        let every = || match number() {
            Ok(Some(0)) => Err(format!("{name}: 0 is not possible")),
            other => other,
        };
        let per_mille = || match number()? {
            Some(many @ 0..=1000) => Ok(many as u32),
            None => Ok(0),
            Some(_) => Err(format!("{name}: {value} is more than 1000")),
        };
        match name {
            "drop-after" => self.drop_after = number()?,
            "stall-after" => self.stall_after = number()?,
            "restart-after" => self.restart_after = number()?,
            "timestamp-jump-after" => self.timestamp_jump = jump_of(value)?,
            "clock" => self.clock = clock_of(value)?,
            "lose-every" => self.lose_every = every()?,
            "lose-per-mille" => self.lose_per_mille = per_mille()?,
            "double-per-mille" => self.double_per_mille = per_mille()?,
            "reorder-per-mille" => self.reorder_per_mille = per_mille()?,
            "garbage-every" => self.garbage_every = every()?,
            "absurd-every" => self.absurd_every = every()?,
            "link-kbit" => self.link_kbit = every()?,
            _ => return Err(format!("there is no fault {name}")),
        }
        Ok(())
    }

    /// Whether there is a fault of that name.
    pub fn is_one(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// A time on the camera's clock, `ticks` after the session's first.
    pub(crate) fn clock(&self, ticks: u32) -> u32 {
        match self.clock {
            Clock::True => ticks,
            Clock::Millis => ticks.cast_signed().div_euclid(90).cast_unsigned(),
            Clock::Still => 0,
            Clock::Percent(percent) => {
                (i64::from(ticks.cast_signed()) * i64::from(percent) / 100) as u32
            }
        }
    }
}

impl Filter {
    /// `seed` differs between sessions and is the same in each run.
    pub(crate) fn new(codec: Codec, seed: u64) -> Filter {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Filter { codec, packets: 0, random, lost: 0, held: Vec::new() }
    }

    /// The verdict on a frame before it is cut into packets.
    pub(crate) fn verdict(&self, faults: &Faults, frame: u64) -> Verdict {
        let over = |limit: Option<u64>| limit.is_some_and(|limit| frame >= limit);
        if over(faults.drop_after) {
            Verdict::Close
        } else if over(faults.stall_after) {
            Verdict::Wait
        } else {
            Verdict::Send
        }
    }

    /// Ticks added to the RTP times of a frame.
    pub(crate) fn timestamp_shift(&self, faults: &Faults, frame: u64) -> u32 {
        let jump = faults.timestamp_jump.filter(|jump| frame >= jump.after);
        jump.map_or(0, |jump| jump.ticks.cast_unsigned())
    }

    /// Applies the faults to a frame's packets. The session's first packet is never lost, since a
    /// client could not notice that.
    pub(crate) fn pass(&mut self, faults: &Faults, packets: Vec<Packet>) -> (Vec<Outgoing>, Loss) {
        let mut out = Vec::new();
        let mut loss = Loss::default();
        for packet in packets {
            self.packets += 1;
            let due = |every: Option<u64>| every.is_some_and(|it| self.packets.is_multiple_of(it));
            if due(faults.garbage_every) {
                out.push(Outgoing::Raw(GARBAGE.to_vec()));
            }
            if due(faults.absurd_every) {
                out.push(Outgoing::Extra(absurd(&packet)));
            }
            let due = due(faults.lose_every) || self.happens(faults.lose_per_mille);
            if due && self.packets > 1 {
                self.lost += 1;
                loss.picture |= packetize::has_picture(self.codec, &packet);
                continue;
            }
            loss.packets += std::mem::take(&mut self.lost);
            if self.packets > 1 && self.happens(faults.reorder_per_mille) {
                let overtaking = 1 + (self.next() % REORDER_MAX) as u32;
                self.held.push((overtaking, packet));
                continue;
            }
            let copy = self
                .happens(faults.double_per_mille)
                .then(|| Outgoing::Extra(packet.bytes.clone()));
            out.push(Outgoing::Packet(packet));
            out.extend(copy);
            self.release(&mut out);
        }
        (out, loss)
    }

    /// Packets still held back at the end.
    pub(crate) fn rest(&mut self) -> Vec<Outgoing> {
        self.held.drain(..).map(|(_, packet)| Outgoing::Packet(packet)).collect()
    }

    /// Called after a packet was sent: releases the packets that it was the last to overtake.
    fn release(&mut self, out: &mut Vec<Outgoing>) {
        for (overtaking, packet) in std::mem::take(&mut self.held) {
            match overtaking - 1 {
                0 => out.push(Outgoing::Packet(packet)),
                left => self.held.push((left, packet)),
            }
        }
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.next() % 1000 < u64::from(per_mille)
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 16
    }
}

/// A header like the packet's that announces fifteen sources, an extension of 262,140 bytes and 255
/// bytes of padding, none of which follow.
fn absurd(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes.get(..packetize::HEADER_BYTES).unwrap_or_default().to_vec();
    if let Some(first) = bytes.first_mut() {
        *first |= 0x3f;
    }
    bytes.extend_from_slice(&[0xbe, 0xde, 0xff, 0xff, 0xff]);
    bytes
}

fn jump_of(text: &str) -> Result<Option<TimestampJump>, String> {
    if text == "off" {
        return Ok(None);
    }
    let (after, ticks) = text.split_once(':').ok_or("not FRAMES:TICKS")?;
    match (after.parse(), ticks.parse()) {
        (Ok(after), Ok(ticks)) => Ok(Some(TimestampJump { after, ticks })),
        _ => Err("not FRAMES:TICKS".into()),
    }
}

fn clock_of(text: &str) -> Result<Clock, String> {
    match (text, text.parse()) {
        ("off" | "true", _) => Ok(Clock::True),
        ("millis", _) => Ok(Clock::Millis),
        ("still", _) => Ok(Clock::Still),
        (_, Ok(percent @ 1..=10_000)) => Ok(Clock::Percent(percent)),
        _ => Err("not one of true, millis, still, or per cent from 1 to 10000".into()),
    }
}

const NAMES: [&str; 12] = [
    "drop-after",
    "stall-after",
    "restart-after",
    "timestamp-jump-after",
    "clock",
    "lose-every",
    "lose-per-mille",
    "double-per-mille",
    "reorder-per-mille",
    "garbage-every",
    "absurd-every",
    "link-kbit",
];
/// The most packets that overtake another.
const REORDER_MAX: u64 = 4;
/// Neither a `$` block nor RTSP.
const GARBAGE: [u8; 7] = [0, 0xff, 0x80, b'R', b'T', 0, 0x7f];

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Filter {
        Filter::new(Codec::H264, 1)
    }

    /// Packets of pictures, each identified by a byte.
    fn packets(range: std::ops::Range<u8>) -> Vec<Packet> {
        range
            .map(|byte| Packet {
                bytes: [&[0; packetize::HEADER_BYTES][..], &[0x41, byte]].concat(),
            })
            .collect()
    }

    fn byte(outgoing: &Outgoing) -> u8 {
        match outgoing {
            Outgoing::Packet(Packet { bytes }) | Outgoing::Extra(bytes) => bytes[13],
            Outgoing::Raw(_) => panic!("garbage"),
        }
    }

    #[test]
    fn a_fault_begins_at_the_frame_that_was_set() {
        let filter = filter();
        let faults = Faults {
            drop_after: Some(3),
            stall_after: Some(2),
            timestamp_jump: Some(TimestampJump { after: 1, ticks: -1 }),
            ..Faults::default()
        };
        let verdicts: Vec<_> = (0..4).map(|frame| filter.verdict(&faults, frame)).collect();
        assert_eq!(verdicts, [Verdict::Send, Verdict::Send, Verdict::Wait, Verdict::Close]);
        assert_eq!(filter.timestamp_shift(&faults, 0), 0);
        assert_eq!(filter.timestamp_shift(&faults, 1), u32::MAX);
        assert_eq!(filter.verdict(&Faults::default(), u64::MAX), Verdict::Send);
    }

    #[test]
    fn losses_are_counted_over_the_frames_once_a_packet_follows() {
        let mut filter = filter();
        let faults = Faults { lose_every: Some(3), ..Faults::default() };
        let mut left = Vec::new();
        let mut losses = Vec::new();
        for frame in [0..2u8, 2..3, 3..7] {
            let (out, loss) = filter.pass(&faults, packets(frame));
            left.extend(out.iter().map(byte));
            losses.push((loss.packets, loss.picture));
        }
        assert_eq!(left, [0, 1, 3, 4, 6]);
        assert_eq!(losses, [(0, false), (0, true), (2, true)]);
    }

    #[test]
    fn random_faults_affect_about_as_many_packets_as_were_set() {
        let mut filter = filter();
        let some = Faults { lose_per_mille: 100, double_per_mille: 100, ..Faults::default() };
        let (mut lost, mut doubled) = (0, 0);
        for _ in 0..1000 {
            let (out, loss) = filter.pass(&some, packets(0..10));
            lost += loss.packets;
            doubled += out.iter().filter(|it| matches!(it, Outgoing::Extra(_))).count();
        }
        assert!((800..1200).contains(&lost) && (700..1100).contains(&doubled), "{lost} {doubled}");
        let faults = Faults { reorder_per_mille: 200, ..Faults::default() };
        let (mut out, _) = filter.pass(&faults, packets(0..200));
        out.extend(filter.rest());
        let mut bytes: Vec<u8> = out.iter().map(byte).collect();
        let moved = bytes.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!((20..60).contains(&moved), "{moved}");
        bytes.sort_unstable();
        assert_eq!(bytes, (0..200).collect::<Vec<u8>>());
    }

    #[test]
    fn faults_are_set_by_name() {
        let mut faults = Faults::default();
        for name in NAMES {
            let value = if name == "timestamp-jump-after" { "3:-900" } else { "7" };
            let before = faults.clone();
            faults.set(name, value).unwrap();
            assert_ne!(faults, before, "{name}");
        }
        for name in NAMES {
            faults.set(name, "off").unwrap();
        }
        assert_eq!(faults, Faults::default());
        for (name, value) in
            [("lose-every", "0"), ("lose-per-mille", "1001"), ("clock", "slow"), ("sleep", "1")]
        {
            assert!(faults.set(name, value).is_err(), "{name}");
        }
    }

    #[test]
    fn clocks_tick_in_the_unit_that_was_set() {
        let at = |clock, ticks| Faults { clock, ..Faults::default() }.clock(ticks);
        assert_eq!(at(Clock::True, 3600), 3600);
        assert_eq!(at(Clock::Millis, 3600), 40);
        assert_eq!(at(Clock::Millis, 0u32.wrapping_sub(3600)), 0u32.wrapping_sub(40));
        assert_eq!(at(Clock::Still, 3600), 0);
        assert_eq!(at(Clock::Percent(50), 3600), 1800);
    }
}
