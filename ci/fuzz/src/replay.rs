//! What `cargo test` does with a target: its corpus, then rounds of mutations of it.
//!
//! The rounds are the same every time. `FUZZ_SEED` gives others, `FUZZ_ROUNDS` more of them, and
//! `FUZZ_INPUT=FILE` runs that file alone.

use crate::{TARGETS, Target, mutator, random::Random};
use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

/// One test a target, so that they run side by side and are named in what fails.
macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_has_its_test() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

tests! {
    rtsp_session sdp url digest rtp_packet rtcp receiver h264 h265 jpeg aac latm opus
    parameter_sets audio_config intake mp4_scan mp4_repair identity names config config_edit http_form range access password snapshot mountinfo
}

fn replay(name: &str) {
    let target = Target::named(name).expect("is one");
    if let Some(file) = env::var_os("FUZZ_INPUT") {
        return target.check(&fs::read(file).expect("can be read"));
    }
    let mut corpus = corpus(name);
    assert!(!corpus.is_empty(), "no corpus");
    for (file, input) in &corpus {
        if fails(target, input) {
            panic!("{name} fails on {}", file.display());
        }
    }
    // What a run of libFuzzer learned has its hash for a name, and is more than what people wrote.
    let is_named = |file: &Path| file.file_name().is_some_and(|name| name.len() != 40);
    let named = corpus.iter().filter(|(file, _)| is_named(file)).count();
    corpus.sort_by_key(|(file, _)| !is_named(file));
    let seed = number("FUZZ_SEED", 1);
    for round in 0..number("FUZZ_ROUNDS", ROUNDS) {
        let mut random = Random::new(seed << 32 | round);
        let of = if round.is_multiple_of(2) { named } else { corpus.len() };
        let (_, input) = &corpus[random.below(of)];
        let (_, other) = &corpus[random.below(corpus.len())];
        let mut input = input.clone();
        mutator::mutate(&mut input, &mut random, other, target.words, target.input_bytes_max);
        if fails(target, &input) {
            let file = env::temp_dir().join(format!("fuzz-{name}-{seed}-{round}"));
            fs::write(&file, input).expect("can be written");
            let again = format!("FUZZ_INPUT={} cargo test -p fuzz {name}", file.display());
            panic!("{name} fails in round {round} of seed {seed}: {again}");
        }
    }
}

fn fails(target: &Target, input: &[u8]) -> bool {
    panic::catch_unwind(AssertUnwindSafe(|| target.check(input))).is_err()
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().expect("is a number"))
}

/// By name, so that the rounds are the same wherever they run.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(folder).expect("the target has a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("is there").path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).expect("can be read"))).collect()
}

/// Of all targets together half a minute of one processor.
const ROUNDS: u64 = 15_000;
