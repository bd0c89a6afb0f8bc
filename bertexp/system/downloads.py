"""Downloads: are the addresses there, fetch a file once and whole (``archives`` unpacks it).

Standard library only, so that an unreachable network is known before anything heavy is imported. Proxies named by
``http_proxy``, ``https_proxy`` and ``no_proxy`` are used.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from bertexp import __version__
from bertexp.errors import EnvironmentProblem, NetworkError
from bertexp.system.console import Progress
from bertexp.system.credentials import hide, is_hidden
from bertexp.system.files import NO_SPACE, enough_space, locked, publish, write_text

_AGENT = {"User-Agent": f"bertexp/{__version__}"}  # some hosts refuse Python's own
_CHUNK_BYTES = 1 << 18
_FAILURES = 3  # attempts in a row that bring no new byte
_PAUSE_SECONDS = 0.5  # before the second attempt, doubled before the third
_BROKEN = {  # by what it raises
    socket.gaierror: "its name cannot be resolved",
    TimeoutError: "no answer in time",
    ConnectionRefusedError: "connection refused",
}
_CURE = "give a path to a local copy (dataset.path, model.path) or a mirror"


def https_address(url: str) -> str:
    """Returns ``gs://bucket/file`` as the public https address of that file, anything else unchanged."""
    if not url.startswith("gs://"):
        return url
    return "https://storage.googleapis.com/" + urllib.parse.quote(url[len("gs://") :], safe="/%")


def probe(urls: Iterable[str], timeout_seconds: float = 5.0) -> dict[str, str | None]:
    """Asks all addresses at once whether they answer, in ``timeout_seconds`` all together.

    The deadline holds on any network: a thread that hangs in a name look-up, a connect or a proxy is left behind.

    Returns:
        For each address None if it can be fetched, else the reason why not.
    """
    reasons: dict[str, str | None] = dict.fromkeys(urls, f"no answer within {timeout_seconds:g} s{_proxy_note()}")

    def ask(url: str) -> None:
        reasons[url] = _why_not(url, timeout_seconds)

    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in reasons]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(reasons)  # one that was left behind may answer yet


def fetch(
    url: str,
    destination: str | os.PathLike[str],
    sha256: str | None = None,
    size: int | None = None,
    timeout_seconds: float = 30.0,
) -> None:
    """Downloads ``url`` to the file ``destination``, unless that file is there already.

    A broken transfer goes on where it stopped, also in a later process (``<destination>.part``). The file appears
    only when it is whole: its size and SHA-256 agree with those given, or, if the publisher gives no sum, with the
    one recorded in ``<destination>.sha256`` at first use. Processes that want the same file wait for one another.

    Raises:
        NetworkError: the address does not answer, the transfer breaks for good or the content is not the expected one.
        EnvironmentProblem: the disk is too small.
    """
    destination = Path(destination)
    address = https_address(url)
    if wrong := _wrong_with(address):
        raise NetworkError(f"{url} is {wrong}; {_CURE}")
    waiting = f"waiting for another process that downloads {destination.name}"
    with locked(f"{destination}.lock", wait=waiting), enough_space(destination.parent):
        if destination.exists():
            return
        part = Path(f"{destination}.part")
        for _ in range(2):  # several transfers may have glued two versions together
            in_one = _download(address, part, sha256, timeout_seconds)
            wrong = _difference(part, destination, sha256, size)
            if wrong:
                part.unlink()
            if in_one or not wrong:
                break
        if wrong:
            raise NetworkError(f"{url} does not hold the expected file: {wrong}; {_CURE}")
        publish(part, destination)
        Path(f"{part}.validator").unlink(missing_ok=True)


def _open(url: str, method: str, headers: dict[str, str], timeout_seconds: float) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=_AGENT | headers, method=method)
    return urllib.request.urlopen(request, timeout=timeout_seconds)


def _wrong_with(url: str) -> str | None:
    if is_hidden(url):
        return "the address in a run's record, which keeps no password: give dataset.url again"
    return None if url.startswith(("http://", "https://")) else "not an http://, https:// or gs:// address"


def _why_not(url: str, timeout_seconds: float) -> str | None:
    """Asks for the head, or for the first byte if the host does not answer heads; returns what is wrong, or None."""
    url = https_address(url)
    if wrong := _wrong_with(url):
        return wrong
    try:
        try:
            _open(url, "HEAD", {}, timeout_seconds).close()
        except urllib.error.HTTPError as error:
            if error.code not in (400, 403, 405, 501):
                raise
            _open(url, "GET", {"Range": "bytes=0-0"}, timeout_seconds).close()
    except urllib.error.HTTPError as error:
        return None if error.code == 416 else f"HTTP {error.code}"  # an empty file has no first byte
    except Exception as error:
        return _reason(error)
    return None


