"""The steps of a deploy as data: what a dry run prints is what a real one does."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath
from shlex import quote

import msgspec

from fleet.deploy.bundles import LocalSet
from fleet.deploy.keeper import start_script, stop_script
from fleet.deploy.layout import Keeper, Layout
from fleet.deploy.release import Release
from fleet.deploy.settings import Value, merge_settings
from fleet.deploy.survey import Survey
from fleet.deploy.transfer import Parcel, Shipment

_SECRET, _PUBLIC = "600", "644"
_KEPT_RELEASES = 2


class Stage(enum.Enum):
    """What a failure means for the agent that runs."""

    #: Nothing that it uses was touched.
    PREPARE = "prepare"
    #: It was stopped, and has to be brought back.
    SWITCH = "switch"
    #: The new one runs.
    TIDY = "tidy"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A script on the box."""

    title: str
    script: str
    as_root: bool
    stage: Stage = Stage.PREPARE
    #: Whether what it prints is told.
    is_told: bool = False


class Ship(msgspec.Struct, frozen=True, kw_only=True):
    """Files to a folder of the box."""

    title: str
    shipment: Shipment
    as_root: bool
    stage: Stage = Stage.PREPARE


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """Some text as a file of the box, whole or not at all."""

    title: str
    path: PurePosixPath
    text: str
    as_root: bool
    stage: Stage = Stage.PREPARE

    @property
    def command(self) -> str:
        """Writes standard input to the file."""
        return write_command(self.path, mode=_PUBLIC, owner=None)


