"""What could not be served, so that it is not tried again before something changed."""

from __future__ import annotations

from agent.serving.choice import Choice, Ranking, Stamp

_Key = tuple[Choice, Stamp, int]


class Refusals:
    """Choices that failed, each with its reason.

    A file that was written anew, or a newer wish for the same variant, is another try.
    """

    def __init__(self) -> None:
        self._reasons: dict[_Key, str] = {}
        self._generation = 0

    def narrow(self, ranking: Ranking) -> None:
        """Forget what failed under other conditions than those of a new ranking."""
        self._generation = ranking.generation
        present = {self._key(choice) for choice in ranking.choices}
        self._reasons = {key: why for key, why in self._reasons.items() if key in present}

    def add(self, choice: Choice, reason: str) -> None:
        """Take note that a choice failed."""
        self._reasons[self._key(choice)] = reason

    def lift(self, choice: Choice) -> None:
        """Take note that it does not fail any more."""
        self._reasons.pop(self._key(choice), None)

    def reason(self, choice: Choice) -> str | None:
        """Why a choice failed; None where it did not."""
        return self._reasons.get(self._key(choice))

    def _key(self, choice: Choice) -> _Key:
        return choice, choice.stamp, self._generation
