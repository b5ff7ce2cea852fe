//! The card: one thread owns all media files, because a card can stall for seconds.
//!
//! Commands go in through a bounded queue that never blocks the caller; events come out through
//! another. The thread's logic is a value, [`card::Card`]; this module has its messages, its clock
//! and its handle.
//! Spec: docs/configuration.md, "Files on the card".
//! Knows nothing of: streams, HTTP.

pub mod card;
pub mod catalog;
pub mod coverage;
pub mod days;
pub mod disk;
pub mod facts;
#[cfg(test)]
mod faulty;
pub mod index;
pub mod layout;
pub mod marks;
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
use self::queue::Volume;
pub use self::queue::{Closed, Receiver};
use self::{card::Card, catalog::Catalog, disk::Disk};
use crate::limits::{CARD_COMMANDS_MAX, CARD_EVENTS_MAX, CARD_THREAD_STACK_BYTES};

/// The main thread's handle of the card thread.
///
/// *Shape*: the caller must keep reading [`Storage::events`] and never block on the card, because
/// the card thread waits when [`CARD_EVENTS_MAX`] events are unread. Dropping the handle closes the
/// files and ends the thread.
#[derive(Debug)]
pub struct Storage {
    commands: SyncSender<Command>,
    events: Receiver<Event>,
    catalog: Arc<Mutex<Catalog>>,
    /// The card thread, parked until there is a command or other work.
    thread: Thread,
    /// Ends the thread even if the command queue is full.
    ending: Arc<AtomicBool>,
}

impl Storage {
    /// Starts the card thread, which looks for the card at once.
    ///
    /// # Errors
    /// The system refused a thread.
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

    /// Sends a command to the card thread without waiting.
    ///
    /// # Errors
    /// The command is returned if [`CARD_COMMANDS_MAX`] are queued (a stalled card: try again after
    /// the next event) or the thread has ended.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => command,
        })?;
        self.thread.unpark();
        Ok(())
    }

    /// Events of the card thread, in order; the last one is [`Event::Ended`].
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// The list of recordings. Locked only briefly, never during a call to the card.
    pub fn catalog(&self) -> &Arc<Mutex<Catalog>> {
        &self.catalog
    }

    /// Ends the thread after the queued commands: all files are closed, then [`Event::Ended`] is
    /// sent.
    ///
    /// The caller must keep reading events, for at most [`crate::limits::SHUTDOWN_TIMEOUT`].
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

/// The queues and the clock around the [`Card`].
struct Driver {
    inbox: mpsc::Receiver<Command>,
    outbox: queue::Sender<Event>,
    ending: Arc<AtomicBool>,
}

impl Driver {
    fn run<D: Disk>(self, mut card: Card<D>) {
        loop {
            let began = clock();
            card.tick(began);
            if self.send_events(&mut card, began).is_err() {
                break;
            }
            // Read before the queue, so that commands sent before the end are still carried out.
            let is_ending = self.ending.load(Ordering::Acquire);
            match self.inbox.try_recv() {
                Ok(command) => {
                    let began = clock();
                    card.handle(command, began);
                    if self.send_events(&mut card, began).is_err() {
                        break;
                    }
                }
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) if is_ending => break,
                Err(TryRecvError::Empty) => {
                    thread::park_timeout(card.deadline().saturating_duration_since(clock()));
                }
            }
        }
        let began = clock();
        card.handle(Command::Shutdown, began);
        let _ = self.send_events(&mut card, began); // the receiver may be gone
    }

    /// Sends the events of a step that began then.
    ///
    /// Waits while the queue is full: the main thread empties it and never waits for us.
    fn send_events<D: Disk>(&self, card: &mut Card<D>, began: Instant) -> Result<(), Closed> {
        if card.has_written() {
            card.wrote_for(clock().saturating_duration_since(began));
        }
        while let Some(event) = card.poll() {
            // A buffer that comes back well is not news, unless one is waited for.
            let volume = match event {
                Event::Returned { result: Ok(()), .. } => Volume::Quiet,
                _ => Volume::Loud,
            };
            self.outbox.send(event, volume)?;
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
