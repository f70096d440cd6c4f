"""What a report is made from: the bundles of a set, and the studies in its workspace."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from builder.report.studies import LayerDamage, NetworkDamage, NetworkSensitivity, Studies
from builder.workspace import Workspace
from contract.bundle import read_manifest
from contract.bundleset import BundleSet, Member
from contract.errors import BundleError
from contract.manifest import Manifest

_log = logging.getLogger(__name__)

#: Sensitivities are `NAME.json`, quantization damages `NAME-quantization.json`.
_DAMAGE_SUFFIX = "-quantization"


def readable_rows(folder: Path, bundle_set: BundleSet) -> list[tuple[Member, Manifest]]:
    """Bundles of a set with their manifests; damaged ones are logged and left out."""
    rows = []
    for member in bundle_set.members:
        try:
            rows.append((member, read_manifest(folder / member.file)))
        except BundleError as error:
            _log.warning("report.left_out variant=%s reason=%s", member.variant, error)
    return rows


def read_studies(workspace: Workspace) -> Studies:
    """Studies in the workspace; what cannot be read is logged and left out."""
    sensitivities: list[NetworkSensitivity] = []
    damages: list[NetworkDamage] = []
    for path in sorted(workspace.sensitivities.glob("*.json")):
        try:
            content = path.read_bytes()
            if path.stem.endswith(_DAMAGE_SUFFIX):
                layers = msgspec.json.decode(content, type=list[LayerDamage])
                network = path.stem.removesuffix(_DAMAGE_SUFFIX)
                damages.append(NetworkDamage(network=network, layers=layers))
            else:
                sensitivities.append(msgspec.json.decode(content, type=NetworkSensitivity))
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("report.study_left_out file=%s reason=%s", path, error)
    return Studies(sensitivities=sensitivities, damages=damages)
