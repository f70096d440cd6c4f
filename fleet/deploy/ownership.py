"""Whether a folder that `--prefix` names is a deploy's, or has other things in it."""

from __future__ import annotations

from shlex import quote

from fleet.deploy.layout import Layout
from fleet.deploy.settings import rendered
from fleet.deploy.ssh import Ssh
from fleet.errors import OrderError


def check_ownership(ssh: Ssh, layout: Layout) -> None:
    """See that what is in the folder to install below was put there by a deploy.

    Else a deploy would take for its own, and remove, what others call `releases` or `state`.

    Raises:
        OrderError: other things are in it, and no agent.
        BoxUnreachableError: the connection failed.
    """
    if "foreign=yes" in ssh.run(foreign_script(layout)).splitlines():
        message = (
            f"--prefix {layout.app}: expected a folder that is empty, not there yet, or of an "
            "earlier deploy; other things are in it and no agent. Name another one"
        )
        raise OrderError(message)


def foreign_script(layout: Layout) -> str:
    """Prints `foreign=yes` where things are in the folder, and none that only a deploy makes."""
    app, lock, settings = (quote(str(one)) for one in (layout.app, layout.lock, layout.agent_toml))
    agents = f"{quote(str(layout.releases))}/*/bin/edgewright-agent"
    state = quote(f"state_dir = {rendered(str(layout.state))}")
    return "\n".join(
        [
            # A lock without content is all that a deploy leaves on a full disk.
            f"others=$(ls -A {app} 2>/dev/null | grep -vx {quote(layout.lock.name)} || true)",
            f"agents=$(ls -d {agents} 2>/dev/null || true)",
            'if [ -n "$others" ] && [ -z "$agents" ] \\',
            f"""  && ! grep -qs '"token"' {lock} && ! grep -qsF {state} {settings}""",
            "then echo foreign=yes; fi",
        ]
    )
