"""Data sets by name, from a real archive behind a real, local HTTP server."""

from __future__ import annotations

import hashlib
import http.server
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builder.data.dataset import open_dataset
from builder.data.sources import Source, cache_folder, known_sources, locate_data
from builder.errors import DownloadError
from builder.networks import vision
from builder.progress import Silence

LABELS = ["airplane", "automobile", "bird"]
BATCHES = {"data_batch_1": [0, 1, 2, 0], "data_batch_2": [2, 1], "test_batch": [1, 0, 2]}


def _pixels(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images of one batch as CIFAR-10 stores them: a row each, channel after channel."""
    noise = np.random.default_rng(len(name))
    return noise.integers(0, 256, (len(BATCHES[name]), 3 * 32 * 32), dtype=np.uint8)


class Server:
    """Serves one folder and counts what is asked for."""

    def __init__(self, folder: Path) -> None:
        self.requests = 0
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - the base's own
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self) -> None:
                server.requests += 1
                super().do_GET()

            def log_message(self, *_arguments: object) -> None:
                """Keep the test's output clean."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    server = Server(folder)
    with server.http as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield server
        running.shutdown()


@pytest.fixture
def source(tmp_path: Path, server: Server) -> Source:
    """A tiny data set in CIFAR-10's layout, which torchvision's own class reads."""
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    contents = {name: {"data": _pixels(name), "labels": labels} for name, labels in BATCHES.items()}
    for name, content in {**contents, "batches.meta": {"label_names": LABELS}}.items():
        (base / name).write_bytes(pickle.dumps(content))
    archive = tmp_path / "served" / "tiny.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(base, base.name)
    digest = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in base.iterdir()}  # noqa: S324 - torchvision's choice
    address = f"http://127.0.0.1:{server.http.server_port}/tiny.tar.gz"

    class Tiny(vision.cifar10()):  # type: ignore[misc]  # torchvision ships no types
        url = address
        filename = "tiny.tar.gz"
        tgz_md5 = hashlib.md5(archive.read_bytes()).hexdigest()  # noqa: S324 - torchvision's choice
        train_list = [[name, digest[name]] for name in BATCHES if name.startswith("data")]  # noqa: RUF012 - as in torchvision
        test_list = [["test_batch", digest["test_batch"]]]  # noqa: RUF012 - as in torchvision
        meta = {  # noqa: RUF012 - as in torchvision
            "filename": "batches.meta", "key": "label_names", "md5": digest["batches.meta"],
        }  # fmt: skip

    return Source(url=address, sha256=hashlib.sha256(archive.read_bytes()).hexdigest(), reader=Tiny)


def _locate(source: Source, cache: Path) -> Path:
    return locate_data("tiny", cache=cache, progress=Silence(), sources={"tiny": source})


def test_a_known_name_becomes_a_folder_with_the_pixels_of_the_archive(
    source: Source, tmp_path: Path
) -> None:
    dataset = open_dataset(_locate(source, tmp_path / "cache"))

    assert dataset.name == "tiny"
    assert dataset.folders == tuple(LABELS)
    found = [(s.path.relative_to(dataset.root).as_posix(), s.folder) for s in dataset.train]
    assert found == [
        ("train/airplane/00000.png", 0),
        ("train/airplane/00003.png", 0),
        ("train/automobile/00001.png", 1),
        ("train/automobile/00005.png", 1),
        ("train/bird/00002.png", 2),
        ("train/bird/00004.png", 2),
    ]
    stored = _pixels("test_batch")[0].reshape(3, 32, 32).transpose(1, 2, 0)
    with Image.open(dataset.root / "val" / "automobile" / "00000.png") as image:
        assert np.array_equal(np.asarray(image), stored)


def test_a_data_set_is_fetched_once_and_nothing_else_stays(
    source: Source, server: Server, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"

    assert _locate(source, cache) == _locate(source, cache)

    assert server.requests == 1
    assert [entry.name for entry in cache.iterdir()] == ["tiny"]


def test_an_archive_laid_by_hand_needs_no_network(
    source: Source, server: Server, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (tmp_path / "served" / "tiny.tar.gz").rename(cache / "tiny.tar.gz")

    assert (_locate(source, cache) / "val" / "bird" / "00002.png").is_file()
    assert server.requests == 0


def test_another_archive_laid_by_hand_is_refused_and_left(source: Source, tmp_path: Path) -> None:
    archive = tmp_path / "cache" / "tiny.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"something else")

    with pytest.raises(DownloadError, match=f"expected SHA-256 {source.sha256}, got .*; remove"):
        _locate(source, tmp_path / "cache")

    assert archive.read_bytes() == b"something else"


def test_without_a_network_the_error_says_where_to_lay_the_archive(
    source: Source, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "served" / "tiny.tar.gz").unlink()

    with pytest.raises(DownloadError) as caught:
        _locate(source, tmp_path / "cache")

    assert f"put it at {tmp_path / 'cache' / 'tiny.tar.gz'}, or give --data a folder" in str(
        caught.value
    )
    assert list((tmp_path / "cache").iterdir()) == []
    assert server.requests == 1


def test_what_is_stopped_half_way_leaves_the_archive_and_no_folder(
    source: Source, tmp_path: Path
) -> None:
    class Stopping:
        def update(self, activity: str, done: int, total: int) -> None:
            del total
            if activity == "tiny: writing val/" and done == 2:
                raise KeyboardInterrupt

    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        locate_data("tiny", cache=cache, progress=Stopping(), sources={"tiny": source})

    assert [entry.name for entry in cache.iterdir()] == ["tiny.tar.gz"]


def test_a_folder_of_the_name_comes_before_a_known_data_set(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)

    assert _locate(source, tmp_path / "cache") == Path("tiny")


def test_other_names_are_paths(tmp_path: Path) -> None:
    located = locate_data(str(tmp_path / "photos"), cache=tmp_path, progress=Silence())

    assert located == tmp_path / "photos"


def test_cifar10_is_known_by_its_published_archive() -> None:
    assert known_sources()["cifar10"].file_name == "cifar-10-python.tar.gz"


def test_the_cache_is_the_users_unless_the_environment_names_another() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/edgewright")
    assert cache_folder({}) == Path.home() / ".cache" / "edgewright"
