//! A card: an ext4 image on a loop device, mounted and unmounted under a running smolnvr. Needs
//! root, as `mount` does.

use super::{Nvr, frames_in, recordings_in, wait_for_within};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// A card that can be inserted and pulled out.
pub struct Card {
    directory: TempDir,
    /// The folder of the image.
    store: TempDir,
}

impl Card {
    /// An empty card of this size in MB, not mounted.
    pub fn new(megabytes: u64) -> Card {
        let bytes = megabytes << 20;
        let card = Card { directory: tempfile::tempdir().unwrap(), store: store_of(bytes) };
        fs::File::create(card.image()).unwrap().set_len(bytes).unwrap();
        fs::create_dir(card.path()).unwrap();
        run("mkfs.ext4", &["-q", "-m", "0", "-O", "^has_journal", card.image().to_str().unwrap()]);
        card
    }

    fn image(&self) -> PathBuf {
        self.store.path().join("image")
    }

    /// The mount point.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("card")
    }

    pub fn recordings(&self) -> PathBuf {
        self.path().join("recordings")
    }

    pub fn mount(&self, options: &str) {
        self.mount_at(&self.path(), options);
    }

    /// Mounts it at another card's mount point.
    pub fn mount_at(&self, path: &Path, options: &str) {
        let image = self.image();
        let options = format!("loop,{options}");
        run("mount", &["-o", &options, image.to_str().unwrap(), path.to_str().unwrap()]);
    }

    pub fn remount(&self, options: &str) {
        run("mount", &["-o", &format!("remount,{options}"), self.path().to_str().unwrap()]);
    }

    /// Unmounts it although files are open on it.
    pub fn unmount(&self) {
        run("umount", &["-l", self.path().to_str().unwrap()]);
    }

    pub fn is_mounted_with(&self, option: &str) -> bool {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let path = self.path();
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mut ours = fields.filter(|fields| Path::new(fields[1]) == path);
        ours.next_back().is_some_and(|fields| fields[3].split(',').any(|it| it == option))
    }

    /// Records `url` onto this card only.
    pub fn start(&self, url: &str, storage: &str) -> Nvr {
        self.start_in(tempfile::tempdir().unwrap(), url, storage)
    }

    pub fn start_in(&self, directory: TempDir, url: &str, storage: &str) -> Nvr {
        let path = self.recordings();
        let config = format!(
            "[storage]\npath = {path:?}\n{storage}\n\n\
             [[camera]]\nname = \"camera\"\nurl = {url:?}\nbuffer_kb = 8192\n\n\
             [web]\nlisten = \"127.0.0.1:0\"\nauth = \"none\"\n\n[log]\nlevel = \"debug\"\n"
        );
        Nvr::start_with(directory, &config, &[])
    }

    pub fn files(&self) -> Vec<PathBuf> {
        if self.recordings().is_dir() { recordings_in(&self.recordings()) } else { Vec::new() }
    }

    /// Waits until frames reach a file that is not in `before`.
    pub fn assert_records_within(&self, limit: Duration, before: &[PathBuf]) {
        wait_for_within(limit, "frames in a new file", || {
            let new = self.files().into_iter().filter(|file| !before.contains(file));
            frames_in(&new.collect::<Vec<_>>()) > 0
        });
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // Fails if it is not mounted.
        let _ = Command::new("umount").arg("-lq").arg(self.path()).status();
    }
}

/// In memory if there is room, because the machine's disk may stall for as long as a bad card.
fn store_of(bytes: u64) -> TempDir {
    let answer = Command::new("df").args(["-B1", "--output=avail", MEMORY]).output().unwrap();
    let words = String::from_utf8_lossy(&answer.stdout);
    let room = words.split_whitespace().next_back().and_then(|it| it.parse::<u64>().ok());
    let is_room = room.is_some_and(|room| room > 4 * bytes);
    let store = if is_room { tempfile::tempdir_in(MEMORY) } else { tempfile::tempdir() };
    store.unwrap()
}

const MEMORY: &str = "/dev/shm";

pub fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} (are you root?): {said}");
}
