"""Where checks are made: throw-away topics and client ids on one broker, cleaned up at the end."""

from __future__ import annotations

import contextlib
import logging

import msgspec

from contract.access import Access
from contract.address import BrokerAddress
from contract.topics import Leaf
from fleet.authority.rules import TRIALS
from fleet.conformance.finding import UnmetError
from fleet.conformance.probe import Habits, Probe
from fleet.errors import BrokerAwayError

_log = logging.getLogger(__name__)

_FENCE = b"fence"


class Stand:
    """Makes probes and names for one check; `close` leaves nothing behind on the broker.

    Topics are `edgewright-conform/{run}-{check}/{site}/{device}/{leaf}`: as many levels as the
    wire has, and never where a collector listens.
    """

    def __init__(
        self, address: BrokerAddress, access: Access, *, name: str, timeout_s: float
    ) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._access = access
        self._name = name
        self._probes: list[Probe] = []
        self._kept_sessions: dict[str, Habits] = {}
        self._retained: set[str] = set()

    def topic(self, leaf: Leaf, *, site: str = "lab", device: str = "box") -> str:
        """Topic of one leaf of one device of this check; one that may be retained is cleared."""
        topic = f"{TRIALS}/{self._name}/{site}/{device}/{leaf.value}"
        if leaf.retained:
            self._retained.add(topic)
        return topic

    def filter_of_all(self, leaf: Leaf) -> str:
        """The collector's filter of a leaf, for this check's devices."""
        return f"{TRIALS}/{self._name}/+/+/{leaf.value}"

    def shared(self, topic_filter: str) -> str:
        """The same filter, shared by the members of a group of this check's own."""
        return f"$share/{TRIALS}-{self._name}/{topic_filter}"

    def probe(
        self, name: str, habits: Habits | None = None, *, client_id: str | None = None
    ) -> Probe:
        """A connected client of its own id, or of a given one; the same name has the same id.

        Raises:
            UnmetError: the broker did not let it in.
        """
        chosen = habits or Habits()
        client_id = client_id or f"{TRIALS}-{self._name}-{name}"
        if not chosen.clean:
            self._kept_sessions[client_id] = chosen
        return self._admitted(self._access, client_id, chosen)

    @property
    def stranger(self) -> str:
        """A site or device that no fleet has."""
        return f"conform-{self._name}"

    def probe_of(self, access: Access, client_name: str, habits: Habits | None = None) -> Probe:
        """A connected client with another account, under an id that begins with its name.

        Raises:
            UnmetError: the broker did not let it in.
        """
        client_id = f"{client_name}:{self._name}-{len(self._probes)}"
        return self._admitted(access, client_id, habits or Habits())

    def listener(self, name: str, *filters: str, habits: Habits | None = None) -> Probe:
        """A client that has subscribed.

        Raises:
            UnmetError: the broker did not let it in, or not subscribe.
        """
        probe = self.probe(name, habits)
        granted = probe.subscribe(*filters)
        if not all(granted):
            denied = ", ".join(one for one, ok in zip(filters, granted, strict=True) if not ok)
            expected = "every subscription granted"
            raise UnmetError(expected, f"denied: {denied}; may this account use {TRIALS}/#?")
        return probe

    def fence(self, sender: Probe, hearer: Probe, topic: str) -> None:
        """Wait until `hearer` has everything that `sender` said before to a topic that it hears."""
        sender.publish(topic, _FENCE)
        hearer.wait(f"the last message on {topic}", lambda: _FENCE in hearer.payloads(topic))

    def close(self) -> None:
        """Disconnect all, end sessions that were kept, and clear what was retained."""
        for probe in self._probes:
            probe.close()
        for client_id, habits in self._kept_sessions.items():
            self._quietly(client_id, msgspec.structs.replace(habits, clean=True, will=None), set())
        if self._retained:
            self._quietly(f"{TRIALS}-{self._name}-cleaner", Habits(), self._retained)

    def _admitted(self, access: Access, client_id: str, habits: Habits) -> Probe:
        try:
            probe = Probe(
                self.address,
                access,
                client_id=client_id,
                habits=habits,
                timeout_s=self.timeout_s,
            )
        except BrokerAwayError as error:
            what = f"a connection of MQTT {'5' if habits.mqtt5 else '3.1.1'}"
            raise UnmetError(what, str(error)) from error
        self._probes.append(probe)
        return probe

    def _quietly(self, client_id: str, habits: Habits, to_clear: set[str]) -> None:
        with contextlib.suppress(BrokerAwayError, UnmetError):
            probe = Probe(
                self.address,
                self._access,
                client_id=client_id,
                habits=habits,
                timeout_s=self.timeout_s,
            )
            try:
                for topic in sorted(to_clear):
                    probe.deliver(topic, b"", retain=True)
            finally:
                probe.close()
            return
        _log.warning("could not clean up after check=%s", self._name)
