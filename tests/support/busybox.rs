//! Runs the boards' scripts in BusyBox, with only its applets in the PATH.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// Fills a folder with BusyBox's applets.
pub fn applets(bin: &Path) {
    fs::create_dir_all(bin).unwrap();
    let list = Command::new("busybox").arg("--list").output().unwrap();
    let which = Command::new("sh").args(["-c", "command -v busybox"]).output().unwrap();
    let busybox = PathBuf::from(String::from_utf8(which.stdout).unwrap().trim());
    let applets = String::from_utf8(list.stdout).unwrap();
    for applet in applets.lines().chain(["busybox"]) {
        symlink(&busybox, bin.join(applet)).unwrap();
    }
}

/// The output of a command, standard output before standard error.
pub fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].concat().iter().map(|&byte| char::from(byte)).collect()
}

/// Copies a file of the source tree.
pub fn copy(file: &str, to: &Path) {
    fs::copy(Path::new(TOP).join(file), to).unwrap();
}
