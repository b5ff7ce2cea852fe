//! The receive buffer: bytes of the connection in; whole messages and `$` blocks out, as ranges of
//! one fixed allocation.
//!
//! Spec: RFC 2326 §10.12.
//! Knows nothing of: the content of messages, the tracks of channels.

use super::message::{Message, MessageError};
use crate::limits::{RTSP_BUFFER_BYTES, RTSP_JUNK_BYTES_MAX};
use std::ops::Range;

/// The buffer and its position in the stream. What `next` has not returned yet is less than one
/// block or message, and both fit easily, so `space` is never empty after `next` returned `None`.
pub(super) struct Input {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    sync: Sync,
    junk_in_a_row: usize,
    junk_bytes: u64,
}

/// An item of the stream; ranges refer to `Input::get`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Block { channel: u8, payload: Range<usize> },
    Message(Range<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputError {
    /// The first bytes are not RTSP.
    NotRtsp,
    Message(MessageError),
    /// This many consecutive bytes were skipped.
    Junk(usize),
}

/// How certain it is that an item starts at `start`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// Nothing has been read yet.
    First,
    Kept,
    /// After junk: only unmistakable items count.
    Lost,
}

/// What a sequence of bytes starts with.
enum Front {
    Block {
        channel: u8,
        len: usize,
    },
    Message {
        len: usize,
    },
    /// The start of an item, or too few bytes to tell.
    Incomplete,
    LineEnd,
    Junk,
}

impl Input {
    pub(super) fn new() -> Input {
        Input {
            bytes: vec![0; RTSP_BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            sync: Sync::First,
            junk_in_a_row: 0,
            junk_bytes: 0,
        }
    }

    /// Returns space to read into, after moving the incomplete item of the last read to the front.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    pub(super) fn filled(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes).min(self.bytes.len());
    }

