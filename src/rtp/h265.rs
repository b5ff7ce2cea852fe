//! Payloads of H.265: single NAL units, aggregates, fragments, PACI.
//!
//! Spec: RFC 7798 §4. Of streams with decoding order numbers only those are read that keep decoding
//! order.

use super::{
    DropCause, Sink,
    assembler::{Assembler, FRAGMENT_START},
    making::begin,
    start_codes::{next_size, starts_with_start_code},
};
use crate::bits::Bytes;

#[derive(Debug, Default)]
pub(super) struct Format {
    numbers: Numbers,
    /// Decoding order number of the last NAL unit that had one.
    order: Option<u16>,
}

/// Whether payloads carry decoding order numbers (`sprop-max-don-diff` above 0).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Numbers {
    #[default]
    Absent,
    Present,
}

impl Format {
    pub(super) fn with_decoding_order_numbers() -> Format {
        Format { numbers: Numbers::Present, order: None }
    }

    pub(super) fn handle_payload(
        &mut self,
        payload: &[u8],
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) {
        if payload.is_empty() {
            return;
        }
        if starts_with_start_code(payload) {
            return assembler.nal(payload, sink);
        }
        let mut rest = Bytes(payload);
        let read = rest.array().and_then(|header| self.read(header, rest, assembler, sink));
        if read.is_none() {
            assembler.refuse(DropCause::Malformed, sink);
        }
    }

    /// What lies behind a payload header (§4.2).
    fn read(
        &mut self,
        header: [u8; 2],
        rest: Bytes<'_>,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Option<()> {
        match header[0] >> 1 & 0x3f {
            AP => self.aggregate(rest, assembler, sink),
            FU => self.fragment(header, rest, assembler, sink),
            PACI => {
                let (header, rest) = unwrap_paci(header, rest)?;
                self.read(header, rest, assembler, sink)
            }
            0..AP => {
                let mut rest = rest;
                self.check_order(&mut rest, assembler, sink)?;
                assembler.nal_begin(sink);
                assembler.nal_append(&header, sink);
                assembler.nal_append(rest.0, sink);
                assembler.nal_end(sink);
                Some(())
            }
            _ => Some(()), // unspecified
        }
    }

    /// AP (§4.4.2): NAL units behind their lengths.
    fn aggregate(
        &mut self,
        mut rest: Bytes<'_>,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Option<()> {
        self.check_order(&mut rest, assembler, sink)?;
        while let Some(size) = next_size(&mut rest) {
            assembler.nal(rest.take(size)?, sink);
            if self.numbers == Numbers::Present && rest.remaining() > 0 {
                let difference = rest.u8()?;
                self.order =
                    self.order.map(|last| last.wrapping_add(1).wrapping_add(difference.into()));
            }
        }
        Some(())
    }

    /// FU (§4.4.3).
    fn fragment(
        &mut self,
        header: [u8; 2],
        mut rest: Bytes<'_>,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Option<()> {
        let fragment_header = rest.u8()?;
        if fragment_header & 0x80 != 0 {
            self.check_order(&mut rest, assembler, sink)?;
        }
        let nal_header = [header[0] & 0x81 | (fragment_header & 0x3f) << 1, header[1]];
        assembler.fragment(fragment_header & 0xc0, &nal_header, rest.0, sink);
        Some(())
    }

    /// Reads a decoding order number, where there is one.
    fn check_order(
        &mut self,
        rest: &mut Bytes<'_>,
        assembler: &mut Assembler,
        sink: &mut dyn Sink,
    ) -> Option<()> {
        if self.numbers == Numbers::Present {
            let order = rest.u16()?;
            if self.order.is_some_and(|last| order.wrapping_sub(last).cast_signed() < 0) {
                assembler.refuse(DropCause::Interleaved, sink);
            }
            self.order = Some(order);
        }
        Some(())
    }
}

/// The packet inside a PACI packet (§4.4.4): its payload header and what lies behind it. One PACI
/// in another is not allowed.
fn unwrap_paci(header: [u8; 2], mut rest: Bytes<'_>) -> Option<([u8; 2], Bytes<'_>)> {
    let fields = rest.u16()?;
    let kind = (fields >> 9 & 0x3f) as u8;
    rest.take(usize::from(fields >> 4 & 0x1f))?; // PHES
    let forbidden = if fields & 0x8000 != 0 { 0x80 } else { 0 };
    (kind != PACI).then_some(([forbidden | kind << 1 | header[0] & 1, header[1]], rest))
}

/// What lies behind the header of an aggregate without numbers.
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
