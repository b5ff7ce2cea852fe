#!/usr/bin/env python3
"""The parts of a binary for the boards, by size.

  size.py BINARY            a table by section and, where it has symbols, by crate
  size.py --budget BINARY   one line; fails where a 32-bit ARM binary is larger than the budget, is not
                            static, or not stripped
  size.py --no-budget …     the same, of any size
  size.py --at 0x… BINARY   the function at the address of a crash; BINARY is the same build with its symbols
                            (`ci/cross.sh --size` leaves one)
"""

import re
import struct
import sys
from collections import Counter

BUDGET_KB = 1100
ARM = 40  # e_machine
SYMTAB, DYNAMIC, NOBITS = 2, 6, 8  # sh_type
ALLOC = 2  # sh_flags
OBJECT, FUNCTION = 1, 2  # st_info & 15


class Elf:
    def __init__(self, data):
        if data[:4] != b"\x7fELF" or data[5] != 1:
            sys.exit("not a little-endian ELF file")
        self.data = data
        self.wide = data[4] == 2
        self.machine = struct.unpack_from("<H", data, 18)[0]
        start = struct.unpack_from("<Q" if self.wide else "<I", data, 40 if self.wide else 32)[0]
        size, count, names = struct.unpack_from("<3H", data, 58 if self.wide else 46)
        form = "<IIQQQQIIQQ" if self.wide else "<10I"
        self.headers = [struct.unpack_from(form, data, start + n * size) for n in range(count)]
        table = self.headers[names]
        self.names = data[table[4] : table[4] + table[5]]

    def sections(self):
        """(name, type, flags, size) of each."""
        for name, kind, flags, _, _, size, *_ in self.headers:
            yield text(self.names, name), kind, flags, size

    def symbols(self):
        """(name, address, size) of each function and object, one an address."""
        seen = set()
        for _, kind, _, _, offset, size, link, *_, entry in self.headers:
            if kind != SYMTAB:
                continue
            start, length = self.headers[link][4:6]
            names = self.data[start : start + length]
            for at in range(offset, offset + size, entry):
                if self.wide:
                    name, info, _, section, value, bytes_ = struct.unpack_from("<IBBHQQ", self.data, at)
                else:
                    name, value, bytes_, info, _, section = struct.unpack_from("<IIIBBH", self.data, at)
                # Sections of zeros take no room in the file.
                if section >= len(self.headers) or self.headers[section][1] == NOBITS:
                    continue
                if info & 15 in (OBJECT, FUNCTION) and bytes_ and value not in seen:
                    seen.add(value)
                    yield text(names, name), value, bytes_


def text(table, at):
    return table[at : table.index(0, at)].decode()


def crate(symbol):
    """The crate that the code comes from, even for generic code."""
    if match := re.match(r"_R.*?C(?:s[0-9A-Za-z]*_)?(\d+)_?(.*)", symbol):  # v0
        return match[2][: int(match[1])]
    if match := re.match(r"_ZN(\d+)(.*)", symbol):  # legacy
        head = match[2][: int(match[1])]
        if match := re.match(r"_\$LT\$(?:\$\w+\$)*(?:dyn\$u20\$)?(\w+)", head):
            return match[1]
        return head
    return "C and nameless"


def table(title, rows, total):
    print(f"{title:32} {'bytes':>9}      %")
    for name, size in rows:
        print(f"{name:32} {size:9}  {100 * size / total:5.1f}")
    print()


def main(arguments):
    strict = arguments[0] in ("--budget", "--no-budget")
    path = arguments[-1]
    with open(path, "rb") as file:
        data = file.read()
    elf = Elf(data)
    if arguments[0] == "--at":
        place = int(arguments[1], 16)
        # The lowest bit of a Thumb function's address is set.
        found = [name for name, start, size in elf.symbols() if start & ~1 <= place < start + size]
        if not found:
            sys.exit("no function is there")
        print(*found, sep="\n")
        return
    sections = list(elf.sections())
    if strict:
        kinds = {kind for _, kind, _, _ in sections}
        print(f"{path}: {len(data)} bytes, {len(data) / 1024:.0f} KB")
        if SYMTAB in kinds or DYNAMIC in kinds:
            sys.exit(f"{path}: not a stripped static binary")
        if arguments[0] == "--budget" and elf.machine == ARM and len(data) > BUDGET_KB * 1024:
            sys.exit(f"{path}: larger than {BUDGET_KB} KB; `make size` says what is in it")
        return
    loaded = [(name, size) for name, kind, flags, size in sections if flags & ALLOC and kind != NOBITS]
    total = sum(size for _, size in loaded)
    table("section", loaded + [("all", total)], total)
    crates = Counter()
    for name, _, size in elf.symbols():
        crates[crate(name)] += size
    if crates:
        known = sum(crates.values())
        shown = [row for row in crates.most_common() if row[1] >= 1024]
        rest = known - sum(size for _, size in shown)
        table("crate (functions and objects)", shown + [("smaller ones", rest), ("all", known)], total)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    main(sys.argv[1:])
