//! A disk for tests: real files in a folder of their own, and a fault wherever one is wanted.

mod unsynced;

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use tempfile::TempDir;

use self::unsynced::Unsynced;
use super::disk::{
    Access, Disk, FileSystem, Kind, Mount, RequireMount, Space,
    linux::{LinuxDisk, OpenFolder},
};
use crate::units::WallTime;

/// Clones share the folder, the faults and the log.
#[derive(Clone)]
pub struct FaultyDisk {
    folder: Arc<TempDir>,
    script: Arc<Mutex<Script>>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

struct Script {
    mount: Mount,
    file_system: FileSystem,
    /// Bytes of the file system; what its files fill is not free.
    total: u64,
    faults: Vec<Fault>,
    /// Of this file, reading from here on fails, and the card is the third from then on.
    unreadable: Option<(String, u64, Mount)>,
    log: Vec<String>,
    reads: usize,
    /// Calls that change something until all fail.
    changes_left: Option<usize>,
    /// Where a power cut is to take back what was not synced.
    unsynced: Option<Unsynced>,
}

struct Fault {
    /// The beginning of the calls' names, as they are logged.
    call: String,
    errno: i32,
    /// Calls that go well before it.
    skip: usize,
    times: usize,
    /// What the card is from then on.
    then: Option<Mount>,
}

/// Where a stalled call waits.
#[derive(Default)]
struct Gate {
    stalls: Option<&'static str>,
    is_waiting: bool,
}

pub struct FaultyFile {
    path: PathBuf,
    file: fs::File,
    script: Arc<Mutex<Script>>,
}

/// Closing a file is a call as well: on FAT, what was deleted gives its room back then.
impl Drop for FaultyFile {
    fn drop(&mut self) {
        let name = self.path.file_name().unwrap_or_default().display().to_string();
        if !self.path.exists()
            && let Ok(mut script) = self.script.lock()
        {
            script.log.push(format!("close {name}"));
        }
    }
}

pub const ENOENT: i32 = 2;
pub const EIO: i32 = 5;
pub const EDQUOT: i32 = 122;
pub const EROFS: i32 = 30;
pub const ENOSPC: i32 = 28;
pub const ALWAYS: usize = usize::MAX;

impl FaultyDisk {
    pub fn new() -> FaultyDisk {
        FaultyDisk {
            folder: Arc::new(TempDir::new().unwrap()),
            script: Arc::new(Mutex::new(Script {
                mount: Mount::Writable,
                file_system: FileSystem::Other,
                total: 32 << 30,
                faults: Vec::new(),
                unreadable: None,
                log: Vec::new(),
                reads: 0,
                changes_left: None,
                unsynced: None,
            })),
            gate: Arc::default(),
        }
    }

    /// The storage path.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }

    pub fn set_mount(&self, mount: Mount) {
        self.script().mount = mount;
    }

    pub fn set_file_system(&self, file_system: FileSystem) {
        self.script().file_system = file_system;
    }

    pub fn set_total(&self, bytes: u64) {
        self.script().total = bytes;
    }

    /// Lets calls whose log line begins with `call` fail, `times` of them after `skip` good ones.
    pub fn fail(&self, call: &str, errno: i32, skip: usize, times: usize) {
        self.script().faults.push(Fault { call: call.into(), errno, skip, times, then: None });
    }

    /// Lets the next such call fail, and the card be `then` from there on.
    pub fn fail_and_be(&self, call: &str, errno: i32, then: Mount) {
        let fault = Fault { call: call.into(), errno, skip: 0, times: 1, then: Some(then) };
        self.script().faults.push(fault);
    }

    /// Lets every read of a file behind `offset` fail, and the card be `then` from there on.
    pub fn fail_reads_from(&self, file: &str, offset: u64, then: Mount) {
        self.script().unreadable = Some((file.into(), offset, then));
    }

