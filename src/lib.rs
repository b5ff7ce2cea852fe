//! smolnvr (architecture to be written here)

pub mod units;
pub mod limits;
pub mod bits;
pub mod codec;
pub mod rtsp;
pub mod mp4;
