//! The card: one thread owns every media file, because a card can stall for seconds.
//!
//! Commands in, over a bounded queue that the caller never waits for; events out, over another.
//! What the thread does is a value, [`card::Card`]; here are its messages, its clock and its handle.
//! Spec: docs/configuration.md, "What lies on the card". Knows nothing of: cameras' streams, HTTP.

pub mod card;
pub mod catalog;
pub mod coverage;
pub mod days;
pub mod disk;
#[cfg(test)]
mod faulty;
pub mod index;
pub mod layout;
pub mod messages;
mod queue;
pub mod reader;
pub mod retention;
pub mod segment;
pub mod thin;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender, TryRecvError, TrySendError},
    },
    thread::{self, Thread},
    time::Instant,
};

pub use self::messages::{
    CameraId, CardState, Command, DeleteError, DeleteReason, Ending, Event, Fragment, IndexError,
    Mended, OpenError, Place, Recording, Refused, SegmentStart, Settings, SpanAction, SpanDone,
    SpanError, SpanWish,
};
pub use self::queue::{Closed, Receiver};
use self::{card::Card, catalog::Catalog, disk::Disk};
use crate::limits::{CARD_COMMANDS_MAX, CARD_EVENTS_MAX, CARD_THREAD_STACK_BYTES};

/// The main thread's end of the card thread.
///
/// *Shape*: the caller drains [`Storage::events`] without ever waiting for anything of the card; only
/// then may it expect that the card thread goes on, which waits where [`CARD_EVENTS_MAX`] are not
/// yet read. Dropping the handle ends the thread, its files closed.
#[derive(Debug)]
pub struct Storage {
    commands: SyncSender<Command>,
    events: Receiver<Event>,
    catalog: Arc<Mutex<Catalog>>,
    /// The card thread, parked until there is a command, or the next thing to do.
    thread: Thread,
    /// Ends the thread even where the queue of commands is full.
    ending: Arc<AtomicBool>,
}

impl Storage {
    /// Starts the card thread; it looks for the card at once.
    ///
    /// # Errors
    /// Where the system has no room for a thread.
    pub fn start<D>(disk: D, settings: Settings) -> io::Result<Storage>
    where
        D: Disk + Send + 'static,
        D::File: Send,
    {
        let (commands, inbox) = mpsc::sync_channel(CARD_COMMANDS_MAX);
        let (outbox, events) = queue::queue(CARD_EVENTS_MAX);
        let catalog = Arc::new(Mutex::new(Catalog::default()));
        let ending = Arc::new(AtomicBool::new(false));
        let driver = Driver { inbox, outbox, ending: ending.clone() };
        let card_catalog = catalog.clone();
        let thread = thread::Builder::new()
            .name("card".into())
            .stack_size(CARD_THREAD_STACK_BYTES)
            .spawn(move || driver.run(Card::new(disk, settings, card_catalog, clock())))?;
        let thread = thread.thread().clone();
        Ok(Storage { commands, events, catalog, thread, ending })
    }

    /// Hands a command to the card thread; never waits.
    ///
    /// # Errors
    /// The command comes back where [`CARD_COMMANDS_MAX`] wait already (a stalled card: try again
    /// after the next event) or the thread has ended.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => command,
        })?;
        self.thread.unpark();
        Ok(())
    }

    /// What the card thread says, in order; it ends with [`Event::Ended`].
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// The list of recordings; locked for the length of a look, never over a call to the card.
    pub fn catalog(&self) -> &Arc<Mutex<Catalog>> {
        &self.catalog
    }

    /// Ends the thread after the commands that wait already: all files closed, then [`Event::Ended`].
    ///
    /// The caller goes on draining events, at most [`crate::limits::SHUTDOWN_TIMEOUT`] long.
    pub fn shut_down(&self) {
        self.ending.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Queues and clock around the [`Card`].
struct Driver {
    inbox: mpsc::Receiver<Command>,
    outbox: queue::Sender<Event>,
    ending: Arc<AtomicBool>,
}

impl Driver {
    fn run<D: Disk>(self, mut card: Card<D>) {
        loop {
            card.tick(clock());
            if self.send_events(&mut card).is_err() {
                break;
            }
            // Looked at before the queue: what was sent before it ended is still done.
            let is_ending = self.ending.load(Ordering::Acquire);
            match self.inbox.try_recv() {
                Ok(command) => card.handle(command, clock()),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) if is_ending => break,
                Err(TryRecvError::Empty) => {
                    thread::park_timeout(card.deadline().saturating_duration_since(clock()));
                }
            }
        }
        card.handle(Command::Shutdown, clock());
        let _ = self.send_events(&mut card); // nobody may be left to hear it
    }

    /// Waits where the queue is full: the main thread drains it and waits for nothing of ours.
    fn send_events<D: Disk>(&self, card: &mut Card<D>) -> Result<(), Closed> {
        while let Some(event) = card.poll() {
            self.outbox.send(event)?;
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the driver of the card's state machine reads its clock"
)]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
