//! Our own decoder, run as a child from our own binary (`smolnvr picture`).

use super::{Error, KeyFrame, whole_jpeg};
use crate::{
    limits,
    process::{Program, User},
    sys,
};

pub(super) async fn jpeg(frame: &KeyFrame) -> Result<Vec<u8>, Error> {
    let needed = limits::STILL_BYTES_FIXED + frame.pixels * limits::STILL_BYTES_PER_PIXEL;
    let available = sys::memory_available().min(limits::STILL_BYTES_MAX);
    if needed > available {
        return Err(Error::Memory { needed, available });
    }
    // An allocation beyond what the announced size needs fails and ends the child.
    let made = Program::ourselves("picture")
        .argument(frame.codec.name())
        .memory_max(needed)
        .niceness(limits::STILL_NICENESS)
        .user(User::Nobody)
        .run(&frame.stream, limits::SNAPSHOT_BYTES_MAX, limits::STILL_TIMEOUT)
        .await;
    whole_jpeg(made.map_err(Error::Own)?).ok_or(Error::NotJpeg)
}
