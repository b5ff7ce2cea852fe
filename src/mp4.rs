//! MP4: the files we write, and how they are read back.
//!
//! Parameter sets, audio formats, frame sizes and times in; box bytes, and plans of what to write
//! where, out.
//! Spec: ISO/IEC 14496-12 (boxes), 14496-14 (`mp4a`), 14496-15 (`avc1`, `hvc1`).
//! Knows nothing of: files, the card.
//!
//! The sample entry is `avc1` or `hvc1` and contains the parameter sets. If a camera's sets keep
//! changing, samples contain some as well (`codec::Collector`), which 14496-15 §5.4.2.1 and
//! §8.4.1.1 reserve for `avc3` and `hev1`. The name stays nevertheless: FFmpeg, VLC and Chromium
//! read sets in samples under either name, but Safari plays neither `avc3` nor `hev1` files. A
//! sample with sets is complete as §5.4.3.2 requires for `avc3`: a sync sample is preceded by
//! everything needed from there on, always in front of the picture.
//!
//! ```text
//! ftyp                          iso5, iso6, mp41
//! moov
//! ├─ mvhd                       duration: 0, filled in at close like the three below
//! ├─ trak
//! │  ├─ tkhd                    track 1, picture size as shown, duration
//! │  └─ mdia
//! │     ├─ mdhd                 90,000 ticks a second, duration
//! │     ├─ hdlr                 vide
//! │     └─ minf
//! │        ├─ vmhd
//! │        ├─ dinf ─ dref ─ url
//! │        └─ stbl
//! │           ├─ stsd ─ avc1 ─ avcC, pasp      (or hvc1 ─ hvcC)
//! │           └─ stts stsc stsz stco           empty: the samples lie in fragments
//! ├─ trak                       the same for sound, where there is some: track 2, smhd, the RTP
//! │                             clock's ticks, stsd ─ mp4a ─ esds (or Opus ─ dOps; ulaw, alaw)
//! └─ mvex
//!    ├─ mehd                    duration (not in a live init segment)
//!    └─ trex                    a track each: samples of video are no key frames unless their run
//!                               says so
//! uuid                          whose recording this is (not live, like the next two)
//! free                          reserved; at close its tail becomes
//! sidx                          the index, which ends where the first moof begins
//! moof                          ┐
//! ├─ mfhd                       │
//! └─ traf ─ tfhd, tfdt, trun    │ a fragment; as many as there are; sound has a traf of its own
//! mdat                          ┘ NAL units, each behind its length in 4 bytes; then the sound
//! ```

pub mod fragment;
pub mod identity;
pub mod index;
pub mod init;
pub mod plan;
#[cfg(test)]
pub(crate) mod samples;
pub mod scan;

/// Ticks per second of all our files, for movie and media.
pub const TIMESCALE: u32 = 90_000;
/// The video track of our files.
pub const TRACK_ID: u32 = 1;
/// Their sound track, if they have one.
pub const AUDIO_TRACK_ID: u32 = 2;
/// The type of our `uuid` box (ISO/IEC 14496-12 §11.1), which contains an [`identity::Identity`].
pub const IDENTITY_UUID: [u8; 16] = [
    0x5e, 0x1c, 0x0b, 0x4e, 0x6d, 0x3a, 0x4f, 0x58, 0x9b, 0x27, b's', b'm', b'o', b'l', b'n', b'v',
];

/// Appends a box: its size, its `kind`, and what `content` appends.
///
/// # Panics
/// If the content reaches 4 GiB; ours stays under some KB.
pub fn boxed(out: &mut Vec<u8>, kind: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    content(out);
    fill_in_size(out, begin);
}

/// Appends a box that starts with a version and flags (`FullBox`, ISO/IEC 14496-12 §4.2).
pub fn full_boxed(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    content: impl FnOnce(&mut Vec<u8>),
) {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    put_u32(out, u32::from(version) << 24 | flags);
    content(out);
    fill_in_size(out, begin);
}

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn fill_in_size(out: &mut [u8], begin: usize) {
    let size = u32::try_from(out.len() - begin).expect("no box of ours reaches 4 GiB");
    out[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
}

/// Version and flags of a `FullBox`.
pub(crate) const FULL_BOX_BYTES: usize = 4;
/// Size and kind of a box.
pub(crate) const BOX_HEADER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_knows_its_size_and_that_of_the_boxes_in_it() {
        let mut out = vec![0xaa];
        boxed(&mut out, b"traf", |out| full_boxed(out, b"tfdt", 1, 2, |out| put_u16(out, 7)));
        assert_eq!(out, b"\xaa\0\0\0\x16traf\0\0\0\x0etfdt\x01\0\0\x02\0\x07");
    }
}
