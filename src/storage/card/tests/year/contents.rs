//! What must be on one card.

use super::{
    clip::{Checked, Clip, May, State, ensure},
    *,
};
use std::collections::{BTreeMap, BTreeSet};

/// Folder and number.
pub type Key = (String, u32);

#[derive(Default)]
pub struct Contents {
    pub clips: BTreeMap<Key, Clip>,
    /// The highest number of each folder that is certainly used.
    pub highest: BTreeMap<String, u32>,
    /// The index may have lost what it was told last.
    pub index_is_behind: bool,
}

impl Contents {
    pub fn is_new(&self, key: &Key) -> bool {
        self.highest.get(&key.0).is_none_or(|highest| key.1 > *highest)
    }

    /// The boots of which a file tells when they began.
    pub fn dated_boots(&self) -> BTreeSet<[u8; 16]> {
        let is_dating = |it: &&Clip| it.wall.is_some() && it.durable > 0 && it.is_there == May::Yes;
        self.clips.values().filter(is_dating).map(|it| it.boot).collect()
    }

    /// Forgets what was not found and need not be there.
    pub fn keep_only(&mut self, found: &BTreeSet<Key>) -> Checked {
        let is_lost = |it: &(&Key, &Clip)| !found.contains(it.0) && it.1.is_there == May::Yes;
        let lost = self.clips.iter().find(is_lost);
        ensure(lost.is_none(), || format!("lost: {lost:?}"))?;
        self.clips.retain(|key, _| found.contains(key));
        Ok(())
    }

    /// Nothing is there that should have gone, or be thinned.
    pub fn overdue(&self, bench: &Bench, wall: Option<WallTime>, since_ms: i64) -> Checked {
        let Some(wall) = wall.filter(|_| since_ms > HOUR / 2) else { return Ok(()) };
        let Settings { keep_days, event_days, thin_after_days, .. } = bench.settings;
        let dated = || self.clips.values().filter(|it| it.wall.is_some());
        let end = |it: &Clip| it.wall.unwrap_or(0) + it.length();
        // What was recorded since, without long gaps.
        let is_borne_out = |from: i64, span: i64| {
            let mut ends: Vec<_> = dated().map(end).filter(|it| *it >= from).collect();
            ends.push(wall.0);
            ends.sort();
            let gaps = ends.windows(2).map(|pair| pair[1] - pair[0]);
            gaps.filter(|gap| *gap <= span).sum::<i64>() > span + DAY
        };
        for (days, what) in [(keep_days, "age"), (thin_after_days, "thick")] {
            let span = i64::from(days) * DAY;
            let events = i64::from(event_days) * DAY;
            let left = self.clips.iter().find(|(_, it)| {
                let age = wall.0 - end(it);
                let is_free = it.kept == May::No
                    && match what {
                        "age" => it.event == May::No || age > events + DAY,
                        _ => it.event == May::No && it.thinned == May::No,
                    };
                let is_due = span > 0 && it.wall.is_some() && age > span + DAY;
                is_free && is_due && it.state == State::Closed && is_borne_out(end(it), span)
            });
            ensure(left.is_none(), || format!("{what}: {:?}", left.map(|it| (it.0, it.1.truth))))?;
        }
        Ok(())
    }
}
