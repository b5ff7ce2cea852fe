//! Programs and servers that are told what happens: `[hooks]` and `[mqtt]`.
//!
//! Read by hand: derived readers of these two sections take 3 KB more.

use super::{CameraUrl, values};
use crate::http::url::{Target, TargetError};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// Programs, and a web server.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hooks {
    /// A program and its arguments, for each mark; empty: none.
    pub on_mark: Vec<String>,
    /// The same for each complete recording.
    pub on_segment: Vec<String>,
    #[serde(serialize_with = "values::url_or_empty")]
    pub webhook: Option<CameraUrl>,
    /// Whether the webhook is told of recordings, too.
    pub webhook_segments: bool,
}

/// An MQTT server, and Home Assistant behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mqtt {
    #[serde(serialize_with = "values::url_or_empty")]
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

impl<'de> Deserialize<'de> for Hooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut hooks = Hooks::default();
        let set = &mut |key: &str, value| {
            match (key, value) {
                ("on_mark", Plain::List(list)) => hooks.on_mark = list,
                ("on_segment", Plain::List(list)) => hooks.on_segment = list,
                ("webhook", Plain::Text(text)) => hooks.webhook = url(text, Target::http)?,
                ("webhook_segments", Plain::Flag(is_so)) => hooks.webhook_segments = is_so,
                _ => {
                    return Err(
                        "expected on_mark = [\"program\", \"argument\"], on_segment = […], \
                                webhook = \"http://…\" or webhook_segments = true"
                            .to_owned(),
                    );
                }
            }
            Ok(())
        };
        deserializer.deserialize_any(Keys(set))?;
        Ok(hooks)
    }
}

impl<'de> Deserialize<'de> for Mqtt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut mqtt = Mqtt::default();
        let set = &mut |key: &str, value| {
            match (key, value) {
                ("broker", Plain::Text(text)) => mqtt.broker = url(text, Target::mqtt)?,
                ("topic", Plain::Text(text)) if is_topic(&text) => mqtt.topic = text,
                ("discovery", Plain::Text(text)) if is_topic(&text) => mqtt.discovery = text,
                _ => {
                    return Err(
                        "expected broker = \"mqtt://…\", or topic or discovery of at most \
                                64 characters of a-z, A-Z, 0-9, -, _ and /"
                            .to_owned(),
                    );
                }
            }
            Ok(())
        };
        deserializer.deserialize_any(Keys(set))?;
        Ok(mqtt)
    }
}

fn is_topic(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    text.len() <= 64 && text.bytes().all(is_fit)
}

fn url(
    text: String,
    parse: fn(&str) -> Result<Target, TargetError>,
) -> Result<Option<CameraUrl>, String> {
    if text.is_empty() { Ok(None) } else { values::checked(text, parse).map(Some) }
}

enum Plain {
    Text(String),
    List(Vec<String>),
    Flag(bool),
}

/// Takes a key and its value, or says what is wrong.
type Set<'a> = &'a mut dyn FnMut(&str, Plain) -> Result<(), String>;

/// A section.
struct Keys<'a>(Set<'a>);

/// The value of a key.
struct Slot<'a>(&'a str, Set<'a>);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Slot(&key, self.0))?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list of texts, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        (self.1)(self.0, Plain::Text(text.to_owned())).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, is_so: bool) -> Result<(), E> {
        (self.1)(self.0, Plain::Flag(is_so)).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        (self.1)(self.0, Plain::List(texts)).map_err(de::Error::custom)
    }
}
