"""Keeps the decisions of a store up to date while results come in."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from fleet.choosing.policy import load_policy
from fleet.collecting.damage_check import DamageCheck
from fleet.collecting.halving import by_halves
from fleet.errors import PolicyError
from fleet.store.database import Database
from fleet.store.deciding import choose
from fleet.store.decision import Decided
from fleet.store.roster import device_ids

_log = logging.getLogger(__name__)

#: All devices are looked at once more after so long.
_LOOK_AGAIN_S = 3600


class Decider:
    """Decides anew for devices whose evidence changed: those in a batch first, then all others.

    An edited policy file holds from then on; while it is malformed, the last one that was not
    holds.
    """

    def __init__(self, database: Database, policy_name: str) -> None:
        """Prepare to go through all devices once.

        Raises:
            PolicyError: there is no such policy, or it is malformed.
        """
        self._database = database
        self._damage = DamageCheck(database)
        self._policy_name = policy_name
        _expect_file(policy_name)
        self._version = _version_of(policy_name)
        self._policy = load_policy(policy_name)
        #: Devices that something came from.
        self._touched: set[int] = set()
        #: Devices not looked at since the start or the last change of the policy; None for all.
        self._others: deque[int] | None = None
        self._began_at = 0.0

    def is_idle(self, *, now: float) -> bool:
        """Whether nothing is left to do until something comes."""
        if self._touched or self._others is None or self._others:
            return False
        if _version_of(self._policy_name) != self._version:
            return False
        # A policy may ask for runs that are not too old.
        return 0 <= now - self._began_at < _LOOK_AGAIN_S

    def touch(self, devices: Iterable[int]) -> None:
        """Note devices that something came from."""
        self._touched.update(devices)

    def work(self, *, now: float, at_most: int) -> None:
        """Decide for at most so many of those that wait.

        Raises:
            StoreUnavailableError: the store is out of order; they go on waiting.
        """
        self._read_policy()
        if self.is_idle(now=now):
            return
        if self._touched:
            chosen = sorted(self._touched)[:at_most]
            self._choose(chosen, now)
            self._touched.difference_update(chosen)
            return
        others = self._waiting(now)
        chosen = list(itertools.islice(others, at_most))
        self._choose(chosen, now)
        for _ in chosen:
            others.popleft()

    def _choose(self, devices: Sequence[int], now: float) -> None:
        if not devices:
            return
        parts = by_halves(
            devices,
            lambda part: choose(self._database, self._policy, part, now=now),
            set_aside=self._not_decided,
        )
        decided = list(itertools.chain.from_iterable(parts))
        if decided:
            changed = sum(one.pick != one.present for one in decided)
            _log.debug("decided devices=%d changed=%d", len(decided), changed)

    def _not_decided(self, device_id: int, error: Exception) -> list[Decided]:
        """Leave a device as it is: until something comes from it, nobody decides on it again.

        Raises:
            StoreDamagedError: not the device is at fault, but the store.
        """
        self._damage.look_because_of(error)
        _log.error("device not decided on number=%d reason=%r", device_id, error, exc_info=error)
        return []

    def _waiting(self, now: float) -> deque[int]:
        if not self._others:
            with self._database.reading() as connection:
                self._others = deque(device_ids(connection))
            self._began_at = now
        return self._others

    def _read_policy(self) -> None:
        version = _version_of(self._policy_name)
        if version == self._version:
            return
        # Before reading: what is written meanwhile has a version of its own.
        self._version = version
        try:
            policy = load_policy(self._policy_name)
        except PolicyError as error:
            _log.error("policy refused, the one before holds reason=%s", error)
            return
        if policy != self._policy:
            _log.info("policy changed name=%s", policy.name)
            self._policy = policy
            self._others = None


def _expect_file(policy_name: str) -> None:
    """Refuse what can be read only once: it is read again at each change."""
    path = Path(policy_name)
    if path.exists() and not path.is_file() and not path.is_dir():
        message = f"{path}: expected a file that stays, for it is read again; got a pipe or device"
        raise PolicyError(message)


def _version_of(policy_name: str) -> tuple[int, int, int] | None:
    """Tells an edited file from the one before; None for a ready policy, which stays as it is."""
    try:
        found = Path(policy_name).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
