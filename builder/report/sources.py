"""What a report is made from: the bundles of a set."""

from __future__ import annotations

import logging
from pathlib import Path

from contract.bundle import read_manifest
from contract.bundleset import BundleSet, Member
from contract.errors import BundleError
from contract.manifest import Manifest

_log = logging.getLogger(__name__)


def readable_rows(folder: Path, bundle_set: BundleSet) -> list[tuple[Member, Manifest]]:
    """Bundles of a set with their manifests; damaged ones are logged and left out."""
    rows = []
    for member in bundle_set.members:
        try:
            rows.append((member, read_manifest(folder / member.file)))
        except BundleError as error:
            _log.warning("report.left_out variant=%s reason=%s", member.variant, error)
    return rows
