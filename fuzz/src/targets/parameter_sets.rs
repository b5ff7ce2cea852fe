//! NAL units that may be parameter sets: what is taken of them goes through a decoder configuration
//! and a file's head, and is the same behind them.

use crate::{files, source::Source};
use smolnvr::{
    codec::{Codec, Collector, NalKind, ParameterSets, RandomAccess, Slice},
    limits,
    mp4::{init, scan},
};
use std::sync::Arc;

/// A choice of the codec, then NAL units, each behind its length.
pub fn parameter_sets(data: &[u8]) {
    let mut source = Source::new(data);
    let codec = source.one(&[Codec::H264, Codec::H265]);
    let mut collector = Collector::new(codec);
    let mut known: Option<Arc<ParameterSets>> = None;
    let mut pictures = Collector::new(codec);
    while !source.is_empty() {
        let nal = source.piece();
        let kind = codec.classify(nal);
        pictures.offer(nal);
        if let NalKind::Slice(slice) = kind {
            check_picture(&mut pictures, slice);
        }
        collector.offer(nal);
        let current = collector.current();
        let is_known = match (&known, &current) {
            (Some(known), Some(current)) => Arc::ptr_eq(known, current),
            (None, None) => true,
            _ => false,
        };
        if !is_known {
            assert_eq!(kind, NalKind::ParameterSet, "what is none changed something");
            assert_ne!(known, current, "nothing changed in meaning");
            current.as_deref().inspect(|sets| check(sets));
        }
        collector.offer(nal);
        assert_eq!(collector.current(), current, "the same once more changed something");
        known = current;
    }
}

/// A player that begins with this picture, where it can, has all the sets that it needs.
fn check_picture(collector: &mut Collector, slice: Slice) {
    let (sets, access) = collector.begin_picture(slice.picture_set, slice.access);
    let mut in_sample = Vec::new();
    collector.sets_in_sample(access, |nal| in_sample.push(nal.to_vec()));
    let Some(sets) = sets else {
        assert!(in_sample.is_empty(), "sets without a sample");
        return;
    };
    let bytes: usize = in_sample.iter().map(Vec::len).sum();
    assert!(bytes <= limits::PARAMETER_SETS_BYTES_MAX, "{bytes} bytes");
    if access != RandomAccess::None && slice.picture_set.is_some() {
        let mut player = Collector::new(sets.codec());
        sets.nals().chain(in_sample.iter().map(Vec::as_slice)).for_each(|nal| player.offer(nal));
        let (found, _) = player.begin_picture(slice.picture_set, access);
        let found = found.expect("a set that the picture needs is nowhere");
        let size = |sets: &ParameterSets| (sets.picture().width, sets.picture().height);
        assert_eq!(size(&found), size(&sets));
    }
    let mut again = 0;
    collector.begin_picture(slice.picture_set, RandomAccess::None);
    collector.sets_in_sample(RandomAccess::None, |_| again += 1);
    assert_eq!(again, 0, "nothing changed");
}

fn check(sets: &ParameterSets) {
    let picture = sets.picture();
    assert!((1..=16_384).contains(&picture.width) && (1..=16_384).contains(&picture.height));
    assert!(picture.sample_aspect.0 > 0 && picture.sample_aspect.1 > 0);
    assert!(picture.frame_rate.is_none_or(|(number, of)| number > 0 && of > 0));
    let nals: Vec<&[u8]> = sets.nals().collect();
    let bytes: usize = nals.iter().map(|nal| nal.len()).sum();
    assert!(bytes <= limits::PARAMETER_SETS_BYTES_MAX, "{bytes} bytes");
    assert!(nals.iter().all(|nal| (1..=limits::PARAMETER_SET_BYTES_MAX).contains(&nal.len())));
    let configuration = sets.decoder_configuration();
    let listed = match sets.codec() {
        Codec::H264 => of_avcc(&configuration),
        Codec::H265 => of_hvcc(&configuration),
    };
    assert_eq!(listed, nals);
    // The one in force is written first, and must be found last.
    let mut collector = Collector::new(sets.codec());
    listed.iter().rev().for_each(|nal| collector.offer(nal));
    let again = collector.current().expect("they are complete");
    assert_eq!((again.picture(), again.mime()), (picture, sets.mime()));
    check_head(sets);
}

/// NAL units of `avcC` (ISO/IEC 14496-15 §5.3.3.1.2).
fn of_avcc(bytes: &[u8]) -> Vec<&[u8]> {
    assert_eq!((bytes[0], bytes[4]), (1, 0xff));
    let mut nals = Vec::new();
    let mut rest = listed(&bytes[6..], bytes[5] & 0x1f, &mut nals);
    rest = listed(&rest[1..], rest[0], &mut nals);
    // Chroma format and depths of the profiles that have them.
    assert!(matches!(rest, [] | [_, _, _, 0]), "{rest:?}");
    nals
}

/// NAL units of `hvcC` (§8.3.3.1.2).
fn of_hvcc(bytes: &[u8]) -> Vec<&[u8]> {
    assert_eq!((bytes[0], bytes[21] & 3), (1, 3));
    let mut nals = Vec::new();
    let mut rest = &bytes[23..];
    for _ in 0..bytes[22] {
        let [kind, 0, count] = rest[..3] else { panic!("{rest:?}") };
        let before = nals.len();
        rest = listed(&rest[3..], count, &mut nals);
        assert!(nals[before..].iter().all(|nal: &&[u8]| nal[0] >> 1 & 0x3f == kind & 0x3f));
    }
    assert!(rest.is_empty());
    nals
}

fn listed<'a>(mut rest: &'a [u8], count: u8, nals: &mut Vec<&'a [u8]>) -> &'a [u8] {
    for _ in 0..count {
        let (nal, after) = rest[2..].split_at(usize::from(rest[0]) * 256 + usize::from(rest[1]));
        nals.push(nal);
        rest = after;
    }
    rest
}

/// A file's head describes them correctly.
fn check_head(sets: &ParameterSets) {
    let mut head = Vec::new();
    let layout = init::write_segment_head(&mut head, sets, None, &files::identity(1));
    let read_at = |buffer: &mut [u8], at| files::read(&head, buffer, at, usize::MAX);
    let read = scan::read_head(&read_at, head.len() as u64).expect("it is ours");
    assert_eq!((read.layout, read.media_begin), (Some(layout), head.len() as u64));
    let video = read.video.expect("it has some");
    assert_eq!((video.codec, video.codecs), (sets.codec(), sets.mime()));
    let size = (u32::from(video.width), u32::from(video.height));
    assert_eq!(size, (sets.picture().width, sets.picture().height));
}
