//! System calls missing from std and the crates: timed waits on the boards, many datagrams at once,
//! adjtimex, where a crash was, and proc(5).
//!
//! The clock is set here as well, beside what asks how it is. rustix has no adjtimex and libc's is
//! unsafe; this file is the only one with `unsafe`.

#![expect(unsafe_code, reason = "system calls through libc; see the comment at each")]

use crate::{limits::DATAGRAM_SLOTS, units::WallTime};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd as _, BorrowedFd, RawFd},
    sync::OnceLock,
};

/// True when the kernel's clock is kept by NTP (`STA_UNSYNC` is clear).
pub fn clock_is_synchronised() -> bool {
    // SAFETY: `timex` is plain old data for which all zeroes is a valid value, and with `modes` 0
    // adjtimex only writes into the struct.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    (0..libc::TIME_ERROR).contains(&state)
}

/// Sets the machine's clock; false where this process may not.
pub fn set_clock(wall: WallTime) -> bool {
    use rustix::time::{ClockId, Timespec, clock_settime};
    let (seconds, millis) = (wall.0.div_euclid(1000), wall.0.rem_euclid(1000));
    let time = Timespec { tv_sec: seconds, tv_nsec: millis * 1_000_000 };
    clock_settime(ClockId::Realtime, time).is_ok()
}

