//! Boards watched by a real Prometheus, with the rules and the dashboard of docs/fleet.

use crate::support::{
    Nvr, SHORT_SEGMENTS, config, http::ask, port::Port, step_the_clock, wait_for, wait_for_within,
};
use camera::{Camera, Clip, Options, Speed};
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

const BOARDS: usize = 3;
/// Until there were enough writes to a card to judge it.
const A_WHILE: Duration = Duration::from_secs(120);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet").join(name)
}

struct Prometheus {
    child: Child,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    /// With the rules as they are, but for seconds in place of minutes.
    fn start(boards: &[(String, String)]) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let rules = fs::read_to_string(file("alerts.yml")).unwrap();
        let rules = rules.replace("> 60", "> 3").replace("for: 1m", "for: 1s");
        fs::write(directory.path().join("alerts.yml"), rules).unwrap();
        let targets = boards.iter().map(|(name, address)| {
            format!("      - {{ targets: [\"{address}\"], labels: {{ board: {name} }} }}\n")
        });
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [alerts.yml]\n\
             scrape_configs:\n  - job_name: smolnvr\n    static_configs:\n{}",
            targets.collect::<String>()
        );
        let path = directory.path().join("prometheus.yml");
        fs::write(&path, config).unwrap();
        let address = format!("127.0.0.1:{}", Port::closed().number());
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .spawn()
            .unwrap();
        let prometheus = Prometheus { child, address, _directory: directory };
        wait_for("Prometheus to listen", || TcpStream::connect(&prometheus.address).is_ok());
        let is_ready = || ask(&prometheus.address, "GET", "/-/ready", &[], "").status == 200;
        wait_for("Prometheus to be ready", is_ready);
        prometheus
    }

    fn query(&self, expression: &str) -> Vec<Value> {
        let encoded = expression.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let target = format!("/api/v1/query?query={encoded}");
        let answer = ask(&self.address, "GET", &target, &[], "");
        assert_eq!(answer.status, 200, "{expression}: {answer:?}");
        answer.json()["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn record(url: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    step_the_clock(directory.path());
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", url)]);
    Nvr::start_with(directory, &text, &[])
}

fn camera(port: u16) -> Camera {
    let options = Options { speed: Speed::Times(4.0), ..Options::default() };
    let clip = Clip::committed("plain.h264").unwrap();
    Camera::builder().port(port).stream_with("cam", clip, options).start().unwrap()
}

#[test]
fn prometheus_scrapes_boards_all_panels_have_series_and_an_alert_fires_and_clears() {
    let port = Port::closed().number();
    let mut last = Some(camera(port));
    let others = [camera(0), camera(0)];
    let urls = others.iter().chain(&last).map(|it| it.url("cam"));
    let boards: Vec<Nvr> = urls.map(|url| record(&url)).collect();
    let names = ["yard", "gate", "barn"].map(str::to_owned);
    let targets: Vec<_> = names.into_iter().zip(boards.iter().map(Nvr::web_address)).collect();
    let prometheus = Prometheus::start(&targets);
    wait_for("all boards", || prometheus.query("smolnvr_build_info").len() == BOARDS);

    let text = fs::read_to_string(file("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let (title, grid) = (panel["title"].as_str().unwrap(), &panel["gridPos"]);
        assert!(grid["x"].as_u64().unwrap() + grid["w"].as_u64().unwrap() <= 24, "{title}");
        assert!(["stat", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap().replace("$board", ".*");
            wait_for_within(A_WHILE, title, || !prometheus.query(&expression).is_empty());
        }
    }

    let firing = || prometheus.query("ALERTS{alertname=\"NothingRecorded\",alertstate=\"firing\"}");
    wait_for("quiet", || firing().is_empty());
    drop(last.take());
    wait_for("the alert", || !firing().is_empty());
    assert_eq!(firing()[0]["metric"]["board"], "barn");
    let _again = camera(port);
    wait_for("the end of the alert", || firing().is_empty());
}

#[test]
fn metrics_are_named_as_prometheus_wants_them() {
    let camera = camera(0);
    let nvr = record(&camera.url("cam"));
    nvr.wait_for_recording(&[]);
    let metrics = ask(&nvr.web_address(), "GET", "/metrics", &[], "").body;
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(&metrics).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + str::from_utf8(&output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_rules_fire_when_they_should_and_the_configuration_is_valid() {
    for arguments in [["test", "rules", "alerts.test.yml"], ["check", "config", "prometheus.yml"]] {
        let output =
            Command::new("promtool").args(arguments).current_dir(file("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
