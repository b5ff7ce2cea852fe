//! Which failures of a camera have been logged, so that a repeated one is not logged each time.

use crate::limits::{FAILURE_TOLD_INTERVAL, FAILURES_TOLD_MAX};
use std::time::Instant;

/// The failures logged last, each by its text.
#[derive(Default)]
pub(super) struct LoggedFailures(Vec<Failure>);

struct Failure {
    text: String,
    told: Instant,
    /// How often it was repeated since.
    again: u32,
}

/// Whether to log a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Novelty {
    /// It is new, or was logged long ago; `again` is how often it was repeated since.
    Yes {
        again: u32,
    },
    No,
}

impl LoggedFailures {
    /// Reports the failure that ended a run.
    pub fn failed(&mut self, text: &str, now: Instant) -> Novelty {
        let LoggedFailures(failures) = self;
        let known = failures.iter_mut().find(|failure| failure.text == text);
        let Some(failure) = known else {
            if failures.len() >= FAILURES_TOLD_MAX {
                let oldest = failures.iter().enumerate().min_by_key(|(_, it)| it.told);
                let oldest = oldest.map_or(0, |(index, _)| index);
                failures.swap_remove(oldest);
            }
            failures.push(Failure { text: text.to_owned(), told: now, again: 0 });
            return Novelty::Yes { again: 0 };
        };
        if now.saturating_duration_since(failure.told) < FAILURE_TOLD_INTERVAL {
            failure.again = failure.again.saturating_add(1);
            return Novelty::No;
        }
        failure.told = now;
        Novelty::Yes { again: std::mem::take(&mut failure.again) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;
    use std::time::Duration;

    #[test]
    fn a_failure_again_and_again_is_told_once_and_then_once_an_hour() {
        let (mut told, start) = (LoggedFailures::default(), runtime::now());
        let mut said = Vec::new();
        for second in 0..2 * 3600 + 10 {
            let text = if second % 2 == 0 { "closed" } else { "no route" };
            if let Novelty::Yes { again } = told.failed(text, start + Duration::from_secs(second)) {
                said.push((second, again));
            }
        }
        assert_eq!(said, [(0, 0), (1, 0), (3600, 1799), (3601, 1799), (7200, 1799), (7201, 1799)]);
    }

    #[test]
    fn failures_that_are_all_different_take_a_bounded_room() {
        let (mut told, start) = (LoggedFailures::default(), runtime::now());
        for nth in 0..100 {
            let now = start + Duration::from_secs(nth);
            assert_eq!(told.failed(&nth.to_string(), now), Novelty::Yes { again: 0 });
            assert!(told.0.len() <= FAILURES_TOLD_MAX);
        }
        assert_eq!(told.failed("99", start + Duration::from_secs(100)), Novelty::No);
    }
}