    /// Takes all faults back; the mount stays as it is.
    pub fn heal(&self) {
        let mut script = self.script();
        script.faults.clear();
        script.changes_left = None;
        script.unreadable = None;
    }

    /// From now on, what is not synced may be lost by [`FaultyDisk::cut_power`].
    pub fn watch_syncs(&self) {
        self.script().unsynced = Some(Unsynced::new());
    }

    /// Of each change that was not synced, `survives` says whether it reached the card. No open
    /// file may be used any more.
    pub fn cut_power(&self, survives: &mut dyn FnMut() -> bool) {
        self.script().unsynced.iter_mut().for_each(|it| it.cut(survives));
    }

    fn unsynced(&self, note: impl FnOnce(&mut Unsynced)) {
        if let Some(unsynced) = &mut self.script().unsynced {
            note(unsynced);
        }
    }

    /// Lets every call that changes something fail, after so many good ones.
    pub fn fail_changes_after(&self, count: usize) {
        self.script().changes_left = Some(count);
    }

    /// Whether the last of those has come.
    pub fn is_out_of_changes(&self) -> bool {
        self.script().changes_left == Some(0)
    }

    /// The calls since the last look, as `create 000.mp4`; reads and looks are not among them.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.script().log)
    }

    /// Reads of files so far.
    pub fn reads(&self) -> usize {
        self.script().reads
    }

    /// Lets the next such call wait until [`FaultyDisk::go_on`].
    pub fn stall(&self, call: &'static str) {
        self.gate.0.lock().unwrap().stalls = Some(call);
    }

