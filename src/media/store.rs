//! Bytes of frames in one allocation: the newest stay, the oldest are dropped. It grows only if a
//! frame is too large and memory is available.
//!
//! The writer appends to the open item and commits it; items are numbered from 0, and numbers are
//! never reused.
//! Knows nothing of: an item's content, times.

use crate::limits;
use std::{collections::VecDeque, ops::Range};

/// The newest items in one allocation.
///
/// *Shape*: an item is contiguous.
/// *Cost*: no allocation after `new` but for the list of items, until it is as long as ever, and
/// where the buffer grows; an item is moved once when it reaches the end of the buffer.
pub(super) struct Store {
    bytes: Box<[u8]>,
    /// Oldest first; the front has number `first`.
    items: VecDeque<Range<usize>>,
    items_max: usize,
    first: u64,
    /// The open item.
    start: usize,
    length: usize,
    overflowed: bool,
    /// The length of the last item that overflowed.
    refused: usize,
    /// By how many bytes the buffer may grow.
    spare: fn() -> usize,
}

/// The item was larger than the store can hold, and was dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Store {
    pub fn new(capacity: usize, items_max: usize) -> Store {
        Store {
            bytes: vec![0; capacity].into_boxed_slice(),
            items: VecDeque::new(),
            items_max,
            first: 0,
            start: 0,
            length: 0,
            overflowed: false,
            refused: 0,
            spare: || 0,
        }
    }

    /// Sets `spare`, which is asked when an item does not fit: how many bytes may be allocated?
    pub fn may_grow(&mut self, spare: fn() -> usize) {
        self.spare = spare;
    }

    /// The numbers of the items stored.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.first + self.items.len() as u64
    }

    /// The index of an item among those stored, oldest first.
    pub fn position(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub fn get(&self, position: usize) -> Option<&[u8]> {
        self.bytes.get(self.items.get(position)?.clone())
    }

    /// The longest item that fits: half the buffer, so that a reader always has one to continue
    /// with.
    pub fn item_bytes_max(&self) -> usize {
        self.bytes.len() / 2
    }

    /// Returns true while the open item is empty.
    pub fn is_vacant(&self) -> bool {
        self.length == 0 && !self.overflowed
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.overflowed {
            self.refused = self.refused.saturating_add(bytes.len());
            return;
        }
        let length = self.length + bytes.len();
        if length > self.item_bytes_max() && !self.grow_for(length, limits::RING_BYTES_AT_ONCE_MAX)
        {
            (self.overflowed, self.refused) = (true, length);
            return;
        }
        if self.start + self.length + bytes.len() > self.bytes.len() {
            self.wrap();
        }
        let end = self.start + self.length;
        self.make_room(end..end + bytes.len());
        self.bytes[end..end + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Overwrites what was appended `back` bytes ago.
    pub fn overwrite(&mut self, back: usize, bytes: &[u8]) {
        if self.overflowed {
            return;
        }
        let at = self.start + self.length - back;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Commits the open item; returns how many items are stored.
    pub fn commit(&mut self) -> Result<usize, TooLarge> {
        if self.overflowed {
            self.rollback();
            self.grow_for(self.refused, limits::RING_BYTES_MAX); // for the next one
            return Err(TooLarge);
        }
        if self.items.len() == self.items_max {
            self.evict();
        }
        self.items.push_back(self.start..self.start + self.length);
        self.start += self.length;
        self.length = 0;
        Ok(self.items.len())
    }

    /// Discards the open item.
    pub fn rollback(&mut self) {
        self.length = 0;
        self.overflowed = false;
    }

    /// Moves everything into a buffer large enough for an item of that length; returns true if that
    /// was possible.
    #[cold]
    fn grow_for(&mut self, length: usize, most: usize) -> bool {
        let mut capacity = self.bytes.len().max(1);
        while capacity / 2 < length {
            capacity = capacity.saturating_mul(2);
        }
        if capacity > most || capacity > (self.spare)() {
            return false;
        }
        let mut bytes = vec![0; capacity].into_boxed_slice();
        let mut end = 0;
        let mut making = self.start..self.start + self.length;
        for item in self.items.iter_mut().chain([&mut making]) {
            let moved = end..end + item.len();
            bytes[moved.clone()].copy_from_slice(&self.bytes[item.clone()]);
            (end, *item) = (moved.end, moved);
        }
        self.start = making.start;
        self.bytes = bytes;
        true
    }

    /// Moves the open item to the start of the buffer.
    fn wrap(&mut self) {
        // Items behind it are older than those before it: they are dropped first.
        while self.items.front().is_some_and(|oldest| oldest.start >= self.start) {
            self.evict();
        }
        self.make_room(0..self.length);
        self.bytes.copy_within(self.start..self.start + self.length, 0);
        self.start = 0;
    }

    fn make_room(&mut self, room: Range<usize>) {
        while self
            .items
            .front()
            .is_some_and(|oldest| oldest.start < room.end && room.start < oldest.end)
        {
            self.evict();
        }
    }

    /// Drops the oldest item, which must exist.
    pub fn evict(&mut self) {
        self.items.pop_front();
        self.first += 1;
    }
}