/// Makes the allocator return large allocations, above all the rings, to the system when they are
/// freed. musl does so; glibc keeps freed memory of up to twice that size for ever: each change of
/// a camera cost 2 MB.
pub fn free_at_once() {
    #[cfg(target_env = "gnu")]
    // SAFETY: called before there is a second thread; it sets a number.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}

/// `syscall(2)` on the boards, in place of musl's: the linker prefers symbols of the program.
///
/// std passes futex a deadline with 64-bit seconds, but uses the old system call, which reads two
/// 32-bit words: it takes the upper half of the seconds for the nanoseconds.
/// `Condvar::wait_timeout` and `thread::park_timeout` would return at once, because their deadline
/// would be the last full second, and any loop around them, in std or a crate, would spin. This
/// version converts the deadline to two words and passes everything else on unchanged. The std of
/// some toolchains, whose libc knows no such seconds, passes two words: these are left as they are.
#[cfg(all(target_arch = "arm", target_env = "musl"))]
mod futex {
    use std::arch::naked_asm;

    // SAFETY: The name and the behaviour are musl's. Like musl's it is variadic and passes six
    // words to the kernel; the stack is restored at the end.
    #[unsafe(no_mangle)]
    #[unsafe(naked)]
    unsafe extern "C" fn syscall() {
        naked_asm!(
            "push {{r4, r5, r7, lr}}",
            "sub sp, sp, #8",
            "mov r7, r0",
            "mov r0, r1",
            "mov r1, r2",
            "mov r2, r3",
            "ldr r3, [sp, #24]",
            "ldr r4, [sp, #28]",
            "ldr r5, [sp, #32]",
            // The call std waits with; its timeout is the fourth argument, or null.
            "cmp r7, #{futex}",
            "bne 2f",
            "bic ip, r1, #{private}",
            "cmp ip, #{wait}",
            "bne 2f",
            "cmp r3, #0",
            "beq 2f",
            // The second word: of seconds of 64 bits the upper half, which is 0 for 136 years after
            // boot, or the nanoseconds.
            "ldr ip, [r3]",
            "ldr lr, [r3, #4]",
            "cmp lr, #0",
            "it eq",
            "ldreq lr, [r3, #8]",
            "str lr, [sp, #4]",
            // The seconds, limited to the largest value: 68 years after boot.
            "cmp ip, #0",
            "it lt",
            "mvnlt ip, #0x80000000",
            "str ip, [sp]",
            "mov r3, sp",
            "2: svc #0",
            "add sp, sp, #8",
            "pop {{r4, r5, r7, lr}}",
            // Sets errno.
            "b __syscall_ret",
            futex = const libc::SYS_futex,
            private = const libc::FUTEX_PRIVATE_FLAG,
            wait = const libc::FUTEX_WAIT_BITSET,
        )
    }
}

/// A datagram in its slot.
#[derive(Clone, Copy, Default, Debug)]
pub struct Datagram {
    pub bytes: usize,
    /// It was longer than the slot.
    pub is_cut: bool,
    pub from: Option<SocketAddr>,
}

/// Receives datagrams that wait, each into its part of `buffer`, with one system call
/// (recvmmsg(2)). Returns how many there were.
///
/// # Errors
/// Those of recvmsg(2), if the first one fails; `WouldBlock` if there is none.
pub fn receive_datagrams(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    slot_bytes: usize,
    into: &mut [Datagram; DATAGRAM_SLOTS],
) -> io::Result<usize> {
    // SAFETY: These are plain old data for which all zeroes is a valid value.
    let (mut names, mut pieces, mut messages) = unsafe {
        (
            std::mem::zeroed::<[libc::sockaddr_in6; DATAGRAM_SLOTS]>(),
            std::mem::zeroed::<[libc::iovec; DATAGRAM_SLOTS]>(),
            std::mem::zeroed::<[libc::mmsghdr; DATAGRAM_SLOTS]>(),
        )
    };
    let mut slots: u32 = 0;
    let parts = names.iter_mut().zip(&mut pieces).zip(&mut messages);
    for (slot, ((name, piece), message)) in buffer.chunks_exact_mut(slot_bytes.max(1)).zip(parts) {
        piece.iov_base = slot.as_mut_ptr().cast();
        piece.iov_len = slot.len();
        message.msg_hdr.msg_name = (&raw mut *name).cast();
        message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
        slots += 1;
    }
    // Not the function of that name: musl's tries a newer call first, which the boards' kernel
    // lacks.
    //
    // SAFETY: `messages` has `slots` messages, each with a name and a piece of memory that outlive
    // the call and are written to by nothing else; there is no timeout.
    let count = unsafe {
        libc::syscall(
            libc::SYS_recvmmsg,
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            slots,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut::<libc::timespec>(),
        )
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    for ((to, message), name) in into.iter_mut().zip(&messages).zip(&names).take(count) {
        *to = Datagram {
            bytes: message.msg_len as usize,
            is_cut: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            from: address(name),
        };
    }
    Ok(count)
}

fn address(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    let port = u16::from_be(name.sin6_port);
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET6 => Some((Ipv6Addr::from(name.sin6_addr.s6_addr), port).into()),
        libc::AF_INET => {
            // SAFETY: The kernel wrote a `sockaddr_in`, which is shorter and as aligned.
            let name = unsafe { (&raw const *name).cast::<libc::sockaddr_in>().read() };
            Some((Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)), port).into())
        }
        _ => None,
    }
}

/// Names the calling thread, in place of musl's version, which also names other threads, through a
/// file whose path it makes by `snprintf`: 7 KB that nothing else needs. std only names the calling
/// thread.
#[cfg(all(target_arch = "arm", target_env = "musl"))]
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_: libc::pthread_t, name: *const libc::c_char) -> libc::c_int {
    // SAFETY: the name is a C string, as pthread_setname_np(3) has it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name) }
}

/// Where a crash is reported: a file descriptor, and the line up to the address.
static CRASHES: OnceLock<(RawFd, String)> = OnceLock::new();

