//! Decoders: a key frame in, its planes out.

use super::{
    Error,
    scale::{Plane, Planes, Samples},
};
use crate::codec::{Codec, Collector};
use rust_h264::{decoder, nal};
use rusty_h265 as h265;

/// Decodes the access unit in `stream` and lends its planes to `take`.
pub(super) fn with_picture<T>(
    codec: Codec,
    stream: &[u8],
    take: impl FnOnce(&Planes<'_>) -> T,
) -> Result<T, Error> {
    let mut collector = Collector::new(codec);
    h265::nal::split_annex_b(stream).into_iter().for_each(|nal| collector.offer(nal));
    let sets = collector.current().ok_or(Error::NoSequence)?;
    let full_range = sets.picture().full_range;
    match codec {
        Codec::H264 => h264_picture(stream).map(|frame| take(&h264_planes(&frame, full_range))),
        Codec::H265 => h265_picture(stream).map(|frame| take(&h265_planes(&frame, full_range))),
    }
}

fn h264_picture(stream: &[u8]) -> Result<decoder::Frame, Error> {
    let mut decoder = decoder::Decoder::new();
    for unit in nal::parse_annex_b(stream) {
        // A picture returned here would be an earlier one.
        decoder.decode_nal(&unit).map_err(|error| Error::Decoder(error.to_string()))?;
    }
    decoder.flush().ok_or(Error::NoPicture)
}

fn h264_planes(frame: &decoder::Frame, full_range: bool) -> Planes<'_> {
    let size = (frame.width as usize, frame.height as usize);
    let half = (frame.chroma_width() as usize, frame.chroma_height() as usize);
    let depth = frame.bit_depth;
    let [luma, blue, red] = [&frame.y, &frame.u, &frame.v].map(|plane| match depth {
        ..=8 => Samples::Bytes(plane),
        _ => Samples::LittleEndian(plane),
    });
    Planes {
        luma: Plane::whole(luma, size, depth),
        chroma: Some([blue, red].map(|plane| Plane::whole(plane, half, depth))),
        full_range,
    }
}

fn h265_picture(stream: &[u8]) -> Result<h265::Frame, Error> {
    let mut decoder = h265::Decoder::new();
    decoder.push_annexb(stream, None).map_err(|error| Error::Decoder(error.to_string()))?;
    decoder.flush();
    decoder.next_frame().map_err(|_| Error::NoPicture)
}

fn h265_planes(frame: &h265::Frame, full_range: bool) -> Planes<'_> {
    let picture = &*frame.picture;
    let (left, top, width, height) = picture.crop;
    let [luma, blue, red] = &picture.planes;
    // Luma samples per chroma sample: 4:2:0 or 4:2:2, the only formats of this decoder.
    let (across, down) = if picture.chroma_format_idc == 1 { (2, 2) } else { (2, 1) };
    let chroma = [blue, red].map(|plane| Plane {
        samples: Samples::Words(&plane.data),
        stride: plane.stride,
        origin: (left / across, top / down),
        size: (width.div_ceil(across), height.div_ceil(down)),
        depth: picture.bit_depth_chroma,
    });
    Planes {
        luma: Plane {
            samples: Samples::Words(&luma.data),
            stride: luma.stride,
            origin: (left, top),
            size: (width, height),
            depth: picture.bit_depth_luma,
        },
        chroma: (picture.chroma_format_idc > 0).then_some(chroma),
        full_range,
    }
}
