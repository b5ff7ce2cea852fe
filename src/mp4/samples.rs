//! Small files for tests: heads like ours, and media that only has the shape of samples.

use std::sync::Arc;

use super::{
    fragment::{AudioRun, Extent, FirstSample, FragmentHeader, Sample},
    identity::{Cause, ClockTrust, Identity, SegmentMarks},
    index::Index,
    init::{self, HeadLayout},
    plan::{self, PlanStep},
};
use crate::{
    codec::{AudioFormat, Codec, Collector, ParameterSets},
    units::{Ticks, WallTime},
};

pub fn parameter_sets(codec: Codec) -> Arc<ParameterSets> {
    let nals: &[&str] = match codec {
        // x264, 1080p, High.
        Codec::H264 => &["67640028acd940780227e5c044000003000400000300c83c60c658", "68ef8fcb"],
        // x265, 1080p, Main 10, pixels of 4:3.
        Codec::H265 => &[
            "40010c02ffff02200000030090000003000003007800009598acc048",
            "4201020220000003009000000300000300780000a003c08010e4d965662b349272bc39a020000003002000\
             000303cc1392cdc001e848003d0970007a12000f4244",
            "4401c172b46240",
        ],
    };
    let mut collector = Collector::new(codec);
    for nal in nals {
        let bytes: Vec<u8> = (0..nal.len() / 2)
            .map(|nth| u8::from_str_radix(&nal[2 * nth..2 * nth + 2], 16).unwrap())
            .collect();
        collector.offer(&bytes);
    }
    collector.current().unwrap()
}

pub fn identity() -> Identity {
    Identity {
        camera: "yard".to_owned(),
        number: 14,
        run: 3,
        boot: [7; 16],
        wall: WallTime(1_795_336_200_000),
        clock: ClockTrust::Trusted,
        marks: SegmentMarks::NONE,
        up_ms: Some(5000),
        cause: Cause::Unknown,
    }
}

/// A fragment of 40 ms frames with two NAL units each; `sizes` are their bytes including prefixes,
/// at least 12.
pub fn fragment(nth: u32, time: Ticks, opens_on: FirstSample, sizes: &[u32]) -> (Vec<u8>, Extent) {
    let samples: Vec<Sample> = sizes
        .iter()
        .map(|bytes| Sample { bytes: *bytes, duration: FRAME, composition_offset: 0 })
        .collect();
    let header =
        FragmentHeader { sequence_number: nth + 1, decode_time: time, opens_on, samples: &samples };
    let mut out = Vec::new();
    header.write(&mut out);
    for size in sizes {
        out.extend([0, 0, 0, 2, 0x41, 0x9a]);
        out.extend((size - 10).to_be_bytes());
        out.extend((0..size - 10).map(|nth| (nth as u8) | 0x61));
        let header = out.len() - (size - 10) as usize;
        out[header] = 0x61;
    }
    (out, header.extent())
}

/// A segment of `count` fragments of three frames, every other one starting with a key frame,
/// before it is closed.
pub fn unclosed(codec: Codec, count: u32) -> (Vec<u8>, HeadLayout, Index) {
    let mut out = Vec::new();
    let layout = init::write_segment_head(&mut out, &parameter_sets(codec), None, &identity());
    let mut index = Index::new();
    for nth in 0..count {
        let opens_on = match nth % 4 {
            0 => FirstSample::Key,
            2 => FirstSample::RecoveryPoint,
            _ => FirstSample::NonKey,
        };
        let time = Ticks(i64::from(nth * 3 * FRAME));
        let (bytes, extent) = fragment(nth, time, opens_on, &[60 + nth, 12, 20]);
        index.push(bytes.len() as u64, extent);
        out.extend(bytes);
    }
    (out, layout, index)
}

/// A closed segment of `count` fragments with sound in a second track: three frames each of video
/// and sound per fragment.
pub fn closed_with_audio(format: &AudioFormat, count: u32) -> Vec<u8> {
    closed_with_audio_unless(format, count, &|_| false)
}

/// Some fragments are silent.
pub fn closed_with_audio_unless(
    format: &AudioFormat,
    count: u32,
    is_silent: &dyn Fn(u32) -> bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let sets = parameter_sets(Codec::H264);
    let layout = init::write_segment_head(&mut out, &sets, Some(format), &identity());
    let mut index = Index::new();
    for nth in 0..count {
        let begin = out.len();
        let (video, extent) =
            fragment(nth, Ticks(i64::from(nth * 3 * FRAME)), FirstSample::Key, &[60, 12, 20]);
        let media = &video[video.len() - 92..];
        let sample = |bytes, duration| Sample { bytes, duration, composition_offset: 0 };
        let samples = [sample(60, FRAME), sample(12, FRAME), sample(20, FRAME)];
        let header = FragmentHeader {
            sequence_number: nth + 1,
            decode_time: Ticks(i64::from(nth * 3 * FRAME)),
            opens_on: FirstSample::Key,
            samples: &samples,
        };
        let sound = [sample(5, 1024), sample(1, 1024), sample(9, 1024)];
        let audio = AudioRun { decode_time: i64::from(nth * 3 * 1024), samples: &sound };
        let audio = Some(&audio).filter(|_| !is_silent(nth));
        header.write_with(audio, &mut out);
        out.extend_from_slice(media);
        out.extend_from_slice(if audio.is_some() { &[0xa5; 15] } else { &[] });
        index.push((out.len() - begin) as u64, extent);
    }
    let end = out.len() as u64;
    carry_out(&mut out, &plan::close(&layout, &index, end));
    out
}

pub fn closed(codec: Codec, count: u32) -> Vec<u8> {
    let (mut file, layout, index) = unclosed(codec, count);
    let end = file.len() as u64;
    carry_out(&mut file, &plan::close(&layout, &index, end));
    file
}

/// A file as FFmpeg writes it with a comment of this length in its head, three frames per fragment.
pub fn by_ffmpeg(remark_bytes: usize, count: u32) -> Vec<u8> {
    let mut out = Vec::new();
    init::write_live_init(&mut out, &parameter_sets(Codec::H264), None);
    let movie = out.windows(4).position(|kind| kind == b"moov").unwrap() - 4;
    super::boxed(&mut out, b"udta", |out| out.resize(out.len() + remark_bytes, b'.'));
    let size = u32::try_from(out.len() - movie).unwrap();
    out[movie..movie + 4].copy_from_slice(&size.to_be_bytes());
    for nth in 0..count {
        let time = Ticks(i64::from(nth * 3 * FRAME));
        out.extend(fragment(nth, time, FirstSample::Key, &[60 + nth, 12, 20]).0);
    }
    out
}

pub fn carry_out(file: &mut Vec<u8>, steps: &[PlanStep]) {
    for step in steps {
        match step {
            PlanStep::Write { offset, bytes } => {
                let offset = usize::try_from(*offset).unwrap();
                file[offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            PlanStep::Truncate { length } => file.truncate(usize::try_from(*length).unwrap()),
            PlanStep::Sync => {}
        }
    }
}

/// 25 frames a second.
pub const FRAME: u32 = 3600;
