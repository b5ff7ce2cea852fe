//! The one system call that no crate offers safely: adjtimex, asked whether the clock is set.
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        super::clock_is_synchronised();
    }
}
