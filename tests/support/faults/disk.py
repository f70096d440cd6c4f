"""What a disk may hold after a power cut: what was synced, and any part of what was not."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.faults.trace import Change, Mark, Names, Recording, Resize, Step, Sync, Write

#: Disks write whole sectors; larger writes may be torn between them.
_SECTOR_BYTES = 512


@dataclass(frozen=True)
class Image:
    """Files and folders by path relative to the recorded folder; None is a folder."""

    entries: dict[str, bytes | None]

    @property
    def digest(self) -> bytes:
        """Equal for images that make no difference."""
        digest = hashlib.blake2b(digest_size=16)
        for path, content in sorted(self.entries.items()):
            if path.endswith("-shm"):
                # SQLite makes it anew at every start.
                continue
            digest.update(f"{path}\0{content is None}\0{len(content or b'')}\0".encode())
            digest.update(content or b"")
        return digest.digest()

    def write(self, folder: Path) -> None:
        """Lay the image into a new folder."""
        folder.mkdir()
        for path, content in sorted(self.entries.items()):
            if content is None:
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(content)


@dataclass(frozen=True)
class Cut:
    """The power went after `marks` were said."""

    after: int
    how: str
    image: Image
    marks: tuple[str, ...]


Survivors = Callable[[Sequence[Change]], list[Change]]


@dataclass
class _Disk:
    root: int
    directories: frozenset[int]
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, int]] = field(default_factory=dict)
    #: In the order of the calls, not synced yet.
    pending: list[Change] = field(default_factory=list)

    def take(self, step: Step) -> None:
        if isinstance(step, Sync):
            due = [change for change in self.pending if change.inode == step.inode]
            self.pending = [change for change in self.pending if change.inode != step.inode]
            _apply(due, self.files, self.folders)
        elif not isinstance(step, Mark):
            self.pending.append(step)

    def image(self, survivors: Survivors) -> Image:
        files = dict(self.files)
        folders = {inode: dict(names) for inode, names in self.folders.items()}
        _apply(survivors(self.pending), files, folders)
        entries: dict[str, bytes | None] = {}
        waiting = [("", self.root)]
        while waiting:
            folder, inode = waiting.pop()
            for name, child in folders.get(inode, {}).items():
                path = f"{folder}{name}"
                if child in self.directories:
                    entries[path] = None
                    waiting.append((f"{path}/", child))
                else:
                    entries[path] = files.get(child, b"")
        return Image(entries)


def power_cuts(
    recording: Recording, *, seeds: int, is_wanted: Callable[[int, Step], bool] = lambda *_: True
) -> Iterator[Cut]:
    """Every state in which a power cut may leave the folder, as far as it was not seen before.

    After each step: nothing of what was not synced survives, all of it, and `seeds` random
    parts of it, reordered and torn.
    """
    disk = _Disk(recording.root, recording.folders)
    marks: list[str] = []
    seen: set[bytes] = set()
    for number, step in enumerate(recording.steps):
        disk.take(step)
        if isinstance(step, Mark):
            marks.append(step.text)
        if not is_wanted(number, step):
            continue
        ways: list[tuple[str, Survivors]] = [("all lost", lambda _: []), ("all kept", list)]
        ways += [(f"part {seed}", _part(number * 1000 + seed)) for seed in range(seeds)]
        for how, survivors in ways:
            image = disk.image(survivors)
            key = image.digest + repr(marks).encode()
            if key not in seen:
                seen.add(key)
                yield Cut(number, how, image, tuple(marks))


def _part(seed: int) -> Survivors:
    """Any part of the changes: in order up to a point, or each for itself and some torn."""

    def survivors(pending: Sequence[Change]) -> list[Change]:
        rng = random.Random(seed)  # noqa: S311 - no secret
        if rng.random() < 0.25:
            return list(pending[: rng.randint(0, len(pending))])
        share = rng.choice((0.1, 0.5, 0.9))
        return [torn for change in pending if rng.random() < share for torn in _torn(change, rng)]

    return survivors


def _torn(change: Change, rng: random.Random) -> list[Change]:
    if not isinstance(change, Write) or len(change.data) <= _SECTOR_BYTES or rng.random() < 0.5:
        return [change]
    pieces = range(0, len(change.data), _SECTOR_BYTES)
    return [
        Write(change.inode, change.offset + start, change.data[start : start + _SECTOR_BYTES])
        for start in pieces
        if rng.random() < 0.5
    ]


def _apply(
    changes: Sequence[Change], files: dict[int, bytes], folders: dict[int, dict[str, int]]
) -> None:
    contents: dict[int, bytearray] = {}
    for change in changes:
        if isinstance(change, Names):
            names = folders.setdefault(change.inode, {})
            for name, inode in change.entries.items():
                if inode is None:
                    names.pop(name, None)
                else:
                    names[name] = inode
            continue
        content = contents.setdefault(change.inode, bytearray(files.get(change.inode, b"")))
        if isinstance(change, Resize):
            del content[change.size :]
            content.extend(bytes(change.size - len(content)))
        else:
            content.extend(bytes(max(0, change.offset - len(content))))
            content[change.offset : change.offset + len(change.data)] = change.data
    files.update({inode: bytes(content) for inode, content in contents.items()})
