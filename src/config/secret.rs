//! Masks passwords in URLs, and restores them.
//!
//! A password is shown as [`MASK`]. A mask that comes back stands for the password stored for that
//! host, and no other: otherwise anyone allowed to enter a URL could have the password sent to
//! another host.

use crate::http::url::secret_values;
use std::{fmt, ops::Range};

/// Stands for a password.
const MASK: &str = "***";

/// `rtsp://admin:secret@host/?pwd=x` → `rtsp://admin:***@host/?pwd=***`
pub(super) fn mask(url: &str) -> String {
    replaced(url, |_, _| Some(MASK)).unwrap_or_default()
}

/// The passwords in `url`, as written.
pub(super) fn values(url: &str) -> Vec<String> {
    secrets(url).into_iter().filter_map(|(_, range)| url.get(range).map(str::to_owned)).collect()
}

/// Why a mask cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No password is stored.
    NotStored,
    /// The stored password belongs to this other host.
    Elsewhere { host: String },
}

/// Returns `url` with each mask replaced by the password at that place in one of `stored`: the URL
/// that looks the same when masked, otherwise the first one of the same host that has all passwords
/// needed. Path, port and scheme may differ.
///
/// # Errors
/// Why there is no such URL.
pub(super) fn unmask(url: &str, stored: &[&str]) -> Result<String, Unknown> {
    if let Some(same) = stored.iter().find(|stored| mask(stored) == url) {
        return Ok((*same).to_owned());
    }
    if !secrets(url).into_iter().any(|(_, range)| url.get(range) == Some(MASK)) {
        return Ok(url.to_owned());
    }
    let with_secrets = || stored.iter().filter(|stored| !secrets(stored).is_empty());
    let is_here = |stored: &&&str| host(stored).eq_ignore_ascii_case(host(url));
    let found = with_secrets().filter(is_here).find_map(|stored| {
        let stored_secrets = secrets(stored);
        replaced(url, |name, secret| {
            if secret != MASK {
                return Some(secret);
            }
            let (_, range) = stored_secrets.iter().find(|(stored, _)| *stored == name)?;
            stored.get(range.clone())
        })
    });
    found.ok_or_else(|| match with_secrets().find(|stored| !is_here(stored)) {
        Some(stored) => Unknown::Elsewhere { host: host(stored).to_owned() },
        None => Unknown::NotStored,
    })
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::NotStored => {
                f.write_str("no password is stored to replace ***: enter the password")
            }
            Unknown::Elsewhere { host } => {
                write!(f, "*** stands for the password of {host}: enter it")
            }
        }
    }
}

/// Replaces each password in `url` by the result of `new` for its name and value.
fn replaced<'a>(url: &'a str, new: impl Fn(&str, &'a str) -> Option<&'a str>) -> Option<String> {
    let mut out = String::with_capacity(url.len());
    let mut at = 0;
    for (name, range) in secrets(url) {
        out.push_str(url.get(at..range.start)?);
        out.push_str(new(name, url.get(range.clone())?)?);
        at = range.end;
    }
    out.push_str(url.get(at..)?);
    Some(out)
}

/// The passwords in a URL, in order: their names and positions. The name of the one after the user
/// is `""`.
fn secrets(url: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let (start, end) = authority(url);
    let (authority, path) =
        (url.get(start..end).unwrap_or_default(), url.get(end..).unwrap_or_default());
    if let Some((user_info, _)) = authority.rsplit_once('@')
        && let Some((user, password)) = user_info.split_once(':')
        && !password.is_empty()
    {
        let at = start + user.len() + 1;
        found.push(("", at..at + password.len()));
    }
    for range in secret_values(path) {
        let before = path.get(..range.start.saturating_sub(1)).unwrap_or_default();
        let name = before.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        let name = before.get(name..).unwrap_or(before);
        found.push((name, end + range.start..end + range.end));
    }
    found
}

/// The host in a URL, an IPv6 address with its brackets, as [`crate::http::url::Target`] finds it.
fn host(url: &str) -> &str {
    let (start, end) = authority(url);
    let authority = url.get(start..end).unwrap_or_default();
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let end = if address.starts_with('[') { address.find(']').map(|at| at + 1) } else { None };
    let end = end.or_else(|| address.find(':')).unwrap_or(address.len());
    address.get(..end).unwrap_or_default()
}

