//! The paths that a process passes to the kernel, as strace shows them.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Records the system calls of a process until they are read.
pub struct Trace {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Trace {
    /// Traces every call with a path, in every thread of that process; returns once strace is
    /// attached.
    pub fn of(process: u32) -> Trace {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = Command::new("strace")
            .args(["-f", "-s", "4096", "-e", "trace=%file", "-p", &process.to_string(), "-o"])
            .arg(file.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`ci/setup.sh` installs strace");
        let mut said = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        Trace { child, file }
    }

    /// Ends the trace and returns the paths in order.
    pub fn end(mut self) -> Vec<PathBuf> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        self.child.wait().unwrap();
        let mut text = String::new();
        self.file.read_to_string(&mut text).unwrap();
        // An empty one names a file that is open already (AT_EMPTY_PATH).
        let paths = text.lines().flat_map(quoted).filter(|path| !path.is_empty());
        paths.map(PathBuf::from).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The quoted parts of a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}
