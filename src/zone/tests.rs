use super::*;
use proptest::prelude::*;

const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
const HOUR: i64 = 3_600_000;

fn zone(text: &str) -> Zone {
    Zone::posix(text).unwrap()
}

/// Minutes ahead of UTC at a time in seconds.
fn offset(zone: &Zone, seconds: i64) -> i64 {
    zone.offset_minutes_at(WallTime(seconds * 1000))
}

/// Hours of the local day that a time in seconds lies in.
fn hours(zone: &Zone, seconds: i64) -> f64 {
    let day = zone.day_of(WallTime(seconds * 1000));
    (zone.begin_of(day + 1).0 - zone.begin_of(day).0) as f64 / HOUR as f64
}

#[test]
fn clocks_change_in_the_second_in_which_they_do() {
    // Each with the time of the change and the offsets before and after, by zdump.
    for (text, changes) in [
        (BERLIN, [(1_774_746_000, 60, 120), (1_792_890_000, 120, 60)]),
        ("EST5EDT,M3.2.0,M11.1.0", [(1_772_953_200, -300, -240), (1_793_512_800, -240, -300)]),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", [(1_775_318_400, 660, 600), (1_791_043_200, 600, 660)]),
        (
            "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
            [(1_774_746_000, -120, -60), (1_792_890_000, -60, -120)],
        ),
        ("IST-2IDT,M3.4.4/26,M10.5.0", [(1_774_569_600, 120, 180), (1_792_882_800, 180, 120)]),
    ] {
        let zone = zone(text);
        for (at, before, after) in changes {
            assert_eq!((offset(&zone, at - 1), offset(&zone, at)), (before, after), "{text} {at}");
        }
    }
}

#[test]
fn zones_without_daylight_saving_time_have_one_offset() {
    for (text, minutes) in
        [("GMT0", 0), ("UTC+0", 0), ("<+0530>-5:30", 330), ("JST-9", 540), ("<-0930>9:30", -570)]
    {
        let zone = zone(text);
        for seconds in [-1, 0, 1_774_746_000, 1_790_000_000, i64::MAX / 1000] {
            assert_eq!(offset(&zone, seconds), minutes, "{text}");
        }
    }
}

#[test]
fn days_without_a_leap_day_and_days_with_it_are_told_apart() {
    // 1 March, and the 60th day counted from 0: different days in 2028.
    let julian = zone("AAA0BBB,J60/0,J61/0");
    let of_year = zone("AAA0BBB,59/0,60/0");
    for (midnight, is_julian, is_of_year) in [
        (1_772_323_200, true, true),  // 2026-03-01
        (1_835_481_600, true, false), // 2028-03-01
        (1_835_395_200, false, true), // 2028-02-29
    ] {
        assert_eq!(offset(&julian, midnight) == 60, is_julian, "{midnight}");
        assert_eq!(offset(&of_year, midnight) == 60, is_of_year, "{midnight}");
    }
}

#[test]
fn an_invalid_zone_is_none() {
    for text in [
        "",
        "CE",
        "CET",
        "CET-",
        "CET-25",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J10",
        "CET-1CEST,366,10",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0,",
        "<CET-1",
        "Europe/Berlin",
        "-1",
        "CET1:60",
        "CET99999999999999999999",
    ] {
        assert_eq!(Zone::posix(text), None, "{text}");
    }
}

#[test]
fn a_zone_without_rules_changes_as_in_the_united_states() {
    assert_eq!(zone("EST5EDT"), zone("EST5EDT4,M3.2.0/2:00:00,M11.1.0/2"));
}

#[test]
fn a_day_on_which_clocks_change_has_23_or_25_hours() {
    let berlin = zone(BERLIN);
    assert_eq!(hours(&berlin, 1_774_746_000), 23.0);
    assert_eq!(hours(&berlin, 1_792_890_000), 25.0);
    assert_eq!(hours(&berlin, 1_790_000_000), 24.0);
    let said = Zone::parse_changes("60,1774746000000:120,1792890000000:60").unwrap();
    assert_eq!(hours(&said, 1_774_746_000), 23.0);
    assert_eq!(hours(&said, 1_792_890_000), 25.0);
    let half = zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"); // Lord Howe Island
    assert_eq!(hours(&half, 1_775_314_800), 24.5);
}

