#!/usr/bin/env python3
"""Checks our crates: these licences only, from one registry with a checksum, and once in the binary."""

import collections
import re
import sys

import sbom

LICENCES = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "Unicode-3.0", "Unlicense", "Zlib"}
# Crates of which the binary contains two versions, and why.
TWICE = {
    "heapless": "picoserve wants both",
    "syn": "of macros, which are in no binary",
}


def main():
    packages, _, edges, sums = sbom.read()
    faults = []
    registries = {it["source"] for it in packages.values() if it["source"]}
    if len(registries) != 1 or not all(it.startswith("registry+") for it in registries):
        faults.append(f"crates come from {', '.join(sorted(registries))}")
    for package in packages.values():
        name = f"{package['name']} {package['version']}"
        if package["source"] and not sums[package["name"], package["version"]]:
            faults.append(f"{name} has no checksum in Cargo.lock")
        # Our own crates are not published and need none.
        if package["source"] and not is_allowed(package["license"]):
            faults.append(f"{name} is licensed as {package['license']}")
    versions = collections.defaultdict(set)
    for one in edges:
        versions[packages[one]["name"]].add(packages[one]["version"])
    faults += [f"{name} is in the binary as {', '.join(sorted(found))}" for name, found in versions.items()
               if len(found) > 1 and name not in TWICE]
    faults += [f"{name} is no longer in it twice" for name in TWICE if len(versions[name]) < 2]
    if faults:
        sys.exit("crates: " + "\ncrates: ".join(faults))


def is_allowed(expression):
    """Whether an SPDX expression allows a permitted licence; `/` is an old way to write OR."""
    expression = re.sub(r" WITH \S+", "", (expression or "none").replace("/", " OR "))
    words = {"OR": "or", "AND": "and"}
    return eval(re.sub(r"[\w.+-]+", lambda it: words.get(it[0], str(it[0] in LICENCES)), expression))


main()
