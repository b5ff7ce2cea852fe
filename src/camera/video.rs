//! The video track of a session: its RTP and RTCP in, access units into an intake, reports out.
//!
//! Knows nothing of: sockets.

use super::Error;
use crate::{
    codec::Codec,
    limits,
    media::{Intake, TrackClock},
    rtp::{
        self, Depacketizer, Order, Receiver, Statistics,
        rtcp::{self, Rtcp},
    },
    rtsp::{Media, Presentation, TrackTransport},
    units::WallTime,
};
use std::{ops::RangeInclusive, time::Instant};

/// Turns packets of the video track into access units.
pub(super) struct Video {
    pub track: usize,
    parser: rtp::Parser,
    pub receiver: Receiver,
    /// Times that a few numbers were missing.
    breaks: u64,
    depacketizer: Depacketizer,
    codec: Codec,
    /// Frames in the ring when the session started playing.
    frames_before: u64,
    clock_rate: u32,
    /// Identifies us in our reports.
    ssrc: u32,
    next_report: Instant,
}

/// What an RTCP packet means for the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RtcpEvent {
    Nothing,
    /// The camera's wall time, the first time it tells one.
    WallTime(WallTime),
    /// The source of our packets has ended.
    Bye,
}

impl Video {
    /// Returns the video track that was set up, if there is one.
    pub fn new(
        presentation: &Presentation,
        seed: u64,
        intake: &Intake,
        now: Instant,
    ) -> Option<Video> {
        let tracks = presentation.tracks.iter().enumerate();
        let mut found = tracks.filter_map(|(index, track)| match (track.media, track.transport) {
            (Media::Video(codec), Some(transport)) => Some((index, track, codec, transport)),
            _ => None,
        });
        let (index, track, codec, transport) = found.next()?;
        let depacketizer =
            Depacketizer::new(codec, &track.parameter_sets).described(&track.format_parameters);
        let receiver = Receiver::new(track.payload_type, order(transport)).announced(track.ssrc);
        Some(Video {
            track: index,
            parser: rtp::Parser::default(),
            receiver,
            breaks: 0,
            depacketizer,
            codec,
            frames_before: intake.ring.numbers().end,
            clock_rate: track.clock_rate,
            ssrc: (seed ^ seed >> 32) as u32 ^ 0x5eed_0001,
            next_report: now + limits::REPORT_INTERVAL,
        })
    }

    /// # Errors
    /// `CodecChanged`: during the session. Nothing of the other codec is used.
    pub fn handle_packet(
        &mut self,
        bytes: &[u8],
        intake: &mut Intake,
        now: Instant,
    ) -> Result<(), Error> {
        // A broken RTP packet counts as lost: its number will be missing. If all are broken, nothing is.
        let Ok(packet) = self.parser.parse(bytes) else {
            self.receiver.take_unreadable();
            return Ok(());
        };
        intake.arrived(now);
        let of_another = self.depacketizer.contradicted_by(packet.payload);
        if let Some(codec) = of_another.filter(|_| self.receiver.may_be_source(packet.ssrc)) {
            self.change_codec(codec, intake)?;
        }
        // Quirk: a payload type other than the announced one.
        if self.receiver.is_of_other_type_alone(&packet, now)
            && self.depacketizer.recognizes(packet.payload)
        {
            let (sent, codec) = (packet.payload_type, self.codec.name());
            log::info!(
                "a camera sends its {codec} with payload type {sent} instead of the announced one"
            );
            self.receiver.adopt_type(sent);
        }
        let (depacketizer, breaks) = (&mut self.depacketizer, &mut self.breaks);
        self.receiver.handle_packet(packet, now, &mut |packet, lost| {
            *breaks += u64::from(BREAK_NUMBERS.contains(&lost.0));
            depacketizer.handle_packet(&packet, lost, intake);
        });
        Ok(())
    }

