//! Packets of an H.265 track (RFC 7798): a flag says whether they are well packed.

use crate::{nals, source::Source};
use smolnvr::codec::Codec;

pub fn h265(data: &[u8]) {
    let mut source = Source::new(data);
    match source.flag() {
        false => nals::hostile(Codec::H265, &mut source),
        true => nals::packed(Codec::H265, &mut source),
    }
}
