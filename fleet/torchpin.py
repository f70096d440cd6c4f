"""Which PyTorch an agent gets on which box; what was seen there stands in docs/agent.md."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.errors import UnsuitableBoxError

_POINTER_BITS = 64
#: Wheels of both versions below exist for these releases of CPython, and are linked against
#: glibc 2.28 (their names say `manylinux_2_28`).
_OLDEST_PYTHON, _NEWEST_PYTHON = (3, 11), (3, 14)
_OLDEST_GLIBC = (2, 28)


@dataclass(frozen=True, kw_only=True)
class BoxPython:
    """The Python that an agent is to run on, as it describes itself."""

    #: `platform.machine()`: that of the kernel.
    machine: str
    #: `struct.calcsize("P") * 8`: a kernel of 64 bits may carry a system of 32.
    pointer_bits: int
    #: `sys.version_info[:2]`.
    version: tuple[int, int]
    #: Of `platform.libc_ver()`; None where the C library is another one.
    glibc: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class TorchPin:
    """The PyTorch for one kind of box, and why that one."""

    version: str
    #: Whether what PyPI serves is a build for CPUs. Where it is not, pip takes one with gigabytes
    #: of GPU packages, unless the user's own settings (PIP_EXTRA_INDEX_URL) offer a CPU build.
    is_cpu_on_pypi: bool
    why: str

    @property
    def requirement(self) -> str:
        """What pip is asked for; a `+cpu` build satisfies it too."""
        return f"torch=={self.version}"


_PINS = {
    "aarch64": TorchPin(
        version="2.9.1",
        is_cpu_on_pypi=True,
        why=(
            "the last one that PyPI serves as a CPU build and that runs on the cores of a "
            "Raspberry Pi 4: 2.10 stops there with an illegal instruction, and from 2.11 on "
            "it is a CUDA build"
        ),
    ),
    "x86_64": TorchPin(
        version="2.13.0",
        is_cpu_on_pypi=False,
        why="the one that bundles are built and tested with",
    ),
}


def torch_pin(python: BoxPython) -> TorchPin:
    """PyTorch to install on a box with this Python.

    Raises:
        UnsuitableBoxError: no PyTorch fits; the message says what the box would need.
    """
    pin = _PINS.get(python.machine)
    if pin is None or python.pointer_bits != _POINTER_BITS:
        message = (
            f"processor: expected {' or '.join(_PINS)} with a 64-bit system, got "
            f"{python.machine} with a {python.pointer_bits}-bit Python; PyTorch has no build for "
            "that. On a Raspberry Pi 3 or later install the 64-bit system"
        )
        raise UnsuitableBoxError(message)
    if not _OLDEST_PYTHON <= python.version <= _NEWEST_PYTHON:
        message = (
            f"Python: expected {_dotted(_OLDEST_PYTHON)} to {_dotted(_NEWEST_PYTHON)}, got "
            f"{_dotted(python.version)}; torch {pin.version} has wheels for those alone"
        )
        raise UnsuitableBoxError(message)
    if python.glibc is None or python.glibc < _OLDEST_GLIBC:
        found = "another C library" if python.glibc is None else _dotted(python.glibc)
        message = (
            f"glibc: expected {_dotted(_OLDEST_GLIBC)} or later, got {found}; torch {pin.version} "
            "is linked against it: take Debian 10, Ubuntu 20.04 or later"
        )
        raise UnsuitableBoxError(message)
    return pin


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(str(number) for number in version)
