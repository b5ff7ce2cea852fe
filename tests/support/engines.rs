//! Compares what both engines recorded of one stream.

use super::{mp4, vcl};
use camera::Clip;
use std::path::PathBuf;

/// A frame's number in the clip, how long before the last frame of its file it is shown, and
/// whether it is a key frame.
type Frame = (u64, i64, bool);

/// Checks that FFmpeg's files hold the same frames as ours at the same times, in as many files of
/// the same length. The first frame may differ, and the end, where the native engine still records
/// what the camera sent last.
pub fn assert_same(ours: &[PathBuf], theirs: &[PathBuf], clip: &Clip) {
    let (mut ours, mut theirs) = (frames(ours, clip), frames(theirs, clip));
    assert_eq!(ours.len(), theirs.len(), "as many files");
    // FFmpeg's RTSP client does not know the time of a run's first frame and gives it that of the
    // second, which comes a tick later.
    theirs[0][0].1 += 3600;
    theirs[0][1].1 += 1;
    let end = theirs.last().unwrap().len();
    let missing = ours.last().unwrap().len() - end;
    assert!(missing <= 60, "{missing} frames are missing at the end");
    let shift = ours.last().unwrap()[end - 1].1;
    theirs.last_mut().unwrap().iter_mut().for_each(|frame| frame.1 += shift);
    ours.last_mut().unwrap().truncate(end);
    for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours.len(), theirs.len(), "file {number}");
        let differs = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "file {number}");
    }
}

/// The NAL units of pictures. FFmpeg appends a zero to some, which H.264 §7.4.1 forbids.
fn media<'a>(clip: &Clip, nals: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let trimmed = |nal: &'a [u8]| {
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &nal[..end]
    };
    vcl(clip.codec(), nals).into_iter().map(trimmed).collect()
}

/// The frames in the files, in order.
fn frames(files: &[PathBuf], clip: &Clip) -> Vec<Vec<Frame>> {
    let of = |file: &PathBuf| {
        let movie = mp4::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let last = movie.samples.last().unwrap().presentation;
        let mut next = 0;
        let samples = movie.samples.iter().map(|sample| {
            let stored = media(clip, &sample.nals);
            let is_it = |number: &u64| media(clip, &clip.frame(*number).unit.nals) == stored;
            let count = clip.access_units().len() as u64;
            let number = (next..next + count).find(is_it).expect("a frame of the clip");
            next = number + 1;
            (number % count, last - sample.presentation, sample.key)
        });
        samples.collect()
    };
    files.iter().map(of).collect()
}
