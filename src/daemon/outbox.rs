//! The daemon's own commands to the card thread: settings and the time. They go before any
//! station's, and a newer one replaces a waiting one of the same kind.

use crate::storage::Command;
use std::mem::discriminant;

/// Commands waiting for room in the card thread's queue.
#[derive(Default)]
pub(super) struct Outbox {
    /// At most one of each kind, oldest first.
    waiting: Vec<Command>,
}

impl Outbox {
    pub fn post(&mut self, command: Command) {
        let kind = discriminant(&command);
        let replaced = self.waiting.iter().position(|waiting| discriminant(waiting) == kind);
        if let Some(at) = replaced {
            self.waiting.remove(at);
        }
        self.waiting.push(command);
    }

    /// Sends the waiting commands and returns true once none is left. `send` returns a command for
    /// which there is no room.
    pub fn send(&mut self, mut send: impl FnMut(Command) -> Result<(), Command>) -> bool {
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
    fn of_two_settings_that_wait_the_newer_one_goes() {
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
