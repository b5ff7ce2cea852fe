//! The pages that may make a browser send requests here: only ours.
//!
//! Spec: RFC 6454 §7 (Origin), Fetch Metadata (Sec-Fetch-*). Browsers on plain-HTTP names of a
//! local network send no `Sec-Fetch-Site`: it can refuse, never allow.

use super::{
    head::{AccessHead, Class},
    host::Hosts,
    refusal::Refusal,
};
use std::str;

/// `cookie` is the name of our cookie, `hosts` are the names of this machine.
///
/// # Errors
/// `Foreign`: another page asks; `OriginMissing`: it is unknown which page asks.
pub fn check(
    head: &AccessHead<'_>,
    class: Class,
    cookie: &str,
    hosts: &Hosts,
) -> Result<(), Refusal> {
    // A link elsewhere may lead to our page, which then requests the rest itself.
    let is_link = class == Class::Public && head.is_navigation();
    if let Some(site) = head.site
        && !is_link
        && !SITES.iter().any(|allowed| site.eq_ignore_ascii_case(allowed))
    {
        return Err(Refusal::Foreign);
    }
    if let Some(origin) = head.origin {
        let is_own = str::from_utf8(origin).is_ok_and(|origin| is_own(origin, head.host, hosts));
        return if is_own { Ok(()) } else { Err(Refusal::Foreign) };
    }
    let changes = matches!(class, Class::Change | Class::LogIn | Class::WebSocket);
    if changes && head.cookies(cookie).next().is_some() {
        return Err(Refusal::OriginMissing);
    }
    Ok(())
}

/// Returns true if an origin is `http://` or `https://` (a proxy's) followed by exactly the value
/// of `Host`, or by a name in `web.hosts`: proxies send a `Host` with their own port, without one,
/// or with their own name.
fn is_own(origin: &str, host: Option<&[u8]>, hosts: &Hosts) -> bool {
    SCHEMES.iter().any(|(scheme, default_port)| {
        let Some((start, rest)) = origin.split_at_checked(scheme.len()) else { return false };
        let without_port =
            |host: &'_ str| host.strip_suffix(default_port).map_or(host.len(), str::len);
        let host = host.and_then(|host| str::from_utf8(host).ok()).unwrap_or_default();
        let (ours, theirs) = (host.get(..without_port(host)), rest.get(..without_port(rest)));
        let is_host = !rest.is_empty()
            && ours.zip(theirs).is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs));
        start.eq_ignore_ascii_case(scheme) && (is_host || hosts.has_further(rest))
    })
}

const SITES: [&[u8]; 2] = [b"same-origin", b"none"];
/// With the port that browsers omit.
const SCHEMES: [(&str, &str); 2] = [("http://", ":80"), ("https://", ":443")];
