"""The authority's rules as a plugin of amqtt, which loads it by its name."""

from __future__ import annotations

from amqtt.contexts import Action
from amqtt.plugins.base import BaseTopicPlugin
from amqtt.session import Session

from fleet.authority.rules import may_read, may_write


class TopicRules(BaseTopicPlugin):  # type: ignore[misc] # amqtt ships no types
    """Asked at every publish, at every subscription, and before a message is handed out.

    The doorkeeper has seen to it that the session's user is who it says.
    """

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        """Whether the session's account may do that; nobody without an account may."""
        if session is None or not session.username or not topic:
            return False
        if action is Action.PUBLISH:
            return may_write(session.username, topic)
        return may_read(session.username, topic)
