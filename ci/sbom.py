#!/usr/bin/env python3
"""Lists the crates in the boards' binary as CycloneDX 1.5; the argument is our version."""

import datetime
import json
import os
import subprocess
import sys
import tomllib

TARGET = "armv7-unknown-linux-musleabi"


def read():
    """All crates by id, our crate's id, the crates that each linked crate links, and checksums by name and version."""
    call = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.check_output(call))
    with open("Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    sums = {(one["name"], one["version"]): one.get("checksum") for one in locked}
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    ours = next(one["id"] for one in packages.values() if one["name"] == "smolnvr")
    edges, open_ = {}, [ours]
    while open_:
        name = open_.pop()
        if name in edges:
            continue
        # Neither for tests nor for build scripts.
        edges[name] = [d["pkg"] for d in nodes[name]["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
        open_ += edges[name]
    return packages, ours, edges, sums


def main(version):
    packages, ours, edges, sums = read()
    components = [component(packages[name], sums) for name in edges if name != ours]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", 0))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": purl(packages[ours]),
                "name": "smolnvr",
                "version": version,
                "licenses": [{"expression": packages[ours]["license"]}],
            },
        },
        "components": sorted(components, key=lambda one: one["bom-ref"]),
        "dependencies": sorted(
            (
                {"ref": purl(packages[name]), "dependsOn": sorted(purl(packages[one]) for one in to)}
                for name, to in edges.items()
            ),
            key=lambda one: one["ref"],
        ),
    }
    print(json.dumps(document, indent=1))


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, sums):
    return {
        "type": "library",
        "bom-ref": purl(package),
        "purl": purl(package),
        "name": package["name"],
        "version": package["version"],
        "hashes": [{"alg": "SHA-256", "content": sums[package["name"], package["version"]]}],
        # Older crates write "MIT/Apache-2.0".
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
    }


if __name__ == "__main__":
    main(sys.argv[1])
