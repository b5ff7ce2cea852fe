//! What the crates lack of the system: adjtimex, asked whether the clock is set, and proc(5).
//!
//! rustix has no adjtimex and libc's is unsafe; this file is the only one with `unsafe`.

#![expect(unsafe_code, reason = "adjtimex(2) through libc; see the comment at the call")]

/// True when the kernel's clock is kept by NTP (`STA_UNSYNC` is clear).
pub fn clock_is_synchronised() -> bool {
    // SAFETY: `timex` is plain old data for which all zeroes is a valid value, and with `modes` 0
    // adjtimex only writes into the struct that it is given.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    (0..libc::TIME_ERROR).contains(&state)
}

/// The number in a line of `/proc/meminfo` or `/proc/self/status`; 0 where there is no such line.
pub fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Bytes that a new process may have; as many as it likes where the kernel does not say.
#[cfg(feature = "pictures")]
pub fn memory_available() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match kilobytes(&machine, "MemAvailable:") {
        0 => u64::MAX,
        available => available * 1024,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        super::clock_is_synchronised();
    }
}
