//! The pending request, and which messages of a server are its reply.
//!
//! Spec: RFC 2326 §12.17.
//! Knows nothing of: the consequences of a reply.

use super::{error::Error, message::Message, request::Method};
use crate::limits::{CHATTER_INTERVAL, CHATTER_MESSAGES_MAX};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionStage {
    /// Up to the reply to PLAY or the first packet.
    Opening,
    Playing,
    /// TEARDOWN has been sent.
    Closing,
    Closed,
}

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestStep {
    Options,
    Describe,
    Setup { track: usize },
    Play,
    Keepalive,
    Teardown,
}

#[derive(Clone, Copy)]
pub(super) struct Awaited {
    pub(super) step: RequestStep,
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    /// 401 replies to it so far.
    pub(super) challenges: u8,
}

/// How a server numbers its replies.
#[derive(Default)]
pub(super) struct Numbering {
    /// The number of the last request answered.
    answered: u32,
    /// It has used numbers of its own.
    is_odd: bool,
}

/// The number of the awaited reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Number {
    Right,
    /// A different one, which was tolerated.
    Wrong,
}

/// Counts unsolicited messages.
pub(super) struct Chatter {
    messages: u32,
    since: Instant,
}

impl Awaited {
    /// Returns true if a reply with the previous request's number contains what this request asked
    /// for. A refusal might be repeated.
    fn is_brought_by(&self, status: u16, message: &Message<'_>) -> bool {
        match self.step {
            _ if status == 401 => self.challenges == 0,
            RequestStep::Describe => !message.body.is_empty(),
            RequestStep::Setup { .. } => message.field("Transport").is_some(),
            RequestStep::Options
            | RequestStep::Play
            | RequestStep::Keepalive
            | RequestStep::Teardown => false,
        }
    }
}

impl Numbering {
    /// Decides whether a reply is the awaited one. Its number normally tells. But only one request
    /// is pending at a time, and before PLAY nothing else can be meant, so a wrong number is
    /// tolerated there, unless the server has counted correctly so far and this number has been
    /// answered already: then it must contain what is awaited. A reply without a number counts as
    /// the awaited one.
    ///
    /// Quirk: Foscam C1 (Hisilicon Streaming Media Server 1.0.0) replies with 0 unless CSeq is the
    /// last field of the request; others lag behind by one. TP-Link (Tapo C100, C110, C220, C520WS)
    /// refuses a keepalive with the number of the previous request.
    pub(super) fn answer(
        &mut self,
        awaited: &Awaited,
        stage: SessionStage,
        status: u16,
        message: &Message<'_>,
    ) -> Option<Number> {
        let cseq = message.field("CSeq").and_then(|cseq| cseq.parse::<u32>().ok());
        let wrong = cseq.filter(|cseq| *cseq != awaited.cseq);
        let is_it = match (wrong, stage) {
            (None, _) => true,
            _ if self.is_odd => true,
            (Some(cseq), SessionStage::Opening) if cseq == self.answered && cseq > 0 => {
                awaited.is_brought_by(status, message)
            }
            (Some(_), SessionStage::Opening) => true,
            (Some(cseq), _) => {
                let is_refusal = awaited.step == RequestStep::Keepalive && status >= 400;
                is_refusal && cseq.wrapping_add(1) == awaited.cseq
            }
        };
        if is_it && status >= 200 {
            self.answered = awaited.cseq;
            self.is_odd |= wrong.is_some() && stage == SessionStage::Opening;
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
