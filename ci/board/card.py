"""SD cards as image files: made, filled, and read without the board."""

import json
import pathlib
import re
import struct
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
START = 2048  # sectors before the partition
END_OF_CHAIN = 0x0FFFFFFF
# What fsck.vfat reports of every card that was in use when the power was cut.
HARMLESS = (
    r"^fsck.fat |boot sector and its backup|mostly harmless|^  65:01/00$|Not automatically fixing|^ Automatically removing"
    r"|^Reclaimed |Dirty bit is set|Free cluster summary wrong|Auto-correcting|FATs differ but|Using first FAT"
    r"|^/recordings/([0-9]+\.mp4|smolnvr\.[a-z]+)$|cluster chain length is >|Truncating file to|^Leaving|^$| files, "
    r"|^Orphaned long file name part|^  Auto-deleting\.$|^  Contains a free cluster"
)


def make_card(path, megabytes, system="vfat", cluster_kb=32, reserve_mb=0):
    """A card with one partition, of FAT32 or ext4, at its start. The image is sparse.

    `reserve_mb`: so much of it is taken by a file that is not a recording.
    """
    path = pathlib.Path(path)
    path.unlink(missing_ok=True)
    sectors = megabytes * 2048
    with open(path, "wb") as image:
        image.truncate(sectors * 512)
        kind = 0x0C if system == "vfat" else 0x83
        entry = struct.pack("<B3sB3sII", 0, b"\0\0\0", kind, b"\0\0\0", START, sectors - START)
        image.seek(446)
        image.write(entry)
        image.seek(510)
        image.write(b"\x55\xaa")
    kilobytes = str((sectors - START) // 2)
    if system == "vfat":
        mkfs = ["mkfs.vfat", "-F", "32", "-s", str(cluster_kb * 2), "--offset", str(START), path, kilobytes]
    else:
        mkfs = ["mkfs.ext4", "-q", "-F", "-E", f"offset={START * 512}", path, f"{kilobytes}k"]
    subprocess.run(mkfs, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if reserve_mb:
        blob = path.with_suffix(".blob")
        with open(blob, "wb") as file:
            file.truncate(reserve_mb * 1024 * 1024)
        put(path, blob, "holiday.mov")
        blob.unlink()
    return path


def partition(image):
    """The partition in mtools' notation."""
    return f"{image}@@{START * 512}"


def put(image, source, name):
    """Copies a file or folder onto the card."""
    subprocess.run(["mcopy", "-s", "-Q", "-i", partition(image), source, f"::{name}"], check=True)


class Fat:
    """FAT32 in the image of a card, or in an image of its partition alone: then `start` is 0."""

    def __init__(self, image, start=START):
        self.image = image
        self.start = start
        sector, per_cluster, reserved, fats = struct.unpack("<HBHB", self.read(11, 6))
        (fat_sectors,) = struct.unpack("<I", self.read(36, 4))
        (self.root,) = struct.unpack("<I", self.read(44, 4))
        self.cluster_bytes = sector * per_cluster
        self.tables = [(reserved + it * fat_sectors) * sector for it in range(fats)]
        self.data = (reserved + fats * fat_sectors) * sector

    def read(self, offset, length):
        self.image.seek(self.start * 512 + offset)
        return self.image.read(length)

    def write(self, offset, content):
        self.image.seek(self.start * 512 + offset)
        self.image.write(content)

    def place(self, cluster):
        return self.data + (cluster - 2) * self.cluster_bytes

    def next(self, cluster):
        return struct.unpack("<I", self.read(self.tables[0] + 4 * cluster, 4))[0] & 0x0FFFFFFF

    def link(self, cluster, following):
        """Makes the chain continue after that cluster with these."""
        for table in self.tables:
            self.write(table + 4 * cluster, struct.pack(f"<{len(following)}I", *following))

    def chain(self, cluster):
        while 2 <= cluster < 0x0FFFFFF8:
            yield cluster
            cluster = self.next(cluster)

    def listing(self, cluster):
        """The entries of a folder, of 32 bytes each."""
        listing = b"".join(self.read(self.place(it), self.cluster_bytes) for it in self.chain(cluster))
        return [listing[at : at + 32] for at in range(0, len(listing), 32)]

    def content(self, cluster, length):
        """A file's bytes; fewer if its chain ends early."""
        return b"".join(self.read(self.place(it), self.cluster_bytes) for it in self.chain(cluster))[:length]

    def files(self, path):
        """Each file in a folder by its short name: its first cluster and length."""
        try:
            _, folder = self.find(path)
        except StopIteration:
            return {}
        files = {}
        for entry in self.listing(folder):
            if entry[0] == 0:
                break
            if entry[0] != 0xE5 and not entry[11] & 0x18:
                stem, extension = entry[:8].decode("latin1").strip(), entry[8:11].decode("latin1").strip()
                files[f"{stem}.{extension}"] = start_of(entry), struct.unpack("<I", entry[28:32])[0]
        return files

    def find(self, path):
        """The entry of a file or folder, by short names."""
        cluster = self.root
        for part in path.upper().split("/"):
            name, _, extension = part.partition(".")
            if len(name) > 8:
                name = name[:6] + "~1"
            wanted = f"{name:<8}{extension:<3}".encode()
            entry = next(it for it in self.listing(cluster) if it[:11] == wanted)
            cluster = start_of(entry)
        return entry, cluster


def start_of(entry):
    """The first cluster in an entry of a folder."""
    return struct.unpack("<H", entry[20:22])[0] << 16 | struct.unpack("<H", entry[26:28])[0]


def fill(image, folder, files):
    """Puts files, each (name, content), into an empty folder of a card that has none behind that: by hand, since
    mtools go through the whole folder for each, and as Linux names them, with a long name each."""
    with open(image, "r+b") as opened:
        fat = Fat(opened)
        _, first = fat.find(folder)
        listing, following = fat.listing(first)[:2], []
        after = first + 1 + -(-(2 + 2 * len(files)) * 32 // fat.cluster_bytes)
        assert not any(fat.next(it) for it in range(first + 1, after)), "the folder has no room behind it"
        cluster = after
        for name, content in files:
            count = -(-len(content) // fat.cluster_bytes)
            fat.write(fat.place(cluster), content)
            following += [*range(cluster + 1, cluster + count), END_OF_CHAIN]
            listing += entries_of(name, cluster, len(content))
            cluster += count
        listing = b"".join(listing)
        fat.write(fat.place(first), listing.ljust((after - first) * fat.cluster_bytes, b"\0"))
        fat.link(first, [*range(first + 1, after), END_OF_CHAIN])
        fat.link(after, following)
        # This makes the driver count the free clusters when it is first asked.
        fat.write(512 + 488, b"\xff" * 8)


def entries_of(name, cluster, length):
    """The long and the short entry of a file."""
    stem, extension = name.upper().split(".")
    short = f"{stem:<8}{extension:<3}".encode()
    total = 0
    for byte in short:
        total = ((total >> 1) + (total << 7) + byte) & 0xFF
    letters = name.encode("utf-16-le") + b"\0\0"
    letters = letters.ljust(26, b"\xff") if len(letters) < 26 else letters[:26]
    long = b"\x41" + letters[:10] + b"\x0f\0" + bytes([total]) + letters[10:22] + b"\0\0" + letters[22:]
    rest = struct.pack("<BBBHHHHHHHI", 0x20, 0, 0, 0, 0x5821, 0x5821, cluster >> 16, 0, 0x5821, cluster & 0xFFFF, length)
    return long, short + rest


def names(image, folder):
    """Names in a folder of the card, sorted."""
    listing = subprocess.run(
        ["mdir", "-b", "-i", partition(image), f"::{folder}"], capture_output=True, text=True
    ).stdout
    return sorted(pathlib.PurePosixPath(line.strip(":/")).name for line in listing.split("\n") if line)


def read_card(image, folder, to):
    """Copies a folder of the card here; returns its path."""
    to = pathlib.Path(to)
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mcopy", "-s", "-n", "-Q", "-m", "-i", partition(image), f"::{folder}", to], check=True
    )
    return to / pathlib.PurePosixPath(folder).name


def read_recordings(image, system, to):
    """Copies the recordings of a card here; a card of ext4 must have been unmounted."""
    to = pathlib.Path(to)
    if system == "vfat" and "recordings" in names(image, "/"):
        return read_card(image, "recordings", to)
    if system == "ext4":
        where = f"{image}?offset={START * 512}"
        subprocess.run(["debugfs", "-R", f"rdump /recordings {to}", where], check=True, capture_output=True)
    (to / "recordings").mkdir(exist_ok=True)
    return to / "recordings"


def damage(image):
    """What `fsck` finds on a card of FAT, but for what is nobody's harm after a power cut: the mark that it was
    not unmounted, a stale count of free clusters, copies of the table that differ, room that belongs to no file or
    lies beyond its end (where it is free, as of `lead_nowhere`, a run of its own shows what happens), the long part of a name without its short one, and a folder that has not got its name yet."""
    said = subprocess.run(["fsck.vfat", "-n", image], capture_output=True, text=True).stdout
    said = re.sub(r"^/recordings\.[0-9]+\n(  Contains a free cluster|  Expected a valid '\.\.?' entry).*\n(  Creating\.\n)?", "", said, flags=re.M)
    # Messages about a file are indented below its name.
    parts = [part.splitlines() for part in re.split(r"\n(?! )", said)]
    return [part for part in parts if not all(re.search(HARMLESS, line) for line in part)]


def is_clean(image):
    """Whether the card was unmounted: FAT32 keeps a mark in its first sector while it is mounted."""
    with open(image, "rb") as file:
        file.seek(START * 512 + 0x41)
        return file.read(1)[0] & 1 == 0


def cut_chain(image, path):
    """Leaves a file clusters for half of its size, as some power cuts do on FAT: who reads
    beyond them turns the card read-only. `path`: folder and name, short ones."""
    with open(image, "r+b") as file:
        fat = Fat(file)
        entry, cluster = fat.find(path)
        clusters = list(fat.chain(cluster))
        kept = struct.unpack("<I", entry[28:32])[0] // 2 // fat.cluster_bytes
        assert 0 < kept < len(clusters), f"{path} has {len(clusters)} clusters"
        fat.link(clusters[kept - 1], [END_OF_CHAIN])
        for cluster in clusters[kept:]:
            fat.link(cluster, [0])


def compare(clip, folder, missing=0):
    """The result of `tests/compare.rs` for each recording; each must be a true part of the clip, and all
    of them may miss so many frames within."""
    program = TOP / "target/release/examples/compare"
    output = subprocess.run([program, clip, folder], capture_output=True, text=True, check=True).stdout
    files = [json.loads(line) for line in output.splitlines()]
    # If the power was cut after the newest file was created and before its head, it holds nothing; empty it
    # stays beside those that follow.
    for number, file in enumerate(files):
        is_newest = number == len(files) - 1
        if file["error"] == "no moov" and (is_newest or is_empty(folder, file["file"])):
            files[number] = {"file": file["file"], "frames": 0, "error": None}
    wrong = [f"{file['file']}: {file['error']}" for file in files if file["error"]]
    assert not wrong, wrong
    left_out = sum(file.get("missing", 0) for file in files)
    assert left_out <= missing, f"{left_out} frames are missing within files, {missing} may"
    return files


def is_empty(folder, name):
    return (pathlib.Path(folder) / name).stat().st_size == 0


def assert_follow_on(files, missing=0):
    """No frame is lost or doubled between a file and the next; or at most this many are lost."""
    for file, following in zip(files, files[1:]):
        expected = (file["first"] + file["frames"] + file["missing"]) % file["of"]
        missing -= (following["first"] - expected) % file["of"]
        assert missing >= 0, (
            f"{following['file']} begins with frame {following['first']}, {file['file']} ended before {expected}"
        )


def verify(folder):
    """State by file name, of `smolnvr verify`."""
    program = TOP / "target/release/smolnvr"
    output = subprocess.run([program, "verify", "--json", folder], capture_output=True, text=True).stdout
    return {pathlib.Path(line["file"]).name: line["state"] for line in json.loads(output)}


def lead_nowhere(image, path):
    """Has a file's chain go on, beyond the file's length, with a cluster that is free: as where a power cut lets only
    one of two sectors of the table reach the card while the file gets more room. `path`: folder and name, short ones."""
    with open(image, "r+b") as file:
        fat = Fat(file)
        _, cluster = fat.find(path)
        *_, last = fat.chain(cluster)
        free = next(it for it in range(last + 1, last + 100_000) if fat.next(it) == 0)
        fat.link(last, [free])
