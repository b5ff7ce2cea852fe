//! The SD card: `install.sh` and the scripts of the old system, run by BusyBox in a root of its
//! own, on a card that is an ext4 image. Needs root, as `mount` and `chroot` do.

use crate::support::busybox::{TOP, applets, said};
use camera::{Camera, Clip};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

const CARD: &str = "/mnt/mmcblk0p1";
const INSTALL: &str = "sh /source/smolnvr/install.sh";
/// Waits until the daemon answers, at most 10 s.
const ANSWERS: &str = "answers";
/// The daemon's process id; its supervisor is of the same binary, and called by another name.
const DAEMON: &str = "$(grep -lx smolnvr /proc/[0-9]*/comm | cut -d / -f 3)";

/// Whether a boot may reach the cameras of the test; if not it has a network of its own.
enum Network {
    Own,
    Shared,
}

/// A board: its root file system, and a card of 64 MB with what is on it.
struct Board {
    directory: TempDir,
}

impl Board {
    fn new() -> Board {
        let board = Board { directory: tempfile::tempdir().unwrap() };
        let folders = [
            "dev",
            "etc/init.d",
            "mnt/mmcblk0p1",
            "proc",
            "tmp",
            "usr/lib",
            "usr/lib64",
            "var/run",
        ];
        for folder in folders {
            fs::create_dir_all(board.root(folder)).unwrap();
        }
        applets(&board.root("bin"));
        fs::create_dir_all(board.root("usr/bin")).unwrap();
        fs::copy("/usr/bin/busybox", board.root("usr/bin/busybox")).unwrap();
        symlink("usr/lib", board.root("lib")).unwrap();
        symlink("usr/lib64", board.root("lib64")).unwrap();
        // Not in Debian's BusyBox, or impossible on this machine.
        board.command("uname", "echo armv7l");
        board.command("mkfs.vfat", "exec mkdosfs \"$@\"");
        board.command(
            "answers",
            "n=0; until /tmp/smolnvr/smolnvr status >/dev/null 2>&1; do \
             n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done",
        );
        run("cp", &["-R", sdcard().to_str().unwrap(), board.root("source").to_str().unwrap()]);
        fs::File::create(board.image()).unwrap().set_len(64 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-m", "0", "-O", "^has_journal", board.image().to_str().unwrap()]);
        board
    }

    fn root(&self, path: &str) -> PathBuf {
        self.directory.path().join("root").join(path)
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("card")
    }

    /// Puts a script in the place of an applet.
    fn command(&self, name: &str, script: &str) {
        let path = self.root("bin").join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn applet(&self, name: &str) {
        fs::remove_file(self.root("bin").join(name)).unwrap();
        symlink("/usr/bin/busybox", self.root("bin").join(name)).unwrap();
    }

    /// Runs a script with the card mounted, from power-on to power-off: its output and exit status.
    fn boot(&self, script: &str) -> (String, i32) {
        self.boot_with("rw", Network::Own, script)
    }

    fn boot_with(&self, mount: &str, network: Network, script: &str) -> (String, i32) {
        let root = self.root("");
        let root = root.display();
        let setup = format!(
            "set -e
            mount -t tmpfs none {root}/tmp
            mount -t proc none {root}/proc
            mount --rbind /dev {root}/dev
            mount --bind /usr/lib {root}/usr/lib
            mount --bind /usr/lib64 {root}/usr/lib64
            mount -o loop,{mount} {} {root}{CARD}
            cd /
            exec chroot {root} /bin/env -i PATH=/bin sh -c \"$1\"",
            self.image().display()
        );
        let network: &[&str] = match network {
            Network::Own => &["--net"],
            Network::Shared => &[],
        };
        let output = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child"])
            .args(network)
            .args(["sh", "-c", &setup, "sh", script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (said(&output), output.status.code().unwrap_or(-1))
    }

    fn assert_boot(&self, script: &str) -> String {
        let (said, status) = self.boot(script);
        assert_eq!(status, 0, "{script}: {said}");
        said
    }

    fn assert_refused(&self, script: &str, part: &str) {
        let (said, status) = self.boot(script);
        assert_eq!(status, 1, "{script}: {said}");
        assert!(said.starts_with("install: ") && said.contains(part), "{said}");
    }

    /// Files on the card, by path.
    fn card(&self) -> Vec<String> {
        let said = self.assert_boot(&format!("cd {CARD} && find . -type f | sort"));
        said.lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
    }

    fn assert_whole(&self) {
        self.assert_boot(&format!("cd {CARD}/smolnvr && sha256sum -c SHA256SUMS"));
        assert!(!self.card().iter().any(|file| file.ends_with(".new")), "{:?}", self.card());
    }

    /// Boots as the firmware does, which pipes the output of the card's script into a logger.
    fn assert_starts_at_boot(&self) {
        self.assert_boot(&format!("sh {CARD}/autostart.sh | cat; {ANSWERS}"));
    }
}

/// The folder that `make sdcard` makes, with the binary of this machine.
fn sdcard() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("smolnvr");
        run("strip", &["-o", binary.to_str().unwrap(), env!("CARGO_BIN_EXE_smolnvr")]);
        let output = Command::new("sh")
            .args(["ci/package.sh", "sdcard"])
            .current_dir(TOP)
            .env("BINARY", &binary)
            .env("DIST", folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        folder
    });
    Box::leak(folder.path().join("sdcard").into_boxed_path())
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
}

#[test]
fn fresh_card_gets_all_and_starts_at_every_boot() {
    let board = Board::new();
    let said = board.assert_boot(&format!("{INSTALL} && {ANSWERS}"));
    let version = concat!(
        "smolnvr ",
        env!("CARGO_PKG_VERSION"),
        " is on /mnt/mmcblk0p1 and runs: open http://"
    );
    assert!(said.contains(version), "{said}");
    board.assert_whole();
    board.assert_starts_at_boot();
}

#[test]
fn folder_that_was_copied_onto_the_card_starts_without_installing() {
    let board = Board::new();
    board.assert_boot(&format!("cp -R /source/. {CARD}"));
    board.assert_starts_at_boot();
    // And may be "installed" where it lies.
    board.assert_boot(&format!("cd {CARD}/smolnvr && sh install.sh && {ANSWERS}"));
}

#[test]
fn nothing_is_open_on_the_card_while_it_runs() {
    let board = Board::new();
    board.assert_boot(INSTALL);
    board.assert_boot(&format!(
        "cd {CARD} && sh autostart.sh | cat; {ANSWERS} && cd / && n=0 && \
         until umount {CARD}; do n=$((n + 1)); [ $n -lt 50 ] || exit 1; sleep 0.1; done && \
         pidof smolnvrd && /tmp/smolnvr/smolnvr status"
    ));
}

#[test]
fn firmware_that_ends_ends_it_before_the_card_is_unmounted() {
    let board = Board::new();
    board.assert_boot(&format!("{INSTALL} && {ANSWERS}"));
    // At the start of the firmware it leads nowhere.
    board.assert_boot("[ -L /etc/init.d/S98smolnvr ] && [ ! -x /etc/init.d/S98smolnvr ]");
    board.assert_boot(&format!(
        "sh {CARD}/autostart.sh | cat; {ANSWERS} && /etc/init.d/S98smolnvr stop && \
         ! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q smolnvr && umount {CARD}"
    ));
    board.assert_boot(&format!("{INSTALL} --uninstall && [ ! -L /etc/init.d/S98smolnvr ]"));
}

#[test]
fn time_zone_of_the_board_is_that_of_the_daemon() {
    let board = Board::new();
    fs::write(board.root("etc/TZ"), "CET-1CEST\n").unwrap();
    board.assert_boot(&format!(
        "{INSTALL} && {ANSWERS} && \
         tr '\\000' '\\n' </proc/{DAEMON}/environ | grep -qx TZ=CET-1CEST"
    ));
}

#[test]
fn daemon_that_dies_during_a_firmware_upgrade_starts_after_it() {
    let board = Board::new();
    board.assert_boot(&format!(
        "{INSTALL} && {ANSWERS} && touch /tmp/sysupgrade.lock && kill -9 {DAEMON} && \
         sleep 4 && [ -z \"{DAEMON}\" ] && rm /tmp/sysupgrade.lock && {ANSWERS}"
    ));
}

#[test]
fn upgrade_keeps_settings_and_recordings_and_runs_the_new_one() {
    let board = Board::new();
    board.assert_boot(&format!(
        "{INSTALL} && echo '# mine' >>{CARD}/smolnvr/smolnvr.toml && \
         mkdir -p {CARD}/recordings && echo video >{CARD}/recordings/000.mp4"
    ));
    // Another version: its script says something else.
    let file = board.root("source/smolnvr/S97smolnvr");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("runs already", "runs as before")).unwrap();
    board.assert_refused(INSTALL, "damaged");
    board.assert_boot(
        "cd /source/smolnvr && awk '{ print $2 }' SHA256SUMS | xargs sha256sum >S && mv S SHA256SUMS",
    );
    board.assert_boot(&format!(
        "sh {CARD}/autostart.sh | cat; {ANSWERS} && old=$(pidof smolnvrd) && {INSTALL} && {ANSWERS} && \
         [ \"$old\" != \"$(pidof smolnvrd)\" ] && grep -q 'runs as before' /tmp/smolnvr/S97smolnvr && \
         grep -q '# mine' {CARD}/smolnvr/smolnvr.toml && grep -q video {CARD}/recordings/000.mp4"
    ));
    board.assert_whole();
    assert_eq!(board.assert_boot(&format!("grep -c smolnvr {CARD}/autostart.sh")), "1\n");
}

#[test]
fn uninstalling_leaves_recordings_and_what_is_not_ours() {
    let board = Board::new();
    board.assert_boot(&format!(
        "printf '#!/bin/sh\\necho mine\\n' >{CARD}/autostart.sh && cp {CARD}/autostart.sh /before && \
         mkdir -p {CARD}/recordings && echo video >{CARD}/recordings/000.mp4 && {INSTALL} && \
         sh {CARD}/autostart.sh | grep -q mine && {ANSWERS} && \
         {INSTALL} --uninstall && [ -z \"$(pidof smolnvr)\" ] && cmp {CARD}/autostart.sh /before"
    ));
    assert_eq!(board.card(), ["autostart.sh", "recordings/000.mp4"]);
    // Of a card that had no script of its own nothing else is left, and the script may lie on it.
    let board = Board::new();
    board.assert_boot(&format!(
        "{INSTALL} && echo video >{CARD}/000.mp4 && sh {CARD}/smolnvr/install.sh --uninstall"
    ));
    assert_eq!(board.card(), ["000.mp4"]);
}

#[test]
fn full_card_is_left_as_it_was() {
    let board = Board::new();
    board.assert_boot(INSTALL);
    let before = board.card();
    let fill =
        format!("dd if=/dev/zero of={CARD}/foreign bs=64k 2>/dev/null; rm -f {CARD}/foreign.2; :");
    board.assert_boot(&fill);
    board.assert_refused(INSTALL, "KB left");
    board.assert_boot(&format!("rm {CARD}/foreign"));
    assert_eq!(board.card(), before);
    // Also where the room goes while it copies.
    board.command("df", "echo x; echo /dev/mmcblk0p1 9 9 999999 9 /");
    board.assert_boot(&fill);
    let (said, status) = board.boot(INSTALL);
    assert!(status == 1 && said.contains("cannot be written"), "{said}");
    board.assert_boot(&format!("rm {CARD}/foreign"));
    assert_eq!(board.card(), before);
    board.assert_whole();
    board.assert_starts_at_boot();
}

#[test]
fn read_only_card_is_named() {
    let board = Board::new();
    let (said, status) = board.boot_with("ro", Network::Own, INSTALL);
    assert_eq!(status, 1, "{said}");
    assert_eq!(said, "install: /mnt/mmcblk0p1 cannot be written: read-only or full\n");
    // One that is installed and turned read-only still runs.
    board.assert_boot(INSTALL);
    let script = format!("sh {CARD}/autostart.sh | cat; {ANSWERS}");
    let (said, status) = board.boot_with("ro", Network::Own, &script);
    assert_eq!(status, 0, "{said}");
}

#[test]
fn without_a_mounted_card_nothing_is_written() {
    let board = Board::new();
    let script = format!("umount {CARD} && {INSTALL}");
    board.assert_refused(&script, "no card is mounted");
    board.assert_refused(&format!("umount {CARD} && {INSTALL} {CARD}"), "is not a mounted card");
    board.assert_boot(&format!("umount {CARD} && [ -z \"$(ls {CARD})\" ]"));
}

#[test]
fn wrong_cpu_is_refused() {
    let board = Board::new();
    board.command("uname", "echo armv5tejl");
    board.assert_refused(INSTALL, "this machine is armv5tejl: smolnvr is for ARMv7");
    // A binary of another machine, on one that calls itself right.
    board.command("uname", "echo armv7l");
    board.assert_boot(
        "cd /source/smolnvr && printf '\\177ELF\\001\\001' >smolnvr && chmod 755 smolnvr && \
         sed -i \"s/.*  smolnvr$/$(sha256sum smolnvr)/\" SHA256SUMS",
    );
    let (said, status) = board.boot(INSTALL);
    assert!(status == 1 && said.contains("smolnvr does not run on this machine"), "{said}");
    assert!(board.card().is_empty());
}

#[test]
fn interrupted_anywhere_it_is_run_again_and_all_is_well() {
    for (applet, count) in [("cp", 1), ("cp", 5), ("cp", 13), ("mv", 1), ("mv", 7), ("mv", 13)] {
        let board = Board::new();
        // The power goes at the n-th time that it copies, or renames.
        board.command(
            applet,
            &format!(
                "echo >>/count; [ $(wc -l </count) -lt {count} ] || kill -9 $PPID; exec busybox {applet} \"$@\""
            ),
        );
        let (said, status) = board.boot(INSTALL);
        assert_ne!(status, 0, "{applet} {count}: {said}");
        board.applet(applet);
        board.assert_boot(&format!("{INSTALL} && {ANSWERS}"));
        board.assert_whole();
        board.assert_starts_at_boot();
    }
}

#[test]
fn damaged_program_on_the_card_is_not_run() {
    let board = Board::new();
    board.assert_boot(INSTALL);
    board.assert_boot(&format!("echo x >>{CARD}/smolnvr/smolnvr"));
    let (said, status) = board.boot(&format!("sh {CARD}/smolnvr/startup.sh"));
    assert!(status != 0 && said.contains("is damaged: copy it anew"), "{said}");
}

#[test]
fn old_scripts_do_what_their_names_say_from_any_folder() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let board = Board::new();
    let config = format!(
        "[storage]\npath = \"{CARD}/recordings\"\n[[camera]]\nname = \"cam\"\nurl = \"{}\"\n[web]\nlisten = \"127.0.0.1:0\"\n",
        camera.url("cam")
    );
    fs::write(board.root("config"), config).unwrap();
    board.assert_boot(&format!("cp -R /source/. {CARD} && cp /config {CARD}/smolnvr/smolnvr.toml"));
    let records = format!(
        "n=0; until ls {CARD}/recordings/*.mp4 2>/dev/null || [ $n = 50 ]; do n=$((n + 1)); sleep 0.1; done; \
         ls {CARD}/recordings/*.mp4"
    );
    let online = |script: &str| {
        let (said, status) = board.boot_with("rw", Network::Shared, script);
        assert_eq!(status, 0, "{script}: {said}");
    };
    // The page and live view alone, and recording when it is asked for.
    online(&format!(
        "cd / && sh {CARD}/smolnvr/webserver/run_server.sh && {ANSWERS} && one=$(pidof smolnvrd) && \
         cd {CARD}/smolnvr && sh start_livestream.sh && [ \"$one\" = \"$(pidof smolnvrd)\" ] && \
         [ -z \"$(ls {CARD}/recordings 2>/dev/null | grep mp4)\" ] && \
         cd /tmp && sh {CARD}/smolnvr/startup.sh && [ \"$one\" = \"$(pidof smolnvrd)\" ] && {records}"
    ));
    online(&format!("rm -f {CARD}/recordings/*.mp4"));
    online(&format!(
        "cd {CARD} && sh smolnvr/startup.sh && {records} && sh smolnvr/endprocess.sh && sleep 1 && \
         [ -z \"$(pidof smolnvr smolnvrd)\" ] && /tmp/smolnvr/smolnvr verify {CARD}/recordings"
    ));
    let (said, status) = board.boot(&format!("sh {CARD}/smolnvr/endprocess.sh"));
    assert_eq!((said.as_str(), status), ("smolnvr: does not run\n", 1));
}

#[test]
fn formatting_asks_first_and_makes_fat32() {
    let board = Board::new();
    let device = board.directory.path().join("sd");
    fs::File::create(&device).unwrap().set_len(64 << 20).unwrap();
    let output = Command::new("losetup").args(["--find", "--show"]).arg(&device).output().unwrap();
    let name = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let refused = board.boot(&format!("echo no | {INSTALL} --format {name}"));
    let blank = fs::read(&device).unwrap().iter().all(|&byte| byte == 0);
    let (said, status) = board.boot(&format!("echo yes | {INSTALL} --format {name}"));
    run("losetup", &["--detach", &name]);
    assert!(blank && refused.1 == 1 && refused.0.contains("nothing was changed"), "{refused:?}");
    assert_eq!(&fs::read(&device).unwrap()[82..90], b"FAT32   ", "{said}");
    // Where the kernel has vfat it goes on and installs.
    assert!(status == 0 || said.contains("is FAT32 now"), "{said}");
}
