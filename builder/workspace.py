"""The folder beside a bundle set that keeps what took long: nothing in it is shipped."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from builder.errors import BusyError
from contract.files import expect_writable


class Reservation:
    """A folder that is one process's own, until it lets go or ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take `folder`.

        Raises:
            BusyError: another has it.
        """
        handle = os.open(folder, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            message = (
                f"{folder}: another search is at work there; wait for it, or use another --out"
            )
            raise BusyError(message) from error

    def release(self) -> None:
        """Let others have it."""
        self._close()


class Workspace:
    """Paths of what a later build, search or report of the same set takes up again.

    It stands beside the set (`bundles` and `bundles.work`), so that copying the set to a
    device does not copy it, and may be removed at any time.
    """

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made when something is written."""
        self.folder = folder

    @classmethod
    def beside(cls, bundle_set: Path) -> Workspace:
        """Workspace of the bundle set in that folder."""
        whole = bundle_set.resolve()
        return cls(whole.with_name(f"{whole.name}.work"))

    def expect_writable(self) -> None:
        """See that it can be written to, before what is to be kept in it takes hours.

        Raises:
            OSError: it cannot.
        """
        expect_writable(self.folder)

    def reserve(self) -> Reservation:
        """Keep other searches out: each would cut off what the other writes to its journal.

        Raises:
            BusyError: another search has it.
            OSError: the folder cannot be made or opened.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return Reservation(self.folder)

    @property
    def stems(self) -> Path:
        """Folder of pruned and tuned networks that variants share."""
        return self.folder / "stems"

    @property
    def studies(self) -> Path:
        """Folder of what pruning and quantizing each layer was measured to cost."""
        return self.folder / "sensitivities"

    @property
    def timings(self) -> Path:
        """File of what variants take on this host."""
        return self.folder / "timings.json"

    @property
    def trials(self) -> Path:
        """File of a search's trials, one JSON document a line."""
        return self.folder / "search.jsonl"
