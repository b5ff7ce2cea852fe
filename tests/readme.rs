//! Every command that the README shows is run here, as its reader would run it.

use crate::support::{frames_in, recordings_in, smolnvr, wait_for_within};
use std::time::Duration;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// The lines of the ```sh blocks.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(TOP).join("README.md")).unwrap();
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside => commands.push(command.to_owned()),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let commands = commands();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        println!("{command}");
        match command.as_str() {
            "make run" => make_run_records_until_ctrl_c(),
            // They run already.
            "make unit" => assert!(
                fs::read_to_string(Path::new(TOP).join("Makefile")).unwrap().contains("\nunit: ")
            ),
            // This very test is part of it.
            "make test" => assert!(
                fs::read_to_string(Path::new(TOP).join(".ci/run")).unwrap().contains("make test")
            ),
            other => {
                let output =
                    Command::new("sh").args(["-c", other]).current_dir(TOP).output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success() && !said.is_empty(), "{other}: {output:?}");
            }
        }
    }
}

fn make_run_records_until_ctrl_c() {
    let recordings = Path::new(TOP).join("recordings");
    let before = if recordings.exists() { recordings_in(&recordings).len() } else { 0 };
    let mut make = Command::new("make")
        .arg("run")
        .current_dir(TOP)
        // A group of its own, as a terminal gives it: Ctrl-C reaches everything in it.
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(make.stdout.take().unwrap()).lines();
    let place = said.find(|line| line.as_ref().unwrap().starts_with("recordings are in ")).unwrap();
    assert!(place.unwrap().contains(recordings.to_str().unwrap()));
    wait_for_within(Duration::from_secs(30), "a recording that grows", || {
        let files = recordings_in(&recordings);
        files.len() > before && frames_in(&files[before..]) > 25
    });
    let group = format!("-{}", make.id());
    assert!(Command::new("kill").args(["-s", "INT", "--", &group]).status().unwrap().success());
    make.wait().unwrap();
    let newest = recordings_in(&recordings).pop().unwrap();
    let (status, said, _) = smolnvr(&["verify", newest.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{said}");
    // Nothing of it is left running.
    assert!(!Command::new("kill").args(["-s", "0", "--", &group]).status().unwrap().success());
}
