//! Reads sample entries: the codec, and its `codecs` parameter for browsers.

use super::window::{BoxHeader, ScanError, WINDOW_BYTES, Window};
use crate::codec::{Codec, Collector, ParameterSets, audio::mime_of_entry};
use std::sync::Arc;

/// The content of a track.
pub(super) enum TrackContent {
    Video(VideoEntry),
    /// Its part of the `codecs` parameter, if it has one.
    Audio {
        codecs: Option<String>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoEntry {
    pub codec: Codec,
    /// As from `codec::mime`, including the sound: `avc1.640028,mp4a.40.2`.
    pub codecs: String,
    pub width: u16,
    pub height: u16,
    /// Bytes of the length before each NAL unit, 1 to 4.
    pub(super) length_bytes: u8,
    /// The position of the payload of `avcC` or `hvcC` in the file.
    pub(super) configuration: u64,
}

/// Reads the first sample entry if it is sound, or H.264 or H.265 with a configuration.
pub(super) fn read(
    window: &mut Window,
    stsd: BoxHeader,
) -> Result<Option<TrackContent>, ScanError> {
    window.position = stsd.body + 8;
    if window.position + 8 > stsd.end {
        return Ok(None);
    }
    let entry = window.box_header(stsd.end)?;
    let (codec, configuration_kind) = match &entry.kind {
        b"avc1" | b"avc3" => (Codec::H264, *b"avcC"),
        b"hvc1" | b"hev1" => (Codec::H265, *b"hvcC"),
        b"mp4a" | b"Opus" | b"ulaw" | b"alaw" => return read_audio(window, entry).map(Some),
        _ => return Ok(None),
    };
    window.position = entry.body + 24;
    let (width, height) = (window.u16()?, window.u16()?);
    window.position = entry.body + 78;
    while window.position + 8 <= entry.end {
        let header = window.box_header(entry.end)?;
        let fixed_bytes = if codec == Codec::H264 { 5 } else { 23 };
        if header.kind == configuration_kind && header.end - header.body >= fixed_bytes {
            let (codecs, lengths) = match codec {
                Codec::H264 => {
                    let configuration = window.array()?;
                    (avc_codecs(entry.kind, &configuration), configuration[4])
                }
                Codec::H265 => {
                    let configuration = window.array()?;
                    (hevc_codecs(entry.kind, &configuration), configuration[21])
                }
            };
            let length_bytes = (lengths & 3) + 1;
            let video = VideoEntry {
                codec,
                codecs,
                width,
                height,
                length_bytes,
                configuration: header.body,
            };
            return Ok(Some(TrackContent::Video(video)));
        }
        window.position = header.end;
    }
    Ok(None)
}

/// ISO/IEC 14496-12 §12.2.3, 14496-14 §5.6.
fn read_audio(window: &mut Window, entry: BoxHeader) -> Result<TrackContent, ScanError> {
    window.position = entry.body + 28;
    let mut codecs = mime_of_entry(&entry.kind, None);
    while window.position + 8 <= entry.end {
        let header = window.box_header(entry.end)?;
        if header.kind == *b"esds" {
            let count = usize::try_from(header.end - header.body).unwrap_or(usize::MAX);
            let esds = window.slice(count.min(ESDS_BYTES_MAX))?;
            codecs = mime_of_entry(&entry.kind, Some(esds));
            break;
        }
        window.position = header.end;
    }
    Ok(TrackContent::Audio { codecs })
}

/// Those of the decoder's configuration (ISO/IEC 14496-15 §5.3.3.1, §8.3.3.1).
pub(super) fn parameter_sets(
    window: &mut Window,
    video: &VideoEntry,
) -> Result<Arc<ParameterSets>, ScanError> {
    let mut collector = Collector::new(video.codec);
    window.position = video.configuration + if video.codec == Codec::H264 { 5 } else { 22 };
    let arrays = match video.codec {
        Codec::H264 => 2,
        Codec::H265 => window.u8()?,
    };
    for _ in 0..arrays {
        let count = match video.codec {
            Codec::H264 => u16::from(window.u8()? & 0x1f),
            Codec::H265 => {
                window.u8()?; // NAL_unit_type
                window.u16()?
            }
        };
        for _ in 0..count {
            let length = usize::from(window.u16()?);
            if length > WINDOW_BYTES {
                return Err(ScanError::End);
            }
            collector.offer(window.slice(length)?);
        }
    }
    collector.current().ok_or(ScanError::End)
}

/// RFC 6381 §3.3: profile, constraints, level.
fn avc_codecs(kind: [u8; 4], avcc: &[u8; 5]) -> String {
    format!("{}.{:02X}{:02X}{:02X}", kind.escape_ascii(), avcc[1], avcc[2], avcc[3])
}

/// ISO/IEC 14496-15 §E.3: profile, compatibility in reverse, tier and level, constraints.
fn hevc_codecs(kind: [u8; 4], hvcc: &[u8; 23]) -> String {
    let space = ["", "A", "B", "C"][usize::from(hvcc[1] >> 6)];
    let tier = if hvcc[1] & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([hvcc[2], hvcc[3], hvcc[4], hvcc[5]]).reverse_bits();
    let mut codecs = format!(
        "{}.{space}{}.{compatibility:X}.{tier}{}",
        kind.escape_ascii(),
        hvcc[1] & 0x1f,
        hvcc[12]
    );
    let constraints = &hvcc[6..12];
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        codecs.push_str(&format!(".{byte:X}"));
    }
    codecs
}

/// How much of an `esds` is read: its descriptors up to the decoder configuration take about 50
/// bytes.
const ESDS_BYTES_MAX: usize = 256;
