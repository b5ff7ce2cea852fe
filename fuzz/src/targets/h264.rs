//! Packets of an H.264 track (RFC 6184): a flag says whether they are well packed.

use crate::{nals, source::Source};
use smolnvr::codec::Codec;

pub fn h264(data: &[u8]) {
    let mut source = Source::new(data);
    match source.flag() {
        false => nals::hostile(Codec::H264, &mut source),
        true => nals::packed(Codec::H264, &mut source),
    }
}
