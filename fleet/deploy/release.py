"""One release on a box: a virtual environment with the agent, made and proven before it is used."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from shlex import quote

import msgspec

from fleet.deploy.box import Python
from fleet.deploy.layout import Layout
from fleet.deploy.wheel import pack_wheel
from fleet.errors import DeployError, OrderError

_WHEEL_NAME = re.compile(r"edgewright-(?P<version>[0-9][A-Za-z0-9.+!]*)-py3-none-any\.whl")
_DIGEST_DIGITS = 10
#: Matches the names of releases in a shell.
NAME_PATTERN = "[0-9]*-" + "[0-9a-f]" * _DIGEST_DIGITS
#: What the pin of the box decides.
_NOT_CONSTRAINED = re.compile(r"^torch(vision)?\s*==", re.IGNORECASE)
#: Mark of a release that was proven, in its folder.
PROVEN = ".proven"
#: Exit code of the program below where pip's report has packages for a GPU.
WANTS_GPU = 43
COUNT_GPU_PACKAGES = """\
import json, sys
names = [one["metadata"]["name"].lower() for one in json.load(sys.stdin)["install"]]
found = [name for name in names if name.startswith(("nvidia", "cuda"))]
if found:
    print(len(found), file=sys.stderr)
    sys.exit(43)
"""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the packages of a release come from."""

    wheel_name: str
    wheel: bytes
    #: Versions of everything that the agent needs, but torch.
    constraints: str
    #: A folder of wheels that is copied, and the only place that pip takes any from.
    wheelhouse: tuple[Path, ...] = ()
    #: An index to look at beside the box's own, for a CPU build of torch.
    torch_index: str | None = None
    #: See the packages of the box's Python, and use its torch.
    system_packages: bool = False

    @property
    def version(self) -> str:
        """Version of the wheel."""
        match = _WHEEL_NAME.fullmatch(self.wheel_name)
        return match["version"] if match else "0"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A release for one Python of one box."""

    source: Source
    python: Python

    @property
    def name(self) -> str:
        """Version and a digest of all that goes into it: the same name, the same release."""
        digest = hashlib.sha256()
        for part in (
            self.source.wheel,
            "\n".join(self.requirements(PurePosixPath())).encode(),
            self.constraints.encode(),
            self.python.path.encode(),
            self.python.dotted.encode(),
            str(self.source.system_packages).encode(),
        ):
            digest.update(hashlib.sha256(part).digest())
        return f"{self.source.version}-{digest.hexdigest()[:_DIGEST_DIGITS]}"

    @property
    def constraints(self) -> str:
        """What pip gets as constraints: the given ones, with the torch of this box."""
        lines = [
            line
            for line in self.source.constraints.splitlines()
            if not _NOT_CONSTRAINED.match(line) and not line.startswith("#")
        ]
        if not self.source.system_packages:
            lines.append(self.python.pin.requirement)
        return "".join(f"{line}\n" for line in lines if line.strip())

    def requirements(self, folder: PurePosixPath) -> list[str]:
        """What pip is asked for, with the wheel in `folder`."""
        agent = f"{folder / self.source.wheel_name}[agent]"
        return [agent] if self.source.system_packages else [self.python.pin.requirement, agent]

    def install_script(self, layout: Layout) -> str:
        """Makes the virtual environment and installs into it."""
        venv, incoming = layout.release(self.name), layout.incoming
        options = [
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-warn-script-location",
        ]
        options += ["-c", str(incoming / "constraints.txt")]
        if self.source.wheelhouse:
            options += ["--no-index", "--find-links", str(incoming / "wheelhouse")]
        if self.source.torch_index is not None:
            options += ["--extra-index-url", self.source.torch_index]
        words = " ".join(quote(word) for word in [*options, *self.requirements(incoming)])
        flag = " --system-site-packages" if self.source.system_packages else ""
        pip = f'"$venv/bin/python" -P -m pip install {words}'
        return "\n".join(
            [
                f"venv={quote(str(venv))}",
                'rm -rf "$venv"',
                f'mkdir -p "${{venv%/*}}" {quote(str(incoming / "tmp"))}',
                f'{quote(self.python.path)} -P -m venv{flag} "$venv"',
                "# Not /tmp: it may be memory.",
                f"export TMPDIR={quote(str(incoming / 'tmp'))}",
                *(self._gpu_check(pip) if self._may_want_gpu else ()),
                pip,
            ]
        )

    def proof_script(self, layout: Layout) -> str:
        """Proves a release: it starts, looks at the box, and imports torch."""
        venv = layout.release(self.name)
        return "\n".join(
            [
                f"venv={quote(str(venv))}",
                '"$venv/bin/edgewright-agent" --version',
                '"$venv/bin/edgewright-agent" probe --json >/dev/null',
                f'"$venv/bin/python" -P -c {quote(_NAME_TORCH)}',
                f'touch "$venv/{PROVEN}"',
            ]
        )

    def reading_script(self, layout: Layout, settings: PurePosixPath) -> str:
        """Sees that this release understands its settings."""
        python = layout.release(self.name) / "bin/python"
        return f"{quote(str(python))} -P -c {quote(_READ_SETTINGS)} {quote(str(settings))}"

    def discard_script(self, layout: Layout) -> str:
        """Removes what is there of this release, unless it was proven, and pip's own files."""
        mark, venv = layout.release(self.name) / PROVEN, layout.release(self.name)
        return "\n".join(
            [
                f"[ -e {quote(str(mark))} ] || rm -rf {quote(str(venv))}",
                f"rm -rf {quote(str(layout.incoming / 'tmp'))}",
            ]
        )

    def is_proven_script(self, layout: Layout) -> str:
        """Prints `yes` where this release is there and was proven."""
        mark = layout.release(self.name) / PROVEN
        return f"[ ! -e {quote(str(mark))} ] || echo yes"

    @property
    def _may_want_gpu(self) -> bool:
        source = self.source
        is_offered = source.wheelhouse or source.torch_index or source.system_packages
        return not is_offered and not self.python.pin.is_cpu_on_pypi

    def _gpu_check(self, pip: str) -> list[str]:
        return [
            "# Gigabytes of GPU packages come with the usual build; stop while there is time.",
            f'{pip} --dry-run --report "$TMPDIR/report.json" >/dev/null',
            f'"$venv/bin/python" -P -c {quote(COUNT_GPU_PACKAGES)} <"$TMPDIR/report.json"',
        ]


