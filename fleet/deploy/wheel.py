"""The wheel of this very installation, made from the files that run here.

It needs neither an index nor a build tool, and a box gets exactly what its fleet runs, be that a
checkout or an installed release. The form is that of the packaging user guide, "Binary
distribution format".
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib import metadata
from pathlib import Path

from fleet.errors import DeployError

_DISTRIBUTION = "edgewright"
_PACKAGES = ("contract", "edgewright", "builder", "agent", "fleet")
_ABOUT = ("METADATA", "entry_points.txt", "licenses/LICENSE")
_TAG = "py3-none-any"
#: The same files give the same bytes, so that nothing is installed twice. ZIP begins in 1980.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16


def pack_wheel(*, root: Path | None = None) -> tuple[str, bytes]:
    """File name and content of the wheel of this installation.

    Args:
        root: the folder with the packages; by default that of this package.

    Raises:
        DeployError: the installation is incomplete.
    """
    root = root or Path(__file__).parents[2]
    try:
        distribution = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        message = (
            f"{_DISTRIBUTION} is not installed here, so nothing says what it needs; install it, "
            "or name a wheel with --wheel"
        )
        raise DeployError(message) from error
    files: dict[str, bytes] = {}
    for package in _PACKAGES:
        if not (root / package / "__init__.py").is_file():
            message = f"{root}: expected the package {package}; name a wheel with --wheel"
            raise DeployError(message)
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(root).as_posix()] = path.read_bytes()
    version = distribution.version
    info = f"{_DISTRIBUTION}-{version}.dist-info"
    about = {name: distribution.read_text(name) or "" for name in _ABOUT}
    wheel = f"Wheel-Version: 1.0\nGenerator: edgewright\nRoot-Is-Purelib: true\nTag: {_TAG}\n"
    for name, text in (about | {"WHEEL": wheel}).items():
        files[f"{info}/{name}"] = text.encode()
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    return f"{_DISTRIBUTION}-{version}-{_TAG}.whl", _zipped(files)


def _zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = _MODE
            archive.writestr(member, content)
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
