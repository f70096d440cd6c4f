"""Takes the agent off a box; what it measured and its settings stay unless told."""

from __future__ import annotations

from shlex import quote

from fleet.deploy.keeper import is_running_script, stop_script
from fleet.deploy.layout import Keeper, Layout
from fleet.deploy.steps import Run


def removal(layout: Layout, *, purge: bool, as_root: bool) -> list[Run]:
    """Steps that undo a deploy.

    Args:
        layout: where it was installed.
        purge: whether state and settings go as well.
        as_root: whether root is needed.
    """
    gone = [layout.app / "releases", layout.incoming, layout.current, layout.sets, layout.pid_file]
    if layout.unit is not None:
        previous = layout.unit.with_name(f"{layout.unit.name}.previous")
        gone += [layout.unit, previous]
    if purge:
        gone += [layout.config, layout.state, layout.log]
        gone += [layout.app, layout.data] if layout.keeper is Keeper.SYSTEM else []
    lines = [f"rm -rf {' '.join(quote(str(one)) for one in gone)}"]
    if layout.keeper is not Keeper.NOBODY:
        user = "--user " if layout.keeper is Keeper.USER else ""
        lines.append(f"systemctl {user}daemon-reload")
    if purge and layout.owner is not None:
        lines.append(f"if id -u {layout.owner} >/dev/null 2>&1; then userdel {layout.owner}; fi")
    stop = f"{stop_script(layout)}\n{is_running_script(layout)}"
    return [
        Run(title="stop the agent", script=stop, as_root=as_root),
        Run(title="remove its files", script="\n".join(lines), as_root=as_root),
    ]
