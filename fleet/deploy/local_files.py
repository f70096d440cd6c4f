"""What is sent to boxes, read once for all of them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar, cast

from fleet.deploy.bundles import LocalSet, read_local_set
from fleet.deploy.order import Order
from fleet.deploy.release import Source, find_source
from fleet.deploy.transfer import Parcel, parcels_of

_Made = TypeVar("_Made")


class LocalFiles:
    """Wheels and bundle sets of this machine; several threads may ask at once.

    Packing a wheel, and hashing a wheelhouse and a bundle set, happens once for all boxes that
    are to have the same.

    Args:
        scratch: a folder for files on their way.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._made: dict[Hashable, object] = {}

    def bundles(self, order: Order) -> LocalSet | None:
        """The bundle set that an order names.

        Raises:
            DeployError: it is no bundle set, or a file of it is damaged.
        """
        folder = order.bundles
        if folder is None:
            return None
        return self._once(("bundles", folder), lambda: read_local_set(folder))

    def source(self, order: Order) -> Source:
        """Where the packages of an order come from.

        Raises:
            DeployError: a file is missing or is not what it should be.
        """
        given = (
            order.wheel,
            order.constraints,
            order.wheelhouse,
            order.torch_index,
            order.system_packages,
        )
        return self._once(
            ("source", *given),
            lambda: find_source(
                wheel=order.wheel,
                constraints=order.constraints,
                wheelhouse=order.wheelhouse,
                torch_index=order.torch_index,
                system_packages=order.system_packages,
            ),
        )

    def wheel(self, source: Source) -> tuple[Parcel, ...]:
        """The agent's wheel as a file that can be sent.

        Raises:
            DeployError: there is no room for it here.
        """

        def write() -> tuple[Parcel, ...]:
            folder = self._scratch / hashlib.sha256(source.wheel).hexdigest()
            folder.mkdir(exist_ok=True)
            path = folder / source.wheel_name
            path.write_bytes(source.wheel)
            return parcels_of([path])

        return self._once(("wheel", source.wheel_name, source.wheel), write)

    def wheelhouse(self, source: Source) -> tuple[Parcel, ...]:
        """The wheels that go over beside the agent's.

        Raises:
            DeployError: one cannot be read.
        """
        return self._once(("wheelhouse", source.wheelhouse), lambda: parcels_of(source.wheelhouse))

    def _once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What `make` made the first time; who asks meanwhile waits. A failure is tried again."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._made:
                self._made[key] = make()
            return cast("_Made", self._made[key])
