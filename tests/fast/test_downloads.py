"""Downloads against a server on this machine that behaves well, badly or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bertexp.errors import DataError, NetworkError
from bertexp.system import archives, downloads

CONTENT = os.urandom(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """The first word of the path says how to behave; the server object counts requests and ranges."""

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        behaviour = self.path.split("/")[1]
        requested = self.headers.get("Range")
        self.server.seen.append((self.command, self.path, requested, self.headers.get("If-Range")))
        if behaviour == "missing":
            return self.send_error(404)
        if behaviour == "moved":
            self.send_response(302)
            self.send_header("Location", "/plain/file.bin")
            return self.end_headers()
        if behaviour == "nohead" and self.command == "HEAD":
            return self.send_error(403)
        etag = '"two"' if behaviour == "changing" and len(self.server.seen) > 1 else '"one"'
        start = 0
        if (
            requested
            and behaviour not in ("norange", "fluctuating", "creeping")
            and self.headers.get("If-Range") in (None, etag)
        ):
            start = int(requested.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if behaviour != "novalidator":
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        if self.command == "GET":
            cuts = behaviour in ("cut", "norange", "changing", "novalidator") and len(self.server.seen) == 1
            end = 400_000 if cuts or behaviour == "alwayscut" else len(CONTENT)
            if behaviour in ("fluctuating", "creeping"):
                number = len(self.server.seen)
                end = 300_000 + (100_000 * (number % 2) if behaviour == "fluctuating" else 100_000 * number)
            self.wfile.write(CONTENT[start:end])


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(downloads, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.seen = []
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that takes the connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_probe_asks_all_addresses_at_once_and_keeps_its_deadline(server, black_hole):
    refused = f"http://127.0.0.1:{free_port()}/file"
    urls = [f"{server.url}/{path}" for path in ("plain/file", "nohead/file", "moved/file", "missing/file")]
    start = time.monotonic()
    reasons = downloads.probe([*urls, refused, f"{black_hole}/a", f"{black_hole}/b", "no address"], timeout_seconds=0.5)
    assert time.monotonic() - start < 3.0  # one after the other takes 0.5 s for each that hangs
    assert [reasons[url] for url in urls] == [None, None, None, "HTTP 404"]
    assert "refused" in reasons[refused]
    assert "no answer" in reasons[f"{black_hole}/a"]
    assert "no answer" in reasons[f"{black_hole}/b"]
    assert "not an http" in reasons["no address"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_probe_gives_up_on_a_proxy_that_never_answers(black_hole, monkeypatch, scheme):
    monkeypatch.setenv(f"{scheme}_proxy", black_hole)
    start = time.monotonic()
    reasons = downloads.probe([f"{scheme}://example.org/file"], timeout_seconds=0.3)
    assert time.monotonic() - start < 4.0
    assert "proxy" in reasons[f"{scheme}://example.org/file"]


def test_probe_gives_up_on_a_name_lookup_that_hangs(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(5))
    start = time.monotonic()
    reasons = downloads.probe(["https://example.org/file", "https://example.com/file"], timeout_seconds=0.2)
    assert time.monotonic() - start < 4.0
    assert all("no answer within 0.2 s" in reason for reason in reasons.values())


def test_fetch_writes_the_file_whole_and_only_once(server, tmp_path, capsys):
    target = tmp_path / "deep" / "file.bin"
    for _ in range(2):
        downloads.fetch(f"{server.url}/plain/file.bin", target, SHA256, len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert len(server.seen) == 1
    assert not list(tmp_path.rglob("*.part*"))
    assert f"downloading {server.url}/plain/file.bin of 1.0 MB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("behaviour", "second_range"),
    [("cut", "bytes=400000-"), ("norange", "bytes=400000-"), ("changing", "bytes=400000-"), ("novalidator", None)],
)
def test_a_cut_transfer_goes_on_or_starts_anew(server, tmp_path, behaviour, second_range):
    downloads.fetch(f"{server.url}/{behaviour}/file.bin", tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert [seen[2] for seen in server.seen] == [None, second_range]


def test_a_server_that_never_resumes_and_fluctuates_ends_in_one_sentence(server, tmp_path):
    with pytest.raises(NetworkError, match=r"cannot be fetched: the connection broke at \d+ of 1000000 bytes"):
        downloads.fetch(f"{server.url}/fluctuating/file.bin", tmp_path / "file.bin")
    assert len(server.seen) == 4  # the first, and three that came no further
    assert not (tmp_path / "file.bin").exists()


def test_a_server_that_never_resumes_and_gets_further_each_time_is_asked_on(server, tmp_path):
    downloads.fetch(f"{server.url}/creeping/file.bin", tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(server.seen) == 7


def test_a_later_process_goes_on_from_the_part(server, tmp_path):
    target = tmp_path / "file.bin"
    with pytest.raises(NetworkError, match=r"0\.4 MB are kept"):
        downloads.fetch(f"{server.url}/alwayscut/file.bin", target, SHA256)
    assert not target.exists()
    validator = Path(f"{target}.part.validator")
    validator.write_text(validator.read_text().replace("alwayscut", "plain"))
    server.seen.clear()
    downloads.fetch(f"{server.url}/plain/file.bin", target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.seen == [("GET", "/plain/file.bin", "bytes=400000-", '"one"')]


def test_a_wrong_part_is_noticed_by_the_checksum_and_fetched_anew(server, tmp_path):
    target = tmp_path / "file.bin"
    url = f"{server.url}/plain/file.bin"
    Path(f"{target}.part").write_bytes(b"x" * 1000)
    Path(f"{target}.part.validator").write_text(f'{url}\n"one"')
    downloads.fetch(url, target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(NetworkError, match="SHA-256") as caught:
        downloads.fetch(f"{server.url}/plain/file.bin", tmp_path / "file.bin", "0" * 64)
    assert "path to a local copy" in str(caught.value)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".lock", ".validator"}


def test_the_checksum_of_the_first_use_is_remembered(server, tmp_path):
    target = tmp_path / "file.bin"
    downloads.fetch(f"{server.url}/plain/file.bin", target)
    record = tmp_path / "file.bin.sha256"
    assert record.read_text().strip() == SHA256
    target.unlink()
    record.write_text("0" * 64)
    with pytest.raises(NetworkError, match="recorded at first use"):
        downloads.fetch(f"{server.url}/plain/file.bin", target)


def test_errors_name_the_address_and_the_cure(server, black_hole, tmp_path):
    for url, word in [
        (f"{server.url}/missing/file.bin", "HTTP 404"),
        (f"http://127.0.0.1:{free_port()}/file.bin", "refused"),
        (f"{black_hole}/file.bin", "no answer"),
        ("example.org/file.bin", "not an http"),
    ]:
        with pytest.raises(NetworkError, match=word) as caught:
            downloads.fetch(url, tmp_path / "file.bin", timeout_seconds=0.1)
        assert url in str(caught.value)
        assert "dataset.path" in str(caught.value)


def test_processes_that_want_the_same_file_download_it_once(server, tmp_path):
    threads = [
        threading.Thread(target=downloads.fetch, args=(f"{server.url}/plain/f.bin", tmp_path / "f.bin"))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "f.bin").read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_public_buckets_are_reached_through_https():
    assert downloads.https_address("gs://bucket/a b/c.zip") == "https://storage.googleapis.com/bucket/a%20b/c.zip"
    assert downloads.https_address("https://example.org/x") == "https://example.org/x"


def write_tar(path: Path, members: list[tarfile.TarInfo], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for member in members:
            data = b"text" if member.isfile() else b""
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_tar_and_zip_are_unpacked_whole(tmp_path):
    links = [member("model/hard", tarfile.LNKTYPE, "model/a.txt"), member("model/soft", tarfile.SYMTYPE, "a.txt")]
    folder = member("model", tarfile.DIRTYPE)
    archives.extract(write_tar(tmp_path / "x.tar.gz", [folder, member("./model/a.txt"), *links[1:]]), tmp_path / "tar")
    assert (tmp_path / "tar/model/a.txt").read_text() == "text"
    assert (tmp_path / "tar/model/soft").read_text() == "text"
    assert not (tmp_path / "tar/model/soft").is_symlink()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("SST-2/train.tsv", "text")
    archives.extract(tmp_path / "x.zip", tmp_path / "zip")
    assert (tmp_path / "zip/SST-2/train.tsv").read_text() == "text"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tar", "x.tar.gz", "x.zip", "zip"]


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("/outside"),
        member("a/../../outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "../../etc/passwd"),
        member("link", tarfile.SYMTYPE, "link"),
        member("link", tarfile.LNKTYPE, "/etc/passwd"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_that_reaches_out_is_refused(tmp_path, bad):
    archive = write_tar(tmp_path / "x.tar.gz", [member("good.txt"), bad])
    with pytest.raises(DataError, match="not unpacked"):
        archives.extract(archive, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]


def test_a_zip_that_reaches_out_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("../outside.txt", "text")
    with pytest.raises(DataError, match="not unpacked"):
        archives.extract(tmp_path / "x.zip", tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_broken_archive_is_named(tmp_path):
    whole = write_tar(tmp_path / "x.tar.gz", [member(f"{i}.txt") for i in range(100)]).read_bytes()
    for name, content in (("cut.tar.gz", whole[: len(whole) // 2]), ("page.zip", b"<html>not found</html>")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} is not a whole tar or zip archive"):
            archives.extract(tmp_path / name, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
