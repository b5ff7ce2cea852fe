//! ONVIF, as far as it takes to find a camera and look up its streams: what to send in, what the
//! answers mean out.
//!
//! ```text
//! onvif.rs     reading an answer
//! ├─ probe     WS-Discovery: what to send, and who answered
//! ├─ soap      requests, and whether an answer is a refusal
//! ├─ ladder    ways to log in, one after the other
//! ├─ answer    what the answers to requests mean
//! ├─ notice    what detectors say
//! ├─ pull      a subscription to them
//! └─ place     URLs in answers, whose host is not believed
//! ```
//!
//! Spec: ONVIF Core, Media and Media2 Service Specifications; WS-Discovery (April 2005).
//! Knows nothing of: sockets.

pub mod answer;
pub mod ladder;
pub mod notice;
pub mod place;
pub mod probe;
pub mod pull;
pub mod soap;

use crate::xml::{Event, Reader};
use std::borrow::Cow;

/// Calls `each` with the path to and the event of everything in a document, up to where it is
/// broken or cut; bytes that are not UTF-8 are replaced.
fn read(document: &[u8], each: &mut dyn FnMut(&[&str], &Event<'_>)) {
    let document = text(document);
    let mut reader = Reader::new(&document);
    while let Ok(Some(event)) = reader.next() {
        each(reader.path(), &event);
    }
}

/// A document as text: UTF-16 if it begins so (XML 1.0, appendix F.1), or else UTF-8.
fn text(document: &[u8]) -> Cow<'_, str> {
    let unit = match document {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, b'<', ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(document),
    };
    let (pairs, _) = document.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    Cow::Owned(String::from_utf16_lossy(&units))
}

/// Appends a text of the camera, as far as it is worth showing.
fn append(to: &mut String, text: &str) {
    to.extend(text.chars().filter(|it| !it.is_control()).take(TEXT_CHARS_MAX));
}

/// A name, a model: real ones have 10 to 40 characters.
const TEXT_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests;
