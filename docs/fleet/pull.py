"""pull.py FOLDER [NAME]…: copies what is new on these or all boards in FOLDER/boards, lines `NAME http://HOST:8080 PASSWORD`."""
import base64, json, os, pathlib, shutil, sys, time, urllib.error, urllib.request
def ask(board, path, **fields):
    fields["Authorization"] = "Basic " + base64.b64encode(f":{board[1]}".encode()).decode()
    return urllib.request.urlopen(urllib.request.Request(board[0] + path, headers=fields), timeout=30)
def fetch(board, row, target):
    part = target.with_name(f".{row['etag'][1:-1]}.part")
    have = part.stat().st_size if part.exists() and part.stat().st_size < row["bytes"] else 0
    fields = {"Range": f"bytes={have}-", "If-Range": row["etag"]}
    with (ask(board, f"/recordings/{row['camera']}/{row['file']}", **fields) as answer, part.open("ab" if have else "wb") as out):
        shutil.copyfileobj(answer, out)
        os.fsync(out.fileno())
    assert (part.stat().st_size, answer.headers["ETag"]) == (row["bytes"], row["etag"]), "it broke off, or changed"
    part.rename(target)
def pull(board, home):
    os.makedirs(home, exist_ok=True)
    (position := home / ".position").touch()
    epoch, after = json.loads(position.read_text() or '["", -1]')
    page, whole = {"next": after}, True
    while page["next"] is not None:
        page = json.load(ask(board, f"/api/recordings?camera={home.name}&after={page['next']}"))
        if page["epoch"] != epoch:  # the board restarted, or has another card: look for what is not here from the front
            epoch, after, page = page["epoch"], -1, {"next": -1, "recordings": []}
        for row in page["recordings"]:
            began = time.strftime("%Y-%m-%d/%Y%m%dT%H%M%SZ", time.gmtime(row["start_ms"] // 1000))
            (target := home / f"{began}-{row['number']:06}.mp4").parent.mkdir(exist_ok=True)
            try:
                target.exists() or fetch(board, row, target)
            except Exception as error:
                if type(error) is urllib.error.URLError: raise  # the board is gone
                print(f"{target}: {error}", file=sys.stderr)
                whole = whole and getattr(error, "code", 0) == 404  # deleted meanwhile; after anything else, come back
            after = row["number"] if whole else after
        position.write_text(json.dumps([epoch, after]))
for name, *board in [it for it in map(str.split, open(sys.argv[1] + "/boards")) if it and it[0] in (sys.argv[2:] or it)]:
    try:
        for camera in (status := json.load(ask(board, "/api/status")))["cameras"] + status["former"]:
            pull(board, pathlib.Path(sys.argv[1], name, camera["name"]))
    except Exception as error:
        print(f"{name}: {error}", file=sys.stderr)
