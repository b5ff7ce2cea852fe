//! Which frames must be in the files after a stream lost packets.

use super::{mp4, vcl};
use camera::{Clip, Session};
use std::path::PathBuf;

/// A number in the last run's line in the log: `lost=3`.
pub fn counted(log: &str, name: &str) -> u64 {
    let line = log.lines().rfind(|line| line.contains(" packets=")).expect("a run has ended");
    let mut words = line.split([' ', '\n']).filter_map(|word| word.split_once('='));
    let value = words.find(|(known, _)| *known == name).map(|(_, value)| value);
    value.unwrap_or_else(|| panic!("no {name} in {line}")).parse().expect("is a number")
}

/// Frames that can be decoded: whole, with only whole ones before them since a key frame.
pub fn decodable(clip: &Clip, session: &Session) -> Vec<u64> {
    let mut broken = session.broken.iter().peekable();
    let mut is_open = false;
    let is_stored = |number: &u64| {
        let is_whole = broken.next_if_eq(&number).is_none();
        is_open = is_whole && (is_open || clip.frame(session.first_frame + number).unit.key);
        is_open
    };
    (0..session.frames).filter(is_stored).collect()
}

/// Checks that the files hold exactly these frames of the clip, each once, in order, byte for byte,
/// with the times that were sent.
pub fn assert_holds(files: &[PathBuf], clip: &Clip, frames: &[u64]) {
    let mut expected = frames.iter();
    for file in files {
        let movie = mp4::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.display();
        let mut base = None;
        for (index, sample) in movie.samples.iter().enumerate() {
            let number = *expected.next().unwrap_or_else(|| panic!("{name}: frame {index} more"));
            let frame = clip.frame(number);
            let (sent, stored) =
                (vcl(clip.codec(), &frame.unit.nals), vcl(clip.codec(), &sample.nals));
            assert!(sent == stored, "{name}: sample {index} is not frame {number}");
            let pts = i64::try_from(frame.pts).expect("a short run");
            let base = *base.get_or_insert(pts - sample.presentation);
            assert_eq!(sample.presentation, pts - base, "{name}: frame {number}");
            assert_eq!(sample.key, frame.unit.key, "{name}: frame {number}");
        }
    }
    assert_eq!(expected.count(), 0, "frames are missing at the end");
}
