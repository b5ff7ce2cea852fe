//! What H.264 allows beyond what most cameras send: fields, several slices and references, lossless
//! and PCM blocks, cropping, sets that change, key frames that never come. Every VCL NAL unit is
//! stored in order, and FFmpeg decodes the recording to the pictures of the stream.

use crate::support::{Nvr, SHORT_SEGMENTS, assert_all_whole, mp4, record_to_the_end, vcl};
use camera::{Camera, Clip, Codec, Options, Speed};
use std::{fmt::Write as _, path::Path, process::Command};

const GROUP: usize = 20;

/// Two seconds by x264, as a raw stream; no two pictures alike.
fn encoded(size: &str, parameters: &str, more: &[&str]) -> Vec<u8> {
    let parameters =
        format!("keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=0:threads=1:{parameters}");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-t", "2"])
        .args(["-i", &format!("testsrc2=size={size}:rate=25")])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1"])
        .args(more)
        .args(["-x264-params", &parameters, "-f", "h264", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The hashes of all pictures that FFmpeg makes of a file.
fn pictures(file: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// Records a stream whose pictures, or fields, have times so many ticks apart.
fn records(stream: &[u8], ticks: usize) {
    let mut times = String::new();
    let count = (1..).find(|count| {
        writeln!(times, "{}", (count - 1) * ticks).unwrap();
        Clip::new(Codec::H264, stream, &times).is_ok()
    });
    let clip = Clip::new(Codec::H264, stream, &times).unwrap();
    let frames = count.unwrap() as u64;
    let options = Options { frames: Some(frames), speed: Speed::Times(2.0), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, frames);
    assert_all_whole(&nvr.recordings());
    let movies: Vec<_> = nvr.files().iter().map(|file| mp4::read(file).unwrap()).collect();
    let samples = movies.iter().flat_map(|movie| &movie.samples);
    let stored: Vec<&[u8]> = samples.flat_map(|it| vcl(Codec::H264, &it.nals)).collect();
    let units = clip.access_units().iter();
    let sent: Vec<&[u8]> = units.flat_map(|it| vcl(Codec::H264, &it.nals)).collect();
    assert!(stored == sent, "{} of {} NAL units\n{}", stored.len(), sent.len(), nvr.log());
    let source = nvr.directory.path().join("source.h264");
    std::fs::write(&source, stream).unwrap();
    let decoded: Vec<String> = nvr.files().iter().flat_map(|file| pictures(file)).collect();
    let expected = pictures(&source);
    assert!(expected.len() > 20, "{}", expected.len());
    assert_eq!(decoded, expected);
}

#[test]
fn frames_whose_blocks_are_of_fields() {
    let fields = ["-flags", "+ilme+ildct"];
    records(&encoded("320x240", "interlaced=1:tff=1:slices=3:ref=3", &fields), 3600);
}

#[test]
fn several_slices_and_references() {
    records(&encoded("320x240", "slices=7:ref=8:weightp=2:mixed-refs=1", &[]), 3600);
}

#[test]
fn lossless_blocks() {
    records(&encoded("176x144", "qp=0:cabac=0", &[]), 3600);
}

/// A picture of 20 by 15 blocks of which the edge is cut off, coded in one way and then in another.
#[test]
fn cropping_with_a_picture_set_that_changes() {
    let [first, second] = ["cabac=1:weightp=1", "cabac=0:weightp=0:8x8dct=0"].map(|coding| {
        encoded("318x238", &format!("{coding}:no-deblock=1"), &["-profile:v", "main"])
    });
    records(&[first.clone(), second, first].concat(), 3600);
}

/// The second group has none: references to it were sent by the camera, and stay.
#[test]
fn a_key_frame_that_the_camera_leaves_out() {
    let stream = encoded("320x240", "ref=1", &[]);
    let starts: Vec<usize> =
        (0..stream.len() - 4).filter(|at| stream[*at..].starts_with(&[0, 0, 1])).collect();
    let keys: Vec<usize> = starts.iter().copied().filter(|at| stream[at + 3] & 0x1f == 5).collect();
    let end = starts.iter().copied().find(|at| *at > keys[1]).unwrap();
    records(&[&stream[..keys[1]], &stream[end..]].concat(), 3600);
}

/// Frames and pairs of fields by turns, each field with a time and a marker bit of its own.
#[test]
fn pairs_of_fields_among_frames() {
    let mut stream = [nal(0x67, sequence_set()), nal(0x68, picture_set())].concat();
    for picture in 0..48 {
        let order = picture % 8;
        let of_fields = picture % 3 != 1;
        let key = |field: u32| order == 0 && field == 0;
        for field in 0..if of_fields { 2 } else { 1 } {
            let is_inter = order > 0 && picture % 5 == 3 || field == 1 && picture % 2 == 1;
            for slice in 0..2 {
                let it = Slice {
                    key: key(field).then_some(picture / 8 % 2),
                    field: of_fields.then_some(field),
                    order,
                    is_inter,
                    first: slice * if of_fields { 1 } else { 2 },
                    seed: 64 * picture + 8 * field + slice,
                };
                stream.extend(nal(if it.key.is_some() { 0x65 } else { 0x61 }, it.bits()));
            }
        }
    }
    records(&stream, 1800);
}

/// One of the two slices of a picture of 2 by 2 blocks, or of a field of 2.
struct Slice {
    /// `idr_pic_id` of an IDR picture.
    key: Option<u32>,
    /// 0: top, 1: bottom.
    field: Option<u32>,
    /// The place of its frame in the group.
    order: u32,
    /// All blocks are those of the picture before it; else each is PCM.
    is_inter: bool,
    first: u32,
    seed: u32,
}

impl Slice {
    fn bits(&self) -> Bits {
        let mut bits = Bits::default();
        bits.codes(&[self.first, if self.is_inter { 5 } else { 7 }, 0]);
        bits.push(4, self.order); // frame_num
        bits.push(1, u32::from(self.field.is_some()));
        if let Some(field) = self.field {
            bits.push(1, field);
        }
        if let Some(key) = self.key {
            bits.codes(&[key]);
        }
        bits.push(8, 2 * self.order + self.field.unwrap_or(0)); // pic_order_cnt_lsb
        if self.is_inter {
            bits.push(2, 0); // number and order of references as usual
        }
        bits.push(if self.key.is_some() { 2 } else { 1 }, 0); // dec_ref_pic_marking
        bits.codes(&[0]); // slice_qp_delta
        let blocks = if self.field.is_some() { 1 } else { 2 };
        if self.is_inter {
            bits.codes(&[blocks]); // mb_skip_run
            return bits;
        }
        for block in 0..blocks {
            bits.codes(&[25]); // I_PCM
            bits.align();
            let sample = |at: u32| 1 + (self.seed * 37 + block * 101 + at * 7) % 250;
            (0..384).for_each(|at| bits.push(8, sample(at)));
        }
        bits
    }
}

/// Main profile, fields or frames of 2 by 2 blocks, two references.
fn sequence_set() -> Bits {
    let mut bits = Bits::default();
    [77, 0, 30].into_iter().for_each(|byte| bits.push(8, byte));
    bits.codes(&[0, 0, 0, 4, 2]); // id, frame_num of 4 bits, order count of 8
    bits.push(1, 0);
    bits.codes(&[1, 0]);
    bits.push(5, 0b00100); // frame_mbs_only, mb_adaptive, direct_8x8, no cropping, no VUI
    bits
}

fn picture_set() -> Bits {
    let mut bits = Bits::default();
    bits.codes(&[0, 0]);
    bits.push(2, 0); // CAVLC
    bits.codes(&[0, 0, 0]);
    bits.push(3, 0);
    bits.codes(&[0, 0, 0]);
    bits.push(3, 0);
    bits
}

#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn push(&mut self, count: u32, value: u32) {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// Exp-Golomb codes, in which 0 is also the signed 0.
    fn codes(&mut self, values: &[u32]) {
        for value in values {
            let length = (value + 1).ilog2();
            self.push(length, 0);
            self.push(length + 1, value + 1);
        }
    }

    fn align(&mut self) {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(false);
        }
    }
}

/// A start code and a NAL unit, with its stop bit and what keeps start codes out.
fn nal(header: u8, mut bits: Bits) -> Vec<u8> {
    bits.push(1, 1);
    bits.align();
    let mut out = vec![0, 0, 0, 1, header];
    for byte in
        bits.0.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)))
    {
        if byte <= 3 && out.len() > 6 && out.ends_with(&[0, 0]) {
            out.push(3);
        }
        out.push(byte);
    }
    out
}
