"""Published weights over a real, local HTTP server."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import DownloadError
from builder.networks.download import download
from builder.progress import Silence

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Weights(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path == "/cut" else CONTENT)

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Weights) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Recorder:
    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def update(self, activity: str, done: int, total: int) -> None:
        assert activity.startswith("downloading ")
        self.steps.append((done, total))


def test_a_file_is_fetched_whole_and_progress_is_told(address: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "weights.pth"
    recorder = _Recorder()

    download(f"{address}/whole", path, sha256_prefix=DIGEST[:8], progress=recorder)

    assert path.read_bytes() == CONTENT
    assert recorder.steps[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_that_is_here_is_not_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"mine")

    download("http://127.0.0.1:9/", path, sha256_prefix="00", progress=Silence())

    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("page", "prefix", "complaint"),
    [
        ("missing", "", "404"),
        ("cut", "", "closed after 1000 of 1280000 bytes|IncompleteRead"),
        ("whole", "00000000", "expected SHA-256 00000000"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing_and_says_what_to_do(
    address: str, tmp_path: Path, page: str, prefix: str, complaint: str
) -> None:
    path = tmp_path / "weights.pth"

    with pytest.raises(DownloadError, match=complaint) as caught:
        download(f"{address}/{page}", path, sha256_prefix=prefix, progress=Silence())

    assert f"put it at {path}, or use --weights FILE" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be downloaded"):
        download("http://127.0.0.1:9/", tmp_path / "w.pth", sha256_prefix="", progress=Silence())
