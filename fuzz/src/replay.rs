//! What `cargo test` does with a target: its corpus, then rounds of mutations of it.
//!
//! The rounds are the same every time. `FUZZ_SEED` gives others, `FUZZ_ROUNDS` more of them, and
//! `FUZZ_INPUT=FILE` runs that file alone.

use crate::{TARGETS, Target, corpus::Corpus, mutator, random::Random};
use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
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
    rtsp_session sdp url digest rtp_packet rtcp receiver h264 h265 jpeg jpeg_means aac latm opus
    parameter_sets audio_config intake mp4_scan mp4_repair identity marks names config config_edit
    http_form range access password snapshot mqtt websocket xml onvif mountinfo
}

fn replay(name: &str) {
    let target = Target::named(name).expect("is one");
    if let Some(file) = env::var_os("FUZZ_INPUT") {
        return target.check(&fs::read(file).expect("can be read"));
    }
    let Corpus { named, learned } = Corpus::read(name).expect("the target has a corpus");
    assert!(!named.is_empty(), "no corpus");
    for (file, input) in &named {
        assert!(!fails(target, input), "{name} fails on {}", file.display());
    }
    for (nth, input) in learned.iter().enumerate() {
        assert!(!fails(target, input), "{name} fails on input {nth} of what it learned");
    }
    // Inputs written by hand have priority over learned ones.
    let count = named.len();
    let inputs: Vec<_> = named.into_iter().map(|(_, input)| input).chain(learned).collect();
    let seed = number("FUZZ_SEED", 1);
    for round in 0..number("FUZZ_ROUNDS", ROUNDS) {
        let mut random = Random::new(seed << 32 | round);
        let of = if round.is_multiple_of(2) { count } else { inputs.len() };
        let mut input = inputs[random.below(of)].clone();
        let other = &inputs[random.below(inputs.len())];
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

/// Of all targets together 45 s of one processor.
const ROUNDS: u64 = 25_000;
