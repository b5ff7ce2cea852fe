//! Looks for cameras, or for the streams of one.
//!
//! One at a time, on a thread of its own for these seconds. Nothing of it is kept.

use super::{
    Web,
    answer::{Answer, Body},
};
use crate::{
    find::{self, Error},
    http::url::Credentials,
    limits::URL_BYTES_MAX,
    runtime,
};
use serde_json::Value;
use std::borrow::Cow;

impl Web {
    /// `POST /api/discover`.
    pub(super) async fn discover(&self, body: &[u8]) -> Answer {
        let Ok(question @ Value::Object(_)) = serde_json::from_slice(body) else {
            return Answer::error(400, "expected {} or {\"address\":\"192.168.1.20\"}");
        };
        match runtime::unblock(move || answer(&question)).await {
            (200, json) => {
                let bytes = Cow::Owned(json.into_bytes());
                Answer::new(200, Body::Bytes { kind: "application/json", bytes })
            }
            (status, error) => Answer::error(status, error),
        }
    }
}

/// Returns the status and the reply.
fn answer(question: &Value) -> (u16, String) {
    let text = |name: &str| {
        let text = question.get(name)?.as_str()?;
        Some(text.chars().take(URL_BYTES_MAX).collect::<String>())
    };
    let password = text("password").unwrap_or_default();
    let credentials = text("user").map(|user| Credentials { user, password });
    let found = match (text("address"), credentials) {
        (None, None) => find::nearby(),
        (None, Some(_)) => Err(Error::Address),
        (Some(address), credentials) => find::at(&address, credentials).map(|it| vec![it]),
    };
    match found {
        Ok(cameras) => {
            let json = serde_json::to_string(&cameras).unwrap_or_default();
            (200, ["{\"cameras\":", &json, "}"].concat())
        }
        Err(why @ Error::Busy) => (409, why.to_string()),
        Err(why @ (Error::NoCamera(_) | Error::NoPath(_))) => (502, why.to_string()),
        Err(why) => (400, why.to_string()),
    }
}
