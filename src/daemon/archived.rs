//! The progress of copies to a store.

use serde::Serialize;

/// Since the daemon started.
#[derive(Clone, Default, Serialize)]
pub struct Archived {
    /// `sending`, `idle`, or `waiting`.
    pub state: &'static str,
    /// Why it waits.
    pub reason: Option<String>,
    /// Recordings and bytes that the store does not have.
    pub backlog: usize,
    pub backlog_bytes: u64,
    pub sent: u64,
    pub sent_bytes: u64,
    /// Failed requests.
    pub failures: u64,
    /// Recordings that could not be read or taken.
    pub skipped: u64,
}
