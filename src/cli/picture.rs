//! `smolnvr picture h264|h265`: a key frame on standard input, a JPEG on standard output.
//!
//! What the daemon runs beside itself where there is no FFmpeg; `--help` does not name it.

use super::{Arguments, Usage, complain, print_bytes};
use crate::{codec::Codec, limits, picture};
use std::{
    io::{self, Read as _},
    process::ExitCode,
};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let name = arguments.operand()?.and_then(|name| name.to_str());
    let codec = [Codec::H264, Codec::H265].into_iter().find(|codec| Some(codec.name()) == name);
    let codec = codec.ok_or_else(|| Usage("picture of h264 or h265?".into()))?;
    let mut stream = Vec::new();
    let most = limits::STILL_INPUT_BYTES_MAX as u64;
    let made = match io::stdin().take(most).read_to_end(&mut stream) {
        Ok(_) => picture::jpeg(codec, &stream).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Ok(match made {
        Ok(jpeg) => {
            print_bytes(&jpeg);
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(why);
            ExitCode::FAILURE
        }
    })
}
