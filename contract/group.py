"""What a group of devices may be called: by an agent, an operator, a policy, and whoever asks.

Inventories of agents that knew no such rule are taken with whatever groups they tell.
"""

from __future__ import annotations

from contract.errors import GroupError

#: Characters of a group's name, at most.
LONGEST_GROUP = 64
#: In words; `group_fault` is the rule itself.
GROUP_RULE = (
    f"1 to {LONGEST_GROUP} visible characters, a letter or digit among them, without '/' and "
    "without a blank at either end"
)
_SHOWN_CHARACTERS = 80


def group_fault(name: str) -> str | None:
    """What was expected of a group's name, and what came; None where it is a valid one."""
    is_valid = (
        1 <= len(name) <= LONGEST_GROUP
        # No control characters, no line ends, nothing that changes the direction of a text.
        and name.isprintable()
        # The API has it as a part of paths, in which '..' means another one.
        and "/" not in name
        and any(one.isalnum() for one in name)
        and name.strip() == name
    )
    if is_valid:
        return None
    return f"expected a group's name of {GROUP_RULE}, got '{name[:_SHOWN_CHARACTERS]}'"


def check_group(name: str) -> str:
    """Return `name` unchanged when it is a valid name of a group.

    Raises:
        GroupError: it is not.
    """
    fault = group_fault(name)
    if fault is not None:
        message = f"{fault}; rename it"
        raise GroupError(message)
    return name
