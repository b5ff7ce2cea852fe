//! Why a request is not served, and the answer that says so.

use std::fmt::Write as _;

/// A status with the reason in words for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub status: u16,
    pub error: String,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Further fields of the JSON object.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    pub fn new(status: u16, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into(), headers: Vec::new(), retry_after_ms: None }
    }

    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Refusal {
        self.headers.push((name, value.into()));
        self
    }

    /// The head of a request did not come in time.
    pub fn slow() -> Refusal {
        Refusal::new(408, "the request took too long")
    }

    /// The object that is sent as the body.
    pub fn json(&self) -> String {
        let error = serde_json::Value::from(&*self.error);
        match self.retry_after_ms {
            Some(millis) => format!("{{\"error\":{error},\"retry_after_ms\":{millis}}}"),
            None => format!("{{\"error\":{error}}}"),
        }
    }

    /// The whole answer, after which the connection is closed: for requests that get no further.
    pub fn message(&self) -> String {
        let body = self.json();
        let mut message = format!(
            "HTTP/1.1 {} \r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n",
            self.status,
            body.len()
        );
        for (name, value) in &self.headers {
            // Writing to a String can not fail.
            let _ = write!(message, "{name}: {value}\r\n");
        }
        message + "\r\n" + &body
    }
}
