"""Which steps bring a box from what is there to what is wanted."""

from __future__ import annotations

from pathlib import PurePosixPath
from shlex import quote

import msgspec

from fleet.deploy.bundles import LocalSet
from fleet.deploy.keeper import start_script, stop_script
from fleet.deploy.layout import Keeper, Layout
from fleet.deploy.leftovers import Leftover, remove_script, superfluous
from fleet.deploy.release import Release
from fleet.deploy.settings import Value, merge_settings
from fleet.deploy.steps import Await, Enroll, Run, Ship, Stage, Step, Write
from fleet.deploy.survey import Survey
from fleet.deploy.transfer import Parcel, Shipment, part_name

_KEPT_RELEASES = 2
_WHEELHOUSE = "wheelhouse"
#: So many leftovers are called by their names.
_NAMED = 3


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


def plan(wanted: Wanted, there: Survey) -> list[Step]:
    """Steps that bring a box from what is there to what is wanted."""
    layout, root = wanted.layout, wanted.as_root
    settings = merge_settings(there.settings or "", wanted.settings)
    steps: list[Step] = [Run(title="make folders", script=_folders_script(layout), as_root=root)]
    left = leftovers_to_remove(
        there,
        wanted.release,
        packages=wanted.packages,
        wheels=wanted.wheels,
        bundles=wanted.bundles,
    )
    if left:
        names = ", ".join(one.name for one in left[:_NAMED]) + (", ..." if left[_NAMED:] else "")
        title = f"remove what an earlier deploy left: {names}"
        steps.append(Run(title=title, script=remove_script(left), as_root=root))
    if not there.is_release_proven:
        steps += _release_steps(wanted)
    if wanted.bundles is not None:
        title = f"copy bundle set {wanted.bundles.name}"
        steps.append(Ship(title=title, shipment=wanted.bundles.shipment(layout), as_root=root))
    # A file that is written new is read at a new start.
    written = [*_written_steps(wanted, there, settings), *_access_steps(wanted, there)]
    steps += written
    if written or there.release != wanted.release.name or not there.is_running:
        steps += _switch_steps(wanted)
    else:
        steps += _unchanged_steps(wanted, there)
    title = "remove what is no longer used"
    script = _tidy_script(wanted, there)
    return [*steps, Run(title=title, script=script, as_root=root, stage=Stage.TIDY)]


def leftovers_to_remove(
    there: Survey,
    release: Release,
    *,
    packages: tuple[Parcel, ...],
    wheels: tuple[Parcel, ...],
    bundles: LocalSet | None,
) -> list[Leftover]:
    """What earlier deploys left and this one has no use for; what it sends may be there in part."""
    parcels = [*packages, *wheels, *(bundles.parcels if bundles is not None else ())]
    wanted = {part_name(one) for one in parcels} | {one.name for one in packages}
    wanted |= {_WHEELHOUSE} if wheels else set()
    wanted |= {bundles.name} if bundles is not None else set()
    wanted |= {release.name} if there.is_release_proven else set()
    return superfluous(there.leftovers, wanted)


def _release_steps(wanted: Wanted) -> list[Step]:
    layout, release, root = wanted.layout, wanted.release, wanted.as_root
    steps: list[Step] = [
        Write(
            title="copy the list of versions",
            path=layout.incoming / "constraints.txt",
            text=release.constraints,
            as_root=root,
        ),
        _packages("copy the wheel", layout.incoming, wanted.packages, layout, as_root=root),
    ]
    if wanted.wheels:
        folder = layout.incoming / _WHEELHOUSE
        steps.append(_packages("copy the wheelhouse", folder, wanted.wheels, layout, as_root=root))
    install, proof = release.install_script(layout), release.proof_script(layout)
    return [
        *steps,
        Run(title=f"install release {release.name}", script=install, as_root=root),
        Run(title="prove the release", script=proof, as_root=root, is_told=True),
    ]


def _written_steps(wanted: Wanted, there: Survey, settings: str) -> list[Step]:
    """The settings and the unit, beside the present ones; none where they are the same."""
    layout, release, root = wanted.layout, wanted.release, wanted.as_root
    steps: list[Step] = []
    if settings != there.settings:
        place = _new(layout.agent_toml)
        read = release.reading_script(layout, place)
        steps += [
            Write(title=f"write {place.name}", path=place, text=settings, as_root=root),
            Run(title="let the release read it", script=read, as_root=root),
        ]
    elif not there.is_release_proven:
        read = release.reading_script(layout, layout.agent_toml)
        steps.append(Run(title="let the release read agent.toml", script=read, as_root=root))
    if wanted.unit is not None and layout.unit is not None and wanted.unit != there.unit:
        place = _new(layout.unit)
        steps.append(Write(title=f"write {place.name}", path=place, text=wanted.unit, as_root=root))
    return steps


def _access_steps(wanted: Wanted, there: Survey) -> list[Step]:
    layout, root = wanted.layout, wanted.as_root
    steps: list[Step] = []
    if wanted.ca is not None and wanted.ca != there.ca:
        steps.append(Write(title="write ca.pem", path=layout.ca_file, text=wanted.ca, as_root=root))
    if wanted.needs_password:
        title = "enroll the device, write its password"
        path = layout.password_file
        steps.append(Enroll(title=title, path=path, owner=layout.owner, as_root=root))
    return steps


def _switch_steps(wanted: Wanted) -> list[Step]:
    title = f"switch to {wanted.release.name} and start it"
    script = switch_script(wanted)
    return [
        Run(title=title, script=script, as_root=wanted.as_root, stage=Stage.SWITCH),
        Await(title="wait for its announcement"),
    ]


def _unchanged_steps(wanted: Wanted, there: Survey) -> list[Step]:
    steps: list[Step] = []
    if wanted.bundles is not None and wanted.bundles.name != there.set_name:
        script = _point_script(wanted.layout.bundles, wanted.bundles.place(wanted.layout))
        steps.append(Run(title="point to the new set", script=script, as_root=wanted.as_root))
    return [*steps, Await(title="see that it is there", stage=Stage.TIDY)]


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
        lines.append(_point_script(layout.bundles, wanted.bundles.place(layout)))
    lines.append(_point_script(layout.current, layout.release(wanted.release.name)))
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
        lines.append(_point_script(layout.bundles, layout.sets / there.set_name))
    lines.append(_point_script(layout.current, layout.release(there.release)))
    last = start_script(layout) if there.is_running else stop_script(layout)
    return "\n".join([*lines, last])


def _point_script(link: PurePosixPath, target: PurePosixPath) -> str:
    """Lets a link point elsewhere, in one move."""
    new = quote(f"{link}.new")
    return f"ln -sfn {quote(str(target))} {new} && mv -T {new} {quote(str(link))}"


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
    shared = [layout.app, layout.releases, layout.incoming, layout.config, layout.sets]
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
        # Deploys of before left it readable for everybody.
        lines += [
            f"if [ -f {quote(str(one))} ]; then chmod 600 {quote(str(one))}; fi"
            for one in (layout.log, layout.older_log)
        ]
    return "\n".join(lines)


def _tidy_script(wanted: Wanted, there: Survey) -> str:
    layout = wanted.layout
    used = wanted.bundles.name if wanted.bundles is not None else there.set_name
    lines = [
        f"rm -rf {quote(str(layout.incoming))}",
        f"cd {quote(str(layout.releases))}",
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
