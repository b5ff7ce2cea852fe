//! The names by which this machine may be called. Without this check, a page elsewhere could get
//! here by a name of its own that resolves to this address (DNS rebinding).
//!
//! Spec: RFC 9110 §7.2 (Host), §15.5.20 (421). Knows nothing of: resolving names.

use super::refusal::Refusal::{self, Malformed};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The values of `Host` that are allowed besides IP addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// The machine's own name, in lower case: in full, and its first label.
    own: Vec<String>,
    /// `web.hosts`, in lower case; an entry with a port allows only that port.
    further: Vec<String>,
}

impl Hosts {
    /// `own` is the kernel's name of the machine; `further` comes from the configuration.
    pub fn new(own: &str, further: &[String]) -> Hosts {
        let own = plain(own);
        let label = own.split('.').next().unwrap_or_default();
        let own = [own.as_str(), label].into_iter().filter(|name| !name.is_empty());
        Hosts {
            own: own.map(str::to_owned).collect(),
            further: further.iter().map(|name| plain(name)).collect(),
        }
    }

    /// # Errors
    /// `Malformed`: not a host at all; `Misdirected`: not a name of this machine.
    pub fn check(&self, host: &[u8]) -> Result<(), Refusal> {
        const NO_HOST: Refusal = Malformed("Host is no host");
        let whole = std::str::from_utf8(host).map_err(|_| NO_HOST)?;
        let Host::Name(name) = split_port(whole).ok_or(NO_HOST)? else { return Ok(()) };
        let name = plain(name);
        let is_ours = name == "localhost"
            || self.has_further(whole)
            || self.own.contains(&name)
            || LOCAL_DOMAINS.iter().any(|domain| {
                name.strip_suffix(domain).is_some_and(|name| self.own.iter().any(|own| own == name))
            });
        if is_ours { Ok(()) } else { Err(Refusal::Misdirected { host: name }) }
    }
}

impl Hosts {
    /// Returns true if `host`, perhaps with a port, is one of `web.hosts`.
    pub fn has_further(&self, host: &str) -> bool {
        let Some(Host::Name(name)) = split_port(host) else { return false };
        let name = plain(name);
        self.further.iter().any(|known| *known == name || known.eq_ignore_ascii_case(host))
    }
}

/// The machine's name, as the kernel has it.
pub fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

enum Host<'a> {
    Address,
    Name(&'a str),
}

/// `uri-host [ ":" port ]`; `None` if it is anything else.
fn split_port(host: &str) -> Option<Host<'_>> {
    let (name, port) = match host.strip_prefix('[') {
        Some(literal) => {
            let (address, port) = literal.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (None, port)
        }
        None => {
            let end = host.find(':').unwrap_or(host.len());
            let (name, port) = host.split_at(end);
            (Some(name), port)
        }
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    let Some(name) = name else { return Some(Host::Address) };
    if name.parse::<Ipv4Addr>().is_ok() {
        return Some(Host::Address);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed);
    is_name.then_some(Host::Name(name))
}

/// A name in lower case, without the root's dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Domains that cannot be registered: RFC 6762, RFC 8375, and those that routers use.
const LOCAL_DOMAINS: [&str; 3] = [".local", ".lan", ".home.arpa"];
/// RFC 1035 §2.3.4.
const NAME_BYTES_MAX: usize = 254;
