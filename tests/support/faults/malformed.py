"""Messages that follow no contract, drawn by hypothesis."""

from __future__ import annotations

import itertools

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.lib.malformed import Message, is_malformed

json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("site", "device", "seq", "epoch", "run", "type", "at", "x")), inner
        )
    ),
    max_leaves=12,
)
payloads = st.binary(max_size=80) | json_like.map(msgspec.json.encode) | st.text().map(str.encode)


def drawn(topics: list[str], count: int) -> list[Message]:
    """Different messages by hypothesis, the same in every run."""
    found: dict[Message, None] = {}
    for number in itertools.count():
        _draw(topics, number, found)
        if len(found) >= count:
            break
    return list(found)[:count]


def _draw(topics: list[str], number: int, found: dict[Message, None]) -> None:
    @seed(number)
    @settings(
        max_examples=10,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(st.sampled_from(topics), payloads), min_size=20, max_size=40))
    def draw(some: list[Message]) -> None:
        found.update(dict.fromkeys(filter(is_malformed, some)))

    draw()
