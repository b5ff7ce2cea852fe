use super::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

const TEXT: &str = "# mine\n[storage]\nsegment_seconds = 60 # short\n";

/// A folder containing the file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.file(), text).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("smolnvr.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn by_page(file: &Path, running: &Config, wish: &Json) -> Result<Config, ChangeError> {
    change(file, running, wish, EditRights::Network)
}

#[test]
fn programs_folders_and_the_way_in_are_not_for_the_network_to_name() {
    let folder = Folder::with(TEXT);
    let running = Config::read(&folder.file()).unwrap();
    for (wish, key) in [
        (json!({"ffmpeg": {"path": "/mnt/evil"}}), "ffmpeg.path"),
        (json!({"storage": {"keep_days": 1, "path": "/"}}), "storage.path"),
        (json!({"storage": {"path": ["/mnt/mmcblk0p1/recordings", "/"]}}), "storage.path"),
        (json!({"storage": {"require_mount": false}}), "storage.require_mount"),
        (json!({"web": {"listen": "0.0.0.0:80"}}), "web.listen"),
        (json!({"web": {"auth": "none"}}), "web.auth"),
        (json!({"web": {"hosts": ["evil.example"]}}), "web.hosts"),
        (json!({"web": {"connections_max": 4}}), "web.connections_max"),
        (json!({"log": {"level": "debug"}}), "log.level"),
        (json!({"hooks": {"on_mark": ["/bin/sh"]}}), "hooks.on_mark"),
        (json!({"hooks": {"on_segment": ["/bin/sh"]}}), "hooks.on_segment"),
        (json!({"hooks": {"webhook": "http://evil/"}}), "hooks.webhook"),
        (json!({"mqtt": {"broker": "mqtt://evil/"}}), "mqtt.broker"),
    ] {
        let error = by_page(&folder.file(), &running, &wish).unwrap_err();
        assert!(matches!(&error, ChangeError::NotByNetwork(found) if found == key), "{error}");
        assert_eq!(folder.text(), TEXT);
        change(&folder.file(), &running, &wish, EditRights::Machine).unwrap();
        fs::write(folder.file(), TEXT).unwrap();
    }
    // Everything shown may be sent back, with allowed changes.
    let mut wish = running.to_json();
    for key in OPEN_STORAGE_KEYS {
        wish["storage"][key] = 7.into();
    }
    wish["camera"] = json!([{"name": "yard", "url": "rtsp://10.0.0.2/", "engine": "ffmpeg"}]);
    by_page(&folder.file(), &running, &wish).unwrap();
}

