//! NAL units in fragments: whole, or told to be not.
//!
//! Spec: RFC 6184 §5.8, RFC 7798 §4.4.3.

use super::{Assembler, DropCause, Sink, Target};

impl Assembler {
    /// A fragment of a NAL unit: its start and end bits where RFC 6184 §5.8 and RFC 7798 §4.4.3 have
    /// them, the header of the whole, and bytes that may be none.
    ///
    /// Quirk: FU type that changes mid-unit. The first fragment's counts. Quirk: no start bit. Where what
    /// came directly before is whole, this is a beginning, unless the camera's start bits can be relied
    /// on: then it left the first fragment out.
    pub(in crate::rtp) fn fragment(
        &mut self,
        bits: u8,
        header: &[u8],
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let starts = bits & FRAGMENT_START != 0;
        let mut begins = self.nal.target == Target::Closed && self.nal.is_whole;
        if starts {
            self.started = self.started.saturating_add(1);
        } else if begins && std::mem::take(&mut self.started) >= BITS_MIN {
            (begins, self.nal.is_whole) = (false, false);
        }
        if starts || begins {
            self.miss_end(sink);
            self.nal_begin(sink);
            self.nal_append(header, sink);
        } else if self.nal.target == Target::Closed {
            let cause = if self.after_gap { DropCause::Incomplete } else { DropCause::Malformed };
            return self.refuse(cause, sink);
        }
        self.nal.time = self.time;
        self.nal_append(bytes, sink);
        if bits & FRAGMENT_END != 0 {
            self.ended = self.ended.saturating_add(1);
            self.nal_end(sink);
        }
    }

    /// Another NAL unit begins. What is open lacks its end if the camera's end bits can be relied on.
    pub(super) fn miss_end(&mut self, sink: &mut dyn Sink) {
        if self.nal.target == Target::Closed {
            return;
        }
        if std::mem::take(&mut self.ended) >= BITS_MIN {
            self.abandon_nal(sink);
            self.drop_unit(DropCause::Malformed, sink);
        }
    }
}

pub(in crate::rtp) const FRAGMENT_START: u8 = 0x80;
pub(in crate::rtp) const FRAGMENT_END: u8 = 0x40;
/// After so many of them in a row, a camera's start bits, or its end bits, can be relied on.
const BITS_MIN: u8 = 16;
