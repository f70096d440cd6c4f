"""How NATS names an MQTT topic: levels end at `.` instead of `/`.

https://docs.nats.io/running-a-nats-service/configuration/mqtt (topics and subjects)
"""

from __future__ import annotations

import re

#: What an MQTT name has in the place of each piece of a subject, the longest first.
_IN_TOPICS = {"//": ".", "/.": "/", "/": "", ".": "/"}
_PIECE = re.compile("|".join(re.escape(piece) for piece in _IN_TOPICS))


def topic_of_subject(subject: str) -> str:
    """The topic that a device published to, of the subject that its message came under.

    A `.` in a topic stands as `//` in a subject, and an empty level as a lone `/`.
    """
    return _PIECE.sub(lambda piece: _IN_TOPICS[piece[0]], subject)


def subject_of_filter(topic_filter: str) -> str:
    """The subject that matches what an MQTT filter with `+` for whole levels matches."""
    return topic_filter.replace("/", ".").replace("+", "*")
