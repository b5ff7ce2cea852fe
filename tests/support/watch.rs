//! Measures time without the part that a busy machine withheld.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Measures the time of a process and this test together, less the time that the machine withheld:
/// when their threads were ready but others ran, and when any process waited for a disk.
pub struct Watch {
    process: u32,
    began: Instant,
    denied: Duration,
    /// The time withheld at the last look: it is unknown for a process that has ended.
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

/// Time for which the threads of a process waited for a processor (schedstat: nanoseconds run,
/// waited, slices).
fn waited(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Time for which any process waited for a disk; zero if the kernel does not tell.
fn disk() -> Duration {
    let text = fs::read_to_string("/proc/pressure/io").unwrap_or_default();
    let total = text.split_whitespace().find_map(|word| word.strip_prefix("total="));
    Duration::from_micros(total.and_then(|total| total.parse().ok()).unwrap_or(0))
}
