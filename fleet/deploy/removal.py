"""Takes the agent off a box; what it measured and its settings stay unless told."""

from __future__ import annotations

from pathlib import PurePosixPath
from shlex import quote

import msgspec

from fleet.deploy.bundles import NAME_PATTERN as SET_PATTERN
from fleet.deploy.deployment import Listener
from fleet.deploy.keeper import is_running_script, stop_script
from fleet.deploy.layout import Keeper, Layout
from fleet.deploy.release import NAME_PATTERN as RELEASE_PATTERN
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Run
from fleet.errors import DeployError, DeployInterruptedError, FleetError

#: As the agent names them: its outbox (also a damaged one), and what is active.
_STATE = ("agent.sqlite*", "agent.lock", "active.json", ".active.json.*", "samples")
_INCOMING = ("*.part", "*.whl", "constraints.txt", "tmp", "wheelhouse")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or what a deploy and its agent make in a folder."""

    path: PurePosixPath
    #: Of a folder, shell patterns of what is made in it; other things in it stay.
    names: tuple[str, ...] | None = None

    def look_script(self, said: str) -> str:
        """Prints `said` where any of it is there; an empty folder is."""
        there = '[ -e "$one" ] || [ -L "$one" ]'
        lines = [f"for one in {self._made()}; do if {there}; then echo {said}; fi; done"]
        if self.names is not None:
            place = quote(str(self.path))
            lines.append(f'if [ -d {place} ] && [ -z "$(ls -A {place})" ]; then echo {said}; fi')
        return "\n".join(lines)

    def remove_script(self) -> str:
        """Removes it; a folder with other things in it stays, and is told."""
        if self.names is None:
            return f"rm -f {self._made()}"
        return f"rm -rf {self._made()}\n{remove_folder_script(self.path)}"

    def _made(self) -> str:
        """What is made, as words for a shell."""
        place = quote(str(self.path))
        return place if self.names is None else " ".join(f"{place}/{one}" for one in self.names)


def remove_folder_script(folder: PurePosixPath) -> str:
    """Removes an empty folder; one with things in it stays, and is told."""
    place = quote(str(folder))
    note = quote(f"note: {folder} stays: there are things in it that no deploy made")
    return f"if [ -d {place} ]; then rmdir {place} 2>/dev/null || echo {note}; fi"


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
    lines = [one.look_script(f"there={number}") for number, one in enumerate(paths)]
    lines.append(f'echo "release=$(readlink {quote(str(layout.current))} || true)"')
    if layout.owner is not None:
        lines.append(f"if id -u {layout.owner} >/dev/null 2>&1; then echo user=yes; fi")
    lines.append(is_running_script(layout).replace("echo yes", "echo running=yes"))
    said = [line.partition("=") for line in ssh.run("\n".join(lines), as_root=as_root).splitlines()]
    found = [value for key, _, value in said if key == "there"]
    release = next((value for key, _, value in said if key == "release"), "")
    return Remains(
        paths=frozenset(paths[int(one)].path for one in found if one.isdecimal()),
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
    gone = [(title, [one for one in group if one.path in remains.paths]) for title, group in groups]
    is_unit_there = layout.unit is not None and layout.unit in remains.paths
    if remains.is_running or is_unit_there or layout.pid_file in remains.paths:
        stop = f"{stop_script(layout)}\n{is_running_script(layout)}"
        steps.append(Run(title="stop the agent", script=stop, as_root=as_root))
    for title, group in gone:
        if group:
            lines = [one.remove_script() for one in group]
            if any(one.path == layout.unit for one in group):
                user = "--user " if layout.keeper is Keeper.USER else ""
                lines.append(f"systemctl {user}daemon-reload")
            steps.append(Run(title=f"remove {title}", script="\n".join(lines), as_root=as_root))
    if purge and remains.has_user:
        title = f"remove the user {layout.owner}"
        steps.append(Run(title=title, script=f"userdel {layout.owner}", as_root=as_root))
    if purge and (steps or any(one.path in remains.paths for one in _last(layout))):
        # The lock comes last: until then nobody else may begin.
        lines = [f"rm -f {quote(str(layout.lock))}"]
        lines += map(remove_folder_script, dict.fromkeys([layout.app, layout.data]))
        steps.append(Run(title="remove its folders", script="\n".join(lines), as_root=as_root))
    return steps


def kept_paths(layout: Layout, remains: Remains) -> list[PurePosixPath]:
    """What `--purge` alone removes, as far as it is there."""
    kept = [one.path for _, group in _purged_groups(layout) for one in group]
    return [one for one in kept if one in remains.paths]


def carry_out(ssh: Ssh, steps: list[Run], listener: Listener) -> list[str]:
    """Take the steps of a removal; returns what a person should know of them.

    Raises:
        DeployInterruptedError: somebody wished to end.
        DeployError: a step failed; the message says which, why, and what to do.
    """
    notes: list[str] = []
    for number, step in enumerate(steps, start=1):
        listener.begin(number, len(steps), step)
        ssh.doing = step.title
        try:
            said = ssh.run(step.script, as_root=step.as_root, on_wait=listener.waiting)
        except FleetError as error:
            message = (
                f"step {number} of {len(steps)}, {step.title}: {str(error).rstrip('.')}. Part of "
                "the agent is still there; the same command again removes the rest"
            )
            is_wish = isinstance(error, DeployInterruptedError)
            raise (DeployInterruptedError if is_wish else DeployError)(message) from error
        notes += [one for one in said.splitlines() if one.startswith("note: ")]
    return notes


def _groups(layout: Layout) -> list[tuple[str, list[Part]]]:
    return [*_agent_groups(layout), *_purged_groups(layout), ("its folders", _last(layout))]


def _agent_groups(layout: Layout) -> list[tuple[str, list[Part]]]:
    """What goes in any case, with a title for each."""
    releases = Part(path=layout.releases, names=(RELEASE_PATTERN,))
    sets = (SET_PATTERN, layout.bundles.name, f"{layout.bundles.name}.new")
    return [
        ("the unit", _switched(layout.unit) if layout.unit is not None else []),
        ("its releases", [*_switched(layout.current), releases]),
        ("its bundles", [Part(path=layout.sets, names=sets)]),
        (
            "what was on its way",
            [Part(path=layout.incoming, names=_INCOMING), Part(path=layout.pid_file)],
        ),
    ]


def _purged_groups(layout: Layout) -> list[tuple[str, list[Part]]]:
    """What stays unless told."""
    settings = [one.path.name for one in _switched(layout.agent_toml)]
    for path in (layout.ca_file, layout.password_file):
        settings += [path.name, f"{path.name}.part"]
    return [
        ("its settings and its password", [Part(path=layout.config, names=tuple(settings))]),
        ("its state: what it measured", [Part(path=layout.state, names=_STATE)]),
        ("its log", [Part(path=layout.log), Part(path=layout.older_log)]),
    ]


def _last(layout: Layout) -> list[Part]:
    # One user's may be a folder that was there before.
    folders = [layout.app, layout.data] if layout.keeper is Keeper.SYSTEM else []
    return [Part(path=layout.lock), *(Part(path=one, names=()) for one in folders)]


def _switched(path: PurePosixPath) -> list[Part]:
    """A file, and what a switch makes beside it."""
    names = (path.name, *(f"{path.name}.{end}" for end in ("previous", "new", "new.part")))
    return [Part(path=path.with_name(one)) for one in names]
