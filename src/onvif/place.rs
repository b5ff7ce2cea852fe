//! URLs in a camera's answers. Their host is often wrong (another interface, an address behind a
//! NAT, 0.0.0.0), and may be a stranger's: it is replaced by the one that answered.

use crate::limits::URL_BYTES_MAX;

/// A URL without its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostlessUrl {
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl HostlessUrl {
    /// Reads a URL of this scheme; returns the host that it names, too. User and password in it are
    /// ignored, as is all that follows a port: `http://10.0.0.2:8106:8106/` occurs, and 0 for the
    /// usual port. Blanks inside it are encoded.
    pub fn parse<'a>(
        url: &'a str,
        scheme: &str,
        default_port: u16,
    ) -> Option<(&'a str, HostlessUrl)> {
        let (found, rest) = url.trim().split_once("://")?;
        if !found.eq_ignore_ascii_case(scheme) || url.len() > URL_BYTES_MAX {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default()),
            None => address.split_once(':').unwrap_or((address, "")),
        };
        let digits = port.split(':').next().unwrap_or_default();
        let port = match digits.parse() {
            _ if digits.is_empty() => default_port,
            Ok(0) => default_port,
            Ok(port) => port,
            Err(_) => return None,
        };
        let path = path.replace(' ', "%20");
        if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some((host, HostlessUrl { port, path: [slash, &path].concat() }))
    }

    /// The URL at this host.
    pub fn at(&self, host: &str, scheme: &str, default_port: u16) -> String {
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        let port = match self.port {
            port if port == default_port => String::new(),
            port => format!(":{port}"),
        };
        [scheme, "://", open, host, close, &port, &self.path].concat()
    }
}
