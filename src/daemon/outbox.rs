//! The daemon's own commands for the card thread: settings and the time. They go before any
//! station's, and the newest of a kind replaces one that still waits.
//!
//! Knows nothing of: how commands travel.

use crate::storage::Command;
use std::mem::discriminant;

#[derive(Default)]
pub(super) struct Outbox {
    /// At most one of a kind, the oldest first.
    waiting: Vec<Command>,
    /// Settings that were posted, and those of them that the card thread has taken up.
    posted: u64,
    configured: u64,
}

impl Outbox {
    pub fn post(&mut self, command: Command) {
        let kind = discriminant(&command);
        let replaced = self.waiting.iter().position(|waiting| discriminant(waiting) == kind);
        if let Some(at) = replaced {
            self.waiting.remove(at);
        } else if matches!(command, Command::Configure(_)) {
            self.posted += 1;
        }
        self.waiting.push(command);
    }

    /// Hands over what waits; true once nothing does. `send` gives back what there is no room for.
    pub fn send(&mut self, mut send: impl FnMut(Command) -> Result<(), Command>) -> bool {
        while !self.waiting.is_empty() {
            if let Err(refused) = send(self.waiting.remove(0)) {
                self.waiting.insert(0, refused);
                return false;
            }
        }
        true
    }

    /// The card thread took up settings.
    pub fn configured(&mut self) {
        self.configured += 1;
    }

    /// Names the settings posted last; see [`Outbox::has_taken_up`].
    pub fn newest(&self) -> u64 {
        self.posted
    }

    /// Whether the card thread speaks of the cameras of these settings, or of later ones.
    pub fn has_taken_up(&self, settings: u64) -> bool {
        self.configured >= settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, daemon::settings};

    fn configure() -> Command {
        Command::Configure(settings(&Config::default()))
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
        assert_eq!(outbox.newest(), 1, "the card thread will answer once");
    }

    #[test]
    fn what_the_card_says_before_it_took_up_the_settings_is_of_other_cameras() {
        let mut outbox = Outbox::default();
        assert!(outbox.has_taken_up(outbox.newest()));
        outbox.post(configure());
        let before = outbox.newest();
        assert!(outbox.send(|_| Ok(())));
        outbox.post(configure());
        outbox.configured();
        assert!(outbox.has_taken_up(before) && !outbox.has_taken_up(outbox.newest()));
    }
}
