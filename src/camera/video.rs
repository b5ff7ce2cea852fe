//! The video track of a session: its RTP and RTCP in, access units into an intake, reports out.
//!
//! Knows nothing of: sockets, which transport brings the packets beyond its order.

use super::Error;
use crate::{
    codec::Codec,
    limits,
    media::{Clock, Intake},
    rtp::{
        self, Depacketizer, Order, Receiver, Statistics,
        rtcp::{self, Rtcp},
    },
    rtsp::{Media, Presentation, Transport},
    units::WallTime,
};
use std::time::Instant;

/// From packets of the video track to access units.
pub(super) struct Video {
    pub track: usize,
    pub receiver: Receiver,
    depacketizer: Depacketizer,
    codec: Codec,
    /// Frames in the ring when the session began to play.
    frames_before: u64,
    clock_rate: u32,
    /// Names us in our reports.
    ssrc: u32,
    next_report: Instant,
}

/// What an RTCP packet changes for the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    Nothing,
    /// The first wall time that the camera tells.
    WallTime(WallTime),
    /// The source whose packets we take is at its end.
    Bye,
}

impl Video {
    /// The video track that was set up; `None` where there is none.
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
        let mut depacketizer = Depacketizer::new(codec, &track.parameter_sets);
        if is_interleaved(&track.format_parameters) {
            depacketizer = depacketizer.with_decoding_order_numbers();
        }
        let receiver = Receiver::new(track.payload_type, order(transport)).announced(track.ssrc);
        Some(Video {
            track: index,
            receiver,
            depacketizer,
            codec,
            frames_before: intake.ring.numbers().end,
            clock_rate: track.clock_rate,
            ssrc: (seed ^ seed >> 32) as u32 ^ 0x5eed_0001,
            next_report: now + limits::REPORT_INTERVAL,
        })
    }

    /// # Errors
    /// `CodecChanged`: in mid-session. Nothing is taken of the other codec.
    pub fn handle_packet(
        &mut self,
        bytes: &[u8],
        intake: &mut Intake,
        now: Instant,
    ) -> Result<(), Error> {
        // What is no RTP packet counts as one that the network lost: its number will be missing.
        let Ok(packet) = rtp::Packet::parse(bytes) else { return Ok(()) };
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
            log::info!("a camera sends its {codec} as payload type {sent}, not as it announced");
            self.receiver.adopt_type(sent);
        }
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_packet(packet, now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
        Ok(())
    }

    /// Quirk: DESCRIBE names the codec that the camera had before it was set to another. Before the first
    /// frame the stream is believed; later the session is begun anew.
    fn change_codec(&mut self, sent: Codec, intake: &mut Intake) -> Result<(), Error> {
        let announced = std::mem::replace(&mut self.codec, sent);
        if intake.ring.numbers().end > self.frames_before {
            return Err(Error::CodecChanged { announced, sent });
        }
        self.depacketizer.end(intake);
        self.depacketizer = Depacketizer::new(sent, &[]);
        let (announced, sent) = (announced.name(), sent.name());
        log::warn!("a camera announced {announced} and sends {sent}: {sent} is recorded");
        Ok(())
    }

    pub fn handle_report(&mut self, bytes: &[u8], intake: &mut Intake, now: Instant) -> Heard {
        let mut heard = Heard::Nothing;
        for report in rtcp::parse(bytes) {
            match report {
                // Cameras also say goodbye for sources that nobody knows (RFC 3550 §6.6).
                Rtcp::Bye { ssrc } if self.receiver.is_source(ssrc) => return Heard::Bye,
                Rtcp::Bye { .. } => {}
                Rtcp::SenderReport(report) => {
                    let is_first = self.receiver.sender_report().is_none();
                    self.receiver.handle_sender_report(&report, now);
                    if self.receiver.may_be_source(report.ssrc) {
                        intake.sender_report(Clock::Video, &report);
                    }
                    let noted = self.receiver.sender_report().filter(|_| is_first);
                    let wall = noted.and_then(|it| it.wall_time(it.rtp_time, self.clock_rate));
                    heard = wall.map_or(heard, Heard::WallTime);
                }
            }
        }
        heard
    }

    /// Gives up packets that were waited for too long.
    pub fn handle_timeout(&mut self, intake: &mut Intake, now: Instant) {
        intake.arrived(now);
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_timeout(now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    /// As the SDP names it.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What came and what did not.
    pub fn statistics(&self) -> Statistics {
        *self.receiver.statistics()
    }

    /// When a packet that is missing is given up, or a report is due.
    pub fn deadline(&self) -> Instant {
        self.receiver.deadline().map_or(self.next_report, |at| at.min(self.next_report))
    }

    /// The receiver report that is due, if one is.
    pub fn report_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next_report {
            return None;
        }
        self.next_report = now + limits::REPORT_INTERVAL;
        Some(self.report(now))
    }

    /// A compound packet that says how the track's packets come (RFC 3550 §6.4.2).
    pub fn report(&mut self, now: Instant) -> Vec<u8> {
        let mut out = Vec::new();
        let reception = self.receiver.reception(now);
        rtcp::write_receiver_report(self.ssrc, reception.as_ref(), CNAME, &mut out);
        out
    }

    /// The run is over: the last access unit goes out if it is complete.
    pub fn end(&mut self, intake: &mut Intake, now: Instant) {
        self.handle_timeout(intake, now + limits::REORDER_DELAY_MAX);
        self.depacketizer.end(intake);
    }
}

/// What a transport promises about the packets of a track.
pub(super) fn order(transport: Transport) -> Order {
    match transport {
        Transport::Interleaved { .. } => Order::Reliable,
        Transport::Datagrams { .. } => Order::Datagram,
    }
}

/// Whether the packets carry decoding order numbers (RFC 7798 §7.1, `sprop-max-don-diff`).
fn is_interleaved(format_parameters: &str) -> bool {
    let mut parameters = format_parameters.split(';').filter_map(|it| it.split_once('='));
    let value = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("sprop-max-don-diff"));
    value.is_some_and(|(_, value)| value.trim().parse::<u32>().is_ok_and(|value| value > 0))
}

const CNAME: &str = "smolnvr";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_carry_decoding_order_numbers_where_the_sdp_says_so() {
        for (parameters, expected) in [
            ("sprop-vps=QAE=; sprop-max-don-diff=2", true),
            ("sprop-max-don-diff=0;profile-id=1", false),
            ("SPROP-MAX-DON-DIFF = 1", true),
            ("packetization-mode=1", false),
            ("sprop-max-don-diff=many", false),
        ] {
            assert_eq!(is_interleaved(parameters), expected, "{parameters}");
        }
    }
}
