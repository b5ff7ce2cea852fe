//! Payloads of H.265: single NAL units, aggregates, fragments.
//!
//! Spec: RFC 7798 §4. Neither decoding order numbers nor PACI packets are read: no known camera
//! sends them.

use super::{
    DropCause, Sink,
    assembler::{Assembler, FRAGMENT_START},
    making::begin,
    start_codes::{next_size, starts_with_start_code},
};
use crate::bits::Bytes;

pub(super) fn handle_payload(payload: &[u8], assembler: &mut Assembler, sink: &mut dyn Sink) {
    if payload.is_empty() {
        return;
    }
    if starts_with_start_code(payload) {
        return assembler.nal(payload, sink);
    }
    if read(payload, assembler, sink).is_none() {
        assembler.refuse(DropCause::Malformed, sink);
    }
}

fn read(payload: &[u8], assembler: &mut Assembler, sink: &mut dyn Sink) -> Option<()> {
    let mut rest = Bytes(payload);
    let header = rest.array()?;
    match header[0] >> 1 & 0x3f {
        AP => aggregate(rest, assembler, sink),
        FU => fragment(header, rest, assembler, sink),
        0..AP => {
            assembler.nal(payload, sink);
            Some(())
        }
        PACI => None,
        _ => Some(()), // unspecified
    }
}

/// AP (§4.4.2): NAL units behind their lengths.
fn aggregate(mut rest: Bytes<'_>, assembler: &mut Assembler, sink: &mut dyn Sink) -> Option<()> {
    while let Some(size) = next_size(&mut rest) {
        assembler.nal(rest.take(size)?, sink);
    }
    Some(())
}

/// FU (§4.4.3).
fn fragment(
    header: [u8; 2],
    mut rest: Bytes<'_>,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Option<()> {
    let fragment_header = rest.u8()?;
    let nal_header = [header[0] & 0x81 | (fragment_header & 0x3f) << 1, header[1]];
    assembler.fragment(fragment_header & 0xc0, &nal_header, rest.0, sink);
    Some(())
}

/// What lies behind the header of an aggregate.
pub(super) fn behind_header(payload: &[u8]) -> Option<&[u8]> {
    let ([first, _], rest) = payload.split_first_chunk()?;
    (first & 0xfe == AP << 1).then_some(rest)
}

/// What a NAL unit begins with whose first fragment this is.
pub(super) fn first_fragment(payload: &[u8]) -> Option<Vec<u8>> {
    match payload {
        [first, second, header, bytes @ ..]
            if first & 0xfe == FU << 1 && header & FRAGMENT_START != 0 =>
        {
            Some(begin(&[first & 1 | (header & 0x3f) << 1, *second], bytes))
        }
        _ => None,
    }
}

const AP: u8 = 48;
const FU: u8 = 49;
const PACI: u8 = 50;
