"""Whether a deploy fits on the box's disks."""

from __future__ import annotations

from fleet.deploy.survey import Survey
from fleet.errors import UnsuitableBoxError

_MB = 1_000_000
#: Measured for torch 2.13 of x86: 1.0 GB installed and 0.2 GB of wheels on their way; that of
#: ARM is smaller.
_RELEASE_BYTES = 1300 * _MB
#: Where torch is the box's own.
_SLIM_RELEASE_BYTES = 200 * _MB
#: A full disk is no place for an outbox.
_RESERVE_BYTES = 200 * _MB


def check_room(
    there: Survey, *, has_own_torch: bool, wheels_bytes: int, set_bytes: int, freed_bytes: int = 0
) -> None:
    """Pass where there is room for a release beside the present one, and for the bundles.

    Args:
        there: what is on the box.
        has_own_torch: whether the release brings a torch.
        wheels_bytes: size of the wheels that are copied.
        set_bytes: size of the bundle set.
        freed_bytes: what is removed before anything is added.

    Raises:
        UnsuitableBoxError: there is not.
    """
    app_bytes = wheels_bytes
    if not there.is_release_proven:
        app_bytes += _RELEASE_BYTES if has_own_torch else _SLIM_RELEASE_BYTES
    # The copy waits beside the release, and moves to its place.
    needed = app_bytes + set_bytes + _RESERVE_BYTES
    free = there.app_free_bytes + freed_bytes
    if free < needed:
        message = (
            f"disk of the box: expected {needed / _MB:.0f} MB free for the release and "
            f"the bundles, got {free / _MB:.0f} MB; make room, or install elsewhere"
        )
        raise UnsuitableBoxError(message)
    if there.data_free_bytes < set_bytes + _RESERVE_BYTES:
        message = (
            f"disk of the box: expected {(set_bytes + _RESERVE_BYTES) / _MB:.0f} MB free for the "
            f"bundles, got {there.data_free_bytes / _MB:.0f} MB; make room there"
        )
        raise UnsuitableBoxError(message)
