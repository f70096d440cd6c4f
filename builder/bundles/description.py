"""The manifest of one variant, put together from everything that was found out about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from builder.deciders import versions
from builder.networks.complexity import StoredTensor, Work
from builder.planning import NetworkPlan, VariantPlan
from contract.manifest import (
    Accuracy,
    Block,
    Manifest,
    Provenance,
    Pruning,
    Quantization,
    Tuning,
)


def describe(
    variant: VariantPlan,
    *,
    plan: NetworkPlan,
    pruning: Pruning | None,
    tuning: Tuning | None,
    quantization: Quantization,
    stored: Sequence[StoredTensor],
    work: Work,
    folded_pools: Sequence[str],
    blocks: list[Block],
    accuracy: Accuracy,
    data: str,
    built_at: datetime,
) -> Manifest:
    """Write the manifest of `variant`; `stored` are its tensors as exported."""
    parameters = [tensor for tensor in stored if tensor.is_parameter]
    used = versions()
    return Manifest(
        variant=variant.name,
        family=plan.architecture.family,
        architecture=plan.architecture.name,
        recipe=plan.settings.recipe.name,
        pruning=pruning,
        quantization=quantization,
        tuning=tuning,
        preprocessing=variant.rule,
        classes=len(plan.classes.labels),
        parameters=sum(tensor.elements for tensor in parameters),
        active_parameters=sum(tensor.non_zero for tensor in parameters),
        macs=work.total_macs,
        state_dict_bytes=sum(tensor.bytes for tensor in stored),
        accuracy=accuracy,
        folded_pools=list(folded_pools),
        torch_versions=[used["torch"]],
        blocks=blocks,
        provenance=Provenance(
            built_at=built_at.isoformat(timespec="seconds"),
            edgewright=used["edgewright"],
            torch=used["torch"],
            torchvision=used["torchvision"],
            weights=plan.weights.description,
            data=data,
            seed=plan.settings.seed,
            inputs_sha256=variant.inputs_sha256,
        ),
    )
