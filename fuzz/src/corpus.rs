//! A target's corpus: what people wrote as files with names, what libFuzzer learned in one file.
//!
//! `corpus/NAME/…` holds the first, `corpus/NAME.learned` the second: each input behind its length,
//! four bytes, big-endian.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The inputs of a target, by name, so that they are the same wherever they are read.
pub struct Corpus {
    pub named: Vec<(PathBuf, Vec<u8>)>,
    pub learned: Vec<Vec<u8>>,
}

impl Corpus {
    /// # Errors
    /// The file system's.
    pub fn read(target: &str) -> io::Result<Corpus> {
        let named = files(&folder().join(target))?;
        let learned = match fs::read(learned_file(target)) {
            Ok(bytes) => unpack(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Corpus { named, learned })
    }

    /// Writes learned inputs into a folder, each into a file, as libFuzzer reads them.
    ///
    /// # Errors
    /// The file system's.
    pub fn unpack_into(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for (nth, input) in self.learned.iter().enumerate() {
            fs::write(folder.join(format!("{nth:04}")), input)?;
        }
        Ok(())
    }
}

/// Keeps the files of a folder as the learned inputs of a target.
///
/// # Errors
/// The file system's.
pub fn pack(target: &str, from: &Path) -> io::Result<()> {
    let mut packed = Vec::new();
    for (_, input) in files(from)? {
        let length = u32::try_from(input.len()).expect("inputs have some KB");
        packed.extend(length.to_be_bytes());
        packed.extend(input);
    }
    fs::write(learned_file(target), packed)
}

fn unpack(mut packed: &[u8]) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk() {
        let (input, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        inputs.push(input.to_vec());
        packed = rest;
    }
    inputs
}

fn files(folder: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().map(|file| Ok((file.clone(), fs::read(file)?))).collect()
}

fn learned_file(target: &str) -> PathBuf {
    folder().join(format!("{target}.learned"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_packed_behind_its_length() {
        assert_eq!(unpack(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c"), [&b"ab"[..], b"", b"c"]);
    }
}
