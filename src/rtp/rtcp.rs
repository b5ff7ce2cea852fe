//! RTCP: the camera's reports in, our receiver report out.
//!
//! Spec: RFC 3550 §6. Tolerant: unreadable data silently ends a compound packet.

use crate::{
    bits::Bytes,
    units::{RtpTime, WallTime},
};

/// The information a camera sends beside its media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rtcp {
    SenderReport(SenderReport),
    /// The source is leaving; it may be another than the track's.
    Bye {
        ssrc: u32,
    },
}

/// A sender report without its report blocks (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderReport {
    pub ssrc: u32,
    /// The camera's wall time: seconds since 1900 in the upper 32 bits, the fraction in the lower
    /// ones.
    pub ntp: u64,
    /// The same time on the track's clock.
    pub rtp_time: RtpTime,
    pub packets: u32,
    pub octets: u32,
}

impl SenderReport {
    /// Returns the camera's wall time for a time on its media clock, which ticks `clock_rate` times
    /// a second; valid within half a wrap of the report (6 hours at 90 kHz).
    ///
    /// Quirk: a camera that does not know the time sends 0, or its uptime; the result is `None`.
    pub fn wall_time(&self, time: RtpTime, clock_rate: u32) -> Option<WallTime> {
        let seconds = i64::try_from(self.ntp >> 32).unwrap_or(0) - SECONDS_1900_TO_1970;
        let millis = i64::try_from(((self.ntp & 0xffff_ffff) * 1000) >> 32).unwrap_or(0);
        if seconds < SECONDS_1970_TO_2000 {
            return None;
        }
        let since = (time.since(self.rtp_time).0 * 1000).checked_div(i64::from(clock_rate))?;
        Some(WallTime(seconds * 1000 + millis + since))
    }
}

/// Parses the reports of a compound packet, in order; everything else is skipped.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = Rtcp> {
    let mut rest = Bytes(bytes);
    std::iter::from_fn(move || {
        loop {
            let [first, kind, high, low] = rest.array()?;
            if first >> 6 != VERSION {
                return None;
            }
            let mut body = Bytes(rest.take(4 * usize::from(u16::from_be_bytes([high, low])))?);
            let report = match kind {
                SENDER_REPORT => sender_report(&mut body).map(Rtcp::SenderReport),
                BYE if first & 0x1f > 0 => body.u32().map(|ssrc| Rtcp::Bye { ssrc }),
                _ => None,
            };
            if report.is_some() {
                return report;
            }
        }
    })
}

fn sender_report(body: &mut Bytes<'_>) -> Option<SenderReport> {
    Some(SenderReport {
        ssrc: body.u32()?,
        ntp: body.u64()?,
        rtp_time: RtpTime(body.u32()?),
        packets: body.u32()?,
        octets: body.u32()?,
    })
}

/// A report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// In 256ths, since the previous report.
    pub fraction_lost: u8,
    /// Since the first packet; negative if more arrived than were sent.
    pub lost: i32,
    /// Including its wraps in the upper 16 bits.
    pub highest_sequence_number: u32,
    /// In ticks of the track's clock.
    pub jitter: u32,
    /// The middle 32 bits of its NTP time, 0 if there was none.
    pub last_sender_report: u32,
    /// In 1/65536 s.
    pub since_sender_report: u32,
}

/// Appends a compound packet: receiver report (with a block, if there is one), SDES with CNAME.
///
/// Only the first 255 bytes of `cname` are used.
pub fn write_receiver_report(
    ssrc: u32,
    reception: Option<&ReportBlock>,
    cname: &str,
    out: &mut Vec<u8>,
) {
    let blocks = u8::from(reception.is_some());
    out.extend_from_slice(&[VERSION << 6 | blocks, RECEIVER_REPORT, 0, 1 + 6 * blocks]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(block) = reception {
        out.extend_from_slice(&block.ssrc.to_be_bytes());
        let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        out.extend_from_slice(&(u32::from(block.fraction_lost) << 24 | lost).to_be_bytes());
        out.extend_from_slice(&block.highest_sequence_number.to_be_bytes());
        out.extend_from_slice(&block.jitter.to_be_bytes());
        out.extend_from_slice(&block.last_sender_report.to_be_bytes());
        out.extend_from_slice(&block.since_sender_report.to_be_bytes());
    }
    let cname = cname.as_bytes();
    let cname = cname.get(..255).unwrap_or(cname);
    // SSRC, type, length, text, and at least one zero that ends the chunk (§6.5)
    let words = (4 + 2 + cname.len()) / 4 + 1;
    out.extend_from_slice(&[VERSION << 6 | 1, SOURCE_DESCRIPTION, 0, words as u8]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(out.len() + 4 * words - 6 - cname.len(), 0);
}

const SECONDS_1900_TO_1970: i64 = 2_208_988_800;
const SECONDS_1970_TO_2000: i64 = 946_684_800;
const VERSION: u8 = 2;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
