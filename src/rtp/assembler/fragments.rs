//! Fragmented NAL units: joins the fragments, and detects incomplete units.
//!
//! Spec: RFC 6184 §5.8, RFC 7798 §4.4.3.

use super::{Assembler, DropCause, NalTarget, Sink};

impl Assembler {
    /// Takes a fragment of a NAL unit: its start and end bits, placed as in RFC 6184 §5.8 and RFC
    /// 7798 §4.4.3, the header of the whole unit, and bytes, perhaps none.
    ///
    /// Quirk: an FU type that changes mid-unit. The first fragment's type counts. Quirk: no start
    /// bit. If the NAL unit directly before is whole, this fragment begins a new one, unless the
    /// camera's start bits are reliable: then the first fragment was never sent.
    pub(in crate::rtp) fn fragment(
        &mut self,
        bits: u8,
        header: &[u8],
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let starts = bits & FRAGMENT_START != 0;
        let mut begins = self.nal.target == NalTarget::Closed && self.nal.is_whole;
        if starts {
            self.started = self.started.saturating_add(1);
        } else if begins && std::mem::take(&mut self.started) >= BITS_MIN {
            (begins, self.nal.is_whole) = (false, false);
        }
        if starts || begins {
            self.miss_end(sink);
            self.nal_begin(sink);
            self.nal_append(header, sink);
        } else if self.nal.target == NalTarget::Closed {
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

    /// Called when another NAL unit begins: the open one lacks its end if the camera's end bits are
    /// reliable.
    pub(super) fn miss_end(&mut self, sink: &mut dyn Sink) {
        if self.nal.target == NalTarget::Closed {
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
/// After this many of them in a row, a camera's start bits, or its end bits, count as reliable.
const BITS_MIN: u8 = 16;
