//! What `make fuzz` runs: LLVM's libFuzzer on the target that `FUZZ_TARGET` names.

#![no_main]

use fuzz::{Target, mutator, random::Random};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is one of {}", fuzz::names()))
});

fuzz_target!(|data: &[u8]| TARGET.check(data));

// Every other input is made by our mutator, which knows the target's words.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut bytes = data[..size].to_vec();
    let mut random = Random::new(seed.into());
    mutator::mutate(&mut bytes, &mut random, &data[..size], TARGET.words, max_size);
    data[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
});
