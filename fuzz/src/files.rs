//! Segments as ours are, small ones, and what a scan says of bytes as a file.

use crate::{nals, source::Source};
use smolnvr::{
    codec::{AudioFormat, Codec, Collector, ParameterSets},
    mp4::{
        fragment::{AudioRun, FirstSample, FragmentHeader, Sample},
        identity::{Cause, ClockTrust, Identity, SegmentMarks},
        index::Index,
        init::{self, HeadLayout},
        plan::{self, PlanStep},
        scan::{self, Depth, FileState, Scan},
    },
    units::{Ticks, WallTime},
};
use std::{io, sync::Arc};

/// A segment, and where its fragments end.
pub struct File {
    pub bytes: Vec<u8>,
    pub layout: HeadLayout,
    pub ends: Vec<usize>,
    /// Which fragment each frame is in, and where the length of its only NAL unit stands.
    pub nals: Vec<(usize, usize)>,
    pub duration: Ticks,
    pub is_closed: bool,
}

pub fn sets(codec: Codec) -> Arc<ParameterSets> {
    let mut collector = Collector::new(codec);
    nals::parameter_sets(codec).iter().for_each(|nal| collector.offer(nal));
    collector.current().expect("they are complete")
}

pub fn identity(number: u32) -> Identity {
    let (camera, wall) = ("yard".to_owned(), WallTime(1_795_336_200_000));
    Identity {
        camera,
        number,
        run: 3,
        boot: [7; 16],
        wall,
        clock: ClockTrust::Trusted,
        marks: SegmentMarks::NONE,
        up_ms: Some(5000),
        cause: Cause::Unknown,
    }
}

/// A segment of some fragments, with sound or without, closed or not.
pub fn segment(source: &mut Source<'_>) -> File {
    let codec = source.one(&[Codec::H264, Codec::H265]);
    let audio = source.flag().then(|| AudioFormat::aac(&[0x14, 0x08], 16_000).expect("is AAC"));
    let mut bytes = Vec::new();
    let identity = identity(source.u16().into());
    let layout = init::write_segment_head(&mut bytes, &sets(codec), audio.as_ref(), &identity);
    let (mut index, mut ends, mut nals) = (Index::new(), Vec::new(), Vec::new());
    let (mut time, mut sound) = (0, 0);
    for nth in 0..source.below(6) {
        let begin = bytes.len();
        let opens_on = source.one(&[FirstSample::Key, FirstSample::NonKey]);
        let samples: Vec<Sample> = (0..1 + source.below(4))
            .map(|_| Sample {
                bytes: 6 + u32::from(source.u8()),
                duration: 1 + u32::from(source.u16()),
                composition_offset: source.u16().into(),
            })
            .collect();
        let decode_time = Ticks(time);
        let header = FragmentHeader {
            sequence_number: nth as u32 + 1,
            decode_time,
            opens_on,
            samples: &samples,
        };
        let frames = [Sample { bytes: 5, duration: 1024, composition_offset: 0 }; 2];
        let run = AudioRun { decode_time: sound, samples: &frames };
        header.write_with(audio.as_ref().map(|_| &run), &mut bytes);
        for sample in &samples {
            nals.push((nth, bytes.len()));
            bytes.extend((sample.bytes - 4).to_be_bytes());
            bytes.resize(bytes.len() + sample.bytes as usize - 4, 0x41);
            time += i64::from(sample.duration);
        }
        if audio.is_some() {
            bytes.extend([0xa5; 10]);
            sound += 2048;
        }
        index.push((bytes.len() - begin) as u64, header.extent());
        ends.push(bytes.len());
    }
    let is_closed = source.flag() && !ends.is_empty();
    if is_closed {
        let end = bytes.len() as u64;
        carry_out(&mut bytes, &plan::close(&layout, &index, end));
    }
    File { bytes, layout, ends, nals, duration: index.duration(), is_closed }
}

/// Executes a plan; bytes beyond the end cannot be written.
pub fn carry_out(file: &mut Vec<u8>, steps: &[PlanStep]) {
    for step in steps {
        match step {
            PlanStep::Write { offset, bytes } => {
                let offset = usize::try_from(*offset).expect("it is in the file");
                file[offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            PlanStep::Truncate { length } => {
                let length = usize::try_from(*length).expect("it is in the file");
                assert!(length <= file.len(), "a file does not grow");
                file.truncate(length);
            }
            PlanStep::Sync => {}
        }
    }
}

/// Scans bytes that are read `at_once` at most, and holds what is said against what must hold of
/// any.
pub fn scanned(file: &[u8], depth: Depth, at_once: usize) -> Scan {
    let len = file.len() as u64;
    let read_at = |buffer: &mut [u8], offset: u64| {
        let end = offset + buffer.len() as u64;
        assert!(offset < end && end <= len, "bytes {offset} to {end} of {len}");
        read(file, buffer, offset, at_once)
    };
    let scan = scan::scan(&read_at, len, depth);
    assert!(scan.whole_bytes <= len && scan.duration >= Ticks::ZERO);
    assert_eq!(scan.fragments == 0, scan.index.is_empty() && scan.fragments == 0);
    match &scan.state {
        FileState::Whole => {
            assert_eq!(scan.whole_bytes, len);
            assert!(scan.head.is_some());
        }
        FileState::Cut => {}
        FileState::Damaged(damage) => {
            assert!(damage.at <= len && !damage.to_string().contains(char::is_control));
        }
        FileState::Unreadable { .. } => panic!("all of it can be read"),
    }
    scan
}

pub fn read(file: &[u8], buffer: &mut [u8], at: u64, most: usize) -> io::Result<usize> {
    let rest = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let count = rest.len().min(buffer.len()).min(most);
    buffer[..count].copy_from_slice(&rest[..count]);
    Ok(count)
}
