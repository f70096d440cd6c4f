"""The option `--weights`, which may be given once for all networks or once for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

DEFAULT = "default"

weights_option = click.option(
    "--weights",
    multiple=True,
    metavar="[ARCH=]default|none|FILE",
    help="Torchvision's ImageNet weights (the default), random ones (with an output for each "
    "folder of train/), or a state dict as 'train --out' writes it. With several ARCH, once for "
    "each: --weights resnet18=a.pt --weights resnet34=b.pt.",
)


def weights_by_architecture(
    architectures: Sequence[str], values: Sequence[str]
) -> Mapping[str, str]:
    """Weights of each architecture from the option's values.

    Raises:
        click.BadParameter: one is for an architecture that is not asked for, or two are for
            the same.
    """
    found: dict[str, str] = {}
    for value in values:
        if not value.rpartition("=")[2]:
            message = f"'{value}': expected default, none or a file"
            raise click.BadParameter(message, param_hint="--weights")
        name, separator, weights = value.partition("=")
        if separator and name in architectures:
            wanted = [name]
        elif separator and "/" not in name and "." not in name:
            message = f"{value}: '{name}' is not among {', '.join(architectures)}"
            raise click.BadParameter(message, param_hint="--weights")
        else:
            wanted, weights = list(architectures), value
        twice = [name for name in wanted if name in found]
        if twice:
            message = f"{value}: {twice[0]} has weights already; give ARCH=FILE once for each"
            raise click.BadParameter(message, param_hint="--weights")
        found |= dict.fromkeys(wanted, weights)
    return {name: found.get(name, DEFAULT) for name in architectures}
