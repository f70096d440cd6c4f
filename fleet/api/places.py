"""How many may do at a time what costs much."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Places:
    """Places that are taken and given back.

    Args:
        at_most: how many there are.
    """

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many are taken now."""
        return self._taken

    def take(self) -> bool:
        """Take one; False where none is left."""
        with self._lock:
            if self._taken >= self.at_most:
                return False
            self._taken += 1
            return True

    @contextlib.contextmanager
    def giving_back(self) -> Iterator[None]:
        """Give one back behind the block, however that ends."""
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
