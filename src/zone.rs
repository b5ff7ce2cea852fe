//! Time zones: converts times to local time, and finds when a local day begins.
//!
//! A zone is a POSIX `TZ` string (`CET-1CEST,M3.5.0,M10.5.0/3`), or a list of changes provided by a
//! client. Neither needs a zone database, which boards lack.
//! Spec: POSIX.1-2024 §8.3, RFC 9636 §3.3.
//! Knows nothing of: time formats.

mod posix;

use self::posix::Rule;
use crate::{
    limits::{ZONE_CHANGES_MAX, ZONE_FILE_BYTES_MAX},
    units::WallTime,
};
use std::{
    env,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// How far local time is ahead of UTC, and when that changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone(Kind);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Rule(Rule),
    /// Minutes at first, then from each time on; ordered by time.
    Changes(i64, Vec<(WallTime, i64)>),
}

impl Zone {
    pub const UTC: Zone = Zone(Kind::Changes(0, Vec::new()));

    /// Parses a POSIX `TZ` string; `None` if it is invalid.
    pub fn posix(text: &str) -> Option<Zone> {
        Rule::parse(text).map(|rule| Zone(Kind::Rule(rule)))
    }

    /// Parses minutes east of UTC, and changes: `60,1774746000000:120,1792890000000:60`, with
    /// ascending times in ms. Comma and colon may be percent-encoded.
    ///
    /// # Errors
    /// What was expected, as a message.
    pub fn parse_changes(text: &str) -> Result<Zone, String> {
        let text = text.replace("%2C", ",").replace("%2c", ",");
        let text = text.replace("%3A", ":").replace("%3a", ":");
        let minutes =
            |text: &str| text.parse().ok().filter(|it| (-MINUTES_MAX..=MINUTES_MAX).contains(it));
        let mut parts = text.split(',');
        let first = parts.next().and_then(minutes);
        let changes = parts.map(|part| {
            let (moment, offset) = part.split_once(':')?;
            Some((WallTime(moment.parse().ok()?), minutes(offset)?))
        });
        let changes = changes.take(ZONE_CHANGES_MAX + 1).collect::<Option<Vec<_>>>();
        match (first, changes) {
            (Some(first), Some(changes))
                if changes.len() <= ZONE_CHANGES_MAX && changes.is_sorted_by_key(|it| it.0) =>
            {
                Ok(Zone(Kind::Changes(first, changes)))
            }
            _ => Err(format!(
                "expected minutes east of UTC, and at most {ZONE_CHANGES_MAX} changes as \
                 MILLISECONDS:MINUTES, behind commas, in the order of time"
            )),
        }
    }

    /// Reads a compiled zone file (TZif version 2 or later): the rule at its end, which applies to
    /// all times after its last change. `None` if there is none.
    pub fn of_file(bytes: &[u8]) -> Option<Zone> {
        let rest = bytes.strip_prefix(b"TZif")?;
        let text = rest.strip_suffix(b"\n").filter(|_| rest.first() >= Some(&b'2'))?;
        let line = text.rsplit(|byte| *byte == b'\n').next()?;
        Zone::posix(str::from_utf8(line).ok()?)
    }

    /// Returns the zone of `TZ`, `/etc/TZ` (uClibc, OpenIPC) or `/etc/localtime`; UTC if none is
    /// set.
    pub fn of_this_machine() -> Zone {
        let by_name = |name: &str| {
            let name = name.trim().trim_start_matches(':');
            Zone::posix(name)
                .or_else(|| Zone::of_file(&read(&Path::new(ZONE_INFO).join(name)).ok()?))
        };
        let variable = env::var("TZ").ok().and_then(|text| by_name(&text));
        let etc = || by_name(str::from_utf8(&read(Path::new("/etc/TZ")).ok()?).ok()?);
        let localtime = || Zone::of_file(&read(Path::new("/etc/localtime")).ok()?);
        variable.or_else(etc).or_else(localtime).unwrap_or(Zone::UTC)
    }

    /// Minutes by which local time is ahead of UTC at that time.
    pub fn offset_minutes_at(&self, moment: WallTime) -> i64 {
        match &self.0 {
            Kind::Rule(rule) => rule.offset_minutes_at(moment.0.div_euclid(1000)),
            Kind::Changes(first, changes) => {
                let before = changes.iter().take_while(|(change, _)| *change <= moment);
                before.last().map_or(*first, |(_, minutes)| *minutes)
            }
        }
    }

    /// The local day containing a time, counted from 1970-01-01.
    pub fn day_of(&self, moment: WallTime) -> i64 {
        let local = moment.0.saturating_add(self.offset_minutes_at(moment) * MILLIS_PER_MINUTE);
        local.div_euclid(MILLIS_PER_DAY)
    }

    /// The start of a local day. Days have 23 or 25 hours when the clocks change.
    pub fn begin_of(&self, day: i64) -> WallTime {
        let midnight = day.saturating_mul(MILLIS_PER_DAY);
        // Tries the offsets before and after: the clocks may change that night.
        let [before, after] = [-MILLIS_PER_DAY, MILLIS_PER_DAY].map(|span| {
            let offset = self.offset_minutes_at(WallTime(midnight.saturating_add(span)));
            let begin = WallTime(midnight.saturating_sub(offset * MILLIS_PER_MINUTE));
            (begin, self.offset_minutes_at(begin) == offset)
        });
        match (before, after) {
            // There is one midnight, or there are two.
            ((one, true), (other, true)) => one.min(other),
            ((one, true), _) | (_, (one, true)) => one,
            // Midnight is skipped: the day begins with the change.
            ((one, false), (other, false)) => one.max(other),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(ZONE_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const ZONE_INFO: &str = "/usr/share/zoneinfo";
const MILLIS_PER_MINUTE: i64 = 60_000;
const MILLIS_PER_DAY: i64 = 86_400_000;
/// No zone is this far from UTC.
const MINUTES_MAX: i64 = 24 * 60;

#[cfg(test)]
mod tests;
