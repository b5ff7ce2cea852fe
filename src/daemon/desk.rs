//! The way to the card thread: its queue, and the buffers that go back and forth.
//!
//! The daemon's own commands, settings and the time, go before any others; a newer one replaces a
//! waiting one of the same kind.

use crate::{
    limits,
    runtime::Flag,
    storage::{Command, Storage},
};
use std::{cell::RefCell, mem::discriminant};

pub struct CardDesk {
    pub storage: Storage,
    outbox: RefCell<Outbox>,
    /// Fragment buffers that the card thread does not have.
    pub(super) buffers: RefCell<Vec<Vec<u8>>>,
    /// The card thread has closed everything.
    pub(super) closed: Flag,
}

impl CardDesk {
    pub(super) fn new(storage: Storage) -> CardDesk {
        CardDesk {
            storage,
            outbox: RefCell::default(),
            buffers: RefCell::new(vec![Vec::new(); limits::FRAGMENT_BUFFERS]),
            closed: Flag::default(),
        }
    }

    /// Takes one of the daemon's own commands, to be sent as soon as there is room.
    pub(super) fn post(&self, command: Command) {
        self.outbox.borrow_mut().post(command);
    }

    /// Sends the daemon's own commands; returns true once none is left.
    pub(super) fn flush(&self) -> bool {
        self.outbox.borrow_mut().send(|command| self.storage.send(command))
    }

    /// Sends another command, behind those.
    ///
    /// # Errors
    /// The command, if there is no room for it.
    pub(super) fn send(&self, command: Command) -> Result<(), Command> {
        if self.flush() { self.storage.send(command) } else { Err(command) }
    }
}

/// Commands waiting for room in the card thread's queue.
#[derive(Default)]
struct Outbox {
    /// At most one of each kind, oldest first.
    waiting: Vec<Command>,
}

impl Outbox {
    fn post(&mut self, command: Command) {
        let kind = discriminant(&command);
        let replaced = self.waiting.iter().position(|waiting| discriminant(waiting) == kind);
        if let Some(at) = replaced {
            self.waiting.remove(at);
        }
        self.waiting.push(command);
    }

    /// Sends the waiting commands and returns true once none is left. `send` returns a command for
    /// which there is no room.
    fn send(&mut self, mut send: impl FnMut(Command) -> Result<(), Command>) -> bool {
        while !self.waiting.is_empty() {
            if let Err(refused) = send(self.waiting.remove(0)) {
                self.waiting.insert(0, refused);
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, daemon::settings};

    fn configure() -> Command {
        Command::Configure(Box::new(settings(&Config::default(), &[])))
    }

    #[test]
    fn a_newer_setting_replaces_a_waiting_one() {
        let mut outbox = Outbox::default();
        outbox.post(configure());
        outbox.post(Command::Release);
        assert!(!outbox.send(Err));
        outbox.post(configure());
        let mut sent = Vec::new();
        assert!(outbox.send(|command| {
            sent.push(command);
            Ok(())
        }));
        assert!(matches!(sent[..], [Command::Release, Command::Configure(_)]), "{sent:?}");
    }
}
