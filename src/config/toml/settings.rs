//! Hands the tree to serde, and adds key and position to its errors.

use super::{Entry, Node, Value, Wrong};
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected, Visitor},
    forward_to_deserialize_any,
};
use std::{fmt, slice};

impl<'de> Deserializer<'de> for &Node {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let result = match &self.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Fraction(_) => Err(self.unlike(&visitor)),
            Value::Boolean(is_so) => visitor.visit_bool(*is_so),
            Value::List(list) => {
                let mut nodes = Nodes { rest: list.iter(), last: self };
                visitor.visit_seq(&mut nodes).map_err(|wrong| wrong.or_at(nodes.last.span.start))
            }
            Value::Table(table) => {
                visitor.visit_map(Entries { rest: table.entries.iter(), last: None })
            }
        };
        result.map_err(|wrong| wrong.or_at(self.span.start))
    }

    // What has no other kind is asked for no other, so that no code for the others is in the binary.

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Value::Table(table) = &self.value else { return Err(self.unlike(&visitor)) };
        let entries = Entries { rest: table.entries.iter(), last: None };
        visitor.visit_map(entries).map_err(|wrong| wrong.or_at(self.span.start))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::List(list) = &self.value else { return Err(self.unlike(&visitor)) };
        let mut nodes = Nodes { rest: list.iter(), last: self };
        visitor.visit_seq(&mut nodes).map_err(|wrong| wrong.or_at(nodes.last.span.start))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::Text(text) = &self.value else { return Err(self.unlike(&visitor)) };
        visitor.visit_str(text).map_err(|wrong: Wrong| wrong.or_at(self.span.start))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::Integer(number) = self.value else { return Err(self.unlike(&visitor)) };
        visitor.visit_i64(number).map_err(|wrong: Wrong| wrong.or_at(self.span.start))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::Boolean(is_so) = self.value else { return Err(self.unlike(&visitor)) };
        visitor.visit_bool(is_so)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let result = match &self.value {
            Value::Text(text) => name_of(text).deserialize_enum(name, variants, visitor),
            _ => Err(de::Error::custom(OneOf(variants))),
        };
        result.map_err(|wrong| wrong.or_at(self.span.start))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf option unit unit_struct
        newtype_struct tuple tuple_struct map identifier ignored_any
    }
}

impl Node {
    fn unlike(&self, expected: &dyn de::Expected) -> Wrong {
        let found = match &self.value {
            Value::Text(text) => Unexpected::Str(text),
            Value::Integer(number) => Unexpected::Signed(*number),
            Value::Fraction(_) => Unexpected::Other("a fraction"),
            Value::Boolean(is_so) => Unexpected::Bool(*is_so),
            Value::List(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        };
        <Wrong as de::Error>::invalid_value(found, expected).or_at(self.span.start)
    }
}

struct Nodes<'a> {
    rest: slice::Iter<'a, Node>,
    /// The last one handed out, which an error is about.
    last: &'a Node,
}

impl<'de> SeqAccess<'de> for &mut Nodes<'_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        self.last = node;
        seed.deserialize(node).map(Some)
    }
}

struct Entries<'a> {
    rest: slice::Iter<'a, Entry>,
    /// The entry whose key was handed out last.
    last: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        self.last = self.rest.next();
        let Some(entry) = self.last else { return Ok(None) };
        let key = seed.deserialize(name_of(&entry.key));
        key.map(Some).map_err(|wrong| wrong.or_at(entry.start).within(&entry.key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        // serde asks for the key before the value.
        let Some(entry) = self.last else { return Err(Wrong::default()) };
        let value = seed.deserialize(&entry.node);
        value.map_err(|wrong| wrong.or_at(entry.node.span.start).within(&entry.key))
    }
}

fn name_of(text: &str) -> de::value::StrDeserializer<'_, Wrong> {
    text.into_deserializer()
}

impl Wrong {
    /// Sets the position unless a more precise one is known.
    fn or_at(self, at: usize) -> Wrong {
        Wrong { at: self.at.or(Some(at)), ..self }
    }

    fn within(self, key: &str) -> Wrong {
        let dot = if self.key.is_empty() { "" } else { "." };
        Wrong { key: [key, dot, &self.key].concat(), ..self }
    }
}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Wrong {
        Wrong { message: message.to_string(), ..Wrong::default() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Wrong {
        Wrong::invalid_value(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Wrong {
        Wrong::custom(format_args!("expected {expected}, not {found}"))
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Wrong {
        Wrong::custom(format_args!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Wrong {
        Wrong::custom(OneOf(expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Wrong {
        Wrong::custom(format_args!("unknown key, {}", OneOf(expected)))
    }

    fn missing_field(field: &'static str) -> Wrong {
        Wrong::custom(format_args!("the key `{field}` is missing"))
    }
}

/// Formats the words that are allowed.
struct OneOf(&'static [&'static str]);

impl fmt::Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() > 1 { "expected one of " } else { "expected " })?;
        for (index, word) in self.0.iter().enumerate() {
            write!(f, "{}`{word}`", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
