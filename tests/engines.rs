//! Both engines beside each other on one camera of 4 Mbit/s: the same frames, and what each costs.
//! 10 s by default, ten minutes with `SMOLNVR_SOAK=1` (`make soak`).

use crate::support::{Nvr, assert_all_whole, bench_clip, config, engines, frames_in, wait_for};
use camera::{Camera, Options, SessionState};
use std::{fs, time::Duration};

#[test]
fn both_engines_store_the_same_and_ffmpeg_costs_more() {
    let is_soak = std::env::var_os("SMOLNVR_SOAK").is_some();
    let (seconds, segment) = if is_soak { (600, 60) } else { (10, 4) };
    let frames = 25 * seconds;
    let clip = bench_clip();
    let options = Options { frames: Some(frames), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let start = |engine: &str| {
        let directory = tempfile::tempdir().unwrap();
        let storage = format!("segment_seconds = {segment}\nkeep_free_percent = 0");
        let text = config(directory.path(), &storage, &[("camera", &camera.url("cam"))]);
        // As shipped, except for the engine.
        let text = text.replace("buffer_kb = 8192", &format!("engine = {engine:?}"));
        Nvr::start_release(directory, &text.replace("debug", "info"))
    };
    let (mut ours, mut theirs) = (start("native"), start("ffmpeg"));
    let patience = Duration::from_secs(seconds + 60);
    let is_finished = camera.wait(patience, |sessions| {
        let finished = sessions.iter().filter(|it| it.state == SessionState::Finished);
        finished.count() == 2
    });
    assert!(is_finished, "{}{}", ours.log(), theirs.log());
    let enough = usize::try_from(frames).unwrap() - 60;
    // Each ends once it has most frames: after 10 s without any it would ask for them again.
    let end = |nvr: &mut Nvr, processes: &dyn Fn(u32) -> Vec<u32>| {
        wait_for("most frames on disk", || frames_in(&nvr.files()) >= enough);
        let processes = processes(nvr.id());
        let costs = (Cost::of(&processes[..1]), Cost::of(&processes));
        assert!(nvr.terminate().0.success());
        assert_all_whole(&nvr.recordings());
        costs
    };
    let (native, _) = end(&mut ours, &|id| vec![id]);
    let (supervisor, with_ffmpeg) = end(&mut theirs, &|id| vec![id, child_of(id)]);
    engines::assert_same(&ours.files(), &theirs.files(), &clip);
    println!(
        "engines: {seconds} s at 4 Mbit/s, the same {} frames in {} files each\n\
         engines: native: {} ms of processor a minute, {} KB at most, {} KB of it anonymous\n\
         engines: ffmpeg: {} ms of processor a minute, {} KB at most, {} KB of it anonymous; \
         of that smolnvr: {} ms, {} KB, {} KB",
        frames_in(&theirs.files()),
        theirs.files().len(),
        native.processor_ms * 60 / seconds,
        native.peak_kb,
        native.anonymous_kb,
        with_ffmpeg.processor_ms * 60 / seconds,
        with_ffmpeg.peak_kb,
        with_ffmpeg.anonymous_kb,
        supervisor.processor_ms * 60 / seconds,
        supervisor.peak_kb,
        supervisor.anonymous_kb,
    );
    assert!(native.peak_kb < with_ffmpeg.peak_kb, "FFmpeg takes more memory");
}

/// What processes have cost so far.
#[derive(Default)]
struct Cost {
    processor_ms: u64,
    peak_kb: u64,
    anonymous_kb: u64,
}

impl Cost {
    fn of(processes: &[u32]) -> Cost {
        let mut cost = Cost::default();
        for id in processes {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
            let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            // User and system time, in hundredths of a second (proc(5)).
            let ticks = [fields[11], fields[12]].map(|field| field.parse::<u64>().unwrap());
            cost.processor_ms += ticks.iter().sum::<u64>() * 10;
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            let kilobytes = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
            };
            cost.peak_kb += kilobytes("VmHWM:");
            cost.anonymous_kb += kilobytes("RssAnon:");
        }
        cost
    }
}

fn child_of(parent: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.trim().parse().expect("one child")
}