    /// Quirk: DESCRIBE still names the codec that the camera had before it was reconfigured. Before
    /// the first frame the stream is believed; later the session is restarted.
    fn change_codec(&mut self, sent: Codec, intake: &mut Intake) -> Result<(), Error> {
        let announced = std::mem::replace(&mut self.codec, sent);
        if intake.ring.numbers().end > self.frames_before {
            return Err(Error::CodecChanged { announced, sent });
        }
        self.depacketizer.end(intake);
        self.depacketizer = Depacketizer::new(sent, &[]);
        let (announced, sent) = (announced.name(), sent.name());
        log::warn!("a camera announced {announced} but sends {sent}: recording {sent}");
        Ok(())
    }

    pub fn handle_report(&mut self, bytes: &[u8], intake: &mut Intake, now: Instant) -> RtcpEvent {
        let mut event = RtcpEvent::Nothing;
        for report in rtcp::parse(bytes) {
            match report {
                // Cameras also send BYE for unknown sources (RFC 3550 §6.6).
                Rtcp::Bye { ssrc } if self.receiver.is_source(ssrc) => return RtcpEvent::Bye,
                Rtcp::Bye { .. } => {}
                Rtcp::SenderReport(report) => {
                    let is_first = self.receiver.sender_report().is_none();
                    self.receiver.handle_sender_report(&report, now);
                    if self.receiver.may_be_source(report.ssrc) {
                        intake.sender_report(TrackClock::Video, &report);
                    }
                    let noted = self.receiver.sender_report().filter(|_| is_first);
                    let wall = noted.and_then(|it| it.wall_time(it.rtp_time, self.clock_rate));
                    event = wall.map_or(event, RtcpEvent::WallTime);
                }
            }
        }
        event
    }

    /// Gives up on overdue packets.
    pub fn handle_timeout(&mut self, intake: &mut Intake, now: Instant) {
        intake.arrived(now);
        let (depacketizer, breaks) = (&mut self.depacketizer, &mut self.breaks);
        self.receiver.handle_timeout(now, &mut |packet, lost| {
            *breaks += u64::from(BREAK_NUMBERS.contains(&lost.0));
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    /// Returns true if a packet is of the announced payload type.
    pub fn announces(&self, bytes: &[u8]) -> bool {
        rtp::Packet::parse(bytes).is_ok_and(|it| it.payload_type == self.receiver.payload_type())
    }

    /// Returns true if numbers are missing here and there, as where a camera numbers the packets of
    /// all its tracks together and one of them is not received. A poor network looks alike.
    pub fn lacks_numbers(&self) -> bool {
        self.breaks >= BREAKS_MIN
            && self.breaks * BREAKS_PART >= self.receiver.statistics().received
    }

    /// The codec named in the SDP.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Packets received and lost.
    pub fn statistics(&self) -> Statistics {
        *self.receiver.statistics()
    }

    /// When a missing packet is given up, or a report is due.
    pub fn deadline(&self) -> Instant {
        self.receiver.deadline().map_or(self.next_report, |at| at.min(self.next_report))
    }

    /// Returns the receiver report, if one is due.
    pub fn report_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next_report {
            return None;
        }
        self.next_report = now + limits::REPORT_INTERVAL;
        Some(self.report(now))
    }

    /// Builds a compound packet with reception statistics (RFC 3550 §6.4.2).
    pub fn report(&mut self, now: Instant) -> Vec<u8> {
        let mut out = Vec::new();
        let reception = self.receiver.reception(now);
        rtcp::write_receiver_report(self.ssrc, reception.as_ref(), CNAME, &mut out);
        out
    }

    /// Ends the run: the last access unit is kept if it is complete.
    pub fn end(&mut self, intake: &mut Intake, now: Instant) {
        self.handle_timeout(intake, now + limits::REORDER_DELAY_MAX);
        self.depacketizer.end(intake);
    }
}

/// What the transport guarantees about the order of packets.
pub(super) fn order(transport: TrackTransport) -> Order {
    match transport {
        TrackTransport::Interleaved { .. } => Order::Reliable,
        TrackTransport::Datagrams { .. } => Order::Datagram,
    }
}

/// Packets of sound between two of video; bursts of losses are longer.
const BREAK_NUMBERS: RangeInclusive<u32> = 1..=4;
/// Sound has 15 packets a second and more: it takes about a second to see it …
const BREAKS_MIN: u64 = 24;
/// … and is one packet in so many at least.
const BREAKS_PART: u64 = 50;
const CNAME: &str = "smolnvr";
