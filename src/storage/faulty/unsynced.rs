//! What a power cut may take back: sectors, lengths and names changed since they were last synced.
//!
//! A card writes in any order between two flushes, so any of them may have reached it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

pub struct Unsynced {
    files: BTreeMap<u64, Content>,
    /// Counts them.
    count: usize,
    names: Vec<Change>,
    /// Files whose names were removed, by inode.
    removed: TempDir,
}

/// A file by its inode.
struct Content {
    nth: usize,
    path: PathBuf,
    durable: Vec<u8>,
    changes: Vec<Bytes>,
}

enum Bytes {
    /// No more than a sector.
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
}

enum Change {
    Created(PathBuf),
    Removed { path: PathBuf, inode: u64 },
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Change::Created(path) | Change::Removed { path, .. } => path,
        }
    }
}

impl Unsynced {
    pub fn new() -> Unsynced {
        let removed = TempDir::new().unwrap();
        Unsynced { files: BTreeMap::new(), count: 0, names: Vec::new(), removed }
    }

    fn content(&mut self, path: &Path, file: &fs::File) -> &mut Content {
        let metadata = file.metadata().unwrap();
        self.count += 1;
        let nth = self.count;
        self.files.entry(metadata.ino()).or_insert_with(|| {
            let mut durable = vec![0; usize::try_from(metadata.len()).unwrap()];
            file.read_exact_at(&mut durable, 0).unwrap();
            Content { nth, path: path.to_owned(), durable, changes: Vec::new() }
        })
    }

    /// Before a file is written.
    pub fn write(&mut self, path: &Path, file: &fs::File, bytes: &[u8], at: u64) {
        let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
        let content = self.content(path, file);
        let (mut at, mut left) = (usize::try_from(at).unwrap(), bytes);
        while !left.is_empty() {
            let (sector, rest) = left.split_at(left.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
            content.changes.push(Bytes::Write { at, bytes: sector.to_vec() });
            (at, left) = (at + sector.len(), rest);
        }
        if at > len {
            content.changes.push(Bytes::Length(at));
        }
    }

    /// Before its length is set.
    pub fn set_len(&mut self, path: &Path, file: &fs::File, length: u64) {
        let length = usize::try_from(length).unwrap();
        self.content(path, file).changes.push(Bytes::Length(length));
    }

    pub fn synced(&mut self, file: &fs::File) {
        self.files.remove(&file.metadata().unwrap().ino());
    }

    pub fn created(&mut self, path: &Path) {
        self.names.push(Change::Created(path.to_owned()));
    }

    /// Before a name is removed.
    pub fn removed(&mut self, path: &Path) -> io::Result<()> {
        let inode = fs::symlink_metadata(path)?.ino();
        fs::hard_link(path, self.stash(inode))?;
        self.names.push(Change::Removed { path: path.to_owned(), inode });
        if let Some(content) = self.files.get_mut(&inode) {
            content.path = self.removed.path().join(inode.to_string());
        }
        Ok(())
    }

    /// The names in a directory are durable.
    pub fn synced_names(&mut self, directory: &Path) {
        let (synced, left) = std::mem::take(&mut self.names)
            .into_iter()
            .partition(|it| it.path().parent() == Some(directory));
        self.names = left;
        let synced: Vec<Change> = synced;
        for change in synced {
            if let Change::Removed { inode, .. } = change {
                self.files.remove(&inode);
                fs::remove_file(self.stash(inode)).unwrap();
            }
        }
    }

    fn stash(&self, inode: u64) -> PathBuf {
        self.removed.path().join(inode.to_string())
    }

    /// The power is cut: of each change, `survives` says whether it reached the card.
    pub fn cut(&mut self, survives: &mut dyn FnMut() -> bool) {
        // Inodes are the host's, and others in each run.
        let mut files: Vec<_> = std::mem::take(&mut self.files).into_values().collect();
        files.sort_by_key(|file| file.nth);
        for Content { path, mut durable, changes, .. } in files {
            for change in changes {
                match change {
                    _ if !survives() => {}
                    Bytes::Length(length) => durable.resize(length, STALE),
                    Bytes::Write { at, bytes } => {
                        let end = at + bytes.len();
                        durable.resize(durable.len().max(end), STALE);
                        durable[at..end].copy_from_slice(&bytes);
                    }
                }
            }
            fs::write(path, durable).unwrap();
        }
        let mut was_there: BTreeMap<PathBuf, Option<u64>> = BTreeMap::new();
        for change in std::mem::take(&mut self.names) {
            let survived = survives();
            match change {
                Change::Created(path) => {
                    let now = was_there.entry(path.clone()).or_insert(None);
                    let inode = || fs::symlink_metadata(&path).ok().map(|it| it.ino());
                    *now = if survived { inode().or(*now) } else { *now };
                }
                Change::Removed { path, inode } => {
                    let now = was_there.entry(path).or_insert(Some(inode));
                    *now = if survived { None } else { Some(inode) };
                }
            }
        }
        for (path, inode) in was_there {
            let is_there = fs::symlink_metadata(&path).ok().map(|it| it.ino());
            match inode {
                Some(inode) if is_there == Some(inode) => {}
                Some(inode) => fs::rename(self.stash(inode), path).unwrap(),
                None if is_there.is_some() => fs::remove_file(path).unwrap(),
                None => {}
            }
        }
        self.removed = TempDir::new().unwrap();
    }
}

const SECTOR_BYTES: usize = 512;
/// What lies in a sector that was never written.
const STALE: u8 = 0xa5;