def _reason(error: BaseException) -> str:
    """Says in a few words why a connection failed."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified ({cause.verify_message})"
    for kind, words in _BROKEN.items():
        if isinstance(cause, kind):
            return words + _proxy_note()
    return (str(cause) or type(cause).__name__) + _proxy_note()


def _proxy_note() -> str:
    is_set = {"http", "https"} & set(urllib.request.getproxies())
    return " (a proxy is set by https_proxy or http_proxy)" if is_set else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _download(url: str, part: Path, sha256: str | None, timeout_seconds: float) -> bool:
    """Brings ``part`` to its full length; returns whether that took one transfer from its first byte to its last."""
    furthest, failures = _size(part), 0
    in_one = furthest == 0
    while True:
        try:
            _transfer(url, part, sha256, timeout_seconds)
            return in_one
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 416, 429):
                raise NetworkError(f"{url} answers HTTP {error.code} ({error.reason}); {_CURE}") from error
            if error.code == 416:  # the part is not a beginning of what lies there now
                part.unlink(missing_ok=True)
            reason = f"HTTP {error.code}"
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in NO_SPACE:
                raise
            reason = _reason(error)
        now, in_one = _size(part), False
        failures = 0 if now > furthest else failures + 1  # a server that begins anew may fall back each time
        furthest = max(furthest, now)
        if failures == _FAILURES:
            again = f"{now / 1e6:.1f} MB are kept and the same command goes on from there, or " if now else ""
            raise NetworkError(f"{url} cannot be fetched: {reason}; {again}{_CURE}")
        time.sleep(_PAUSE_SECONDS * 2**failures / 2)


def _transfer(url: str, part: Path, sha256: str | None, timeout_seconds: float) -> None:
    """One request that appends to ``part`` or starts it anew.

    A part may be continued if the server can tell that the file is still the same (If-Range, RFC 9110 section
    13.1.5), or if a checksum will tell in the end.
    """
    memory = Path(f"{part}.validator")
    have = _size(part)
    saved_url, _, validator = memory.read_text().partition("\n") if have and memory.exists() else ("", "", "")
    headers = {}
    if have and saved_url == hide(url) and (validator or sha256):
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    with _open(url, "GET", headers, timeout_seconds) as response:
        appends = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status == 206 and not appends:
            part.unlink()
            raise ConnectionError("the server sent another piece than the one asked for")
        if not appends:
            have = 0
            etag = response.headers.get("ETag", "")
            strong = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
            write_text(memory, f"{hide(url)}\n{strong}")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if total and total - have > shutil.disk_usage(part.parent).free:
            raise EnvironmentProblem(f"{url} needs {total / 1e6:.0f} MB and {part.parent} has less free space")
        with open(part, "ab" if appends else "wb") as sink, _progress(url, have, total) as bar:
            while chunk := response.read(_CHUNK_BYTES):
                sink.write(chunk)
                have += len(chunk)
                bar.advance(len(chunk))
            sink.flush()
            os.fsync(sink.fileno())
    if total is not None and have < total:
        raise ConnectionError(f"the connection broke at {have} of {total} bytes")


def _progress(url: str, have: int, total: int | None) -> Progress:
    """Of bytes, on standard error; begins with the address."""
    name = urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1] or url
    whole = f" of {total / 1e6:.1f} MB" if total else ""
    tell = functools.partial(print, file=sys.stderr, flush=True)

    def line(done: int, _: object, left: float) -> str:
        return f"  {name}: {done / 1e6:.1f}{whole}" + (f", {left:.0f} s left" if total else "")

    bar = Progress(name, total, "B", done=have, line=line, tell=tell, leave=True)
    if not bar.is_bar:
        tell(f"downloading {hide(url)}{whole}")
    return bar


def _difference(part: Path, destination: Path, sha256: str | None, size: int | None) -> str | None:
    """Compares a finished download with what is expected, records its sum at first use; returns what is wrong."""
    found_size = part.stat().st_size
    if size is not None and found_size != size:
        return f"{found_size} bytes instead of {size}"
    digest = hashlib.sha256()
    with open(part, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    record = Path(f"{destination}.sha256")
    expected = sha256 or (record.read_text().strip() if record.exists() else None)
    if expected is None:
        write_text(record, digest.hexdigest() + "\n")
    elif digest.hexdigest() != expected:
        note = "" if sha256 else f", recorded at first use in {record}"
        return f"SHA-256 {digest.hexdigest()} instead of {expected}{note}"
    return None
