//! One segment file: fragments in, durable bytes on the card; and the repair of files that were not
//! closed.
//!
//! Spec: docs/configuration.md, "Files on the card".
//! Knows nothing of: numbering, retention, the card's state.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::disk::{Access, Disk, FileSystem};
use crate::{
    codec::{AudioFormat, ParameterSets},
    limits::{ALLOCATION_STEP_BYTES, REPAIR_TAIL_BYTES},
    mp4::{
        fragment::Extent,
        identity::{Identity, SegmentMarks},
        index::Index,
        init::{self, HeadLayout},
        plan::{self, PlanStep},
        scan::{self, Damage, Depth, FileHead, FileState, Scan},
    },
    units::Ticks,
};

/// A file that grows by whole fragments. Every call may block for seconds.
///
/// ```text
/// create ─▶ append … sync … append ─▶ close        dropped earlier: as after a power cut
/// ```
/// Space is allocated, and the directory entry made durable, before data is written, so that a
/// power cut never leaves a file longer than its cluster chain.
pub struct Segment<D: Disk> {
    file: D::File,
    directory: PathBuf,
    layout: HeadLayout,
    index: Index,
    bytes: u64,
    allocated_bytes: u64,
    durable_bytes: u64,
    fragments: u32,
    key_frames: u32,
}

/// The beginning of a segment.
pub struct FileStart<'a> {
    pub parameter_sets: &'a ParameterSets,
    pub audio: Option<&'a AudioFormat>,
    pub identity: &'a Identity,
    /// On FAT, we have to keep the order of writes.
    pub file_system: FileSystem,
    /// Space to allocate at once. More is allocated in steps; the rest is freed when the file is
    /// closed.
    pub expected_bytes: u64,
}

/// One fragment: headers and media in one piece.
#[derive(Clone, Copy)]
pub struct Fragment<'a> {
    pub bytes: &'a [u8],
    pub extent: Extent,
}

/// Summary of a closed file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    pub bytes: u64,
    pub duration: Ticks,
    pub fragments: u32,
    pub key_frames: u32,
}

/// How much of a file may be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    All,
    /// Reading beyond this made the card read-only: the rest is cut off unread.
    UpTo(u64),
}

/// The result of checking a file.
#[derive(Debug)]
pub enum Repaired {
    /// Nothing was written.
    Whole { head: Box<FileHead>, bytes: u64, duration: Ticks },
    /// It now ends after its last complete fragment; `damage` is what followed, unless the file
    /// simply ended.
    Mended {
        head: Box<FileHead>,
        bytes: u64,
        removed_bytes: u64,
        duration: Ticks,
        damage: Option<Damage>,
    },
    /// There is no complete fragment. Nothing was written; the caller removes the file or sets it
    /// aside.
    Empty { bytes: u64, damage: Option<Damage> },
    /// The card refused to read; nothing was read or written after that. Once the card is writable
    /// again, a repair with `Reach::UpTo(whole_bytes)` saves what it can.
    Unreadable { whole_bytes: u64, at: u64, error: io::Error },
}

impl<D: Disk> Segment<D> {
    /// Creates the file, allocates its space, and then writes the head.
    ///
    /// # Errors
    /// Any error of the card; a file already created is removed if the card allows.
    /// `AlreadyExists`: the name is taken, and that file untouched.
    pub fn create(
        disk: &D,
        path: &Path,
        directory: &Path,
        start: &FileStart,
    ) -> io::Result<Segment<D>> {
        let mut head = Vec::new();
        let FileStart { parameter_sets, audio, identity, .. } = *start;
        let layout = init::write_segment_head(&mut head, parameter_sets, audio, identity);
        let head_bytes = head.len() as u64;
        let allocated_bytes = start.expected_bytes.max(head_bytes);
        let file = disk.create(path)?;
        // If both are written together, a FAT card may get the name before the space it refers to,
        // and a name that refers to free space turns the card read-only. So the name is synced
        // first.
        let name_first = match start.file_system {
            FileSystem::Fat => disk.sync_directory(directory),
            FileSystem::Other => Ok(()),
        };
        let written = name_first
            .and_then(|()| disk.allocate(&file, allocated_bytes))
            .and_then(|()| disk.sync_directory(directory))
            .and_then(|()| disk.write_all_at(&file, &head, 0));
        if let Err(error) = written {
            drop(file);
            // Best effort: the first error is the one to report.
            let _ = disk.remove(path).and_then(|()| disk.sync_directory(directory));
            return Err(error);
        }
        Ok(Segment {
            file,
            directory: directory.to_owned(),
            layout,
            index: Index::new(),
            bytes: head_bytes,
            allocated_bytes,
            durable_bytes: 0,
            fragments: 0,
            key_frames: 0,
        })
    }

    /// Writes a fragment after the last one.
    ///
    /// # Errors
    /// Any error of the card; the fragment is then not part of the file, and the next one takes its
    /// place.
    pub fn append(&mut self, disk: &D, fragment: &Fragment) -> io::Result<()> {
        let end = self.bytes + fragment.bytes.len() as u64;
        while end > self.allocated_bytes {
            let length = self.allocated_bytes + ALLOCATION_STEP_BYTES;
            disk.allocate(&self.file, length)?;
            disk.sync_directory(&self.directory)?;
            self.allocated_bytes = length;
        }
        disk.write_all_at(&self.file, fragment.bytes, self.bytes)?;
        self.bytes = end;
        self.index.push(fragment.bytes.len() as u64, fragment.extent);
        self.fragments = self.fragments.saturating_add(1);
        if fragment.extent.opens_on.is_key() {
            self.key_frames = self.key_frames.saturating_add(1);
        }
        Ok(())
    }

