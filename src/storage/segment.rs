//! One segment file: fragments in, durable bytes on the card; and the mending of a file that was
//! not closed.
//!
//! Spec: docs/configuration.md, "What lies on the card". Knows nothing of: which file is next, retention, states.

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
        identity::{Identity, Marks},
        index::Index,
        init::{self, Layout},
        plan::{self, Step},
        scan::{self, Damage, Depth, Head, Scan, State},
    },
    units::Ticks,
};

/// A file that grows by whole fragments; every call may block for seconds.
///
/// ```text
/// create ─▶ append … sync … append ─▶ close        dropped before that: as after a power cut
/// ```
/// Room is taken, and its directory entry made durable, before data is written into it: so a power
/// cut never leaves a file longer than its cluster chain.
pub struct Segment<D: Disk> {
    file: D::File,
    directory: PathBuf,
    layout: Layout,
    index: Index,
    bytes: u64,
    allocated_bytes: u64,
    durable_bytes: u64,
    fragments: u32,
    key_frames: u32,
}

/// What a segment begins with.
pub struct Start<'a> {
    pub parameter_sets: &'a ParameterSets,
    pub audio: Option<&'a AudioFormat>,
    pub identity: &'a Identity,
    /// On FAT, the order of writes is ours to keep.
    pub file_system: FileSystem,
    /// Room to take at once; more is taken in steps, what is left is given back at close.
    pub expected_bytes: u64,
}

/// One fragment, headers and media in one piece.
#[derive(Clone, Copy)]
pub struct Fragment<'a> {
    pub bytes: &'a [u8],
    pub extent: Extent,
}

/// What is known of a file that is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    pub bytes: u64,
    pub duration: Ticks,
    pub fragments: u32,
    pub key_frames: u32,
}

/// How much of a file may be touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    All,
    /// What lies beyond made the card read-only: it is cut off unread.
    UpTo(u64),
}

/// What became of a file that was looked at.
#[derive(Debug)]
pub enum Repaired {
    /// Nothing was written.
    Whole { head: Box<Head>, bytes: u64, duration: Ticks },
    /// Ends now with its last whole fragment; `damage` is what began there, unless it just ended.
    Mended {
        head: Box<Head>,
        bytes: u64,
        removed_bytes: u64,
        duration: Ticks,
        damage: Option<Damage>,
    },
    /// Holds no whole fragment; nothing was written, the caller removes it or sets it aside.
    Empty { bytes: u64, damage: Option<Damage> },
    /// The card refused to read; nothing was read or written after that. Once the card is writable
    /// again, a repair with `Reach::UpTo(whole_bytes)` saves what can be.
    Unreadable { whole_bytes: u64, at: u64, error: io::Error },
}

