//! Programs and servers that are told what happens: `[hooks]` and `[mqtt]`.

use super::{
    CameraUrl,
    setting::Setting,
    toml::{Node, TomlError},
};
use serde_json::Value as Json;

/// Programs, and a web server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    /// A program and its arguments, for each mark; empty: none.
    pub on_mark: Vec<String>,
    /// The same for each complete recording.
    pub on_segment: Vec<String>,
    pub webhook: Option<CameraUrl>,
    /// Whether the webhook is told of recordings, too.
    pub webhook_segments: bool,
}

/// An MQTT server, and Home Assistant behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mqtt {
    pub broker: Option<CameraUrl>,
    /// What topics begin with; "": with `smolnvr/` and the network card's address.
    pub topic: String,
    /// Where Home Assistant looks for devices; "": it is not told.
    pub discovery: String,
}

impl Default for Mqtt {
    fn default() -> Self {
        Mqtt { broker: None, topic: String::new(), discovery: "homeassistant".to_owned() }
    }
}

/// The start of topics, or `""`.
pub(super) struct Topic<'a>(pub &'a mut String);

impl Setting for Topic<'_> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let text = node.text()?;
        if !is_topic(text) {
            return Err(node.instead_of("at most 64 characters of a-z, A-Z, 0-9, -, _ and /"));
        }
        text.clone_into(self.0);
        Ok(())
    }

    fn shown(&self) -> Json {
        self.0.as_str().into()
    }
}

fn is_topic(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    text.len() <= 64 && text.bytes().all(is_fit)
}