#[test]
fn a_day_without_a_midnight_begins_with_the_change() {
    // Asunción until 2024: 0:00 → 1:00 in October, 0:00 → 23:00 in March.
    let zone = zone("<-04>4<-03>,M10.1.0/0,M3.4.0/0");
    let october = zone.day_of(WallTime(1_728_187_200_000)); // 2024-10-06T04:00Z, the change
    assert_eq!(zone.begin_of(october), WallTime(1_728_187_200_000));
    assert_eq!(hours(&zone, 1_728_187_200), 23.0);
    assert_eq!(hours(&zone, 1_711_245_600), 25.0); // 2024-03-23, whose last hour comes twice
}

#[test]
fn a_day_with_two_midnights_begins_with_the_first() {
    let havana = zone("CST5CDT,M3.2.0/0,M11.1.0/1"); // 1:00 → 0:00
    let november = havana.day_of(WallTime(1_793_512_800_000));
    assert_eq!(havana.begin_of(november), WallTime(1_793_505_600_000)); // 2026-11-01T04:00Z
    assert_eq!(hours(&havana, 1_793_512_800), 25.0);
    assert_eq!(hours(&havana, 1_772_953_200), 23.0);
}

#[test]
fn changes_are_understood_as_browsers_send_them() {
    let plain = Zone::parse_changes("60,1774746000000:120").unwrap();
    assert_eq!(Zone::parse_changes("60%2C1774746000000%3A120"), Ok(plain));
    assert_eq!(offset(&Zone::parse_changes("-210").unwrap(), 0), -210);
    for text in
        ["", "x", "60,", "60,1", "60,1:", "60,:1", "1441", "-1441", "60,2:0,1:0", "60;1:2", "60.5"]
    {
        assert!(Zone::parse_changes(text).is_err(), "{text}");
    }
    let many = (1..=8).map(|at| format!(",{at}:0")).collect::<String>();
    assert!(Zone::parse_changes(&format!("0{many}")).is_ok());
    assert!(Zone::parse_changes(&format!("0{many},9:0")).is_err());
}

#[test]
fn the_rule_at_the_end_of_a_zone_file_is_its_zone() {
    let file =
        |version: u8, end: &[u8]| [b"TZif", &[version][..], &[0; 40], b"\n\n\n", end].concat();
    assert_eq!(Zone::of_file(&file(b'2', b"\nCET-1CEST,M3.5.0,M10.5.0/3\n")), Some(zone(BERLIN)));
    assert_eq!(Zone::of_file(&file(b'3', b"\nGMT0\n")), Some(zone("GMT0")));
    assert_eq!(Zone::of_file(&file(0, b"\nGMT0\n")), None, "version 1 has none");
    assert_eq!(Zone::of_file(&file(b'2', b"\n\n")), None);
    assert_eq!(Zone::of_file(b"GMT0\n"), None);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}", tidy in "[A-Z<>]{0,5}-?[0-9:]{0,6}[A-Z]{0,4},?[MJ0-9./,-]{0,24}",
        at in any::<i64>()) {
        for text in [text, tidy] {
            let zones = [Zone::posix(&text), Zone::parse_changes(&text).ok(), Zone::of_file(text.as_bytes())];
            for zone in zones.into_iter().flatten() {
                zone.begin_of(zone.day_of(WallTime(at)));
            }
        }
    }

    /// A local day begins where the previous one ends, in every zone.
    #[test]
    fn days_follow_on_each_other(day in -20_000..40_000i64, standard in -13..13i64, month in 1..12i64, time in 0..4i64) {
        let text = format!("AAA{standard}BBB,M{month}.2.0/{time},M{}.1.0/{time}", (month + 5) % 12 + 1);
        let zone = zone(&text);
        let (begin, end) = (zone.begin_of(day), zone.begin_of(day + 1));
        let hours = (end.0 - begin.0) / HOUR;
        prop_assert!((23..=25).contains(&hours), "{text} {hours}");
        prop_assert_eq!(zone.day_of(begin), day, "{}", text);
        prop_assert_eq!(zone.day_of(WallTime(end.0 - 1)), day, "{}", text);
    }
}
