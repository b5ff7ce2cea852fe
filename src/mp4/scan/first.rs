//! The first picture of a file: its parameter sets and sample.
//!
//! Unfragmented files are not supported: neither we nor the old scripts write any.

use super::{
    FileState, What,
    entry::parameter_sets,
    head::{self, Defaults, FileForm, FileHead},
    window::{BoxHeader, ReadAt, ScanError, WINDOW_BYTES, Window, damage},
};
use crate::{
    codec::ParameterSets,
    limits,
    mp4::fragment::{
        BASE_DATA_OFFSET_PRESENT, DATA_OFFSET_PRESENT, DEFAULT_SAMPLE_DURATION_PRESENT,
        DEFAULT_SAMPLE_SIZE_PRESENT, FIRST_SAMPLE_FLAGS_PRESENT, SAMPLE_DESCRIPTION_INDEX_PRESENT,
        SAMPLE_DURATION_PRESENT, SAMPLE_SIZE_PRESENT,
    },
};
use std::sync::Arc;

/// What a decoder needs for it.
#[derive(Debug)]
pub struct First {
    pub parameter_sets: Arc<ParameterSets>,
    /// NAL units, each preceded by its length in 4 bytes.
    pub sample: Vec<u8>,
}

/// Reads the first sample of the video track.
///
/// # Errors
/// Why there is none; never `FileState::Whole`.
pub fn read_first(read_at: ReadAt, len: u64) -> Result<First, FileState> {
    let mut window = Window::new(read_at, len);
    let head = head::read(&mut window)?;
    let video =
        head.video.as_ref().filter(|it| head.form == FileForm::Fragmented && it.length_bytes == 4);
    let parameter_sets = parameter_sets(&mut window, video.ok_or(ScanError::End)?)?;
    let (at, size) = first_sample(&mut window, &head)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > limits::STILL_INPUT_BYTES_MAX || at.saturating_add(size as u64) > len {
        return Err(ScanError::End.into());
    }
    let mut sample = Vec::with_capacity(size);
    window.position = at;
    while sample.len() < size {
        sample.extend_from_slice(window.slice((size - sample.len()).min(WINDOW_BYTES))?);
    }
    Ok(First { parameter_sets, sample })
}

/// The position and size of the first sample of the first fragment.
fn first_sample(window: &mut Window, head: &FileHead) -> Result<(u64, u32), ScanError> {
    window.position = head.media_begin;
    let moof = window.box_header(window.len())?;
    if moof.kind != *b"moof" {
        return Err(damage(moof.begin, What::UnexpectedBox { kind: moof.kind }));
    }
    while window.position < moof.end {
        let header = window.box_header(moof.end)?;
        if header.kind == *b"traf"
            && let Some(found) = sample_of(window, header, moof, head.track)?
        {
            return Ok(found);
        }
        window.position = header.end;
    }
    Err(ScanError::End)
}

fn sample_of(
    window: &mut Window,
    traf: BoxHeader,
    moof: BoxHeader,
    track: Defaults,
) -> Result<Option<(u64, u32)>, ScanError> {
    let (mut base, mut size) = (moof.begin, track.size);
    while window.position < traf.end {
        let header = window.box_header(traf.end)?;
        match &header.kind {
            b"tfhd" => {
                let flags = window.u32()?;
                if window.u32()? != track.id {
                    return Ok(None);
                }
                if flags & BASE_DATA_OFFSET_PRESENT != 0 {
                    base = window.u64()?;
                }
                for before in [SAMPLE_DESCRIPTION_INDEX_PRESENT, DEFAULT_SAMPLE_DURATION_PRESENT] {
                    window.position += if flags & before != 0 { 4 } else { 0 };
                }
                if flags & DEFAULT_SAMPLE_SIZE_PRESENT != 0 {
                    size = window.u32()?;
                }
            }
            b"trun" => {
                let flags = window.u32()?;
                if window.u32()? > 0 && flags & DATA_OFFSET_PRESENT != 0 {
                    let offset = i64::from(window.u32()?.cast_signed());
                    for before in [FIRST_SAMPLE_FLAGS_PRESENT, SAMPLE_DURATION_PRESENT] {
                        window.position += if flags & before != 0 { 4 } else { 0 };
                    }
                    if flags & SAMPLE_SIZE_PRESENT != 0 {
                        size = window.u32()?;
                    }
                    return Ok(Some((base.saturating_add_signed(offset), size)));
                }
            }
            _ => {}
        }
        window.position = header.end;
    }
    Ok(None)
}
