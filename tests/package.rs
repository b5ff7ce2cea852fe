//! The packages: what is in them, that BusyBox unpacks them, that they are always the same bytes,
//! and their way into a firmware tree and out again.

use crate::support::busybox::{TOP, applets, said};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const INSTALLED: [&str; 4] =
    ["etc/default/smolnvr", "etc/init.d/S97smolnvr", "etc/smolnvr.toml", "usr/bin/smolnvr"];

/// Packages made by `ci/package.sh`, with a binary that need not run.
struct Packages {
    directory: TempDir,
}

impl Packages {
    fn make(what: &str) -> Packages {
        Packages::make_for("armv7-unknown-linux-musleabi", what)
    }

    fn make_for(target: &str, what: &str) -> Packages {
        let packages = Packages { directory: tempfile::tempdir().unwrap() };
        let binary = packages.path("binary");
        fs::write(&binary, "#!/bin/sh\necho smolnvr\n").unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o700)).unwrap();
        let output = Command::new("sh")
            .args(["ci/package.sh", what])
            .current_dir(TOP)
            .env("TARGET", target)
            .env("BINARY", &binary)
            .env("DIST", packages.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        packages
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Unpacks one, with BusyBox alone, and returns the folder.
    fn unpack(&self, command: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        applets(&folder.path().join("bin"));
        let output = Command::new("busybox")
            .args(["sh", "-e", "-c", command])
            .current_dir(folder.path())
            .env("PATH", folder.path().join("bin"))
            .env("DIST", self.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", said(&output));
        fs::remove_dir_all(folder.path().join("bin")).unwrap();
        folder
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
    output
}

/// The files below a folder, by path.
fn files(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let output =
        run("sh", &["-c", "cd $0 && find . -type f | sed 's|^./||' | LC_ALL=C sort", folder]);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn assert_installed(root: &Path) {
    assert_eq!(files(root), INSTALLED);
    for (file, mode) in INSTALLED.iter().zip([0o644, 0o755, 0o600, 0o755, 0o755]) {
        let metadata = fs::metadata(root.join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
}

/// A tree with the shape of OpenIPC's firmware.
fn firmware() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let path = |name: &str| tree.path().join(name);
    for folder in
        ["general/package/majestic", "br-ext-chip-goke/configs", "br-ext-chip-hisilicon/configs"]
    {
        fs::create_dir_all(path(folder)).unwrap();
    }
    let sources = ["majestic", "zerotier-one"]
        .map(|name| format!("source \"$BR2_EXTERNAL_GENERAL_PATH/package/{name}/Config.in\"\n"));
    fs::write(path("general/package/Config.in"), sources.concat()).unwrap();
    fs::write(path("general/package/majestic/majestic.mk"), "$(eval $(generic-package))\n")
        .unwrap();
    for board in ["gk7205v200_ultimate", "gk7205v200_original", "gk7205v200_lite"] {
        let file = format!("br-ext-chip-goke/configs/{board}_defconfig");
        fs::write(path(&file), "BR2_arm=y\nBR2_cortex_a7=y\nBR2_PACKAGE_YAML_CLI=y\n").unwrap();
    }
    tree
}

fn integrate(dist: &Path, arguments: &[&str]) -> Output {
    Command::new("sh")
        .arg(Path::new(TOP).join("package/integrate.sh"))
        .args(arguments)
        .env("SMOLNVR_DIST", dist)
        .output()
        .unwrap()
}

fn assert_same(one: &Path, other: &Path) {
    run("diff", &["-r", one.to_str().unwrap(), other.to_str().unwrap()]);
}

#[test]
fn installing_into_a_firmware_twice_and_removing_once_leaves_no_trace() {
    let packages = Packages::make("tarball");
    let dist = packages.path("");
    let (before, tree, once) = (firmware(), firmware(), tempfile::tempdir().unwrap());
    let path = tree.path().to_str().unwrap();
    let boards = ["gk7205v200_ultimate", "gk7205v200_original"];
    for _ in 0..2 {
        let output = integrate(&dist, &[&[path], &boards[..]].concat());
        assert!(output.status.success(), "{}", said(&output));
        if files(once.path()).is_empty() {
            run("cp", &["-R", &format!("{path}/."), once.path().to_str().unwrap()]);
        }
        assert_same(once.path(), tree.path());
    }
    let package = tree.path().join("general/package/smolnvr");
    let archive = format!("smolnvr-{VERSION}-armv7.tar.gz");
    assert_eq!(files(&package), ["Config.in", &archive, "smolnvr.hash", "smolnvr.mk"]);
    // As Buildroot checks it.
    let sums = fs::read_to_string(package.join("smolnvr.hash")).unwrap();
    let sums = sums.lines().filter_map(|line| line.strip_prefix("sha256  "));
    fs::copy(Path::new(TOP).join("LICENSE"), package.join("LICENSE")).unwrap();
    fs::write(package.join("sums"), sums.map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    run("sh", &["-c", "cd $0 && sha256sum -c sums", package.to_str().unwrap()]);
    for board in boards {
        let file = tree.path().join(format!("br-ext-chip-goke/configs/{board}_defconfig"));
        assert!(fs::read_to_string(file).unwrap().ends_with("BR2_PACKAGE_SMOLNVR=y\n"));
    }
    let output = integrate(&dist, &["--remove", path]);
    assert!(output.status.success(), "{}", said(&output));
    assert_same(before.path(), tree.path());
}

#[test]
fn a_folder_that_is_no_firmware_is_reported_and_left_alone() {
    let packages = Packages::make("tarball");
    let empty = tempfile::tempdir().unwrap();
    let output = integrate(&packages.path(""), &[empty.path().to_str().unwrap()]);
    assert!(!output.status.success() && said(&output).contains("no tree of OpenIPC's firmware"));
    let (before, tree) = (firmware(), firmware());
    let path = tree.path().to_str().unwrap();
    let output = integrate(&packages.path(""), &[path, "toaster"]);
    assert!(!output.status.success() && said(&output).contains("toaster"), "{}", said(&output));
    let output = integrate(empty.path(), &[path]);
    assert!(!output.status.success() && said(&output).contains("make dist first"));
    assert_same(before.path(), tree.path());
}

#[test]
fn image_that_outgrew_the_flash_is_named() {
    let tree = firmware();
    let path = tree.path().to_str().unwrap();
    fs::create_dir_all(tree.path().join("output/images")).unwrap();
    let image =
        fs::File::create(tree.path().join("output/images/rootfs.squashfs.gk7205v200")).unwrap();
    for (flash, limit) in [("8", 5120), ("16", 8192)] {
        let config = format!("BR2_OPENIPC_FLASH_SIZE=\"{flash}\"\n");
        fs::write(tree.path().join("output/.config"), config).unwrap();
        image.set_len(limit * 1024).unwrap();
        let output = integrate(tree.path(), &["--size", path]);
        assert!(output.status.success(), "{}", said(&output));
        image.set_len((limit + 1) * 1024).unwrap();
        let output = integrate(tree.path(), &["--size", path]);
        assert!(!output.status.success() && said(&output).contains("larger than the flash"));
    }
}

#[test]
fn archive_for_firmware_holds_the_target_root() {
    let packages = Packages::make("tarball");
    let folder = packages.unpack("gzip -dc $DIST/*-armv7.tar.gz | tar xf -");
    let root = folder.path().join(format!("smolnvr-{VERSION}-armv7"));
    fs::remove_file(root.join("LICENSE")).unwrap();
    assert_installed(&root);
}

#[test]
fn busybox_unpacks_an_ipk_of_either_kind_to_the_same() {
    let packages = Packages::make("ipk");
    let unpacked =
        "for part in data control; do mkdir $part; gzip -dc $part.tar.gz | tar xf - -C $part; done";
    let tar = packages
        .unpack(&format!("gzip -dc $DIST/smolnvr_{VERSION}_armv7.ipk | tar xf -; {unpacked}"));
    let ar = packages.unpack(&format!("ar x $DIST/smolnvr_{VERSION}_armv7-ar.ipk; {unpacked}"));
    assert_same(tar.path(), ar.path());
    let path = |name: &str| tar.path().join(name);
    assert_eq!(fs::read_to_string(path("debian-binary")).unwrap(), "2.0\n");
    assert_installed(&path("data"));
    assert_eq!(files(&path("control")), ["conffiles", "control", "postinst", "prerm"]);
    let control = fs::read_to_string(path("control/control")).unwrap();
    for field in [
        "Package: smolnvr\n",
        &format!("Version: {VERSION}\n"),
        "\nInstalled-Size: ",
        "\nArchitecture: ",
    ] {
        assert!(control.contains(field), "{control}");
    }
    assert!(!control.contains('@'), "{control}");
    for file in fs::read_to_string(path("control/conffiles")).unwrap().lines() {
        assert!(path("data").join(file.trim_start_matches('/')).is_file(), "{file}");
    }
    // The order is part of the ar format.
    let list = run(
        "ar",
        &["t", packages.path(&format!("smolnvr_{VERSION}_armv7-ar.ipk")).to_str().unwrap()],
    );
    assert_eq!(said(&list), "debian-binary\ncontrol.tar.gz\ndata.tar.gz\n");
}

#[test]
fn packages_for_other_processors_are_told_apart() {
    for (target, processor) in
        [("armv7-unknown-linux-musleabihf", "armv7hf"), ("aarch64-unknown-linux-musl", "aarch64")]
    {
        let packages = Packages::make_for(target, "ipk");
        let unpacked = "gzip -dc control.tar.gz | tar xf -";
        let name = format!("smolnvr_{VERSION}_{processor}.ipk");
        let folder = packages.unpack(&format!("gzip -dc $DIST/{name} | tar xf -; {unpacked}"));
        let control = fs::read_to_string(folder.path().join("control")).unwrap();
        assert!(control.ends_with(&format!("for {processor}.\n")), "{control}");
        let packages = Packages::make_for(target, "tarball");
        assert!(packages.path(&format!("smolnvr-{VERSION}-{processor}.tar.gz")).is_file());
    }
}

#[test]
fn scripts_of_an_ipk_do_nothing_in_an_image_that_is_being_built() {
    for script in ["postinst", "prerm"] {
        for variable in ["IPKG_INSTROOT", "D", "OPKG_OFFLINE_ROOT"] {
            let output = Command::new("busybox")
                .args(["sh", "-x"])
                .arg(Path::new(TOP).join("package/ipk").join(script))
                .env_clear()
                .env(variable, "/image")
                .output()
                .unwrap();
            let said = said(&output);
            assert!(output.status.success() && !said.contains("S97smolnvr"), "{said}");
        }
    }
}

#[test]
fn same_input_gives_the_same_bytes() {
    let make = || {
        let packages = Packages::make("tarball");
        let dist = packages.path("");
        for what in ["ipk", "sdcard"] {
            let output = Command::new("sh")
                .args(["-c", "umask 077; exec sh ci/package.sh $0", what])
                .current_dir(TOP)
                .env("BINARY", packages.path("binary"))
                .env("DIST", &dist)
                .env("TZ", "Asia/Tokyo")
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
        packages
    };
    assert_same(&make().path(""), &make().path(""));
}

#[test]
fn zip_for_a_card_holds_the_folder_and_its_sums() {
    let packages = Packages::make("sdcard");
    let folder = packages.unpack(&format!(
        "unzip -q $DIST/smolnvr-{VERSION}-sdcard.zip && cd smolnvr && sha256sum -c SHA256SUMS >/dev/null"
    ));
    assert_same(folder.path(), &packages.path("sdcard"));
    let files = files(folder.path());
    for script in [
        "autostart.sh",
        "smolnvr/startup.sh",
        "smolnvr/start_livestream.sh",
        "smolnvr/webserver/run_server.sh",
        "smolnvr/endprocess.sh",
        "smolnvr/install.sh",
        "smolnvr/default.toml",
    ] {
        assert!(files.iter().any(|file| file == script), "{script} is not in {files:?}");
    }
    let sums = fs::read_to_string(folder.path().join("smolnvr/SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count() + 2, files.len(), "all but itself and the hook have a sum");
    let config = folder.path().join("smolnvr/default.toml");
    let (status, said, complaint) =
        crate::support::smolnvr(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{said}{complaint}");
}