    pub(super) fn get(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Puts back the item that `next` returned last.
    pub(super) fn put_back(&mut self, item: &Item) {
        self.start = match item {
            Item::Block { payload, .. } => payload.start.saturating_sub(BLOCK_HEADER_BYTES),
            Item::Message(range) => range.start,
        };
    }

    /// What was read and not given out.
    pub(super) fn rest(&self) -> &[u8] {
        self.get(self.start..self.end)
    }

    /// Forgets everything read but not returned.
    pub(super) fn clear(&mut self) {
        self.start = self.end;
    }

    /// Bytes skipped so far because they were neither a message nor a block.
    pub(super) fn junk_bytes(&self) -> u64 {
        self.junk_bytes
    }

    /// Returns the next whole item; `None` if more bytes are needed. `is_known` tells the channels
    /// of tracks that are set up: after junk only their blocks are trusted.
    pub(super) fn next(
        &mut self,
        is_known: &dyn Fn(u8) -> bool,
    ) -> Result<Option<Item>, InputError> {
        loop {
            let rest = self.bytes.get(self.start..self.end).unwrap_or_default();
            match front(rest, self.sync, is_known).map_err(InputError::Message)? {
                Front::Incomplete => return Ok(None),
                Front::LineEnd => self.start += 1,
                Front::Block { channel, len } => {
                    if let Some(kept) = cut_short(rest, len, is_known) {
                        let Some(kept) = kept else { return Ok(None) };
                        self.start += kept;
                        self.junk_bytes += kept as u64;
                        continue;
                    }
                    let payload = self.start + BLOCK_HEADER_BYTES..self.start + len;
                    self.given(len);
                    return Ok(Some(Item::Block { channel, payload }));
                }
                Front::Message { len } => {
                    let range = self.start..self.start + len;
                    self.given(len);
                    return Ok(Some(Item::Message(range)));
                }
                Front::Junk if self.sync == Sync::First => return Err(InputError::NotRtsp),
                Front::Junk => {
                    self.sync = Sync::Lost;
                    self.start += 1;
                    self.junk_bytes += 1;
                    self.junk_in_a_row += 1;
                    if self.junk_in_a_row > RTSP_JUNK_BYTES_MAX {
                        return Err(InputError::Junk(self.junk_in_a_row));
                    }
                }
            }
        }
    }

    fn given(&mut self, len: usize) {
        self.start += len;
        self.sync = Sync::Kept;
        self.junk_in_a_row = 0;
    }
}

fn front(rest: &[u8], sync: Sync, is_known: &dyn Fn(u8) -> bool) -> Result<Front, MessageError> {
    match rest {
        [] => Ok(Front::Incomplete),
        [b'$', ..] => Ok(block(rest, sync, is_known)),
        // RFC 2326 §4 and 2616 §4.1: empty lines before a message are ignored.
        [b'\r' | b'\n', ..] if sync != Sync::Lost => Ok(Front::LineEnd),
        _ => match begins_message(rest, sync) {
            Some(true) => Ok(match Message::parse(rest) {
                Ok(Some((_, len))) => Front::Message { len },
                Ok(None) => Front::Incomplete,
                // Media can contain `RTSP/1.`; a broken message is only an error where one is
                // expected.
                Err(_) if sync == Sync::Lost => Front::Junk,
                Err(error) => return Err(error),
            }),
            Some(false) => Ok(Front::Junk),
            None => Ok(Front::Incomplete),
        },
    }
}

/// Quirk: Canon VB-H47 sends stray bytes between blocks. After them, `$` alone is not enough: the
/// channel must be known and the payload must start like RTP or RTCP (version 2).
fn block(rest: &[u8], sync: Sync, is_known: &dyn Fn(u8) -> bool) -> Front {
    if sync == Sync::Lost {
        match rest {
            [_, channel, ..] if !is_known(*channel) => return Front::Junk,
            [_, _, _, _, first, ..] if first >> 6 != 2 => return Front::Junk,
            [_, _, 0, 0, ..] => return Front::Junk,
            _ => {}
        }
    }
    let &[_, channel, high, low, ..] = rest else {
        return Front::Incomplete;
    };
    let len = BLOCK_HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if rest.len() < len { Front::Incomplete } else { Front::Block { channel, len } }
}

/// Quirk: a server that writes a part of a block while its socket is full, and then the next one,
/// or the same again (scottlamb/moonfire-nvr#302). Nothing begins behind the block, but a block
/// within it, behind which another one begins. Returns the length of the part, or an inner `None`
/// where the block within is not complete yet.
fn cut_short(rest: &[u8], len: usize, is_known: &dyn Fn(u8) -> bool) -> Option<Option<usize>> {
    let (block, behind) = rest.split_at_checked(len)?;
    if matches!(behind, [] | [b'$', ..])
        || !matches!(front(behind, Sync::Kept, is_known), Ok(Front::Junk))
    {
        return None;
    }
    (BLOCK_HEADER_BYTES..block.len()).find_map(|at| {
        let within = rest.get(at..).filter(|it| it.first() == Some(&b'$'))?;
        match self::block(within, Sync::Lost, is_known) {
            Front::Block { len, .. } => {
                within.get(len).is_none_or(|next| *next == b'$').then_some(Some(at))
            }
            Front::Incomplete if source(within).is_some_and(|it| source(rest) == Some(it)) => {
                Some(None)
            }
            _ => None,
        }
    })
}

/// Channel and SSRC of a block.
fn source(block: &[u8]) -> Option<(u8, &[u8])> {
    Some((*block.get(1)?, block.get(12..16)?))
}

/// Returns true if a message starts here; `None` while there are too few bytes to tell.
fn begins_message(rest: &[u8], sync: Sync) -> Option<bool> {
    let starts: &[&[u8]] = match sync {
        Sync::Kept => &MESSAGE_STARTS,
        Sync::First => &MESSAGE_STARTS[..2],
        Sync::Lost => &MESSAGE_STARTS[..1],
    };
    if starts.iter().any(|start| rest.starts_with(start)) {
        return Some(true);
    }
    if starts.iter().any(|start| start.starts_with(rest)) { None } else { Some(false) }
}

const BLOCK_HEADER_BYTES: usize = 4;

/// Replies, then the requests a server may send (RFC 2326 §10; GET_PARAMETER, OPTIONS and the
/// others occur).
const MESSAGE_STARTS: [&[u8]; 10] = [
    b"RTSP/1.",
    b"RTSP/2.",
    b"OPTIONS ",
    b"ANNOUNCE ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"REDIRECT ",
    b"TEARDOWN ",
    b"PAUSE ",
    b"DESCRIBE ",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLY: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi";
    const RTP: &[u8] = b"$\x00\x00\x06\x80\x60\x00\x01ab";

    /// Channel and payload, or the message.
    type Seen = (Option<u8>, Vec<u8>);

    /// The result of `next` for bytes that arrive in pieces, and the junk among them.
    fn items(pieces: &[&[u8]]) -> (Vec<Seen>, Result<u64, InputError>) {
        let mut input = Input::new();
        let mut items = Vec::new();
        for piece in pieces {
            input.space()[..piece.len()].copy_from_slice(piece);
            input.filled(piece.len());
            loop {
                match input.next(&|channel| channel < 2) {
                    Ok(None) => break,
                    Ok(Some(Item::Block { channel, payload })) => {
                        items.push((Some(channel), input.get(payload).to_vec()));
                    }
                    Ok(Some(Item::Message(range))) => items.push((None, input.get(range).to_vec())),
                    Err(error) => return (items, Err(error)),
                }
            }
        }
        (items, Ok(input.junk_bytes()))
    }

    #[test]
    fn every_split_of_the_input_gives_the_same_items() {
        let bytes =
            [REPLY, RTP, b"\r\n", REPLY, b"junk$\x07", RTP, b"RTSP/1", RTP, REPLY, RTP].concat();
        let whole = items(&[&bytes]);
        assert_eq!(whole.0.len(), 7);
        assert_eq!(whole.1, Ok(12));
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(items(&[head, tail]), whole, "{at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(items(&single), whole);
    }

    #[test]
    fn every_truncation_keeps_what_came_before() {
        let bytes = [REPLY, RTP, REPLY].concat();
        for len in 0..bytes.len() {
            let (items, junk) = items(&[&bytes[..len]]);
            let whole =
                usize::from(len >= REPLY.len()) + usize::from(len >= REPLY.len() + RTP.len());
            assert_eq!((items.len(), junk), (whole, Ok(0)), "{len}");
        }
    }

    #[test]
    fn a_block_of_any_channel_is_taken_while_in_step() {
        let (items, junk) = items(&[REPLY, b"$\xff\x00\x00", b"$\x09\x00\x01x"]);
        assert_eq!(items[1..], [(Some(255), vec![]), (Some(9), b"x".to_vec())]);
        assert_eq!(junk, Ok(0));
    }

    #[test]
    fn the_largest_block_fits_behind_the_largest_rest() {
        let mut input = Input::new();
        let mut feed = |bytes: &[u8]| {
            let space = input.space();
            assert!(space.len() >= bytes.len().min(1));
            let len = bytes.len().min(space.len());
            space[..len].copy_from_slice(&bytes[..len]);
            input.filled(len);
            (len, input.next(&|_| true))
        };
        feed(REPLY).1.unwrap();
        let mut block = b"$\x00\xff\xff".to_vec();
        block.resize(4 + 65535, 0x80);
        let (len, item) = feed(&block[..65538]);
        assert_eq!((len, item), (65538, Ok(None)));
        assert!(matches!(feed(&[1]).1, Ok(Some(Item::Block { channel: 0, .. }))));
    }

    /// A block of so many bytes whose payload begins as RTP does.
    fn block_of(number: u8, bytes: usize) -> Vec<u8> {
        let mut block = vec![b'$', 0, 0, bytes as u8, 0x80, 0x60, 0, number];
        block.resize(4 + bytes, b'x');
        block
    }

    #[test]
    fn a_block_that_is_cut_short_does_not_swallow_the_next_ones() {
        let [first, second, third] = [1, 2, 3].map(|number| block_of(number, 100));
        let seen = |block: &[u8]| (Some(0), block[4..].to_vec());
        for kept in 4..100 {
            let bytes = [REPLY, &first, &second[..kept], &second, &third].concat();
            let (items, junk) = items(&[&bytes]);
            assert_eq!(items[1..], [&first, &second, &third].map(|it| seen(it)), "{kept}");
            assert_eq!(junk, Ok(kept as u64));
            let bytes = [REPLY, &first[..kept], &second, &third].concat();
            let (items, _) = self::items(&[&bytes]);
            assert_eq!(items[1..], [&second, &third].map(|it| seen(it)), "{kept}");
        }
    }

    #[test]
    fn a_block_that_looks_as_if_it_had_one_within_is_whole_where_another_follows() {
        let mut first = block_of(1, 100);
        first[20..28].copy_from_slice(&block_of(9, 4));
        first[28] = b'$';
        let junk: &[u8] = b"stray";
        for behind in [&b""[..], RTP, REPLY, b"\r\n", b"RTS"] {
            let (items, _) = items(&[&[REPLY, &first, behind].concat()]);
            assert_eq!(items[1], (Some(0), first[4..].to_vec()));
        }
        first[28] = b'x';
        let (items, _) = items(&[&[REPLY, &first, junk, RTP].concat()]);
        assert_eq!(items[1], (Some(0), first[4..].to_vec()));
    }

    #[test]
    fn a_block_that_is_cut_short_is_waited_for_until_it_can_be_told() {
        let [first, second, third] = [1, 2, 3].map(|number| block_of(number, 100));
        let wanted = [&first, &second, &third].map(|block| (Some(0), block[4..].to_vec()));
        // Where a read ends with the block, or a few bytes behind it, it cannot.
        let end = REPLY.len() + first.len() + second.len();
        for kept in [5, 50, 90] {
            let bytes = [REPLY, &first, &second[..kept], &second, &third].concat();
            for at in (0..=bytes.len()).filter(|at| !(end..end + 5).contains(at)) {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(items(&[head, tail]).0[1..], wanted, "{kept} {at}");
            }
        }
    }

    #[test]
    fn what_is_not_rtsp_at_all_is_told_at_once() {
        assert_eq!(items(&[b"HTTP/1.1 400 Bad Request\r\n"]).1, Err(InputError::NotRtsp));
        assert_eq!(items(&[b"SSH-2.0-dropbear"]).1, Err(InputError::NotRtsp));
    }

    #[test]
    fn endless_junk_is_an_error() {
        let junk = [b'x'; 32 * 1024];
        let pieces = [REPLY, &junk, &junk, &junk, &junk, b"x"];
        assert_eq!(items(&pieces).1, Err(InputError::Junk(RTSP_JUNK_BYTES_MAX + 1)));
        assert_eq!(items(&pieces[..5]).1, Ok(RTSP_JUNK_BYTES_MAX as u64));
    }

    #[test]
    fn a_broken_message_in_its_place_is_an_error() {
        let (_, error) = items(&[b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n"]);
        assert_eq!(error, Err(InputError::Message(MessageError::ContentLength)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_leave_room_to_read(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..2000),
                    Just(REPLY.to_vec()),
                    Just(RTP.to_vec()),
                    Just(b"RTSP/1.0 ".to_vec()),
                    Just(b"$\x00\xff\xff\x80".to_vec()),
                ],
                0..80,
            ),
        ) {
            let mut input = Input::new();
            for piece in pieces {
                let mut rest = piece.as_slice();
                while !rest.is_empty() {
                    let space = input.space();
                    prop_assert!(!space.is_empty());
                    let len = rest.len().min(space.len());
                    space[..len].copy_from_slice(&rest[..len]);
                    input.filled(len);
                    rest = &rest[len..];
                    loop {
                        match input.next(&|channel| channel < 2) {
                            Ok(Some(_)) => {}
                            Ok(None) => break,
                            Err(_) => return Ok(()),
                        }
                    }
                }
            }
        }
    }
}
