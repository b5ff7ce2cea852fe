#!/usr/bin/env python3
"""Checks what runs on boards or in a firmware's build: the commands of scripts are among BusyBox's there,
init scripts keep Buildroot's check-package rules, and package/ has the version of Cargo.toml."""

import hashlib
import re
import subprocess
import sys
import tomllib

# Applets of BusyBox 1.36.1 as OpenIPC configures it that we use or may use; mkfs.vfat and ip are applets too.
APPLETS = """
awk basename cat chmod cp cut date dd df dirname dmesg du env expr fdisk find flock fuser grep gzip head
hostname id ip kill killall ln logger logread ls lsof mkdir mkfs.vfat mktemp mount mountpoint mv nohup
pgrep pidof ps readlink rm rmdir sed seq setsid sh sha256sum sleep sort start-stop-daemon stat sync tail
tar tee timeout top touch tr umount uname uniq wc wget xargs xz
""".split()
BUILTINS = """
. : [ ] break cd command continue echo eval exec exit export false getopts local printf pwd read return set
shift test trap true type umask unset wait
""".split()
KEYWORDS = "if then else elif fi for while until do done case esac in !".split()
OURS = ["smolnvr"]


def plain(text):
    """A script without comments, and with `_` in place of quoted text, except `$( )` in it."""
    out, at, word = "", 0, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            out, at = out + " " * (text[at + 1] == "\n") + "_" * (text[at + 1] != "\n"), at + 2
        elif char == "'":
            out, at = out + "_", text.index("'", at + 1) + 1
        elif char == '"':
            end = at + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else len(nested(text, end)) or 1
            inside = text[at + 1 : end]
            runs = [nested(inside, k) for k in range(len(inside)) if inside.startswith("$(", k)]
            out, at = out + "_" + "".join(plain(run) for run in runs), end + 1
        elif char == "#" and (not out or out[-1] in " \t\n;("):
            at = (text + "\n").index("\n", at)
        else:
            out, at = out + char, at + 1
    return out


def nested(text, at):
    """The `$( )` that begins there, or nothing."""
    if not text.startswith("$(", at):
        return ""
    end, depth = at + 2, 1
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[at:end]


def commands(text):
    """The words that are commands."""
    text = re.sub(r"<<-?\s*'?(\w+)'?\n.*?\n\s*\1\n", "\n", text, flags=re.S)
    text = plain(text)
    text = re.sub(r"\$\{[^}]*\}|\$\(\(.*?\)\)", "_", text)
    text = re.sub(r"^\s*[^\s()=;]+(?:\s*\|\s*[^\s()=;]+)*\)", "\n", text, flags=re.M)  # of case
    text = re.sub(r"\bcase\b.*?\bin\b([^()\n]*\))?", ";", text)
    text = re.sub(r"\d*[<>]+&?\s*[^\s;|&()]+", " ", text)
    # Text after a `)` up to the next of these is not a command.
    for part in re.split(r"\$\(|[;|&(\n{}`]|\)[^;|&\n]*", text):
        words = part.split()
        while words and (words[0] in KEYWORDS or re.match(r"\w+=", words[0])):
            # The variable and the list of `for`.
            words = [] if words[0] == "for" else words[1:]
        if words and not words[0].startswith(("_", "$", "-", "/etc/init.d/")):
            yield words[0]


def check_commands(path, text, functions):
    allowed = {*APPLETS, *BUILTINS, *KEYWORDS, *OURS, *functions}
    return [f"{path}: {word} is no BusyBox applet of the boards" for word in commands(text) if word not in allowed]


def check_init_script(path, text):
    """utils/checkpackagelib/lib_sysv.py of Buildroot."""
    name = re.search(r'^DAEMON="([^"/]+)"$', text, re.M)
    if not name or not re.search(rf"/S\d\d{name[1]}$", path):
        yield f"{path}: wants DAEMON=\"name\" without a path, and S00name as file name"
    pidfile = re.search(r"^PIDFILE=(.*)", text, re.M)
    if pidfile and pidfile[1] != '"/var/run/$DAEMON.pid"':
        yield f"{path}: PIDFILE is not /var/run/$DAEMON.pid"


def check_text(path, text):
    """What check-package asks of every file."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end of the line"
        if re.match(r"\t* +\S", line) and path.endswith(("S97smolnvr", ".mk")):
            yield f"{path}:{number}: indented by blanks"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield f"{path}: does not end in one newline"
    if path.endswith("Config.in"):
        yield from (f"{path}: help is wider than 62" for line in lines if line.startswith("\t  ") and len(line) > 65)
    if path.endswith(".mk") and "external" not in path and not text.startswith("#" * 80 + "\n#\n# smolnvr\n#\n"):
        yield f"{path}: has not Buildroot's head of 80 #"


def main():
    files = subprocess.check_output(["git", "ls-files", "overlay", "package"], text=True).split()
    texts = {}
    for path in files:
        with open(path, encoding="utf-8") as file:
            texts[path] = file.read()
    scripts = [p for p in files if texts[p].startswith("#!/bin/sh") or p.endswith("common.sh")]
    # The package's own tool runs on a desk, not on a board.
    boards = [path for path in scripts if path != "package/integrate.sh"]
    functions = {name for p in boards for name in re.findall(r"^(\w+)\(\)", texts[p], re.M)}
    faults = []
    for path in boards:
        faults += check_commands(path, texts[path], functions)
    for path in files:
        faults += check_text(path, texts[path])
        if "/init.d/" in path:
            faults += check_init_script(path, texts[path])
    with open("Cargo.toml", "rb") as file:
        version = tomllib.load(file)["package"]["version"]
    if f"\nSMOLNVR_VERSION = {version}\n" not in texts["package/smolnvr/smolnvr.mk"]:
        faults.append(f"package/smolnvr/smolnvr.mk: SMOLNVR_VERSION is not {version}")
    with open("CHANGELOG.md", encoding="utf-8") as file:
        if f"\n## {version}\n" not in file.read():
            faults.append(f"CHANGELOG.md: has no {version}")
    for path in scripts:
        if subprocess.run(["busybox", "sh", "-n", path], check=False).returncode:
            faults.append(f"{path}: not for BusyBox ash")
    with open("LICENSE", "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() not in texts["package/smolnvr/smolnvr.hash"]:
            faults.append("package/smolnvr/smolnvr.hash: not that of LICENSE")
    sys.exit("\n".join(faults) or None)


if __name__ == "__main__":
    main()
