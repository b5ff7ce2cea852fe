//! Bytes of frames in one allocation: the newest stay, the oldest make way. It grows only where a frame
//! is too large for it and memory is to spare.
//!
//! The writer appends to the item in the making and commits it; items are known by number, which
//! counts from 0 and never comes back. Knows nothing of: what an item is, times.

use crate::limits;
use std::{collections::VecDeque, ops::Range};

/// *Shape*: an item is contiguous.
/// *Cost*: no allocation after `new` but where the room grows; an item is moved once when it reaches the
/// end of the room.
pub(super) struct Store {
    bytes: Box<[u8]>,
    /// Oldest first; the front has number `first`.
    items: VecDeque<Range<usize>>,
    items_max: usize,
    first: u64,
    /// The item in the making.
    start: usize,
    length: usize,
    overflowed: bool,
    /// How long the last item was that overflowed.
    refused: usize,
    /// How many bytes a larger room may have.
    spare: fn() -> usize,
}

/// The item was larger than the store can hold; it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Store {
    pub fn new(capacity: usize, items_max: usize) -> Store {
        Store {
            bytes: vec![0; capacity].into_boxed_slice(),
            items: VecDeque::with_capacity(items_max),
            items_max,
            first: 0,
            start: 0,
            length: 0,
            overflowed: false,
            refused: 0,
            spare: || 0,
        }
    }

    /// `spare` is asked where an item does not fit: how many bytes may be allocated for a larger room?
    pub fn may_grow(&mut self, spare: fn() -> usize) {
        self.spare = spare;
    }

    /// Numbers of the items that are here.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.first + self.items.len() as u64
    }

    /// The place of an item among those that are here, the oldest first.
    pub fn position(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub fn get(&self, position: usize) -> Option<&[u8]> {
        self.bytes.get(self.items.get(position)?.clone())
    }

    /// The longest item that fits: half the room, so that a reader always has one to go on with.
    pub fn item_bytes_max(&self) -> usize {
        self.bytes.len() / 2
    }

    /// True while nothing was appended to the item in the making.
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

    /// Writes over what was appended `back` bytes ago.
    pub fn overwrite(&mut self, back: usize, bytes: &[u8]) {
        if self.overflowed {
            return;
        }
        let at = self.start + self.length - back;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Ends the item in the making; answers how many items are here with it.
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

    /// Throws the item in the making away.
    pub fn rollback(&mut self) {
        self.length = 0;
        self.overflowed = false;
    }

    /// Moves all items, and the one in the making, into a room that holds an item of that length; answers
    /// whether there is one.
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

    /// Moves the item in the making to the front of the room.
    fn wrap(&mut self) {
        // What lies behind it is older than everything before it: it goes first.
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

    /// Forgets the oldest item; there is one.
    pub fn evict(&mut self) {
        self.items.pop_front();
        self.first += 1;
    }
}
