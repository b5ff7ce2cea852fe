//! Entity tags: which state of a file a client has. Spec: RFC 9110 §8.8, §13.1.

/// Returns true if a list of entity tags contains this one; weak ones count (§13.1.2).
pub fn names(tags: &str, etag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
