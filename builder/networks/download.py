"""Published weights and data sets from the network, once."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from pathlib import Path

from builder.errors import DownloadError
from builder.progress import Progress
from contract.files import replacing

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0


def download(
    url: str,
    path: Path,
    *,
    sha256_prefix: str,
    progress: Progress,
    otherwise: str = "use --weights FILE",
) -> Path:
    """Path of the file behind `url`, fetched unless `path` is there already.

    The content's SHA-256 must begin with the hexadecimal digits `sha256_prefix`. `otherwise`
    is what a user can do who cannot fetch it elsewhere either.

    Raises:
        DownloadError: not reachable, cut off, or other content than expected.
    """
    if path.exists():
        return path
    remedy = f"fetch it elsewhere and put it at {path}, or {otherwise}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as scratch:
            digest = _fetch(url, scratch, progress)
            if not digest.startswith(sha256_prefix):
                message = f"{url}: expected SHA-256 {sha256_prefix}..., got {digest}; {remedy}"
                raise DownloadError(message)
    except (OSError, http.client.HTTPException) as error:
        message = f"{url}: cannot be downloaded: {error}; {remedy}"
        raise DownloadError(message) from error
    return path


def _fetch(url: str, scratch: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    # The address is torchvision's own constant, never the user's.
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, scratch.open("wb") as file:  # noqa: S310
        total = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while chunk := answer.read(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress.update(f"downloading {url}", done, max(total, done))
    if done < total:
        message = f"connection closed after {done} of {total} bytes"
        raise OSError(message)
    return digest.hexdigest()
