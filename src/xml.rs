//! XML as cameras write it: a document in; elements and their texts out, one at a time.
//!
//! Names are without their prefix, which every maker chooses differently. Document type
//! declarations are refused, so there are no entities but those of XML itself. Cameras get away
//! with a lot: a bare `&` stands for itself, and whatever follows the root element is ignored.
//!
//! Spec: XML 1.0 (fifth edition) §2, §4.1, §4.6; Namespaces in XML 1.0 §4.
//! Knows nothing of: SOAP, namespaces' names, encodings other than UTF-8.

use crate::limits::XML_DEPTH_MAX;
use std::{borrow::Cow, fmt};

/// A document being read. Needs no memory but the list of open elements.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a str,
    /// The names of the open elements, outermost first.
    open: Vec<&'a str>,
    /// The innermost element has no content: its end is next.
    is_empty: bool,
    has_root: bool,
}

/// The next piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Start(Element<'a>),
    /// Never empty, without surrounding white space. A comment or CDATA section divides a text.
    Text(Cow<'a, str>),
    /// The element with this name ends; it is no longer in [`Reader::path`].
    End(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Without its prefix.
    pub name: &'a str,
    attributes: &'a str,
}

/// Why a document cannot be read further; the camera's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// `<!DOCTYPE` or another declaration.
    Declaration,
    TooDeep,
    /// It ends inside an element.
    Cut,
    Malformed,
}

impl<'a> Reader<'a> {
    pub fn new(document: &'a str) -> Reader<'a> {
        Reader { rest: document, open: Vec::new(), is_empty: false, has_root: false }
    }

    /// The names of the open elements, outermost first.
    pub fn path(&self) -> &[&'a str] {
        &self.open
    }

    /// Returns what comes next; `None` once the root element has ended.
    ///
    /// # Errors
    /// The rest of the document is not read; what came before it counts.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results is awkward here")]
    pub fn next(&mut self) -> Result<Option<Event<'a>>, XmlError> {
        loop {
            if self.is_empty {
                self.is_empty = false;
                return Ok(self.open.pop().map(Event::End));
            }
            if self.has_root && self.open.is_empty() {
                return Ok(None);
            }
            let at = self.rest.find('<').ok_or(XmlError::Cut)?;
            if let Some(text) = self.take(at).filter(|text| !text.is_empty()) {
                return Ok(Some(Event::Text(unescaped(text))));
            }
            if let Some(event) = self.markup()? {
                return Ok(Some(event));
            }
        }
    }

    /// Passes over `len` bytes; returns them as a text if they are inside the root element.
    fn take(&mut self, len: usize) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        (!self.open.is_empty()).then(|| text.trim())
    }

    /// Reads what begins with `<`; returns `None` if it is of no interest.
    fn markup(&mut self) -> Result<Option<Event<'a>>, XmlError> {
        if let Some(comment) = self.rest.strip_prefix("<!--") {
            self.up_to(comment, "-->")?;
            return Ok(None);
        }
        if let Some(instruction) = self.rest.strip_prefix("<?") {
            self.up_to(instruction, "?>")?;
            return Ok(None);
        }
        if let Some(data) = self.rest.strip_prefix("<![CDATA[") {
            let text = self.up_to(data, "]]>")?.trim();
            let is_text = !self.open.is_empty() && !text.is_empty();
            return Ok(is_text.then_some(Event::Text(Cow::Borrowed(text))));
        }
        if self.rest.starts_with("<!") {
            return Err(XmlError::Declaration);
        }
        if let Some(tag) = self.rest.strip_prefix("</") {
            let name = local(self.up_to(tag, ">")?.trim_end());
            return match self.open.pop() {
                Some(open) if open == name => Ok(Some(Event::End(name))),
                _ => Err(XmlError::Malformed),
            };
        }
        self.start().map(Some)
    }

    /// Returns what stands before `end`, and continues behind it.
    fn up_to(&mut self, text: &'a str, end: &str) -> Result<&'a str, XmlError> {
        let (before, rest) = text.split_once(end).ok_or(XmlError::Cut)?;
        self.rest = rest;
        Ok(before)
    }

    fn start(&mut self) -> Result<Event<'a>, XmlError> {
        let tag = self.rest.get(1..).unwrap_or_default();
        let end = end_of_tag(tag).ok_or(XmlError::Cut)?;
        let (tag, rest) = tag.split_at_checked(end).ok_or(XmlError::Malformed)?;
        self.rest = rest.get(1..).unwrap_or_default();
        let (tag, is_empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_at(tag.find(char::is_whitespace).unwrap_or(tag.len()));
        if name.contains(['<', '"', '\'', '=', '&', '/', '!', '?']) || local(name).is_empty() {
            return Err(XmlError::Malformed);
        }
        let name = local(name);
        if self.open.len() >= XML_DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        self.open.push(name);
        self.is_empty = is_empty;
        self.has_root = true;
        Ok(Event::Start(Element { name, attributes }))
    }
}

impl<'a> Element<'a> {
    /// Returns the value of the attribute with this name, whatever its prefix.
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.attributes;
        loop {
            let (key, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, after) = after.get(1..)?.split_once(quote)?;
            let key = key.trim();
            if local(key) == name && !key.starts_with("xmlns") {
                return Some(unescaped(value));
            }
            rest = after;
        }
    }
}

/// The position of the `>` that ends a tag: one in quotes belongs to a value.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|byte| {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
        quote.is_none() && byte == b'>'
    })
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Replaces the entities of XML (§4.6) and character references; anything else that begins with `&`
/// stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match reference(after) {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Reads the reference whose `&` stands before `text`; returns its character and what follows it.
fn reference(text: &str) -> Option<(char, &str)> {
    let end = text.bytes().take(REFERENCE_BYTES_MAX).position(|byte| byte == b';')?;
    let name = text.get(..end)?;
    let rest = text.get(end + 1..)?;
    let known = ENTITIES.iter().find(|(entity, _)| *entity == name);
    let character = match (known, name.strip_prefix('#')) {
        (Some((_, character)), _) => Some(*character),
        (None, Some(number)) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        }
        .and_then(char::from_u32)
        .filter(|character| *character != '\0'),
        (None, None) => None,
    };
    Some((character?, rest))
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            XmlError::Declaration => "broken XML from the camera: a document type declaration",
            XmlError::TooDeep => "broken XML from the camera: too many elements in each other",
            XmlError::Cut => "broken XML from the camera: it ends too early",
            XmlError::Malformed => "broken XML from the camera: a tag that makes no sense",
        })
    }
}

const ENTITIES: [(&str, char); 5] =
    [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
/// The longest reference, `#x10FFFF;`, with some zeros before it.
const REFERENCE_BYTES_MAX: usize = 16;

#[cfg(test)]
mod tests;