    pub fn wait_for_stall(&self) {
        let gate = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(gate, |gate| !gate.is_waiting).unwrap());
    }

    pub fn go_on(&self) {
        self.gate.0.lock().unwrap().stalls = None;
        self.gate.1.notify_all();
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn call(&self, name: &str, path: &Path) -> io::Result<()> {
        let line = format!("{name} {}", path.file_name().unwrap_or_default().display());
        self.pass_gate(&line);
        let mut script = self.script();
        if !matches!(name, "read" | "space" | "len" | "hold") {
            script.log.push(line.clone());
        }
        let mut hit = None;
        for fault in script.faults.iter_mut().filter(|fault| line.starts_with(&fault.call)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 && hit.is_none() {
                fault.times -= 1;
                hit = Some((fault.errno, fault.then.take()));
            }
        }
        let Some((errno, then)) = hit else { return Ok(()) };
        if let Some(then) = then {
            script.mount = then;
        }
        Err(io::Error::from_raw_os_error(errno))
    }

    fn file(&self, path: &Path, file: fs::File) -> io::Result<FaultyFile> {
        Ok(FaultyFile { path: path.to_owned(), file, script: self.script.clone() })
    }

    fn pass_gate(&self, line: &str) {
        let mut gate = self.gate.0.lock().unwrap();
        if gate.stalls.is_some_and(|call| line.starts_with(call)) {
            gate.is_waiting = true;
            self.gate.1.notify_all();
            gate = self.gate.1.wait_while(gate, |gate| gate.stalls.is_some()).unwrap();
            gate.is_waiting = false;
        }
    }

    /// A call that changes something: fails where the card cannot be written to.
    fn change(&self, name: &str, path: &Path) -> io::Result<()> {
        self.call(name, path)?;
        if let Some(left) = &mut self.script().changes_left {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::from_raw_os_error(EIO))?;
        }
        match self.script().mount {
            Mount::Writable => Ok(()),
            Mount::ReadOnly => Err(io::Error::from_raw_os_error(EROFS)),
            Mount::Absent(_) => Err(io::Error::from_raw_os_error(EIO)),
        }
    }

    fn free(&self) -> u64 {
        let total = self.script().total;
        total.saturating_sub(bytes_below(self.folder.path()))
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

impl Disk for FaultyDisk {
    type File = FaultyFile;
    type Folder = OpenFolder;

    fn mount(&self, _: &Path, _: RequireMount) -> Mount {
        self.script().mount.clone()
    }

    fn remount_writable(&self, path: &Path) -> io::Result<()> {
        self.call("remount", path)?;
        self.set_mount(Mount::Writable);
        Ok(())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.script().log.push("space".into());
        self.call("space", path)?;
        Ok(Space { free: self.free(), total: self.script().total })
    }

    fn hold(&self, path: &Path, within: Option<&OpenFolder>) -> io::Result<OpenFolder> {
        self.call("hold", path)?;
        LinuxDisk.hold(path, within)
    }

    fn is_still_at(&self, folder: &OpenFolder, path: &Path) -> bool {
        LinuxDisk.is_still_at(folder, path)
    }

    fn file_system(&self, _: &Path) -> FileSystem {
        self.script().file_system
    }

    fn list(&self, directory: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        self.call("list", directory)?;
        // In an order that a file system may have, and the same one in each run.
        let mut found = Vec::new();
        LinuxDisk.list(directory, &mut |name, kind| found.push((name.to_owned(), kind)))?;
        found.sort_by_cached_key(|(name, _)| {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            hasher.finish()
        });
        found.iter().for_each(|(name, kind)| each(name, *kind));
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        LinuxDisk.exists(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.change("mkdir", path)?;
        LinuxDisk.create_directory(path)
    }

    fn grow_directory(&self, path: &Path, _bytes: usize) -> io::Result<()> {
        self.change("grow_directory", path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.change("sync_directory", path)?;
        self.unsynced(|it| it.synced_names(path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change("rename", from)?;
        LinuxDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change("remove", path)?;
        if let Some(unsynced) = &mut self.script().unsynced {
            unsynced.removed(path)?;
        }
        LinuxDisk.remove(path)
    }

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        self.change("create", path)?;
        let file = LinuxDisk.create(path)?;
        self.unsynced(|it| it.created(path));
        self.file(path, file)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<FaultyFile> {
        match access {
            Access::Read => self.call("open", path)?,
            Access::ReadWrite => self.change("open_to_write", path)?,
        }
        self.file(path, LinuxDisk.open(path, access)?)
    }

    fn len(&self, file: &FaultyFile) -> io::Result<u64> {
        self.call("len", &file.path)?;
        LinuxDisk.len(&file.file)
    }

    fn modified(&self, file: &FaultyFile) -> io::Result<WallTime> {
        LinuxDisk.modified(&file.file)
    }

    fn read_at(&self, file: &FaultyFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call("read", &file.path)?;
        let mut script = self.script();
        script.reads += 1;
        if let Some((name, from, then)) = script.unreadable.clone()
            && file.path.ends_with(name)
        {
            if offset >= from {
                script.mount = then;
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let room = usize::try_from(from - offset).unwrap().min(buffer.len());
            return LinuxDisk.read_at(&file.file, &mut buffer[..room], offset);
        }
        drop(script);
        LinuxDisk.read_at(&file.file, buffer, offset)
    }

    fn write_all_at(&self, file: &FaultyFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change("write", &file.path)?;
        self.unsynced(|it| it.write(&file.path, &file.file, bytes, offset));
        LinuxDisk.write_all_at(&file.file, bytes, offset)
    }

    fn allocate(&self, file: &FaultyFile, length: u64) -> io::Result<()> {
        self.change("allocate", &file.path)?;
        let taken = LinuxDisk.len(&file.file)?;
        if length.saturating_sub(taken) > self.free() {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(()) // free() counts sizes: nothing is taken in fact
    }

    fn set_len(&self, file: &FaultyFile, length: u64) -> io::Result<()> {
        self.change("set_len", &file.path)?;
        self.unsynced(|it| it.set_len(&file.path, &file.file, length));
        LinuxDisk.set_len(&file.file, length)
    }

    fn sync_data(&self, file: &FaultyFile) -> io::Result<()> {
        self.change("sync", &file.path)?;
        self.unsynced(|it| it.synced(&file.file));
        Ok(())
    }
}
