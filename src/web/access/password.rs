//! The password: text in, a hash that can be stored out; and the file that stores it.
//!
//! One line in the PHC string format, `$pbkdf2-sha256$i=6000$<salt>$<hash>`, both in base64 without
//! padding: the count is stored, so that a later version may raise it.
//!
//! Spec: RFC 8018 §5.2 (PBKDF2 with HMAC-SHA256).

use super::secret::{self, Key};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    ops::RangeInclusive,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The number of characters a password may have.
pub const LENGTH: RangeInclusive<usize> = 8..=128;

/// The state of the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// None has been set.
    Unset,
    Set(PasswordHash),
    /// The file exists but cannot be read (reason inside). All logins fail.
    Unreadable(String),
}

/// A password in the form in which it is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordHash {
    iterations: u32,
    salt: [u8; 16],
    hash: [u8; 32],
}

impl PasswordHash {
    /// *Cost*: up to 100 ms on the board; run it on a thread of its own. `salt` is random.
    pub fn new(password: &[u8], salt: [u8; 16]) -> PasswordHash {
        PasswordHash { iterations: ITERATIONS, salt, hash: derive(password, &salt, ITERATIONS) }
    }

    /// Returns true if this is the password. *Cost*: as [`PasswordHash::new`].
    pub fn fits(&self, password: &[u8]) -> bool {
        secret::is_same(&derive(password, &self.salt, self.iterations), &self.hash)
    }

    /// A key derived from the hash: whatever it signed was issued by this recorder under this
    /// password.
    pub fn key(&self) -> Key {
        Key::of(self.hash)
    }

    /// Distinguishes recorders, and reveals nothing of the password.
    pub fn tag(&self) -> u32 {
        let [a, b, c, d, ..] = self.salt;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Parses the output of [`PasswordHash`]; `None` if it is anything else.
    pub fn parse(line: &str) -> Option<PasswordHash> {
        let mut parts = line.strip_prefix("$pbkdf2-sha256$i=")?.split('$');
        let iterations = parts.next()?.parse().ok().filter(|n| ITERATIONS_RANGE.contains(n))?;
        let salt = BASE64.decode(parts.next()?).ok()?.try_into().ok()?;
        let hash = BASE64.decode(parts.next()?).ok()?.try_into().ok()?;
        parts.next().is_none().then_some(PasswordHash { iterations, salt, hash })
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, hash) = (BASE64.encode(self.salt), BASE64.encode(self.hash));
        write!(f, "$pbkdf2-sha256$i={}${salt}${hash}", self.iterations)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(***)")
    }
}

/// The password file of a configuration.
pub fn path(config: &Path) -> PathBuf {
    config.with_file_name("smolnvr.passwd")
}

/// Reads the file. Only a missing file means that no password is set: on any doubt, all logins
/// fail.
pub fn read(file: &Path) -> Password {
    let mut text = String::new();
    let read =
        File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => match PasswordHash::parse(text.trim_end()) {
            Some(hash) => Password::Set(hash),
            None => Password::Unreadable(format!("{} holds no password", file.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Password::Unset,
        Err(error) => Password::Unreadable(format!("{}: {error}", file.display())),
    }
}

/// Writes the file, readable only by its owner; after a power cut it is the old one or the new one.
///
/// # Errors
/// The file system's; the old file is unchanged.
pub fn write(file: &Path, hash: &PasswordHash) -> io::Result<()> {
    let draft = file.with_extension("passwd.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(new, "{hash}")?;
    new.sync_all()?;
    fs::rename(&draft, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn derive(password: &[u8], salt: &[u8; 16], iterations: u32) -> [u8; 32] {
    let mut out = [0; 32];
    pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out);
    out
}

/// 80 ms on the board: two blocks of SHA-256 each, 11,300 instructions (counted by callgrind with
/// this build's options, without the host's SHA extensions), about 12,000 cycles of a Cortex-A7,
/// which issues little more than one a cycle at best, at 900 MHz. The rest of 100 ms belongs to the
/// recorder.
const ITERATIONS: u32 = 6_000;
/// The range a file may ask for: the lower end makes guessing slow, the upper end takes 3 s on the
/// board.
const ITERATIONS_RANGE: RangeInclusive<u32> = 1_000..=200_000;
/// The line has less than 100 bytes.
const FILE_BYTES_MAX: u64 = 1024;