/// The range of user, password, host and port.
fn authority(url: &str) -> (usize, usize) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    (start, start + rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::url::{Target, TargetError};
    use proptest::prelude::*;

    #[test]
    fn passwords_are_masked_wherever_cameras_take_them() {
        for (url, shown) in [
            ("rtsp://admin:hunter2@cam:554/live", "rtsp://admin:***@cam:554/live"),
            ("rtsp://admin:p@ss:w@cam/", "rtsp://admin:***@cam/"),
            ("rtsp://admin@cam/a:b@c", "rtsp://admin@cam/a:b@c"),
            ("rtsp://admin:@cam", "rtsp://admin:@cam"),
            ("rtsp://cam/?user=a&pwd=x&n=1", "rtsp://cam/?user=a&pwd=***&n=1"),
            ("http://u:p@cam/i.jpg?passwd=q", "http://u:***@cam/i.jpg?passwd=***"),
            ("rtsp://cam/user=a_password=x_channel=1", "rtsp://cam/user=a_password=***"),
            ("auto", "auto"),
        ] {
            assert_eq!(mask(url), shown);
            assert_eq!(unmask(shown, &[url]).as_deref(), Ok(url));
        }
    }

    #[test]
    fn a_mask_at_the_same_host_means_the_same_password() {
        let stored = "rtsp://admin:hunter2@Cam:554/?pwd=x";
        let new = |url| unmask(url, &[stored]);
        assert_eq!(new("rtsp://root:***@cam:5/b").unwrap(), "rtsp://root:hunter2@cam:5/b");
        assert_eq!(new("http://admin:***@CAM/b.jpg").unwrap(), "http://admin:hunter2@CAM/b.jpg");
        assert_eq!(new("rtsp://cam/?a=1&pwd=***").unwrap(), "rtsp://cam/?a=1&pwd=x");
        assert_eq!(new("rtsp://a:b@new/").unwrap(), "rtsp://a:b@new/");
        assert_eq!(new("rtsp://cam/?auth=***"), Err(Unknown::NotStored));
        assert_eq!(unmask("rtsp://a:***@cam/", &["rtsp://a@cam/"]), Err(Unknown::NotStored));
        assert_eq!(unmask("rtsp://a:***@cam/", &[]), Err(Unknown::NotStored));
        let v6 = unmask("rtsp://a:***@[fd00::1]/x", &["rtsp://a:one@[fd00::1]:554/"]);
        assert_eq!(v6.unwrap(), "rtsp://a:one@[fd00::1]/x");
    }

    #[test]
    fn a_mask_never_takes_a_password_to_another_host() {
        let stored = "rtsp://admin:hunter2@cam:554/?pwd=x";
        for url in [
            "rtsp://admin:***@evil/",
            "rtsp://admin:***@cam.evil/",
            "rtsp://admin:***@evilcam/",
            "rtsp://admin:***@evil:554/?pwd=***",
            "rtsp://evil/?pwd=***",
            "rtsp://admin:***@evil/@cam",
            "rtsp://admin:***@evil#@cam:554/",
            "rtsp://admin:***@evil?@cam:554/",
            "rtsp://admin:***@[cam]evil/",
            "http://admin:***@evil/i.jpg",
            "rtsp://:***@",
            "admin:***@evil/",
        ] {
            let refused = Err(Unknown::Elsewhere { host: "cam".to_owned() });
            assert_eq!(unmask(url, &[stored]), refused, "{url}");
        }
    }

    #[test]
    fn the_address_that_looks_the_same_is_chosen_among_several() {
        let stored = ["rtsp://a:one@x/", "rtsp://a:two@x/2", "rtsp://a:three@y/"];
        assert_eq!(unmask("rtsp://a:***@x/2", &stored).unwrap(), stored[1]);
        assert_eq!(unmask("rtsp://a:***@y/b", &stored).unwrap(), "rtsp://a:three@y/b");
        assert_eq!(unmask("rtsp://z/", &[]).unwrap(), "rtsp://z/");
    }

    fn parsed(url: &str) -> Result<Target, TargetError> {
        url.parse().or_else(|_| Target::http(url))
    }

    proptest! {
        #[test]
        fn masked_passwords_come_back(url in "(rtsp|http)://([a-z%]{0,3}(:[a-z:@*]{0,4})?@)?[a-z.]{1,4}([/?&=]|pwd|a|=x|\\*){0,9}") {
            prop_assert_eq!(unmask(&mask(&url), &[&url]), Ok(url.clone()));
            prop_assert_eq!(mask(&mask(&url)), mask(&url));
        }

        #[test]
        fn a_masked_password_goes_only_to_its_host(
            url in "(rtsp|http)://([a-z@:]{0,3}:\\*\\*\\*@)?[ab.@\\[\\]:/?#]{1,8}",
        ) {
            let stored = "rtsp://u:hunter2@a.b/";
            let unmasked = unmask(&url, &[stored]).unwrap_or_default();
            if let (true, Ok(target)) = (unmasked.contains("hunter2"), parsed(&unmasked)) {
                prop_assert_eq!(target.host(), "a.b");
            }
        }

        #[test]
        fn no_text_panics(url in "\\PC{0,40}", stored in "\\PC{0,40}") {
            let _ = (mask(&url), unmask(&url, &[&stored]));
        }
    }
}
