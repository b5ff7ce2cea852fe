//! Payloads of H.264: single NAL units, aggregates, fragments.
//!
//! Spec: RFC 6184 §5. Packets of the interleaved mode (STAP-B, MTAP, FU-B), which no known camera
//! sends, are malformed.

use super::{
    DropCause, Sink,
    assembler::{Assembler, FRAGMENT_START},
    making::begin,
    start_codes::{next_size, starts_with_start_code},
};
use crate::bits::Bytes;

pub(super) fn handle_payload(payload: &[u8], assembler: &mut Assembler, sink: &mut dyn Sink) {
    let Some((&header, rest)) = payload.split_first() else { return };
    if starts_with_start_code(payload) {
        return assembler.nal(payload, sink);
    }
    let read = match header & 0x1f {
        1..=23 => {
            assembler.nal(payload, sink);
            Some(())
        }
        STAP_A => aggregate(Bytes(rest), assembler, sink),
        FU_A => fragment(header, Bytes(rest), assembler, sink),
        25..=27 | 29 => None,
        _ => Some(()), // 0, 30, 31: undefined, to be ignored (§5.2)
    };
    if read.is_none() {
        assembler.refuse(DropCause::Malformed, sink);
    }
}

/// STAP-A (§5.7.1): NAL units, each after its length.
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
    let nal_header = [indicator & 0xe0 | header & 0x1f];
    assembler.fragment(header & 0xc0, &nal_header, rest.0, sink);
    Some(())
}

/// The bytes after the header of an aggregate.
pub(super) fn behind_header(payload: &[u8]) -> Option<&[u8]> {
    let (first, rest) = payload.split_first()?;
    (first & 0x9f == STAP_A).then_some(rest)
}

/// The first bytes of the NAL unit whose first fragment this is.
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
const FU_A: u8 = 28;
