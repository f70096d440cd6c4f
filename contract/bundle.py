"""One bundle: an ordinary TorchScript file that carries its own papers.

The papers are TorchScript *extra files*: zip members under `*/extra/`. They are read with
`zipfile` alone, so a fleet server or a shell without torch can look inside.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec

from contract.errors import BundleDamagedError
from contract.manifest import Manifest, decode_manifest

SUFFIX = ".pt"
MANIFEST_NAME = "manifest.json"
LABELS_NAME = "labels.json"
GOLDEN_NAME = "golden.npz"
#: Arrays of golden.npz: uint8 [N, H, W, 3], and float32 [N, classes] one image at a time.
GOLDEN_IMAGES = "images"
GOLDEN_LOGITS = "logits"

_MEBIBYTE = 1 << 20
#: A file from elsewhere must not fill the memory of a small box.
_LIMIT_BYTES = {
    MANIFEST_NAME: 4 * _MEBIBYTE,
    LABELS_NAME: 4 * _MEBIBYTE,
    GOLDEN_NAME: 64 * _MEBIBYTE,
}


def read_manifest(path: Path) -> Manifest:
    """Manifest of the bundle at `path`, without torch.

    Raises:
        BundleDamagedError: no such file, truncated, edited, or not a bundle.
        NewerSchemaError: built by a later Edgewright.
    """
    return decode_manifest(read_extra(path, MANIFEST_NAME), source=f"{path}: {MANIFEST_NAME}")


def read_labels(path: Path) -> list[str]:
    """Class labels of the bundle at `path`, in output order.

    Raises:
        BundleDamagedError: the member is missing or not a list of strings.
    """
    content = read_extra(path, LABELS_NAME)
    try:
        return msgspec.json.decode(content, type=list[str])
    except msgspec.MsgspecError as error:
        message = f"{path}: {LABELS_NAME}: {error}; copy or build the bundle again"
        raise BundleDamagedError(message) from error


def read_extra(path: Path, name: str) -> bytes:
    """Bytes of one extra file of a bundle, within a size limit.

    Raises:
        BundleDamagedError: not a readable zip, the member is missing or too large.
    """
    limit = _LIMIT_BYTES[name]
    try:
        with zipfile.ZipFile(path) as archive:
            members = [i for i in archive.infolist() if i.filename.endswith(f"/extra/{name}")]
            if len(members) != 1:
                message = (
                    f"{path}: expected one member extra/{name}, got {len(members)}; "
                    "this TorchScript file was not made by edgewright-builder"
                )
                raise BundleDamagedError(message)
            if members[0].file_size > limit:
                message = f"{path}: extra/{name} is {members[0].file_size} bytes, over {limit}"
                raise BundleDamagedError(message)
            # zipfile checks the member's CRC while it reads.
            with archive.open(members[0]) as member:
                return member.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        message = f"{path}: {error.strerror}; expected a bundle, a .pt file of a bundle set"
        raise BundleDamagedError(message) from error
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        message = f"{path}: {error}; the bundle is truncated or damaged: copy or build it again"
        raise BundleDamagedError(message) from error
