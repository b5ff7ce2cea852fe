//! Time as it goes by on a machine that has nothing else to do.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Measures what a process and this test take together, without what the machine denied them: the
/// time in which their threads could have run and others ran, and the time in which somebody waited
/// for a disk.
pub struct Watch {
    process: u32,
    began: Instant,
    denied: Duration,
    /// What was denied when it was looked at last: of a process that is gone nothing can be known.
    last: Duration,
}

impl Watch {
    pub fn start(process: u32) -> Watch {
        let denied = denied(process);
        Watch { process, began: Instant::now(), denied, last: denied }
    }

    pub fn elapsed(&mut self) -> Duration {
        self.began.elapsed().saturating_sub(self.denied())
    }

    pub fn denied(&mut self) -> Duration {
        self.last = self.last.max(denied(self.process));
        self.last - self.denied
    }
}

fn denied(process: u32) -> Duration {
    waited(process) + waited(std::process::id()) + disk()
}

/// For a processor, by all threads that a process has (schedstat: nanoseconds run, waited, slices).
fn waited(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// For a disk, by anybody on this machine; none where the kernel does not say.
fn disk() -> Duration {
    let text = fs::read_to_string("/proc/pressure/io").unwrap_or_default();
    let total = text.split_whitespace().find_map(|word| word.strip_prefix("total="));
    Duration::from_micros(total.and_then(|total| total.parse().ok()).unwrap_or(0))
}
