"""What a process does to a folder, recorded by strace and read back call by call."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_OPENING = ("openat", "open", "creat")
_CALLS = (
    *_OPENING,
    *("close", "dup", "dup2", "dup3", "lseek"),
    *("write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "truncate", "fallocate"),
    *("fsync", "fdatasync", "sync_file_range", "mmap"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink"),
    *("mkdir", "mkdirat", "rmdir"),
)
_LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(?: .*)?")
_OTHER_LINE = re.compile(r"(?:\d+ +)?(?:---|\+\+\+) .*")
#: Longer than any single write of the programs under test.
_MOST_BYTES = 1 << 24


@dataclass(frozen=True)
class Write:
    """Bytes that went to a place of a file."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Resize:
    """A file was cut or stretched."""

    inode: int
    size: int


@dataclass(frozen=True)
class Names:
    """Entries of one folder were set (to an inode) or removed (None), all of them at once."""

    inode: int
    entries: dict[str, int | None]


@dataclass(frozen=True)
class Sync:
    """Everything done to a file or folder so far is on the disk."""

    inode: int


@dataclass(frozen=True)
class Mark:
    """A line that the process wrote about itself."""

    text: str


Change = Write | Resize | Names
Step = Change | Sync | Mark


@dataclass(frozen=True)
class Recording:
    """Steps in the order in which the process took them; the folder was empty before."""

    root: int
    steps: tuple[Step, ...]
    #: Inodes that are folders.
    folders: frozenset[int]


def need_strace() -> str:
    """Program that records; where it is missing the test is skipped, and fails in CI."""
    found = shutil.which("strace")
    if found is None:
        reason = "strace is not installed, and nothing else records what a process syncs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def record(command: Sequence[str], *, folder: Path, marks: Path) -> Recording:
    """Run a command and record what it does below `folder`, an existing empty one.

    Args:
        command: what to run; it must end well and have one thread.
        folder: what is recorded.
        marks: a file to which the command writes one line a mark, outside of `folder`.
    """
    log = marks.with_suffix(".strace")
    words = ["-f", "-xx", "-s", str(_MOST_BYTES), "-o", str(log), "-e", f"trace={','.join(_CALLS)}"]
    done = subprocess.run(
        [need_strace(), *words, "--", *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    reader = _Reader(folder, marks)
    with log.open() as lines:
        steps = tuple(itertools.chain.from_iterable(reader.read(line) for line in lines))
    return Recording(reader.root, steps, frozenset(reader.folders))


@dataclass
class _Open:
    inode: int
    position: int = 0
    appends: bool = False
    is_mark: bool = False


@dataclass
class _Reader:
    """Follows names and descriptors, as a kernel does."""

    folder: Path
    marks: Path
    root: int = 0
    folders: set[int] = field(default_factory=lambda: {0})
    _names: dict[str, int] = field(default_factory=dict)
    _open: dict[int, _Open] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)
    _inodes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._names[str(self.folder)] = self.root

    def read(self, line: str) -> Iterator[Step]:
        """Steps that one line of the log tells."""
        if _OTHER_LINE.fullmatch(line.strip()):
            return
        found = _LINE.fullmatch(line.strip())
        assert found, f"not understood: {line[:200]}"
        call, words, result = found[1], found[2].split(", "), int(found[3].replace("?", "-1"), 0)
        if result < 0:
            return
        if call in _OPENING:
            yield from self._opened(words[1 if call == "openat" else 0 :], result)
        elif call in ("mkdir", "mkdirat"):
            yield from self._made(_text(words[-2]), is_folder=True)
        elif call in ("rename", "unlink"):
            yield from self._renamed([_text(word) for word in words])
        elif call == "close":
            self._open.pop(int(words[0]), None)
        elif call == "mmap":
            self._mapped(words)
        elif any(str(self.folder) in _text(word) for word in words if word.startswith('"')):
            raise AssertionError(f"not understood: {line[:200]}")
        elif words[0].isdigit() and int(words[0]) in self._open:
            yield from self._done(call, self._open[int(words[0])], words, result)

    def _done(self, call: str, file: _Open, words: list[str], result: int) -> Iterator[Step]:
        if call == "lseek":
            file.position = result
        elif call in ("fsync", "fdatasync"):
            yield Sync(file.inode)
        elif call == "ftruncate":
            self._sizes[file.inode] = int(words[1])
            yield Resize(file.inode, int(words[1]))
        elif call in ("write", "pwrite64"):
            data = _bytes(words[1])[:result]
            if file.is_mark:
                yield from (Mark(text) for text in data.decode().splitlines())
                return
            size = self._sizes.get(file.inode, 0)
            offset = int(words[3]) if call == "pwrite64" else file.position
            offset = size if file.appends else offset
            if call == "write":
                file.position = offset + result
            self._sizes[file.inode] = max(size, offset + result)
            yield Write(file.inode, offset, data)
        else:
            raise AssertionError(f"{call} of a recorded file is not understood")

    def _opened(self, words: list[str], descriptor: int) -> Iterator[Step]:
        path, flags = _text(words[0]), words[1]
        if path == str(self.marks):
            self._open[descriptor] = _Open(-1, is_mark=True)
        if not self._is_ours(path):
            return
        if path not in self._names:
            assert "O_CREAT" in flags, f"{path} was not made under the recorder's eyes"
            yield from self._made(path)
        inode = self._names[path]
        if "O_TRUNC" in flags:
            self._sizes[inode] = 0
            yield Resize(inode, 0)
        self._open[descriptor] = _Open(inode, appends="O_APPEND" in flags)

    def _made(self, path: str, *, is_folder: bool = False) -> Iterator[Step]:
        if self._is_ours(path):
            self._names[path] = inode = next(self._inodes)
            if is_folder:
                self.folders.add(inode)
            yield self._entries({path: inode})

    def _renamed(self, paths: list[str]) -> Iterator[Step]:
        if not self._is_ours(paths[0]):
            return
        inode = self._names.pop(paths[0])
        if len(paths) == 1:
            yield self._entries({paths[0]: None})
            return
        self._names[paths[1]] = inode
        yield self._entries({paths[0]: None, paths[1]: inode})

    def _mapped(self, words: list[str]) -> None:
        file = self._open.get(int(words[4])) if words[4].isdigit() else None
        if file is None or "MAP_SHARED" not in words[3] or "PROT_WRITE" not in words[2]:
            return
        (name,) = (name for name, inode in self._names.items() if inode == file.inode)
        # SQLite rebuilds its index of the log after a power cut, whatever the file says.
        assert name.endswith("-shm"), f"{name} is written through memory, which is not recorded"

    def _entries(self, entries: dict[str, int | None]) -> Names:
        (parent,) = {os.path.dirname(path) for path in entries}  # noqa: PTH120 - as strings
        return Names(
            self._names[parent], {Path(path).name: inode for path, inode in entries.items()}
        )

    def _is_ours(self, path: str) -> bool:
        return path == str(self.folder) or path.startswith(f"{self.folder}/")


def _bytes(word: str) -> bytes:
    assert word[0] == word[-1] == '"', f"cut short by strace: {word[:80]}"
    return bytes.fromhex(word[1:-1].replace("\\x", ""))


def _text(word: str) -> str:
    return os.fsdecode(_bytes(word))