impl<D: Disk> Segment<D> {
    /// Creates the file, takes its room, and only then writes the head.
    ///
    /// # Errors
    /// The card's, of any step; a file that was begun is removed if the card allows. `AlreadyExists`:
    /// the name is taken, and what it names untouched.
    pub fn create(
        disk: &D,
        path: &Path,
        directory: &Path,
        start: &Start,
    ) -> io::Result<Segment<D>> {
        let mut head = Vec::new();
        let Start { parameter_sets, audio, identity, .. } = *start;
        let layout = init::write_segment_head(&mut head, parameter_sets, audio, identity);
        let head_bytes = head.len() as u64;
        let allocated_bytes = start.expected_bytes.max(head_bytes);
        let file = disk.create(path)?;
        // Written together, a name may reach a card of FAT before the room does that it has got by then, and a name whose
        // room is free turns the card read-only. So there the name comes first.
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
            // Best effort: the first error is the one to tell.
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

    /// Writes a fragment behind the last.
    ///
    /// # Errors
    /// The card's; the fragment is not part of the file then, and the next one takes its place.
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

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// The card's; `durable_bytes` stays.
    pub fn sync(&mut self, disk: &D) -> io::Result<()> {
        disk.sync_data(&self.file)?;
        self.durable_bytes = self.bytes;
        Ok(())
    }

    /// Ends the file: index and durations are filled in, spare room is given back, all is durable.
    ///
    /// # Errors
    /// The card's; the file is then as after a power cut, playable and for [`repair`] to close.
    pub fn close(self, disk: &D) -> io::Result<Summary> {
        carry_out(disk, &self.file, &plan::close(&self.layout, &self.index, self.bytes))?;
        Ok(Summary {
            bytes: self.bytes,
            duration: self.index.duration(),
            fragments: self.fragments,
            key_frames: self.key_frames,
        })
    }

    /// End of the last whole fragment: what a reader may be told is there.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What a power cut would leave, at least.
    pub fn durable_bytes(&self) -> u64 {
        self.durable_bytes
    }

    /// Media time written so far.
    pub fn duration(&self) -> Ticks {
        self.index.duration()
    }

    pub fn file(&self) -> &D::File {
        &self.file
    }
}

/// Looks at a file that may not have been closed and mends it; a second time it changes nothing.
///
/// *Cost*: a read a fragment, and one for most NAL units of the last [`REPAIR_TAIL_BYTES`].
///
/// # Errors
/// The card's, of opening and writing. What reading meets is part of the answer.
pub fn repair<D: Disk>(disk: &D, path: &Path, reach: Reach) -> io::Result<Repaired> {
    let file = disk.open(path, Access::ReadWrite)?;
    let file_bytes = disk.len(&file)?;
    let len = match reach {
        Reach::All => file_bytes,
        Reach::UpTo(bytes) => bytes.min(file_bytes),
    };
    if len < file_bytes {
        carry_out(disk, &file, &[Step::Truncate { length: len }, Step::Sync])?;
    }
    let read_at = |buffer: &mut [u8], offset| disk.read_at(&file, buffer, offset);
    let scan = scan::scan(&read_at, len, Depth::Tail(REPAIR_TAIL_BYTES));
    carry_out(disk, &file, &plan::repair(&scan))?;
    let is_whole = scan.is_whole() && len == file_bytes;
    let Scan { head, state, whole_bytes, fragments, duration, .. } = scan;
    let damage = match state {
        State::Unreadable { at, error } => {
            return Ok(Repaired::Unreadable { whole_bytes, at, error });
        }
        State::Damaged(damage) => Some(damage),
        State::Cut | State::Whole => None,
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

/// The marks of a recording; `None` where it has no place for any.
///
/// # Errors
/// The card's.
pub fn marks<D: Disk>(disk: &D, file: &D::File) -> io::Result<Option<Marks>> {
    Ok(head(disk, file)?.and_then(|head| Some(head.identity?.marks)))
}

/// Changes the marks of a recording, durably: one byte, in a sector that is written as a whole. `None`
/// where it has no place for any.
///
/// # Errors
/// The card's; the marks are the old ones or the new ones then.
pub fn mark<D: Disk>(
    disk: &D,
    file: &D::File,
    change: impl Fn(Marks) -> Marks,
) -> io::Result<Option<Marks>> {
    let Some(Head { identity: Some(identity), flags_at: Some(offset), .. }) = head(disk, file)?
    else {
        return Ok(None);
    };
    let marks = change(identity.marks);
    if marks != identity.marks {
        let bytes = vec![Identity { marks, ..identity }.flags()];
        carry_out(disk, file, &[Step::Write { offset, bytes }, Step::Sync])?;
    }
    Ok(Some(marks))
}

/// `None` where it can not be understood.
fn head<D: Disk>(disk: &D, file: &D::File) -> io::Result<Option<Head>> {
    let read_at = |buffer: &mut [u8], offset| disk.read_at(file, buffer, offset);
    match scan::read_head(&read_at, disk.len(file)?) {
        Ok(head) => Ok(Some(head)),
        Err(State::Unreadable { error, .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Takes the steps of a plan.
///
/// # Errors
/// The card's; no later step is taken.
pub fn carry_out<D: Disk>(disk: &D, file: &D::File, steps: &[Step]) -> io::Result<()> {
    steps.iter().try_for_each(|step| match step {
        Step::Write { offset, bytes } => disk.write_all_at(file, bytes, *offset),
        Step::Truncate { length } => disk.set_len(file, *length),
        Step::Sync => disk.sync_data(file),
    })
}

#[cfg(test)]
mod tests;
