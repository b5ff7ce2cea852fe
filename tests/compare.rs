//! Recordings of the test camera in, where they differ from what it sent out: one line of JSON a
//! file.
//!
//! usage: compare CLIP FOLDER
//!
//! Each file must hold frames of the endlessly repeated clip, in order, from a key frame on and
//! again from one where some are missing: pictures byte for byte, times tick for tick. Which frame
//! opens a file is found by its picture, so that files of many sessions are read alike; whether
//! they follow on from each other is the caller's question.

#![expect(clippy::unwrap_used, reason = "a test's tool ends where something is not as it must be")]
#![allow(dead_code, reason = "it uses a part of the reader")]

#[path = "support/mp4.rs"]
mod mp4;

use std::{env, fs, path::Path};

use camera::{Clip, Codec};
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [clip, folder] = arguments.as_slice() else { panic!("usage: compare CLIP FOLDER") };
    let clip = Clip::load(clip).unwrap();
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".mp4"))
        .collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    for name in names {
        let mut line = describe(&clip, &Path::new(folder).join(&name));
        line["file"] = json!(name);
        println!("{line}");
    }
}

/// `first`: number of the first frame in the clip; `of`: frames of the clip; `missing`: left out
/// within; `media`: bytes of all NAL units and their lengths; `error`: null, or what is wrong.
fn describe(clip: &Clip, path: &Path) -> Value {
    let movie = match mp4::read(path) {
        Ok(movie) => movie,
        Err(error) => return json!({ "error": error }),
    };
    let Some(opening) = movie.samples.first() else {
        return json!({ "frames": 0, "indexed": movie.index.is_some(), "error": null });
    };
    let count = clip.access_units().len() as u64;
    let Some(first) = (0..count).find(|&number| same_picture(clip, number, opening)) else {
        return json!({ "frames": movie.samples.len(), "error": "its first frame was never sent" });
    };
    let (missing, error) = match follow(clip, first, &movie.samples) {
        Ok(missing) => (missing, None),
        Err(error) => (0, Some(error)),
    };
    json!({
        "first": first,
        "frames": movie.samples.len(),
        "missing": missing,
        "of": count,
        "media": movie.samples.iter().flat_map(|it| &it.nals).map(|nal| 4 + nal.len()).sum::<usize>(),
        "indexed": movie.index.is_some(),
        "error": error,
    })
}

/// How many frames were left out between the first and the last.
fn follow(clip: &Clip, first: u64, samples: &[mp4::Sample]) -> Result<u64, String> {
    let base = i64::try_from(clip.frame(first).pts).unwrap();
    let mut number = first;
    let mut missing = 0;
    let mut last_decode = -1;
    for (index, sample) in samples.iter().enumerate() {
        // Its time says which frame it should be.
        let time = base + sample.presentation;
        let is_it = |&n: &u64| clip.frame(n).pts.cast_signed() == time;
        let Some(found) = (number..number + FRAMES_MISSING_MAX).find(is_it) else {
            return Err(format!("sample {index} is shown at {time}, no frame after {number} was"));
        };
        if !same_picture(clip, found, sample) {
            return Err(format!("frame {found} differs"));
        }
        if sample.key != clip.frame(found).unit.key {
            return Err(format!("frame {found}: key frame or not"));
        }
        if (index == 0 || found > number) && !sample.key {
            return Err(format!("frame {found} is no key frame, but its predecessor is not there"));
        }
        if sample.decode <= last_decode {
            return Err(format!("frame {found} is decoded at {}", sample.decode));
        }
        missing += found - number;
        last_decode = sample.decode;
        number = found + 1;
    }
    Ok(missing)
}

fn same_picture(clip: &Clip, number: u64, sample: &mp4::Sample) -> bool {
    pictures(clip.codec(), &clip.frame(number).unit.nals) == pictures(clip.codec(), &sample.nals)
}

fn pictures(codec: Codec, nals: &[Vec<u8>]) -> Vec<&[u8]> {
    nals.iter().map(Vec::as_slice).filter(|nal| codec.is_vcl(nal)).collect()
}

/// Ten minutes at 25 frames a second.
const FRAMES_MISSING_MAX: u64 = 15_000;
