//! Reloading the configuration: who asks for it, and what came of it.
//!
//! Knows nothing of: what a new configuration changes.

use super::Daemon;
use crate::runtime::Signal;
use std::{cell::RefCell, rc::Rc};

/// Requests for a reload, and their results.
#[derive(Default)]
pub(super) struct Reload {
    state: RefCell<State>,
    changed: Signal,
}

#[derive(Default)]
struct State {
    /// A reload was requested after the file was last read.
    is_wanted: bool,
    is_running: bool,
    /// How often the file was read.
    count: u64,
    /// Why the last reload failed.
    error: Option<String>,
}

impl Reload {
    /// Asks for a reload, and returns which one will have read the file as it is now: one in
    /// progress may have read it before a change.
    pub fn want(&self) -> u64 {
        let number = {
            let mut state = self.state.borrow_mut();
            state.is_wanted = true;
            state.count + 1 + u64::from(state.is_running)
        };
        self.changed.notify();
        number
    }

    /// Waits for a request.
    async fn begin(&self) {
        self.changed.until(|| self.state.borrow().is_wanted).await;
        let mut state = self.state.borrow_mut();
        (state.is_wanted, state.is_running) = (false, true);
    }

    fn end(&self, result: Result<(), String>) {
        {
            let mut state = self.state.borrow_mut();
            state.is_running = false;
            state.count += 1;
            state.error = result.err();
        }
        self.changed.notify();
    }

    /// Waits for a reload to end.
    async fn ended(&self, number: u64) -> Result<(), String> {
        self.changed.until(|| self.state.borrow().count >= number).await;
        self.state.borrow().error.clone().map_or(Ok(()), Err)
    }
}

impl Daemon {
    pub(super) async fn follow_reloads(self: Rc<Self>) {
        loop {
            self.reload.begin().await;
            let result = self.take_up_config().await;
            if let Err(error) = &result {
                log::error!("configuration not reloaded: {error}");
            }
            self.reload.end(result);
        }
    }

    /// Reloads the configuration and waits until it is in effect.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub async fn reload(&self) -> Result<(), String> {
        self.reload.ended(self.reload.want()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{block_on, poll_once};

    #[test]
    fn a_request_while_the_file_is_read_waits_for_the_next_reload() {
        let reload = Reload::default();
        block_on(async {
            let first = reload.want();
            reload.begin().await;
            let second = reload.want();
            reload.end(Err("no such camera".into()));
            assert_eq!(reload.ended(first).await, Err("no such camera".into()));
            let mut waiting = Box::pin(reload.ended(second));
            assert_eq!(poll_once(&mut waiting).await, None);
            reload.begin().await;
            reload.end(Ok(()));
            assert_eq!(waiting.await, Ok(()));
        });
    }

    #[test]
    fn two_who_ask_before_the_file_is_read_share_a_reload() {
        let reload = Reload::default();
        assert_eq!(reload.want(), reload.want());
        block_on(reload.begin());
        reload.end(Ok(()));
        assert!(block_on(poll_once(reload.begin())).is_none());
    }
}
