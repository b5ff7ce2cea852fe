//! Stills: a key frame in, a JPEG of at most 640x360 out, made by another process.
//!
//! In builds with the feature `pictures` our own decoder tries first, if the picture fits its
//! memory; otherwise, and if it fails, FFmpeg does the work. FFmpeg also fetches pictures from
//! cameras that only FFmpeg understands. Either process exits after one picture, is limited to
//! [`limits::STILL_TIMEOUT`], and is the first one the kernel kills when memory runs out: a picture
//! may be lost, never a frame. One runs at a time.

#[cfg(feature = "pictures")]
mod own;

use crate::{
    codec::{Codec, ParameterSets},
    limits,
    process::{self, Program, User},
    tool::{self, Address, Tool, ToolTurn, Unfit},
};
use smol::{future, lock::Mutex};
use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
    rc::Rc,
};

/// Makes stills for all cameras.
pub struct Stills {
    /// The configured path.
    ffmpeg: RefCell<PathBuf>,
    turn: Rc<ToolTurn>,
    one_at_a_time: Mutex<()>,
}

/// A key frame with everything a decoder needs.
pub struct KeyFrame {
    pub codec: Codec,
    /// Luma samples.
    pub pixels: u64,
    /// Annex B: parameter sets, then the slices.
    pub stream: Vec<u8>,
}

/// Why there is no still, in one line for the user.
#[derive(Debug)]
pub enum Error {
    /// The key frame has this many bytes.
    TooLarge(usize),
    /// The bytes are not a key frame.
    Broken,
    /// There is no usable FFmpeg.
    Unfit(Unfit),
    /// FFmpeg is recording.
    Paused,
    Ffmpeg(process::Error),
    /// The output is not a complete JPEG.
    NotJpeg,
    /// Bytes our own decoder would need, and bytes available.
    #[cfg(feature = "pictures")]
    Memory {
        needed: u64,
        available: u64,
    },
    #[cfg(feature = "pictures")]
    Own(process::Error),
}

impl Stills {
    pub fn new(ffmpeg: &Path, turn: &Rc<ToolTurn>) -> Stills {
        Stills {
            ffmpeg: RefCell::new(ffmpeg.to_owned()),
            turn: Rc::clone(turn),
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Sets a newly configured path.
    pub fn set_ffmpeg(&self, path: &Path) {
        self.ffmpeg.replace(path.to_owned());
    }

    /// Makes a JPEG from a key frame. Cancel-safe: dropping the future kills the process.
    ///
    /// # Errors
    /// Any [`Error`] except `TooLarge` and `Broken`.
    pub async fn jpeg(&self, frame: &KeyFrame) -> Result<Vec<u8>, Error> {
        let _turn = self.one_at_a_time.lock().await;
        #[cfg(feature = "pictures")]
        return match own::jpeg(frame).await {
            Ok(jpeg) => Ok(jpeg),
            // Without FFmpeg, the error of our own decoder is the useful one.
            Err(own) => match self.by_ffmpeg(frame).await {
                Err(Error::Unfit(_)) => Err(own),
                result => result,
            },
        };
        #[cfg(not(feature = "pictures"))]
        self.by_ffmpeg(frame).await
    }

    async fn by_ffmpeg(&self, frame: &KeyFrame) -> Result<Vec<u8>, Error> {
        let path = tool::find_program(&self.path()).await.map_err(Error::Unfit)?;
        let format = match frame.codec {
            Codec::H264 => "h264",
            Codec::H265 => "hevc",
        };
        let input = ["-threads", "1", "-f", format, "-i", "pipe:0"].map(String::from);
        self.run(path, &input, Vec::new(), &frame.stream).await
    }

    /// Lets FFmpeg fetch a picture from a camera over its own connection. Cancel-safe.
    ///
    /// # Errors
    /// As [`Stills::jpeg`].
    pub async fn fetch(
        &self,
        address: &Address<'_>,
        secrets: Vec<String>,
    ) -> Result<Vec<u8>, Error> {
        let _turn = self.one_at_a_time.lock().await;
        if self.turn.is_recording() {
            return Err(Error::Paused);
        }
        let tool = Tool::find(&self.path()).await.map_err(Error::Unfit)?;
        let script = address.script(&tool);
        self.run(tool.path().into(), &address.arguments(&tool), secrets, script.as_bytes()).await
    }

    fn path(&self) -> PathBuf {
        self.ffmpeg.borrow().clone()
    }

    /// Runs FFmpeg. `from` are the arguments up to the input, `input` is what it reads.
    async fn run(
        &self,
        path: PathBuf,
        from: &[String],
        secrets: Vec<String>,
        input: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let program = Program::new(&path)
            .arguments(&["-hide_banner", "-loglevel", "error"][..])
            .arguments(from)
            .arguments(TO_JPEG)
            .secrets(secrets)
            .niceness(limits::STILL_NICENESS)
            .user(User::Nobody);
        let _used = self.turn.picture().ok_or(Error::Paused)?;
        let making = program.run(input, limits::SNAPSHOT_BYTES_MAX, limits::STILL_TIMEOUT);
        // Stop at once when a recording wants the slot.
        let recording = async {
            self.turn.recording().await;
            None
        };
        let made = future::or(recording, async { Some(making.await) }).await;
        match made.ok_or(Error::Paused)? {
            Ok(jpeg) => whole_jpeg(jpeg).ok_or(Error::NotJpeg),
            Err(error @ process::Error::NotStarted(_)) => {
                Err(Error::Unfit(tool::explain(path, error).await))
            }
            Err(error) => Err(Error::Ffmpeg(error)),
        }
    }
}

impl KeyFrame {
    /// Converts a sample to Annex B. `sample` holds NAL units without parameter sets, each preceded
    /// by its length in 4 bytes.
    ///
    /// # Errors
    /// `TooLarge`, `Broken`.
    pub fn new(sets: &ParameterSets, sample: &[u8]) -> Result<KeyFrame, Error> {
        let length = sample.len() + sets.nals().map(|nal| nal.len() + 4).sum::<usize>();
        if length > limits::STILL_INPUT_BYTES_MAX {
            return Err(Error::TooLarge(length));
        }
        let mut stream = Vec::with_capacity(length);
        for nal in sets.nals() {
            stream.extend_from_slice(&START_CODE);
            stream.extend_from_slice(nal);
        }
        let mut rest = sample;
        while let Some((prefix, behind)) = rest.split_first_chunk() {
            let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
            let (nal, next) = behind.split_at_checked(length).ok_or(Error::Broken)?;
            stream.extend_from_slice(&START_CODE);
            stream.extend_from_slice(nal);
            rest = next;
        }
        let picture = sets.picture();
        let pixels = u64::from(picture.width) * u64::from(picture.height);
        Ok(KeyFrame { codec: sets.codec(), pixels, stream })
    }
}

impl Error {
    /// Returns true if another attempt may soon succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Paused)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLarge(bytes) => write!(f, "the key frame is too large: {} KB", bytes / 1024),
            Error::Broken => f.write_str("the key frame is broken"),
            Error::Unfit(unfit) => unfit.fmt(f),
            Error::Paused => f.write_str(ToolTurn::PAUSED),
            Error::Ffmpeg(error) => write!(f, "FFmpeg: {error}"),
            Error::NotJpeg => f.write_str("FFmpeg's output is not a complete JPEG"),
            #[cfg(feature = "pictures")]
            Error::Memory { needed, available } => {
                let [needed, available] = [needed, available].map(|bytes| bytes >> 20);
                write!(
                    f,
                    "decoding this picture takes {needed} MB, but {available} MB are free: \
                     set live_url to a smaller stream"
                )
            }
            #[cfg(feature = "pictures")]
            Error::Own(error) => write!(f, "smolnvr picture: {error}"),
        }
    }
}

