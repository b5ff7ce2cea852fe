//! Plans: what to write, in which order, to close a segment or to repair one that was not closed.
//!
//! The steps are data, so that the writer, the repair at start-up and `verify --repair` share them,
//! and a test can stop after each. Wherever they stop, the file plays.
//! Spec: the diagram in `mp4`.
//! Knows nothing of: files.

use super::{
    BOX_HEADER_BYTES, boxed,
    identity::Identity,
    index::{Index, SIDX_BYTES_MIN},
    init::HeadLayout,
    put_u32,
    scan::{FileState, Scan, Spare},
};

/// One step; each is completed before the next starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlanStep {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    /// Frees what lies beyond.
    Truncate {
        length: u64,
    },
    /// Makes everything written so far durable.
    Sync,
}

/// Closes a segment whose last fragment ends at `end`.
///
/// The index is written inside the reserved `free` box and synced, together with the durations and
/// all media; then four bytes make the box shorter, which makes the index visible.
///
/// Unused space is freed last, when little else is left to write: on FAT the new end of the file
/// must not reach the card after the space behind it was freed there.
pub fn close(layout: &HeadLayout, index: &Index, end: u64) -> Vec<PlanStep> {
    let duration = u32::try_from(index.duration().0).unwrap_or(u32::MAX).to_be_bytes();
    let mut steps = Vec::new();
    for offset in layout.durations.into_iter().flatten() {
        steps.push(PlanStep::Write { offset, bytes: duration.to_vec() });
    }
    let reserve_bytes = layout.reserve.end.saturating_sub(layout.reserve.start);
    let room = usize::try_from(reserve_bytes).unwrap_or(0).saturating_sub(BOX_HEADER_BYTES);
    let sidx = index.sidx(room);
    if let Some(sidx) = &sidx {
        let offset = layout.reserve.end - sidx.len() as u64; // at most `room`
        steps.push(PlanStep::Write { offset, bytes: sidx.clone() });
    }
    if let Some(sidx) = sidx {
        steps.push(PlanStep::Sync);
        steps.push(free_size(layout, reserve_bytes - sidx.len() as u64));
    }
    steps.extend([PlanStep::Truncate { length: end }, PlanStep::Sync]);
    steps
}

/// Repairs a scanned file: trims it to the last complete fragment and, for our own files, writes
/// index and durations. There are no steps if it is complete, unreadable, or has no complete
/// fragment.
pub fn repair(scan: &Scan) -> Vec<PlanStep> {
    if matches!(scan.state, FileState::Whole | FileState::Unreadable { .. }) || scan.fragments == 0
    {
        return Vec::new();
    }
    let length = scan.whole_bytes;
    let Some(layout) = scan.head.as_ref().and_then(|head| head.layout.as_ref()) else {
        return vec![PlanStep::Truncate { length }, PlanStep::Sync];
    };
    // An index that refers to removed data is hidden before another is written in its place.
    let mut steps = Vec::new();
    if scan.head.as_ref().is_some_and(|head| head.indexed_end.is_some()) {
        steps.push(free_size(layout, layout.reserve.end - layout.reserve.start));
        steps.push(PlanStep::Sync);
    }
    steps.extend(close(layout, &scan.index, length));
    steps
}

/// Turns a file that FFmpeg is writing into ours: the space that FFmpeg was made to leave at the
/// end of its `moov` becomes an identity and the reserve of [`close`]. There are no steps if the
/// space is too small.
///
/// First both are written inside `moov`, where players ignore them; then four bytes make `moov` end
/// before them.
pub fn claim(spare: &Spare, identity: &Identity) -> Vec<PlanStep> {
    let mut bytes = Vec::new();
    identity.write(&mut bytes);
    let room = usize::try_from(spare.room.end - spare.room.start).unwrap_or(0);
    let Some(reserve) = room.checked_sub(bytes.len()) else { return Vec::new() };
    let Some(empty) = reserve.checked_sub(BOX_HEADER_BYTES) else { return Vec::new() };
    if empty < SIDX_BYTES_MIN {
        return Vec::new();
    }
    boxed(&mut bytes, b"free", |out| out.resize(out.len() + empty, 0));
    let mut size = Vec::with_capacity(4);
    put_u32(&mut size, u32::try_from(spare.room.start - spare.movie).unwrap_or(u32::MAX));
    vec![
        PlanStep::Write { offset: spare.room.start, bytes },
        PlanStep::Sync,
        PlanStep::Write { offset: spare.movie, bytes: size },
    ]
}

fn free_size(layout: &HeadLayout, size: u64) -> PlanStep {
    let mut bytes = Vec::with_capacity(4);
    put_u32(&mut bytes, u32::try_from(size).unwrap_or(u32::MAX));
    PlanStep::Write { offset: layout.reserve.start, bytes }
}