_NAME_TORCH = (
    "import torch; "
    "names = [n for n in torch.backends.quantized.supported_engines if n != 'none']; "
    "print('torch', torch.__version__, 'engines', ', '.join(names))"
)
_READ_SETTINGS = """\
import pathlib, sys
from agent.config import load_config
from agent.errors import ConfigError
try:
    load_config(pathlib.Path(sys.argv[1]), environment={}, flags={})
except ConfigError as error:
    sys.exit(str(error))
"""


def find_source(
    *,
    wheel: Path | None,
    constraints: Path | None,
    wheelhouse: Path | None,
    torch_index: str | None,
    system_packages: bool,
) -> Source:
    """Where the packages come from; by default the wheel is that of this installation.

    Raises:
        DeployError: a file is missing or is not what it should be.
    """
    if wheel is None:
        name, content = pack_wheel()
    else:
        name, content = wheel.name, _read(wheel)
        if _WHEEL_NAME.fullmatch(name) is None:
            message = f"--wheel {wheel}: expected edgewright-VERSION-py3-none-any.whl"
            raise OrderError(message)
    wheels = () if wheelhouse is None else tuple(sorted(wheelhouse.glob("*.whl")))
    if wheelhouse is not None and not wheels:
        message = (
            f"--wheelhouse {wheelhouse}: expected wheels (*.whl) in it; 'pip download' gets them"
        )
        raise OrderError(message)
    return Source(
        wheel_name=name,
        wheel=content,
        constraints=_read(constraints or _own_constraints()).decode(),
        wheelhouse=wheels,
        torch_index=torch_index,
        system_packages=system_packages,
    )


def _own_constraints() -> Path:
    # A wheel has it here, a checkout at its root.
    installed = Path(__file__).with_name("constraints.txt")
    return installed if installed.exists() else Path(__file__).parents[2] / "constraints.txt"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise DeployError(message) from error
