use super::*;

/// Shortened output of real versions, in the order of the queries.
fn understand(recorded: &str) -> Result<Tool, Unfit> {
    let mut parts = recorded.splitn(3, "\n\n");
    let mut part = || parts.next().unwrap();
    Tool::understand(PathBuf::from("/usr/bin/ffmpeg"), part(), part(), part())
}

#[test]
fn each_version_is_told_in_its_own_words() {
    for (recorded, version, timeout, shows_address) in [
        (include_str!("recorded/3.2.txt"), "3.2.2-static", "stimeout", true),
        (include_str!("recorded/4.1.txt"), "4.1-static", "stimeout", true),
        (include_str!("recorded/5.1.txt"), "5.1.9-0+deb12u1", "timeout", false),
        (include_str!("recorded/7.0.txt"), "7.0.2-static", "timeout", false),
        (include_str!("recorded/9.0.txt"), "n9.0.2-17-g2a571b6068-20260930", "timeout", false),
    ] {
        let tool = understand(recorded).unwrap();
        assert_eq!(tool.version, version);
        assert_eq!(tool.timeout_option, Some(timeout), "{version}");
        assert_eq!(tool.shows_address(), shows_address, "{version}");
        assert_eq!(tool.to_string(), format!("FFmpeg {version} (/usr/bin/ffmpeg)"));
    }
}

#[test]
fn an_ffmpeg_that_is_too_old_or_incomplete_is_named() {
    let old = understand(include_str!("recorded/2.5.txt")).unwrap_err();
    assert_eq!(old.to_string(), "/usr/bin/ffmpeg is FFmpeg 2.5.3-: 3.2 or later is needed");
    let recorded = include_str!("recorded/5.1.txt");
    for (line, what) in [(" DE rtsp ", "rtsp"), ("  E segment ", "segment"), ("  E mp4 ", "mp4")] {
        assert!(recorded.contains(line), "{line}");
        let lacking = understand(&recorded.replace(line, " nothing ")).unwrap_err();
        assert_eq!(lacking, Unfit::Lacks("/usr/bin/ffmpeg".into(), what));
    }
    // It can only write RTSP.
    let lacking = understand(&recorded.replace(" DE rtsp ", "  E rtsp ")).unwrap_err();
    assert_eq!(lacking, Unfit::Lacks("/usr/bin/ffmpeg".into(), "rtsp"));
    let without = recorded.replace(" D  concat ", " nothing ");
    assert!(understand(&without).unwrap().shows_address());
}

#[test]
fn the_output_of_a_program_that_is_no_ffmpeg_is_quoted_briefly() {
    let other = Tool::understand("/bin/cat".into(), &"cat \u{7}x".repeat(99), "", "");
    let Err(Unfit::Mute(_, said)) = other else { panic!("{other:?}") };
    assert!(said.starts_with("cat xcat") && said.len() <= SAID_CHARACTERS_MAX);
}

#[test]
fn every_truncation_of_what_one_says_is_understood_or_refused() {
    let recorded = include_str!("recorded/9.0.txt");
    for end in 0..recorded.len() {
        let Some(text) = recorded.get(..end) else { continue };
        let _ = Tool::understand("/f".into(), text, text, text);
    }
}

#[test]
fn a_program_for_another_processor_is_told_by_its_head() {
    let mut head = *b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0";
    assert_eq!(machine(&head), Some((40, "ARM")));
    (head[5], head[18], head[19]) = (2, 0, 8);
    assert_eq!(machine(&head), Some((8, "MIPS")));
    assert_eq!(machine(b"#!/bin/sh\necho hello"), None);
}

#[test]
fn a_name_is_looked_for_in_the_path_and_beside_us() {
    let found = smol::block_on(find_program(Path::new("sh"))).unwrap();
    assert!(found.is_absolute() && found.ends_with("sh"));
    let folder = tempfile::tempdir().unwrap();
    let missing = smol::block_on(find_program(&folder.path().join("ffmpeg")));
    let Err(Unfit::Missing(places)) = missing else { panic!("{missing:?}") };
    assert_eq!(places[0], folder.path().join("ffmpeg"));
    assert!(places[1].ends_with("ffmpeg-3.2") && places[2].ends_with("ffmpeg"));
}
