//! smolnvr (architecture to be written here)

pub mod bits;
pub mod codec;
pub mod limits;
pub mod mp4;
pub mod storage;
pub mod units;
