"""The one file of a form, as browsers and `curl -F` send it (RFC 7578)."""

from __future__ import annotations

import re
from http import HTTPStatus

from agent.serving.response import HttpError

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_FILE = re.compile(rb"^content-disposition:[^\r\n]*;\s*filename\*?=", re.IGNORECASE | re.MULTILINE)


def only_file(body: bytes, content_type: str) -> bytes:
    """Content of the only part that is a file; other fields are passed over.

    Args:
        body: the whole body.
        content_type: the header's value, with its boundary.

    Raises:
        HttpError: 400 where there is no file, or more than one, or the form is malformed.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        message = "header Content-Type: multipart/form-data without a boundary"
        raise _bad(message)
    mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1")
    # The first boundary may stand at the very beginning, without the line break before it.
    parts = (b"\r\n" + body).split(mark)
    if len(parts) < 3 or not parts[-1].startswith(b"--"):  # noqa: PLR2004 - before, part, after
        message = "form: its boundary or its end is missing; is the body complete?"
        raise _bad(message)
    files = []
    for part in parts[1:-1]:
        head, gap, content = part.partition(b"\r\n\r\n")
        if gap and _FILE.search(head):
            files.append(content)
    if len(files) != 1:
        message = f"form: expected one file, got {len(files)}; with curl: -F image=@photo.jpg"
        raise _bad(message)
    return files[0]


def _bad(message: str) -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, "bad-form", message)
