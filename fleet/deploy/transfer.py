"""Files for a box: what is there is not sent, what was cut off goes on, and all is hashed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from shlex import quote

import msgspec

from contract.files import sha256_of
from fleet.deploy.ssh import Ssh
from fleet.errors import DeployError, RemoteError

#: Exit code of the script that compares hashes.
_DIFFERS = 44


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One file for the box."""

    path: Path
    name: str
    bytes: int
    sha256: str


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """Files for one folder of the box.

    Those that lie in `known` with the same content are taken from there.
    """

    parcels: tuple[Parcel, ...]
    folder: PurePosixPath
    incoming: PurePosixPath
    known: PurePosixPath | None = None

    def look_script(self) -> str:
        """Prints `have SHA256` or `part SHA256 BYTES` for each file: how much is on the box."""
        known = self.known if self.known is not None else self.folder
        return "\n".join(
            [
                f"folder={quote(str(self.folder))} known={quote(str(known))}",
                f"incoming={quote(str(self.incoming))}",
                'mkdir -p "$folder" "$incoming"',
                'fits() { [ -f "$1" ] && [ "$(sha256sum <"$1")" = "$sha  -" ]; }',
                "while read -r sha size name; do",
                '  if fits "$folder/$name"; then echo "have $sha"; continue; fi',
                '  rm -f "$folder/$name"',
                '  if fits "$known/$name"; then',
                '    ln "$known/$name" "$folder/$name" 2>/dev/null || {',
                '      cp "$known/$name" "$folder/$name.new"',
                '      mv "$folder/$name.new" "$folder/$name"',
                "    }",
                '    echo "have $sha"',
                '  elif [ -f "$incoming/$sha.part" ]; then',
                '    echo "part $sha $(wc -c <"$incoming/$sha.part")"',
                '  else echo "part $sha 0"; fi',
                "done <<'END'",
                *(f"{one.sha256} {one.bytes} {one.name}" for one in self.parcels),
                "END",
            ]
        )

    def append_command(self, parcel: Parcel) -> str:
        """Appends standard input to what is on the box of a file."""
        return f"umask 022; cat >>{quote(str(self._part(parcel)))}"

    def finish_script(self, parcel: Parcel) -> str:
        """Puts a whole file into its place; one with another hash is removed."""
        part, place = quote(str(self._part(parcel))), quote(str(self.folder / parcel.name))
        return "\n".join(
            [
                f'if [ "$(sha256sum <{part})" != "{parcel.sha256}  -" ]; then',
                f"  rm -f {part}",
                f"  exit {_DIFFERS}",
                "fi",
                f"mv {part} {place}",
            ]
        )

    def restart_script(self, parcel: Parcel) -> str:
        """Forgets what is on the box of a file."""
        return f"rm -f {quote(str(self._part(parcel)))}"

    def _part(self, parcel: Parcel) -> PurePosixPath:
        return self.incoming / part_name(parcel)


def part_name(parcel: Parcel) -> str:
    """Name of what has arrived of a file."""
    return f"{parcel.sha256}.part"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a shipment came to, in bytes of content."""

    total_bytes: int
    sent_bytes: int


def ship(
    ssh: Ssh,
    shipment: Shipment,
    *,
    as_root: bool,
    on_sent: Callable[[int], None] | None = None,
) -> Sent:
    """Bring every file of a shipment to its place on the box.

    Raises:
        RemoteError: the box could not take one (disk full); what arrived stays there.
        BoxUnreachableError: the connection failed; what arrived stays there.
        DeployError: a file arrived otherwise than it left, twice.
    """
    parts = _parts(ssh.run(shipment.look_script(), as_root=as_root))
    sent = 0
    for parcel in shipment.parcels:
        if parcel.sha256 not in parts:
            continue
        for have in (parts[parcel.sha256], 0):
            sent += _append(ssh, shipment, parcel, have, as_root=as_root, on_sent=on_sent)
            if _is_finished(ssh, shipment, parcel, as_root=as_root):
                break
        else:
            message = f"{parcel.name}: arrived otherwise than it left, twice; is the disk sound?"
            raise DeployError(message)
    total = sum(one.bytes for one in shipment.parcels)
    return Sent(total_bytes=total, sent_bytes=sent)


def _append(
    ssh: Ssh,
    shipment: Shipment,
    parcel: Parcel,
    have: int,
    *,
    as_root: bool,
    on_sent: Callable[[int], None] | None,
) -> int:
    if have > parcel.bytes:
        ssh.run(shipment.restart_script(parcel), as_root=as_root)
        have = 0
    if have < parcel.bytes:
        with parcel.path.open("rb") as content:
            content.seek(have)
            command = shipment.append_command(parcel)
            ssh.send(command, content, as_root=as_root, on_sent=on_sent)
    return parcel.bytes - have


def _is_finished(ssh: Ssh, shipment: Shipment, parcel: Parcel, *, as_root: bool) -> bool:
    try:
        ssh.run(shipment.finish_script(parcel), as_root=as_root)
    except RemoteError as error:
        if error.code != _DIFFERS:
            raise
        return False
    return True


def _parts(text: str) -> dict[str, int]:
    words = (line.split() for line in text.splitlines())
    return {one[1]: int(one[2]) for one in words if one[:1] == ["part"]}


def parcels_of(paths: Sequence[Path]) -> tuple[Parcel, ...]:
    """Parcels of some files.

    Raises:
        DeployError: one cannot be read.
    """
    try:
        return tuple(
            Parcel(path=path, name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in paths
        )
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise DeployError(message) from error
