//! Addresses with their passwords → addresses to show, and back.
//!
//! A password is shown as [`MASK`], and a mask that comes back means the password that is stored.

use crate::rtsp::secret_values;
use std::ops::Range;

/// What stands for a password.
const MASK: &str = "***";

/// `rtsp://admin:secret@host/?pwd=x` → `rtsp://admin:***@host/?pwd=***`
pub(super) fn mask(url: &str) -> String {
    replaced(url, |_, _| Some(MASK)).unwrap_or_default()
}

/// The passwords in `url`, as they are written.
pub(super) fn values(url: &str) -> Vec<String> {
    secrets(url).into_iter().filter_map(|(_, range)| url.get(range).map(str::to_owned)).collect()
}

/// `url`, with each mask in it replaced by the password that one of `stored` has in that place: the
/// one that is shown the same, else the first that has them all; `None` where there is none.
pub(super) fn unmask(url: &str, stored: &[&str]) -> Option<String> {
    if let Some(same) = stored.iter().find(|stored| mask(stored) == url) {
        return Some((*same).to_owned());
    }
    if !secrets(url).into_iter().any(|(_, range)| url.get(range) == Some(MASK)) {
        return Some(url.to_owned());
    }
    stored.iter().find_map(|stored| {
        let stored_secrets = secrets(stored);
        replaced(url, |name, secret| {
            if secret != MASK {
                return Some(secret);
            }
            let (_, range) = stored_secrets.iter().find(|(stored, _)| *stored == name)?;
            stored.get(range.clone())
        })
    })
}

/// `url` with each password replaced by what `new` makes of its name and itself.
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

/// Where passwords stand, in order, and how they are called; the one behind the user `""`.
fn secrets(url: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let end = start + rest.find(['/', '?', '#']).unwrap_or(rest.len());
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

#[cfg(test)]
mod tests {
    use super::*;
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
            assert_eq!(unmask(shown, &[url]).as_deref(), Some(url));
        }
    }

    #[test]
    fn a_mask_at_another_address_means_the_same_password() {
        let stored = "rtsp://admin:hunter2@old/?pwd=x";
        let new = |url| unmask(url, &[stored]);
        assert_eq!(new("rtsp://root:***@new:5/b").unwrap(), "rtsp://root:hunter2@new:5/b");
        assert_eq!(new("rtsp://new/?a=1&pwd=***").unwrap(), "rtsp://new/?a=1&pwd=x");
        assert_eq!(new("rtsp://a:b@new/").unwrap(), "rtsp://a:b@new/");
        assert_eq!(new("rtsp://new/?auth=***"), None);
        assert_eq!(unmask("rtsp://a:***@new/", &["rtsp://a@old/"]), None);
    }

    #[test]
    fn of_several_addresses_the_one_that_looks_the_same_counts() {
        let stored = ["rtsp://a:one@x/", "rtsp://a:two@y/"];
        assert_eq!(unmask("rtsp://a:***@y/", &stored).unwrap(), stored[1]);
        assert_eq!(unmask("rtsp://a:***@z/", &stored).unwrap(), "rtsp://a:one@z/");
        assert_eq!(unmask("rtsp://z/", &[]).unwrap(), "rtsp://z/");
    }

    proptest! {
        #[test]
        fn what_was_masked_comes_back(url in "(rtsp|http)://([a-z%]{0,3}(:[a-z:@*]{0,4})?@)?[a-z.]{1,4}([/?&=]|pwd|a|=x|\\*){0,9}") {
            prop_assert_eq!(unmask(&mask(&url), &[&url]), Some(url.clone()));
            prop_assert_eq!(mask(&mask(&url)), mask(&url));
        }

        #[test]
        fn no_text_panics(url in "\\PC{0,40}", stored in "\\PC{0,40}") {
            let _ = (mask(&url), unmask(&url, &[&stored]));
        }
    }
}
