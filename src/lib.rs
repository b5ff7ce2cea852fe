//! smolnvr (architecture to be written here)

pub mod bits;
pub mod codec;
pub mod limits;
pub mod rtp;
pub mod units;