    /// Makes all fragments appended so far durable.
    ///
    /// # Errors
    /// Any error of the card; `durable_bytes` is unchanged.
    pub fn sync(&mut self, disk: &D) -> io::Result<()> {
        disk.sync_data(&self.file)?;
        self.durable_bytes = self.bytes;
        Ok(())
    }

    /// Closes the file: writes index and durations, frees unused space, and makes everything
    /// durable.
    ///
    /// # Errors
    /// Any error of the card; the file is then as after a power cut: playable, and [`repair`] can
    /// close it.
    pub fn close(self, disk: &D) -> io::Result<Summary> {
        carry_out(disk, &self.file, &plan::close(&self.layout, &self.index, self.bytes))?;
        Ok(Summary {
            bytes: self.bytes,
            duration: self.index.duration(),
            fragments: self.fragments,
            key_frames: self.key_frames,
        })
    }

    /// The end of the last complete fragment, up to which the file may be read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes that would at least survive a power cut.
    pub fn durable_bytes(&self) -> u64 {
        self.durable_bytes
    }

    /// Returns the media time written so far.
    pub fn duration(&self) -> Ticks {
        self.index.duration()
    }

    pub fn file(&self) -> &D::File {
        &self.file
    }
}

/// Checks a file that may not have been closed, and repairs it. Repeating this changes nothing.
///
/// *Cost*: one read per fragment, and one for most NAL units of the last [`REPAIR_TAIL_BYTES`].
///
/// # Errors
/// Any error of opening or writing. Read errors are part of the result.
pub fn repair<D: Disk>(disk: &D, path: &Path, reach: Reach) -> io::Result<Repaired> {
    let file = disk.open(path, Access::ReadWrite)?;
    let file_bytes = disk.len(&file)?;
    let len = match reach {
        Reach::All => file_bytes,
        Reach::UpTo(bytes) => bytes.min(file_bytes),
    };
    if len < file_bytes {
        carry_out(disk, &file, &[PlanStep::Truncate { length: len }, PlanStep::Sync])?;
    }
    let read_at = |buffer: &mut [u8], offset| disk.read_at(&file, buffer, offset);
    let scan = scan::scan(&read_at, len, Depth::Tail(REPAIR_TAIL_BYTES));
    carry_out(disk, &file, &plan::repair(&scan))?;
    let is_whole = scan.is_whole() && len == file_bytes;
    let Scan { head, state, whole_bytes, fragments, duration, .. } = scan;
    let damage = match state {
        FileState::Unreadable { at, error } => {
            return Ok(Repaired::Unreadable { whole_bytes, at, error });
        }
        FileState::Damaged(damage) => Some(damage),
        FileState::Cut | FileState::Whole => None,
    };
    Ok(match head.map(Box::new) {
        Some(head) if is_whole => Repaired::Whole { head, bytes: len, duration },
        Some(head) if fragments > 0 => {
            let removed_bytes = file_bytes - whole_bytes;
            Repaired::Mended { head, bytes: whole_bytes, removed_bytes, duration, damage }
        }
        _ => Repaired::Empty { bytes: len, damage },
    })
}

/// Returns the marks of a recording; `None` if it has no place for marks.
///
/// # Errors
/// Any error of the card.
pub fn marks<D: Disk>(disk: &D, file: &D::File) -> io::Result<Option<SegmentMarks>> {
    Ok(head(disk, file)?.and_then(|head| Some(head.identity?.marks)))
}

/// Changes the marks of a recording durably: one byte, in a sector written as a whole. Returns
/// `None` if it has no place for marks.
///
/// # Errors
/// Any error of the card; the marks are then either the old or the new ones.
pub fn mark<D: Disk>(
    disk: &D,
    file: &D::File,
    change: impl Fn(SegmentMarks) -> SegmentMarks,
) -> io::Result<Option<SegmentMarks>> {
    let Some(FileHead { identity: Some(identity), flags_at: Some(offset), .. }) = head(disk, file)?
    else {
        return Ok(None);
    };
    let marks = change(identity.marks);
    if marks != identity.marks {
        let bytes = vec![Identity { marks, ..identity }.flags()];
        carry_out(disk, file, &[PlanStep::Write { offset, bytes }, PlanStep::Sync])?;
    }
    Ok(Some(marks))
}

/// Reads a file's head; `None` if it cannot be parsed.
fn head<D: Disk>(disk: &D, file: &D::File) -> io::Result<Option<FileHead>> {
    let read_at = |buffer: &mut [u8], offset| disk.read_at(file, buffer, offset);
    match scan::read_head(&read_at, disk.len(file)?) {
        Ok(head) => Ok(Some(head)),
        Err(FileState::Unreadable { error, .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Carries out the steps of a plan.
///
/// # Errors
/// Any error of the card; later steps are not carried out.
pub fn carry_out<D: Disk>(disk: &D, file: &D::File, steps: &[PlanStep]) -> io::Result<()> {
    steps.iter().try_for_each(|step| match step {
        PlanStep::Write { offset, bytes } => disk.write_all_at(file, bytes, *offset),
        PlanStep::Truncate { length } => disk.set_len(file, *length),
        PlanStep::Sync => disk.sync_data(file),
    })
}

#[cfg(test)]
mod tests;
