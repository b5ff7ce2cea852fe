//! The card: its calls, and the segments on it.

pub mod disk;
pub mod segment;
