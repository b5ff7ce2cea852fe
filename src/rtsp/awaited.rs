//! The request that waits for its reply, and which messages of a server are that reply.
//!
//! Spec: RFC 2326 §12.17. Knows nothing of: what follows from a reply.

use super::{error::Error, message::Message, request::Method};
use crate::limits::{CHATTER_INTERVAL, CHATTER_MESSAGES_MAX};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Up to the answer to PLAY or the first packet.
    Opening,
    Playing,
    /// TEARDOWN is under way.
    Closing,
    Closed,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Options,
    Describe,
    Setup { track: usize },
    Play,
    Keepalive,
    Teardown,
}

#[derive(Clone, Copy)]
pub(super) struct Awaited {
    pub(super) step: Step,
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    /// 401s that it got so far.
    pub(super) challenges: u8,
}

/// How a server numbers its replies.
#[derive(Default)]
pub(super) struct Numbering {
    /// The number of the last request that was answered.
    answered: u32,
    /// It was seen to number them in a way of its own.
    is_odd: bool,
}

/// The number of a reply that is the awaited one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Number {
    Right,
    /// Another, which was forgiven.
    Wrong,
}

/// Counts messages that nobody asked for.
pub(super) struct Chatter {
    messages: u32,
    since: Instant,
}

impl Awaited {
    /// Whether a reply under the number of the request before brings what this one asked for. A refusal
    /// might be said twice.
    fn is_brought_by(&self, status: u16, message: &Message<'_>) -> bool {
        match self.step {
            _ if status == 401 => self.challenges == 0,
            Step::Describe => !message.body.is_empty(),
            Step::Setup { .. } => message.field("Transport").is_some(),
            Step::Options | Step::Play | Step::Keepalive | Step::Teardown => false,
        }
    }
}

impl Numbering {
    /// Whether a reply is the awaited one. Its number says so; but only one request is ever under way,
    /// and before PLAY nothing else can be meant. There a wrong number is forgiven, unless the server
    /// counted right so far and this is the number of what it answered already: then it must bring what
    /// is awaited. A reply without a number is taken for the one that is awaited.
    ///
    /// Quirk: Foscam C1 (Hisilicon Streaming Media Server 1.0.0) says 0 where CSeq is not the last field
    /// of the request; others lag behind by one. TP-Link (Tapo C100, C110, C220, C520WS) refuses a
    /// keepalive under the number of the request before it.
    pub(super) fn answer(
        &mut self,
        awaited: &Awaited,
        stage: Stage,
        status: u16,
        message: &Message<'_>,
    ) -> Option<Number> {
        let cseq = message.field("CSeq").and_then(|cseq| cseq.parse::<u32>().ok());
        let wrong = cseq.filter(|cseq| *cseq != awaited.cseq);
        let is_it = match (wrong, stage) {
            (None, _) => true,
            _ if self.is_odd => true,
            (Some(cseq), Stage::Opening) if cseq == self.answered && cseq > 0 => {
                awaited.is_brought_by(status, message)
            }
            (Some(_), Stage::Opening) => true,
            (Some(cseq), _) => {
                let is_refusal = awaited.step == Step::Keepalive && status >= 400;
                is_refusal && cseq.wrapping_add(1) == awaited.cseq
            }
        };
        if is_it && status >= 200 {
            self.answered = awaited.cseq;
            self.is_odd |= wrong.is_some() && stage == Stage::Opening;
        }
        is_it.then_some(if wrong.is_some() { Number::Wrong } else { Number::Right })
    }
}

impl Chatter {
    pub(super) fn since(now: Instant) -> Chatter {
        Chatter { messages: 0, since: now }
    }

    /// # Errors
    /// `Chatter`: far more of them than any server has reason to send.
    pub(super) fn note(&mut self, now: Instant) -> Result<(), Error> {
        if now.saturating_duration_since(self.since) > CHATTER_INTERVAL {
            *self = Chatter::since(now);
        }
        self.messages += 1;
        if self.messages > CHATTER_MESSAGES_MAX {
            return Err(Error::Chatter { messages: CHATTER_MESSAGES_MAX });
        }
        Ok(())
    }
}
