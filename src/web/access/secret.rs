//! Secrets to be compared: random tokens, and their traces in memory.
//!
//! Spec: RFC 2104 (HMAC). Knows nothing of: what they are for.

pub use crate::sys::random;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::hint::black_box;

/// Returns 32 bytes that nobody can guess; `None` while the kernel has too little entropy.
pub type Random = fn() -> Option<[u8; 32]>;

/// Usually new for every process, so that traces are useless elsewhere.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

/// The trace of a secret: it can be compared with a secret, but does not reveal it.
#[derive(Clone, Copy)]
pub struct Trace([u8; 32]);

impl Key {
    pub fn new(random: Random) -> Option<Key> {
        random().map(Key)
    }

    /// For a secret that outlives the process.
    pub fn of(secret: [u8; 32]) -> Key {
        Key(secret)
    }

    pub fn trace(&self, secret: &[u8]) -> Trace {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        Trace(mac.chain_update(secret).finalize().into_bytes().into())
    }
}

impl Trace {
    pub fn of(bytes: [u8; 32]) -> Trace {
        Trace(bytes)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn is(&self, other: &Trace) -> bool {
        is_same(&self.0, &other.0)
    }
}

/// Takes the same time whatever it compares.
pub fn is_same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let pairs = left.iter().zip(right);
    pairs.fold(0, |difference, (left, right)| black_box(difference | (left ^ right))) == 0
}
