//! Requests to keep, release or delete a span: a camera's name and two times in, counts out.
//!
//! Spec: docs/http.md.

use super::{Web, answer::Answer};
use crate::{
    http::request::Head,
    storage::{SpanAction, SpanError},
    units::WallTime,
};
use serde_json::json;

impl Web {
    /// `PUT` and `DELETE /api/keep/{camera}`, `DELETE /api/recordings/{camera}`, with `?from=&to=`.
    pub(super) async fn span(&self, head: &Head<'_>, camera: &str, action: SpanAction) -> Answer {
        let span = match span(head) {
            Ok(span) => span,
            Err(wrong) => return Answer::error(400, wrong),
        };
        match self.daemon.do_to_span(camera, span, action).await {
            Some(Ok(done)) => Answer::json(&json!({
                "segments": done.segments, "bytes": done.bytes, "left": done.left,
            })),
            Some(Err(error)) => {
                let status = match error {
                    SpanError::NothingThere => 404,
                    SpanError::TooMany { .. } | SpanError::NoPlace | SpanError::Full { .. } => 409,
                    SpanError::Unread
                    | SpanError::Busy
                    | SpanError::Card
                    | SpanError::Failed(_) => 503,
                };
                let answer = Answer::error(status, error.to_string());
                if status == 503 { answer.with("Retry-After", "2") } else { answer }
            }
            None => Answer::error(503, "the card is slow, the request still runs: ask again")
                .with("Retry-After", "10"),
        }
    }
}

/// Both ends are required, because a mistaken deletion cannot be undone.
fn span(head: &Head<'_>) -> Result<(WallTime, WallTime), String> {
    let time = |name: &str| {
        let time = head.parameter(name).unwrap_or_default().parse().map(WallTime);
        time.map_err(|_| format!("{name}: expected a time in milliseconds since 1970, UTC"))
    };
    Ok((time("from")?, time("to")?))
}