/// Returns the picture in `bytes` without trailing padding; `None` if it is not a complete JPEG.
pub fn whole_jpeg(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b'\r' | b'\n'))? + 1;
    bytes.truncate(end);
    (bytes.starts_with(&[0xff, 0xd8]) && bytes.ends_with(&[0xff, 0xd9])).then_some(bytes)
}

/// One picture, scaled down to fit 640x360 and never up, in options that FFmpeg 3.2 and later know.
const TO_JPEG: &[&str] = &[
    "-map",
    "0:v:0",
    "-frames:v",
    "1",
    "-vf",
    "scale=min(640\\,iw):min(360\\,ih):force_original_aspect_ratio=decrease:flags=area",
    "-c:v",
    "mjpeg",
    "-q:v",
    "7",
    "-f",
    "mjpeg",
    "pipe:1",
];
const START_CODE: [u8; 4] = [0, 0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tests::parameter_sets;

    #[test]
    fn a_key_frame_is_a_stream_of_its_own() {
        let sets = parameter_sets();
        let frame = KeyFrame::new(&sets, b"\0\0\0\x02ab\0\0\0\x01c").unwrap();
        let mut expected = Vec::new();
        for nal in sets.nals().chain([&b"ab"[..], b"c"]) {
            expected.extend_from_slice(&START_CODE);
            expected.extend_from_slice(nal);
        }
        assert_eq!(frame.stream, expected);
        let picture = sets.picture();
        assert_eq!(frame.pixels, u64::from(picture.width * picture.height));
    }

    #[test]
    fn no_sample_makes_it_panic_and_a_large_one_is_refused() {
        let sets = parameter_sets();
        for broken in [&b"\0\0\0\x03ab"[..], b"\xff\xff\xff\xffab"] {
            assert!(matches!(KeyFrame::new(&sets, broken), Err(Error::Broken)));
        }
        let large = vec![0; limits::STILL_INPUT_BYTES_MAX];
        assert!(matches!(KeyFrame::new(&sets, &large), Err(Error::TooLarge(_))));
    }

    #[test]
    fn only_whole_jpegs_count_and_what_is_behind_them_goes() {
        let picture = b"\xff\xd8picture\xff\xd9";
        assert_eq!(whole_jpeg([picture, &b"\r\n\0"[..]].concat()).as_deref(), Some(&picture[..]));
        for wrong in [&b""[..], b"\0", b"<html>", &picture[..5], &picture[1..]] {
            assert_eq!(whole_jpeg(wrong.to_vec()), None);
        }
    }
}
