//! Payloads of H.264: single NAL units, aggregates, fragments.
//!
//! Spec: RFC 6184 §5. All packet types are read; of the interleaved mode only what keeps decoding
//! order.

use super::{
    DropCause, Sink,
    assembler::{Assembler, FRAGMENT_START},
    making::begin,
    start_codes::{next_size, starts_with_start_code},
};
use crate::{bits::Bytes, units::RtpTime};

#[derive(Debug, Default)]
pub(super) struct Format {
    /// Decoding order number of the last NAL unit that had one.
    order: Option<u16>,
}

impl Format {
    pub(super) fn handle_payload(
        &mut self,
        payload: &[u8],
        timestamp: RtpTime,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) {
        let Some((&header, rest)) = payload.split_first() else { return };
        if starts_with_start_code(payload) {
            return assembler.nal(payload, sink);
        }
        let mut rest = Bytes(rest);
        let read = match header & 0x1f {
            1..=23 => {
                assembler.nal(payload, sink);
                Some(())
            }
            STAP_A => aggregate(rest, assembler, sink),
            STAP_B => rest.u16().and_then(|order| {
                self.check_order(order, assembler, sink);
                aggregate(rest, assembler, sink)
            }),
            MTAP16 => self.aggregate_of_times(rest, Offset::Bits16, timestamp, assembler, sink),
            MTAP24 => self.aggregate_of_times(rest, Offset::Bits24, timestamp, assembler, sink),
            FU_A => fragment(header, rest, assembler, sink),
            FU_B => self.fragment_with_order(header, rest, assembler, sink),
            _ => Some(()), // 0, 30, 31: undefined, to be ignored (§5.2)
        };
        if read.is_none() {
            assembler.refuse(DropCause::Malformed, sink);
        }
    }

    /// MTAP16, MTAP24 (§5.7.2): NAL units with a time each.
    fn aggregate_of_times(
        &mut self,
        mut rest: Bytes<'_>,
        offset: Offset,
        timestamp: RtpTime,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Option<()> {
        let base = rest.u16()?;
        while let Some(size) = next_size(&mut rest) {
            let order = base.wrapping_add(rest.u8()?.into());
            let ticks = match offset {
                Offset::Bits16 => rest.u16()?.into(),
                Offset::Bits24 => {
                    let [a, b, c] = rest.array()?;
                    u32::from_be_bytes([0, a, b, c])
                }
            };
            let nal = rest.take(size)?;
            assembler.set_time(RtpTime(timestamp.0.wrapping_add(ticks)));
            self.check_order(order, assembler, sink);
            assembler.nal(nal, sink);
        }
        Some(())
    }

    /// FU-B (§5.8): the first fragment of a NAL unit in interleaved mode.
    fn fragment_with_order(
        &mut self,
        indicator: u8,
        mut rest: Bytes<'_>,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Option<()> {
        let header = rest.u8()?;
        let order = rest.u16()?;
        self.check_order(order, assembler, sink);
        fragment_behind_header(indicator, header, rest.0, assembler, sink);
        Some(())
    }

    fn check_order(&mut self, order: u16, assembler: &mut Assembler, sink: &mut dyn Sink) {
        if self.order.is_some_and(|last| order.wrapping_sub(last).cast_signed() < 0) {
            assembler.refuse(DropCause::Interleaved, sink);
        }
        self.order = Some(order);
    }
}

/// Width of a time offset.
#[derive(Clone, Copy)]
enum Offset {
    Bits16,
    Bits24,
}

/// STAP-A, and what is left of STAP-B (§5.7.1): NAL units behind their lengths.
fn aggregate(mut rest: Bytes<'_>, assembler: &mut Assembler, sink: &mut dyn Sink) -> Option<()> {
    while let Some(size) = next_size(&mut rest) {
        assembler.nal(rest.take(size)?, sink);
    }
    Some(())
}

/// FU-A (§5.8).
fn fragment(
    indicator: u8,
    mut rest: Bytes<'_>,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Option<()> {
    let header = rest.u8()?;
    fragment_behind_header(indicator, header, rest.0, assembler, sink);
    Some(())
}

fn fragment_behind_header(
    indicator: u8,
    header: u8,
    bytes: &[u8],
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) {
    let nal_header = [indicator & 0xe0 | header & 0x1f];
    assembler.fragment(header & 0xc0, &nal_header, bytes, sink);
}

/// What lies behind the header of an aggregate without numbers.
pub(super) fn behind_header(payload: &[u8]) -> Option<&[u8]> {
    let (first, rest) = payload.split_first()?;
    (first & 0x9f == STAP_A).then_some(rest)
}

/// What a NAL unit begins with whose first fragment this is.
pub(super) fn first_fragment(payload: &[u8]) -> Option<Vec<u8>> {
    match payload {
        [indicator, header, bytes @ ..]
            if indicator & 0x9f == FU_A && header & FRAGMENT_START != 0 =>
        {
            Some(begin(&[indicator & 0xe0 | header & 0x1f], bytes))
        }
        _ => None,
    }
}

const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const MTAP16: u8 = 26;
const MTAP24: u8 = 27;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
