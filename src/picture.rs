//! A picture without FFmpeg: one key frame in, a JPEG of at most 640x360 out.
//!
//! ```text
//! picture.rs   key frame → JPEG
//! ├─ decode    key frame → planes, by pure-Rust decoders
//! ├─ scale     planes → smaller ones of 8 bits, full range, 4:2:0
//! └─ jpeg      small planes → JPEG
//! ```
//! Decoders are large third-party programs, and their input comes from outside: they run in a
//! process of their own (`smolnvr picture`), which may crash. Only in builds with the feature
//! `pictures`.

mod decode;
mod jpeg;
mod scale;

use crate::codec::Codec;
use std::fmt;

/// Why there is no picture.
#[derive(Debug)]
pub enum Error {
    /// Parameter sets are missing or unreadable.
    NoSequence,
    /// The decoder's message.
    Decoder(String),
    /// A slice is missing or broken, or there are none.
    NoPicture,
    /// The picture's size differs from the announced one, or is zero.
    Size,
    Jpeg(jpeg_encoder::EncodingError),
}

/// Decodes the access unit in `stream` (Annex B: parameter sets, then the slices of a key frame),
/// scales it down to a preview and encodes that as JPEG.
///
/// *Cost*: see `limits::STILL_BYTES_PER_PIXEL`.
///
/// # Errors
/// Why there is no picture. With a broken stream, a decoder may also panic or run out of memory.
pub fn jpeg(codec: Codec, stream: &[u8]) -> Result<Vec<u8>, Error> {
    decode::with_picture(codec, stream, scale::shrink).and_then(|small| jpeg::encode(&small?))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSequence => f.write_str("the key frame has no parameter sets"),
            Error::Decoder(why) => write!(f, "the key frame cannot be decoded: {why}"),
            Error::NoPicture => f.write_str("the key frame is incomplete"),
            Error::Size => f.write_str("the key frame differs in size from its parameter sets"),
            Error::Jpeg(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