#[test]
fn a_change_is_written_for_its_owner_alone() {
    let folder = Folder::with(TEXT);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let running = Config::read(&folder.file()).unwrap();
    let config =
        by_page(&folder.file(), &running, &json!({"storage": {"segment_seconds": 120}})).unwrap();
    assert_eq!(config.storage.segment_seconds.get(), 120);
    assert_eq!(folder.text(), TEXT.replace("60", "120"));
    assert_eq!(Config::read(&folder.file()).unwrap(), config);
    assert_eq!(folder.file().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(folder.names(), ["smolnvr.toml"]);
}

#[test]
fn a_wrong_change_leaves_the_file_alone() {
    let folder = Folder::with(TEXT);
    let before = folder.file().metadata().unwrap().modified().unwrap();
    let running = Config::read(&folder.file()).unwrap();
    let wrong = json!({"storage": {"segment_seconds": 1, "keep_days": 3}});
    let error = by_page(&folder.file(), &running, &wrong).unwrap_err();
    assert!(matches!(error, ChangeError::Refused(_)));
    assert!(
        error
            .to_string()
            .starts_with("storage.segment_seconds: expected a whole number from 2 to 3600")
    );
    // Nothing is written if nothing changes.
    by_page(&folder.file(), &running, &json!({"storage": {"segment_seconds": 60}})).unwrap();
    assert_eq!(folder.text(), TEXT);
    assert_eq!(folder.file().metadata().unwrap().modified().unwrap(), before);
}

#[test]
fn a_file_that_somebody_changed_by_hand_is_not_overwritten() {
    let folder = Folder::with(TEXT);
    let running = Config::read(&folder.file()).unwrap();
    let wish = json!({"web": {"connections_max": 8}});
    for text in ["[storage]\nsegment_seconds = 61\n", "[storage]\nsegment_seconds = 1\n"] {
        fs::write(folder.file(), text).unwrap();
        let error = by_page(&folder.file(), &running, &wish).unwrap_err();
        assert!(matches!(error, ChangeError::Outdated(_)), "{error}");
        assert_eq!(folder.text(), text);
    }
    // Also between reading and replacing it.
    let error = replace(&folder.file(), TEXT, "").unwrap_err();
    assert!(error.to_string().contains("has changed since"), "{error}");
    assert_eq!(folder.names(), ["smolnvr.toml"]);
    // The user's comments are kept.
    fs::write(folder.file(), format!("# now mine\n{TEXT}")).unwrap();
    change(&folder.file(), &running, &wish, EditRights::Machine).unwrap();
    assert_eq!(folder.text(), format!("# now mine\n{TEXT}\n[web]\nconnections_max = 8\n"));
}

#[test]
fn leftovers_of_a_power_cut_are_overwritten() {
    let folder = Folder::with(TEXT);
    let draft = beside(&folder.file(), ".new");
    fs::write(&draft, "half a fi").unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o644)).unwrap();
    replace(&folder.file(), TEXT, "# new\n").unwrap();
    assert_eq!(folder.text(), "# new\n");
    assert_eq!(folder.file().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_link_stays_one() {
    let folder = Folder::with(TEXT);
    let link = folder.0.path().join("link.toml");
    std::os::unix::fs::symlink("smolnvr.toml", &link).unwrap();
    replace(&link, TEXT, "# new\n").unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(folder.text(), "# new\n");
}

#[test]
fn a_folder_that_cannot_be_written_is_reported() {
    let error = replace(Path::new("/proc/version"), "", "").unwrap_err();
    assert!(matches!(error, ChangeError::Unwritable { .. }));
    assert!(error.to_string().starts_with("/proc/version: "), "{error}");
}

#[test]
fn on_fat_the_text_before_stays_and_is_read_where_the_file_is_gone() {
    assert_eq!(Renaming::on(0x4d44), Renaming::MayLoseBoth);
    assert_eq!(Renaming::on(0xef53), Renaming::Replaces);
    let folder = Folder::with(TEXT);
    let (file, draft) = (folder.file(), beside(&folder.file(), ".new"));
    write_draft(&draft, "# new\n").unwrap();
    assert_eq!(left_over(&file), None);
    rename(&draft, &file, Renaming::MayLoseBoth).unwrap();
    assert_eq!(folder.names(), ["smolnvr.toml", "smolnvr.toml.old"]);
    assert_eq!(folder.text(), "# new\n");
    assert_eq!(fs::read_to_string(beside(&file, ".old")).unwrap(), TEXT);

    fs::remove_file(&file).unwrap();
    assert_eq!(left_over(&file), Some(beside(&file, ".old")));
    let config = Config::read(&file).unwrap();
    assert_eq!(config.storage.segment_seconds.get(), 60);
    // The next change restores the file, and the old one is not lost meanwhile.
    write_draft(&draft, "# newer\n").unwrap();
    rename(&draft, &file, Renaming::MayLoseBoth).unwrap();
    assert_eq!(folder.names(), ["smolnvr.toml", "smolnvr.toml.old"]);
    assert_eq!(left_over(&file), None);
}

#[test]
fn one_of_two_simultaneous_changes_is_made() {
    for _ in 0..20 {
        let folder = Folder::with(TEXT);
        let (file, running) = (folder.file(), Config::read(&folder.file()).unwrap());
        let start = std::sync::Barrier::new(8);
        let made = std::thread::scope(|scope| {
            let changes: Vec<_> = (1..=8)
                .map(|days| {
                    let (file, running, start) = (&file, &running, &start);
                    scope.spawn(move || {
                        start.wait();
                        by_page(file, running, &json!({"storage": {"keep_days": days}}))
                    })
                })
                .collect();
            let results: Vec<_> = changes.into_iter().map(|it| it.join().unwrap()).collect();
            let is_outdated = |it: &Result<_, _>| matches!(it, Err(ChangeError::Outdated(_)));
            assert_eq!(results.iter().filter(|it| is_outdated(it)).count(), 7, "{results:?}");
            results.into_iter().find_map(Result::ok).unwrap()
        });
        assert_eq!(Config::read(&file).unwrap(), made);
        assert_eq!(folder.names(), ["smolnvr.toml"]);
    }
}
