//! An XML document, as in a camera's answers and its stream of metadata.

use smolnvr::{
    limits::XML_DEPTH_MAX,
    xml::{Event, Reader, XmlError},
};

pub const WORDS: &[&str] = &[
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://www.w3.org/2003/05/soap-envelope\">",
    "</SOAP-ENV:Envelope>",
    "<d:XAddrs>http://10.0.0.2/onvif/device_service</d:XAddrs>",
    "<tt:SimpleItem Name=\"IsMotion\" Value=\"true\"/>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE a>",
    "<!ENTITY a \"b\">",
    "<a>",
    "</a>",
    "<a/>",
    "<a b='",
    " token=\"1\"",
    "&amp;",
    "&lt;",
    "&#60;",
    "&#x26;",
    "&",
    ";",
    "\0",
];

pub fn xml(data: &[u8]) {
    let document = String::from_utf8_lossy(data);
    let (events, end) = read(&document);
    assert!(events.len() <= document.len() + 1);
    // A text counts where something follows it.
    let written: String = events.iter().map(write).chain(["<".to_owned()]).collect();
    // What was read means the same when it is written plainly.
    let (again, end_again) = read(&written);
    assert_eq!(joined(again), joined(events));
    assert!(end.is_some() || end_again.is_none(), "{written}");
}

/// All events, and why there are no more, unless the document is whole.
fn read(document: &str) -> (Vec<Event<'_>>, Option<XmlError>) {
    let mut reader = Reader::new(document);
    let mut events = Vec::new();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.next() {
            Ok(None) => return (events, None),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return (events, Some(error));
            }
            Ok(Some(event)) => {
                match &event {
                    Event::Start(element) => open.push(element.name.to_owned()),
                    Event::Text(text) => assert!(!text.is_empty() && !open.is_empty()),
                    Event::End(name) => assert_eq!(open.pop().as_deref(), Some(*name)),
                }
                assert_eq!(reader.path(), open);
                assert!(open.len() <= XML_DEPTH_MAX);
                events.push(event);
            }
        }
    }
}

fn write(event: &Event<'_>) -> String {
    match event {
        Event::Start(element) => match element.attribute("token") {
            Some(value) => format!("<{} token=\"{}\">", element.name, escaped(&value)),
            None => format!("<{}>", element.name),
        },
        Event::Text(text) => escaped(text),
        Event::End(name) => format!("</{name}>"),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
    // White space at an end of a text would not be read again.
    text.replace(char::is_whitespace, "&#95;")
}

/// The events in one form: texts that follow one another are one, white space is `_`.
fn joined(events: Vec<Event<'_>>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut was_text = false;
    for event in events {
        let (text, is_text) = match &event {
            Event::Start(element) => {
                let token = element.attribute("token").map(|value| plain(&value));
                (format!("<{} {token:?}", element.name), false)
            }
            Event::Text(text) => (plain(text), true),
            Event::End(name) => (format!(">{name}"), false),
        };
        match out.last_mut() {
            Some(last) if was_text && is_text => *last += &text,
            _ => out.push(text),
        }
        was_text = is_text;
    }
    out
}

fn plain(text: &str) -> String {
    text.replace(char::is_whitespace, "_")
}
