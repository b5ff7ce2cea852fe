//! Payloads of H.265: single NAL units, aggregates, fragments.
//!
//! Spec: RFC 7798 §4. Decoding order numbers are skipped: devices that send them send in decoding
//! order anyway. PACI packets, which no known camera sends, are malformed.

use super::{
    DropCause, Sink,
    assembler::{Assembler, FRAGMENT_END, FRAGMENT_START},
    making::begin,
    start_codes::{next_size, starts_with_start_code},
};
use crate::bits::Bytes;

/// Whether NAL units have decoding order numbers (§4.4: if `sprop-max-don-diff` is above 0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OrderNumbers {
    Absent,
    Present,
}

impl OrderNumbers {
    /// Reads the parameters of `fmtp`.
    pub(super) fn new(format_parameters: &str) -> OrderNumbers {
        let is_above_0 = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            (name.trim() == "sprop-max-don-diff").then(|| value.trim().parse().unwrap_or(0) > 0u16)
        };
        match format_parameters.split(';').find_map(is_above_0) {
            Some(true) => OrderNumbers::Present,
            _ => OrderNumbers::Absent,
        }
    }

    /// Skips a number of this many bytes, if there are numbers.
    fn skip(self, bytes: usize, rest: &mut Bytes<'_>) -> Option<()> {
        match self {
            OrderNumbers::Absent => Some(()),
            OrderNumbers::Present => rest.take(bytes).map(|_| ()),
        }
    }
}

pub(super) fn handle_payload(
    payload: &[u8],
    numbers: OrderNumbers,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) {
    if payload.is_empty() {
        return;
    }
    if starts_with_start_code(payload) {
        return assembler.nal(payload, sink);
    }
    if read(payload, numbers, assembler, sink).is_none() {
        assembler.refuse(DropCause::Malformed, sink);
    }
}

fn read(
    payload: &[u8],
    numbers: OrderNumbers,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Option<()> {
    let mut rest = Bytes(payload);
    let header = rest.array()?;
    match header[0] >> 1 & 0x3f {
        AP => aggregate(rest, numbers, assembler, sink),
        FU => fragment(header, rest, numbers, assembler, sink),
        0..AP if numbers == OrderNumbers::Present => {
            numbers.skip(DONL_BYTES, &mut rest)?;
            assembler.fragment(FRAGMENT_START | FRAGMENT_END, &header, rest.0, sink);
            Some(())
        }
        0..AP => {
            assembler.nal(payload, sink);
            Some(())
        }
        PACI => None,
        _ => Some(()), // unspecified
    }
}

/// AP (§4.4.2): NAL units, each after its length.
fn aggregate(
    mut rest: Bytes<'_>,
    numbers: OrderNumbers,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Option<()> {
    numbers.skip(DONL_BYTES, &mut rest)?;
    while let Some(size) = next_size(&mut rest) {
        assembler.nal(rest.take(size)?, sink);
        if numbers.skip(DOND_BYTES, &mut rest).is_none() {
            break;
        }
    }
    Some(())
}

/// FU (§4.4.3).
fn fragment(
    header: [u8; 2],
    mut rest: Bytes<'_>,
    numbers: OrderNumbers,
    assembler: &mut Assembler,
    sink: &mut dyn Sink,
) -> Option<()> {
    let fragment_header = rest.u8()?;
    if fragment_header & FRAGMENT_START != 0 {
        numbers.skip(DONL_BYTES, &mut rest)?;
    }
    let nal_header = [header[0] & 0x81 | (fragment_header & 0x3f) << 1, header[1]];
    assembler.fragment(fragment_header & 0xc0, &nal_header, rest.0, sink);
    Some(())
}

/// The bytes after the header of an aggregate.
pub(super) fn behind_header(payload: &[u8]) -> Option<&[u8]> {
    let ([first, _], rest) = payload.split_first_chunk()?;
    (first & 0xfe == AP << 1).then_some(rest)
}

/// The first bytes of the NAL unit whose first fragment this is.
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

/// Sizes of a packet's first number, and of the difference that each further NAL unit has.
const DONL_BYTES: usize = 2;
const DOND_BYTES: usize = 1;
const AP: u8 = 48;
const FU: u8 = 49;
const PACI: u8 = 50;
