//! The line in the password's file, which somebody may have edited.

use smolnvr::web::access::password::PasswordHash;

pub const WORDS: &[&str] = &["$pbkdf2-sha256$i=", "6000", "$", "AAECAwQFBgcICQoLDA0ODw", "="];

pub fn password(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(hash) = PasswordHash::parse(&text) else { return };
    let written = hash.to_string();
    assert_eq!(PasswordHash::parse(&written), Some(hash));
    // Otherwise an edited file could make the daemon compute for ever.
    let count = written.strip_prefix("$pbkdf2-sha256$i=").and_then(|it| it.split('$').next());
    let count: u64 = count.and_then(|it| it.parse().ok()).expect("a count stands first");
    assert!((1000..=200_000).contains(&count), "{count} rounds");
    // The count may have been written with more digits than it needs.
    let tail = |text: &str| text.split('$').skip(3).collect::<Vec<_>>().join("$");
    assert_eq!(tail(&written), tail(&text));
    assert!(!format!("{hash:?}").contains(&tail(&text)));
}