class Enroll(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials for the device, made here; its password goes over standard input."""

    title: str
    path: PurePosixPath
    owner: str | None
    as_root: bool
    stage: Stage = Stage.PREPARE

    @property
    def command(self) -> str:
        """Writes standard input to the file of the password."""
        return write_command(self.path, mode=_SECRET, owner=self.owner)


class Await(msgspec.Struct, frozen=True, kw_only=True):
    """The device's announcement, heard at the broker."""

    title: str
    as_root: bool = False
    stage: Stage = Stage.SWITCH


Step = Run | Ship | Write | Enroll | Await


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be on the box."""

    layout: Layout
    release: Release
    #: What the release's files are here.
    packages: tuple[Parcel, ...]
    wheels: tuple[Parcel, ...]
    unit: str | None
    bundles: LocalSet | None
    settings: dict[str, Value | None]
    #: Of the fleet's authority; None where the broker has no TLS.
    ca: str | None
    needs_password: bool
    as_root: bool


def write_command(path: PurePosixPath, *, mode: str, owner: str | None) -> str:
    """One line that puts standard input into a file, whole or not at all."""
    place, scratch = quote(str(path)), quote(f"{path}.part")
    chown = f" && chown {owner}:{owner} {scratch}" if owner else ""
    return f"umask 077; cat >{scratch} && chmod {mode} {scratch}{chown} && mv {scratch} {place}"


def plan(wanted: Wanted, there: Survey) -> list[Step]:
    """Steps that bring a box from what is there to what is wanted."""
    layout, release, root = wanted.layout, wanted.release, wanted.as_root
    settings = merge_settings(there.settings or "", wanted.settings)
    steps: list[Step] = [
        Run(title="make folders", script=_folders_script(layout), as_root=root),
    ]
    if not there.is_release_proven:
        steps += [
            Write(
                title="copy the list of versions",
                path=layout.incoming / "constraints.txt",
                text=release.constraints,
                as_root=root,
            ),
            _packages("copy the wheel", layout.incoming, wanted.packages, layout, as_root=root),
        ]
        if wanted.wheels:
            folder = layout.incoming / "wheelhouse"
            steps.append(
                _packages("copy the wheelhouse", folder, wanted.wheels, layout, as_root=root)
            )
        steps.append(
            Run(
                title=f"install release {release.name}",
                script=release.install_script(layout),
                as_root=root,
            )
        )
    if wanted.bundles is not None:
        steps.append(
            Ship(
                title=f"copy bundle set {wanted.bundles.name}",
                shipment=wanted.bundles.shipment(layout),
                as_root=root,
            )
        )
    new_toml = _new(layout.agent_toml)
    is_other = settings != there.settings
    if is_other:
        steps.append(
            Write(title="write agent.toml beside the present one", path=new_toml, text=settings,
                  as_root=root)
        )  # fmt: skip
    steps.append(
        Run(
            title="prove the release",
            script=release.proof_script(layout, new_toml if is_other else layout.agent_toml),
            as_root=root,
            is_told=True,
        )
    )
    if wanted.ca is not None and wanted.ca != there.ca:
        steps.append(Write(title="write ca.pem", path=layout.ca_file, text=wanted.ca, as_root=root))
    if wanted.needs_password:
        steps.append(
            Enroll(
                title="enroll the device, write its password",
                path=layout.password_file,
                owner=layout.owner,
                as_root=root,
            )
        )
    is_other_unit = wanted.unit is not None and wanted.unit != there.unit
    if is_other_unit and wanted.unit is not None and layout.unit is not None:
        steps.append(
            Write(title=f"write {layout.unit.name} beside the present one",
                  path=_new(layout.unit), text=wanted.unit, as_root=root)
        )  # fmt: skip
    changed = is_other or is_other_unit or there.release != release.name
    if changed or not there.is_running:
        steps += [
            Run(
                title=f"switch to {release.name} and start it",
                script=switch_script(wanted),
                as_root=root,
                stage=Stage.SWITCH,
            ),
            Await(title="wait for its announcement"),
        ]
    else:
        if wanted.bundles is not None and wanted.bundles.name != there.set_name:
            script = point_script(layout.bundles, wanted.bundles.place(layout))
            steps.append(Run(title="point to the new bundle set", script=script, as_root=root))
        steps.append(Await(title="see that it is there", stage=Stage.TIDY))
    steps.append(
        Run(
            title="remove what is no longer used",
            script=_tidy_script(wanted, there),
            as_root=root,
            stage=Stage.TIDY,
        )
    )
    return steps


def switch_script(wanted: Wanted) -> str:
    """Puts what was prepared in the place of what runs, and starts it."""
    layout = wanted.layout
    files = [layout.agent_toml, *([layout.unit] if layout.unit is not None else [])]
    lines = []
    for path in files:
        place, new, old = (quote(str(one)) for one in (path, _new(path), _previous(path)))
        lines += [
            f"rm -f {old}",
            f"if [ -e {place} ]; then cp -p {place} {old}; fi",
            f"if [ -e {new} ]; then mv {new} {place}; fi",
        ]
    if wanted.bundles is not None:
        lines.append(point_script(layout.bundles, wanted.bundles.place(layout)))
    lines.append(point_script(layout.current, layout.release(wanted.release.name)))
    return "\n".join([*lines, start_script(layout)])


def back_script(layout: Layout, there: Survey) -> str:
    """Brings back what ran before the switch; where nothing did, it stops the new one."""
    if there.release is None:
        return "\n".join([stop_script(layout), f"rm -f {quote(str(layout.current))}"])
    lines = []
    for path in [layout.agent_toml, *([layout.unit] if layout.unit is not None else [])]:
        place, old = quote(str(path)), quote(str(_previous(path)))
        lines.append(f"if [ -e {old} ]; then cp -p {old} {place}; fi")
    if there.set_name is not None:
        lines.append(point_script(layout.bundles, layout.sets / there.set_name))
    lines.append(point_script(layout.current, layout.release(there.release)))
    last = start_script(layout) if there.is_running else stop_script(layout)
    return "\n".join([*lines, last])


def point_script(link: PurePosixPath, target: PurePosixPath) -> str:
    """Lets a link point elsewhere, in one move."""
    new = quote(f"{link}.new")
    return f"ln -sfn {quote(str(target))} {new} && mv -T {new} {quote(str(link))}"


def step_lines(step: Step) -> list[str]:
    """What a step does, exactly."""
    match step:
        case Run():
            return step.script.splitlines()
        case Ship():
            return [
                *step.shipment.look_script().splitlines(),
                "# then, for what is missing of each file here:",
                *(step.shipment.append_command(one) for one in step.shipment.parcels),
            ]
        case Write():
            return [step.command, *(f"< {line}" for line in step.text.splitlines())]
        case Enroll():
            return [step.command, "< (the password; it is shown nowhere)"]
        case Await():
            return []


def _new(path: PurePosixPath) -> PurePosixPath:
    return path.with_name(f"{path.name}.new")


def _previous(path: PurePosixPath) -> PurePosixPath:
    return path.with_name(f"{path.name}.previous")


def _packages(
    title: str,
    folder: PurePosixPath,
    parcels: tuple[Parcel, ...],
    layout: Layout,
    *,
    as_root: bool,
) -> Ship:
    shipment = Shipment(parcels=parcels, folder=folder, incoming=layout.incoming)
    return Ship(title=title, shipment=shipment, as_root=as_root)


def _folders_script(layout: Layout) -> str:
    shared = [layout.app, layout.app / "releases", layout.incoming, layout.config, layout.sets]
    if layout.unit is not None:
        shared.append(layout.unit.parent)
    state = quote(str(layout.state))
    lines = [f"mkdir -p {' '.join(quote(str(one)) for one in shared)} {state}"]
    if layout.owner is not None:
        owner = quote(layout.owner)
        options = f"--system --user-group --no-create-home --home-dir {state}"
        lines += [
            f"if ! id -u {owner} >/dev/null 2>&1; then",
            f"  useradd {options} --shell /usr/sbin/nologin {owner}",
            "fi",
            f"chown {owner}:{owner} {state}",
        ]
    lines.append(f"chmod 700 {state}")
    if layout.keeper is not Keeper.SYSTEM:
        lines.append(f"chmod 700 {quote(str(layout.config))}")
    return "\n".join(lines)


def _tidy_script(wanted: Wanted, there: Survey) -> str:
    layout = wanted.layout
    used = wanted.bundles.name if wanted.bundles is not None else there.set_name
    lines = [
        f"rm -rf {quote(str(layout.incoming))}",
        f"cd {quote(str(layout.app / 'releases'))}",
        # So that the one to go back to stays, and the one that runs.
        *(f"touch ./{quote(one)}" for one in (there.release, wanted.release.name) if one),
        f'ls -1t | tail -n +{_KEPT_RELEASES + 1} | while read -r name; do rm -rf "./$name"; done',
    ]
    if used is not None:
        lines += [
            f"cd {quote(str(layout.sets))}",
            "for name in *; do",
            f'  case $name in current | {quote(used)}) ;; *) rm -rf "./$name" ;; esac',
            "done",
        ]
    return "\n".join(lines)
