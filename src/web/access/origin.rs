//! Which pages may make a browser ask for something here: ours alone.
//!
//! Spec: RFC 6454 §7 (Origin), Fetch Metadata (Sec-Fetch-Site). Browsers on plain-HTTP names of a
//! local network send no `Sec-Fetch-Site`: it can refuse, never allow.

use super::{
    head::{Class, Head},
    refusal::Refusal,
};

/// # Errors
/// `Foreign`: another page asks; `OriginMissing`: nobody can tell which page asks.
pub fn check(head: &Head<'_>, class: Class) -> Result<(), Refusal> {
    if let Some(site) = head.site
        && !SITES.iter().any(|allowed| site.eq_ignore_ascii_case(allowed))
    {
        return Err(Refusal::Foreign);
    }
    if let Some(origin) = head.origin {
        let is_own = |host| is_same(origin, host);
        return if head.host.is_some_and(is_own) { Ok(()) } else { Err(Refusal::Foreign) };
    }
    let changes = matches!(class, Class::Change | Class::LogIn | Class::WebSocket);
    if changes && head.cookies().next().is_some() {
        return Err(Refusal::OriginMissing);
    }
    Ok(())
}

/// Whether an origin is `http://` or `https://` (of a proxy before us) and then just what `Host` says.
fn is_same(origin: &[u8], host: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| {
        let parts = origin.split_at_checked(scheme.len());
        parts.is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(scheme) && rest.eq_ignore_ascii_case(host)
        })
    })
}

const SITES: [&[u8]; 2] = [b"same-origin", b"none"];
const SCHEMES: [&[u8]; 2] = [b"http://", b"https://"];
