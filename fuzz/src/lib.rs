//! Fuzz targets: everything of smolnvr that reads what others wrote, with what must hold for any
//! bytes.
//!
//! ```text
//! targets/NAME     one parser: bytes in, invariants checked at each step
//! ├─ source        choices out of bytes; a stream in pieces
//! ├─ nals, sound,  what several targets share: packets, sinks, files
//! │  files
//! └─ memory        the peak allocation of a call
//!
//! replay           `cargo test`: the corpus, then rounds of mutations from a fixed seed
//! libfuzzer        `make fuzz`: LLVM's coverage-guided loop, on stable
//! ├─ mutator       inputs made of others
//! └─ random        numbers from a seed
//! corpus           ../corpus: inputs, each named after what it is, every finding among them;
//!                  and what libFuzzer learned, in one file a target
//! ```
//! A new target is a file in `targets` and a line in [`TARGETS`].

pub mod corpus;
pub mod memory;
pub mod mutator;
pub mod random;
pub mod source;

mod files;
mod nals;
#[cfg(test)]
mod replay;
mod sound;
mod targets;

pub use targets::TARGETS;

/// One parser, and how it is fuzzed.
pub struct Target {
    pub name: &'static str,
    /// Panics where something does not hold.
    run: fn(&[u8]),
    /// Pieces of text that mean something to it.
    pub words: &'static [&'static str],
    pub input_bytes_max: usize,
    /// The most that one input may allocate, including the checks.
    memory_bytes_max: usize,
}

impl Target {
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// # Panics
    /// Something does not hold of these bytes.
    pub fn check(&self, data: &[u8]) {
        let peak = memory::peak_of(|| (self.run)(data));
        let most = self.memory_bytes_max;
        assert!(peak <= most, "{peak} bytes were allocated at once, more than {most}");
    }
}

/// The names of all targets, for messages.
pub fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
}
