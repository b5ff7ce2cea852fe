//! The page's files and the API description, compiled in gzipped (`build.rs`).
//!
//! Spec: RFC 9110 §8.4.1, §13.1.2.

use super::answer::{Answer, Body};
use crate::http::request::Head;

/// One file.
pub(super) struct Asset {
    /// Its path without the leading `/`; empty for the page itself.
    name: &'static str,
    kind: &'static str,
    /// The hash of its content: its entity tag, and the `v` of its address in the page.
    hash: &'static str,
    gzipped: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Serves `GET /`, `/app.js`, `/api/openapi.json` and so on.
pub(super) fn answer(head: &Head<'_>, name: &str) -> Answer {
    let Some(asset) = find(name) else { return Answer::error(404, "not found") };
    let is_known = head.field("if-none-match").is_some_and(|tags| tags.contains(asset.hash));
    // Without this field any encoding is acceptable (RFC 9110 §12.5.3).
    let takes_gzip = head
        .field("accept-encoding")
        .is_none_or(|encodings| encodings.contains("gzip") || encodings.contains('*'));
    let answer = match (is_known, takes_gzip) {
        (true, _) => Answer::new(304, Body::None),
        (false, true) => {
            let body = Body::Bytes { kind: asset.kind, bytes: asset.gzipped.into() };
            Answer::new(200, body).with("Content-Encoding", "gzip")
        }
        // Checks that the page exists (wget --spider).
        (false, false) if name.is_empty() => {
            let body = Body::Bytes { kind: "text/html; charset=utf-8", bytes: PLAIN_PAGE.into() };
            return Answer::new(200, body).with("Vary", "Accept-Encoding");
        }
        (false, false) => return Answer::error(406, "this is only available with gzip encoding"),
    };
    // A file requested by its hash never changes (RFC 8246).
    let is_named = head.parameter("v") == Some(asset.hash);
    // The page waits for its script and for the table of the reader's language.
    let language = head.field("accept-language").and_then(|list| list.get(..2));
    let table = language.filter(|_| name.is_empty()).and_then(|it| find(&format!("{it}.json")));
    let answer = match table {
        Some(Asset { name, hash, .. }) => {
            answer.with("Link", format!("</{name}?v={hash}>; rel=preload; as=fetch; crossorigin"))
        }
        None => answer,
    };
    let cached = if is_named { "public, max-age=31536000, immutable" } else { "no-cache" };
    answer
        .with("ETag", format!("\"{}\"", asset.hash))
        .with("Cache-Control", cached)
        .with("Vary", "Accept-Encoding, Accept-Language")
}

/// For clients that do not accept gzip.
const PLAIN_PAGE: &[u8] = b"<!doctype html><title>smolnvr</title>\
    <p>smolnvr is running. Its page needs gzip: use a browser, or curl --compressed.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_at_most_60_kilobytes() {
        // Includes all languages, of which a browser fetches one, but not the description of the
        // API.
        let page = ASSETS.iter().filter(|asset| asset.name != "api/openapi.json");
        let bytes: usize = page.map(|asset| asset.gzipped.len()).sum();
        assert!(bytes <= 60_000, "{bytes}");
    }

    #[test]
    fn every_language_has_each_text_of_the_page_with_its_values_and_no_other() {
        assert!(WRONG_TEXTS.is_empty(), "{WRONG_TEXTS:#?}");
    }
}
