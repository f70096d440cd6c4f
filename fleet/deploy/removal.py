"""Takes the agent off a box; what it measured and its settings stay unless told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from shlex import quote

import msgspec

from fleet.deploy.deployment import Listener
from fleet.deploy.keeper import is_running_script, stop_script
from fleet.deploy.layout import Keeper, Layout
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Run
from fleet.errors import DeployError, DeployInterruptedError, FleetError


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """What of an agent is on a box, whole or in part."""

    #: Of the folders and files that a deploy makes, those that are there.
    paths: frozenset[PurePosixPath]
    #: The release that is linked to.
    release: str | None
    is_running: bool
    #: Whether the user is there that a system install makes.
    has_user: bool


def look_for_remains(ssh: Ssh, layout: Layout, *, as_root: bool) -> Remains:
    """Look for each thing that a deploy makes; changes nothing.

    Raises:
        BoxUnreachableError: the connection failed.
    """
    paths = [one for _, group in _groups(layout) for one in group]
    lines = [
        f"if [ -e {quote(str(one))} ] || [ -L {quote(str(one))} ]; then echo there={number}; fi"
        for number, one in enumerate(paths)
    ]
    lines.append(f'echo "release=$(readlink {quote(str(layout.current))} || true)"')
    if layout.owner is not None:
        lines.append(f"if id -u {layout.owner} >/dev/null 2>&1; then echo user=yes; fi")
    lines.append(is_running_script(layout).replace("echo yes", "echo running=yes"))
    said = [line.partition("=") for line in ssh.run("\n".join(lines), as_root=as_root).splitlines()]
    found = [value for key, _, value in said if key == "there"]
    release = next((value for key, _, value in said if key == "release"), "")
    return Remains(
        paths=frozenset(paths[int(one)] for one in found if one.isdecimal()),
        release=PurePosixPath(release).name or None,
        is_running=any(key == "running" for key, _, _ in said),
        has_user=any(key == "user" for key, _, _ in said),
    )


def removal(layout: Layout, remains: Remains, *, purge: bool, as_root: bool) -> list[Run]:
    """Steps that undo a deploy, for what of it is there; none where nothing is.

    Args:
        layout: where it was installed.
        remains: what is there.
        purge: whether state and settings go as well.
        as_root: whether root is needed.
    """
    steps: list[Run] = []
    groups = [*_agent_groups(layout), *(_purged_groups(layout) if purge else ())]
    gone = [(title, [one for one in group if one in remains.paths]) for title, group in groups]
    is_unit_there = layout.unit is not None and layout.unit in remains.paths
    if remains.is_running or is_unit_there or layout.pid_file in remains.paths:
        stop = f"{stop_script(layout)}\n{is_running_script(layout)}"
        steps.append(Run(title="stop the agent", script=stop, as_root=as_root))
    for title, group in gone:
        if group:
            lines = [f"rm -rf {_quoted(group)}"]
            if layout.unit in group:
                user = "--user " if layout.keeper is Keeper.USER else ""
                lines.append(f"systemctl {user}daemon-reload")
            steps.append(Run(title=f"remove {title}", script="\n".join(lines), as_root=as_root))
    if purge and remains.has_user:
        title = f"remove the user {layout.owner}"
        steps.append(Run(title=title, script=f"userdel {layout.owner}", as_root=as_root))
    if purge and (steps or any(one in remains.paths for one in _last(layout))):
        # The lock comes last: until then nobody else may begin.
        folders = _quoted(dict.fromkeys([layout.app, layout.data]))
        script = f"rm -f {quote(str(layout.lock))}\n"
        if layout.keeper is Keeper.SYSTEM:
            script += f"rm -rf {folders}"
        else:
            # It may be a folder with other things in it, named with --prefix.
            script += (
                f"for folder in {folders}; do\n"
                '  if [ -d "$folder" ]; then rmdir --ignore-fail-on-non-empty "$folder"; fi\ndone'
            )
        steps.append(Run(title="remove its folders", script=script, as_root=as_root))
    return steps


def kept_paths(layout: Layout, remains: Remains) -> list[PurePosixPath]:
    """What `--purge` alone removes, as far as it is there."""
    kept = [one for _, group in _purged_groups(layout) for one in group]
    return [one for one in kept if one in remains.paths]


def carry_out(ssh: Ssh, steps: list[Run], listener: Listener) -> None:
    """Take the steps of a removal.

    Raises:
        DeployInterruptedError: somebody wished to end.
        DeployError: a step failed; the message says which, why, and what to do.
    """
    for number, step in enumerate(steps, start=1):
        listener.begin(number, len(steps), step)
        ssh.doing = step.title
        try:
            ssh.run(step.script, as_root=step.as_root, on_wait=listener.waiting)
        except FleetError as error:
            message = (
                f"step {number} of {len(steps)}, {step.title}: {str(error).rstrip('.')}. Part of "
                "the agent is still there; the same command again removes the rest"
            )
            is_wish = isinstance(error, DeployInterruptedError)
            raise (DeployInterruptedError if is_wish else DeployError)(message) from error


def _groups(layout: Layout) -> list[tuple[str, list[PurePosixPath]]]:
    return [*_agent_groups(layout), *_purged_groups(layout), ("its folders", _last(layout))]


def _agent_groups(layout: Layout) -> list[tuple[str, list[PurePosixPath]]]:
    """What goes in any case, with a title for each."""
    return [
        ("the unit", _beside(layout.unit) if layout.unit is not None else []),
        ("its releases", [*_beside(layout.current), layout.releases]),
        ("its bundles", [layout.sets]),
        ("what was on its way", [layout.incoming, layout.pid_file]),
    ]


def _purged_groups(layout: Layout) -> list[tuple[str, list[PurePosixPath]]]:
    """What stays unless told."""
    return [
        ("its settings and its password", [layout.config]),
        ("its state: what it measured", [layout.state]),
        ("its log", [layout.log, layout.older_log]),
    ]


def _last(layout: Layout) -> list[PurePosixPath]:
    is_system = layout.keeper is Keeper.SYSTEM
    return [layout.lock, *((layout.app, layout.data) if is_system else ())]


def _beside(path: PurePosixPath) -> list[PurePosixPath]:
    """A file and what a switch makes beside it."""
    return [path, *(path.with_name(f"{path.name}.{end}") for end in ("previous", "new"))]


def _quoted(paths: Iterable[PurePosixPath]) -> str:
    return " ".join(quote(str(one)) for one in paths)
