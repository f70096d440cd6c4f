"""What failed and killed deploys left on a box, and what of it may go."""

from __future__ import annotations

from collections.abc import Collection
from shlex import quote

import msgspec

#: Python for the box: `leftovers(asked)` lists what no agent uses. Of releases that were proven,
#: one beside the present one stays to go back to. Sizes are those on the disk.
FIND = """\
def leftovers(asked):
    def names(folder):
        try:
            return os.listdir(folder)
        except OSError:
            return []
    def size(path):
        try:
            total = os.lstat(path).st_blocks * 512
        except OSError:
            return 0
        if os.path.isdir(path) and not os.path.islink(path):
            total += sum(size(os.path.join(path, name)) for name in names(path))
        return total
    def age(path):
        try:
            return -os.lstat(path).st_mtime
        except OSError:
            return 0
    releases = [os.path.join(asked["releases"], name) for name in names(asked["releases"])]
    releases = [one for one in releases if os.path.basename(one) != target(asked["current"])]
    proven = [one for one in releases if os.path.exists(os.path.join(one, asked["proven"]))]
    found = [one for one in releases if one not in proven] + sorted(proven, key=age)[1:]
    found += [os.path.join(asked["incoming"], name) for name in names(asked["incoming"])]
    used = ("current", target(asked["bundles"]))
    found += [os.path.join(asked["sets"], one) for one in names(asked["sets"]) if one not in used]
    return [{"path": one, "bytes": size(one)} for one in sorted(found)]
"""


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that no agent uses."""

    path: str
    bytes: int

    @property
    def name(self) -> str:
        """Its name in its folder."""
        return self.path.rpartition("/")[2]


def superfluous(found: Collection[Leftover], wanted: Collection[str]) -> list[Leftover]:
    """Those that are not wanted by their names, such as a file whose transfer may go on."""
    return [one for one in found if one.name not in wanted]


def remove_script(leftovers: Collection[Leftover]) -> str:
    """Removes them."""
    return f"rm -rf {' '.join(quote(one.path) for one in leftovers)}"