/// Reports where the process crashes, by one write of `line` and the address to `to`. On the boards
/// a panic is an illegal instruction without a message (Cross.toml); `ci/size.py --at` names the
/// function at that address. Only the first call has an effect.
pub fn report_crashes(to: RawFd, line: String) {
    if CRASHES.set((to, line)).is_err() {
        return;
    }
    // SIGTRAP on 64-bit ARM.
    for signal in [libc::SIGILL, libc::SIGTRAP] {
        // SAFETY: `sigaction` is plain old data for which all zeroes is a valid value, and the
        // handler is async-signal-safe: it makes system calls and allocates nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = crashed as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn crashed(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if let Some((to, line)) = CRASHES.get() {
        // SAFETY: the kernel passes a valid `siginfo_t`; for these signals it has the instruction's
        // address, or something else if another process sent the signal.
        let address = unsafe { (*info).si_addr() } as u64;
        let mut digits = *b"0000000000000000\n";
        for (nth, digit) in digits.iter_mut().rev().skip(1).enumerate() {
            *digit = b"0123456789abcdef"[(address >> (4 * nth)) as usize & 15];
        }
        let piece = |bytes: &[u8]| libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let pieces = [piece(line.as_bytes()), piece(&digits)];
        // SAFETY: both pieces outlive the call, which only reads them.
        unsafe { libc::writev(*to, pieces.as_ptr(), 2) };
    }
    // SAFETY: the default action has been restored, so the process ends as without the handler.
    unsafe { libc::raise(signal) };
}

/// 32 bytes that nobody can guess, from the kernel; `None` while it has too little to make them of.
/// Never waits: just after a board's start that could take minutes.
pub fn random() -> Option<[u8; 32]> {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; 32];
    let got = getrandom(&mut bytes, GetRandomFlags::NONBLOCK).ok()?;
    (got == bytes.len()).then_some(bytes)
}

/// Returns the number in a line of `/proc/meminfo` or `/proc/self/status`; 0 if there is no such
/// line.
pub fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Returns the bytes of available memory: of the machine, or of the control group if that has less.
/// Unlimited if the kernel does not say.
pub fn memory_available() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = match kilobytes(&machine, "MemAvailable:") {
        0 => u64::MAX,
        available => available * 1024,
    };
    // Control groups version 2, as seen in a container; "max" is not a number.
    let group = |name: &str| {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/memory.{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    match (group("max"), group("current")) {
        (Some(max), Some(current)) => machine.min(max.saturating_sub(current)),
        _ => machine,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "it measures")]

    use std::{
        os::unix::net::UnixStream,
        sync::{Condvar, Mutex, mpsc},
        thread,
        time::{Duration, Instant},
    };

    /// Usually longer than the rest of the current second, so that a wait until the last full
    /// second would fail.
    const SPAN: Duration = Duration::from_millis(300);

    #[test]
    fn the_kernel_answers() {
        super::clock_is_synchronised();
        assert!(super::memory_available() > 0);
    }

    /// Repeated until waits have started in both halves of a second.
    fn assert_lasts(wait: impl Fn(Duration)) {
        for _ in 0..4 {
            let began = Instant::now();
            wait(SPAN);
            assert!(began.elapsed() >= SPAN, "{:?}", began.elapsed());
        }
    }

    #[test]
    fn a_condition_is_waited_for_as_long_as_was_asked() {
        let (lock, condition) = (Mutex::new(()), Condvar::new());
        assert_lasts(|span| {
            let (_guard, result) =
                condition.wait_timeout_while(lock.lock().unwrap(), span, |()| true).unwrap();
            assert!(result.timed_out());
        });
    }

    #[test]
    fn a_parked_thread_wakes_when_its_time_is_over_or_it_is_unparked() {
        // May return early, but seldom does.
        assert_lasts(|span| (0..4).for_each(|_| thread::park_timeout(span)));
        thread::current().unpark();
        thread::park();
    }

    #[test]
    fn a_channel_is_waited_for_as_long_as_was_asked() {
        let (_sender, receiver) = mpsc::channel::<()>();
        assert_lasts(|span| assert!(receiver.recv_timeout(span).is_err()));
    }

    #[test]
    fn a_socket_is_waited_for_as_long_as_was_asked() {
        use std::io::Read as _;

        let (mut socket, _other) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(SPAN)).unwrap();
        assert_lasts(|_| assert!(socket.try_clone().unwrap().read(&mut [0]).is_err()));
        assert!(socket.read(&mut [0]).is_err());
    }
}
