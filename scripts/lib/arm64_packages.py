"""What pip is to install for the agent on 64-bit ARM, asked on a machine of another kind."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: What the wheels may ask of the C library; Debian bookworm has 2.36.
_GLIBC = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_36")
#: Torch's own requirements. Those of the torch installed here may be those of a CUDA build.
_TORCH_NEEDS = (
    "filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing_extensions",
)  # fmt: skip


def requirements(torch: str) -> list[str]:
    """The agent's packages for aarch64, exactly: `name==version`, those that are installed here.

    Args:
        torch: its version, which is another one than here.
    """
    needed: dict[str, str] = {"torch": torch}
    waiting = [*_TORCH_NEEDS, "edgewright[agent]"]
    environment = {"platform_machine": "aarch64", "extra": ""}
    while waiting:
        one = Requirement(waiting.pop())
        name = canonicalize_name(one.name)
        if name in needed:
            continue
        installed = metadata.distribution(name)
        if name != "edgewright":
            needed[name] = installed.version
        extras = one.extras or {""}
        for line in installed.requires or ():
            marker = Requirement(line).marker
            if marker is None or any(marker.evaluate(environment | {"extra": e}) for e in extras):
                waiting.append(line)
    return sorted(f"{name}=={version}" for name, version in needed.items())


def platform_options(python: str) -> list[str]:
    """Options by which pip chooses wheels for the ARM root, with Python `python` ("3.11").

    With them pip would still read the requirements' own conditions as if they spoke of this
    machine: hence `requirements`, and `--no-deps`.
    """
    tags = [f"--platform=manylinux_{version}_aarch64" for version in _GLIBC]
    return [
        *tags,
        "--platform=manylinux2014_aarch64",
        f"--python-version={python}",
        "--implementation=cp",
        "--only-binary=:all:",
    ]
