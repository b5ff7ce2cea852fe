//! Any sequence of frames, stalls, failures, starts and stops.

use super::bench::Bench;
use crate::{media::FrameKind, recorder::Phase};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Frames { count: usize, bytes: usize },
    Key { bytes: usize },
    Pause(i64),
    Stall(bool),
    OpenFails(bool),
    AppendFails(bool),
    Accepts(bool),
    Sync,
    FailSync,
    Start,
    Stop,
    EndRun,
    Sets,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1usize..40, 12usize..9000).prop_map(|(count, bytes)| Step::Frames { count, bytes }),
        10 => (12usize..100_000).prop_map(|bytes| Step::Key { bytes }),
        1 => (0i64..5_000_000).prop_map(Step::Pause),
        3 => any::<bool>().prop_map(Step::Stall),
        1 => any::<bool>().prop_map(Step::OpenFails),
        1 => any::<bool>().prop_map(Step::AppendFails),
        2 => any::<bool>().prop_map(Step::Accepts),
        4 => Just(Step::Sync),
        1 => Just(Step::FailSync),
        2 => Just(Step::Start),
        1 => Just(Step::Stop),
        2 => Just(Step::EndRun),
        1 => Just(Step::Sets),
    ]
}

/// The bench, and which of its frames somebody asked to be recorded.
struct Trial {
    bench: Bench,
    wanted: Vec<bool>,
    /// No key frame came since the start.
    awaits_key: bool,
    stopped_at: usize,
    /// The stream can go on only with a key frame.
    needs_key: bool,
}

impl Trial {
    fn take(&mut self, step: &Step) {
        let bench = &mut self.bench;
        match *step {
            Step::Frames { count, bytes } => (0..count).for_each(|_| self.delta(bytes)),
            Step::Key { bytes } => self.frame(FrameKind::Key, bytes),
            Step::Pause(ticks) => bench.pause(ticks),
            Step::Stall(stalls) => {
                bench.card.stalls = stalls;
                bench.pump();
            }
            Step::OpenFails(fails) => bench.card.open_fails = fails,
            Step::AppendFails(fails) => bench.card.append_fails = fails,
            // A card that stalls says nothing.
            Step::Sync | Step::FailSync | Step::Accepts(_) if bench.card.stalls => {}
            Step::Accepts(accepts) => bench.accepts(accepts),
            Step::Sync => bench.sync(),
            Step::FailSync => bench.fail_sync(),
            Step::Start => self.start(),
            Step::Stop => self.stop(),
            Step::EndRun => {
                bench.end_run();
                bench.begin_run();
                self.needs_key = true;
            }
            Step::Sets => {
                bench.change_parameter_sets();
                self.needs_key = true;
            }
        }
    }

    fn delta(&mut self, bytes: usize) {
        let kind = if self.needs_key { FrameKind::Key } else { FrameKind::Delta };
        self.frame(kind, bytes);
    }

    fn frame(&mut self, kind: FrameKind, bytes: usize) {
        self.needs_key = false;
        self.awaits_key &= kind != FrameKind::Key;
        self.wanted.push(self.bench.recorder.is_wanted() && !self.awaits_key);
        self.bench.frame(kind, bytes);
    }

    fn start(&mut self) {
        let Bench { recorder, ring, .. } = &mut self.bench;
        if recorder.is_wanted() {
            return;
        }
        let resumes = recorder.has_rest() || recorder.failed;
        recorder.start(ring);
        self.awaits_key = matches!(recorder.phase, Phase::AwaitsKey { .. });
        let from = match () {
            () if resumes => self.stopped_at,
            () if self.awaits_key => self.wanted.len(),
            () => recorder.ledger.next() as usize,
        };
        if !self.awaits_key {
            self.wanted[from..].fill(true);
        }
        self.bench.pump();
    }

    fn stop(&mut self) {
        if self.bench.recorder.is_wanted() {
            self.stopped_at = self.wanted.len();
            self.bench.stop();
        }
    }

    /// All is well again: recording goes on with the next key frame, and ends.
    fn end(&mut self) {
        let card = &mut self.bench.card;
        (card.stalls, card.open_fails, card.append_fails) = (false, false, false);
        self.bench.accepts(true);
        self.bench.wall.0 += 1000;
        self.bench.pump();
        self.start();
        let next = self.wanted.len();
        self.frame(FrameKind::Key, 100);
        (0..4).for_each(|_| self.delta(100));
        self.stop();
        assert!(!self.bench.recorder.is_busy(), "{}", self.bench.log);
        assert_eq!((self.bench.buffers.len(), self.bench.card.queue.len()), (2, 0));
        assert!(self.bench.card.files.last().is_some_and(|file| file.closed));
        assert_eq!(self.bench.copies()[next..], [1; 5], "{}", self.bench.log);
    }

    /// Stored once, or twice with a failure in between, or counted.
    fn check(&self) {
        let fragments = self.bench.card.files.iter().flat_map(|file| &file.fragments);
        let mut last_failures = vec![None; self.wanted.len()];
        for fragment in fragments {
            for number in fragment.frames.clone() {
                let last = &mut last_failures[number as usize];
                assert!(last.is_none_or(|last| last < fragment.failures), "{number} stored twice");
                *last = Some(fragment.failures);
            }
        }
        let stored = last_failures.iter().map(Option::is_some);
        let missing = stored.zip(&self.wanted).filter(|(stored, wanted)| !stored && **wanted);
        assert_eq!(self.bench.recorder.lost(), missing.count() as u64, "{}", self.bench.log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_frame_is_stored_once_or_counted(steps in prop::collection::vec(step(), 1..120)) {
        let bench = Bench::new(256 * 1024);
        let mut trial = Trial {
            bench,
            wanted: Vec::new(),
            awaits_key: false,
            stopped_at: 0,
            needs_key: true,
        };
        trial.bench.accepts(true);
        trial.start();
        steps.iter().for_each(|step| trial.take(step));
        trial.end();
        trial.check();
    }
}
