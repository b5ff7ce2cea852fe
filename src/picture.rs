//! A picture without FFmpeg: one key frame in, a JPEG of at most 640x360 out.
//!
//! ```text
//! picture.rs   key frame → JPEG
//! ├─ decode    key frame → planes, by pure-Rust decoders
//! ├─ scale     planes → smaller ones of 8 bits, full range, 4:2:0
//! └─ jpeg      those → JPEG
//! ```
//! Decoders are large programs of others, and what they decode comes from outside: this runs in a
//! process of its own (`smolnvr picture`), which may end as it likes. Only in builds with the feature
//! `pictures`. Knows nothing of: processes, cameras, files.

mod decode;
mod jpeg;
mod scale;

use crate::codec::Codec;
use std::fmt;

/// Why there is no picture.
#[derive(Debug)]
pub enum Error {
    /// Parameter sets are missing or can not be read.
    NoSequence,
    /// What the decoder says.
    Decoder(String),
    /// A slice is missing or broken, or there is none.
    NoPicture,
    /// The picture has another size than the decoder announces, or none.
    Size,
    Jpeg(jpeg_encoder::EncodingError),
}

/// Decodes the access unit in `stream` (Annex B: parameter sets, then the slices of a key frame) and
/// makes a JPEG of it, scaled down to fit the preview.
///
/// *Cost*: see `limits::STILL_BYTES_PER_PIXEL`.
///
/// # Errors
/// Why there is no picture. A decoder may panic where the stream is broken, or need more memory than
/// there is.
pub fn jpeg(codec: Codec, stream: &[u8]) -> Result<Vec<u8>, Error> {
    decode::with_picture(codec, stream, scale::shrink).and_then(|small| jpeg::encode(&small?))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSequence => f.write_str("the key frame has no parameter sets"),
            Error::Decoder(why) => write!(f, "the key frame can not be decoded: {why}"),
            Error::NoPicture => f.write_str("the key frame is not whole"),
            Error::Size => f.write_str("the key frame is of another size than announced"),
            Error::Jpeg(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
