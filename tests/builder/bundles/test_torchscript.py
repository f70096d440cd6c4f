"""Networks to TorchScript files and back, on good disks and on full ones."""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from builder.bundles.torchscript import ScriptedNetwork
from builder.errors import ExportError

Make = Callable[..., nn.Module]

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def _save(network: nn.Module, path: Path) -> Path:
    traced = ScriptedNetwork.traced(network, IMAGES[:1])
    traced.save(path, name="net", extra_files={"note.txt": b"\x00\xff"}, at_least_bytes=10)
    return path


def test_a_file_answers_as_the_network_does_at_other_batch_sizes_too(
    make_tiny: Make, tmp_path: Path
) -> None:
    network = make_tiny("Joined")

    loaded = ScriptedNetwork.load(_save(network, tmp_path / "joined.pt"))

    with torch.inference_mode():
        assert torch.allclose(loaded.logits(IMAGES), network(IMAGES), atol=1e-6)


def test_anyone_can_load_the_file_with_torch_alone(make_tiny: Make, tmp_path: Path) -> None:
    path = _save(make_tiny("Joined"), tmp_path / "joined.pt")
    extra = {"note.txt": ""}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(path, _extra_files=extra)  # type: ignore[no-untyped-call]

    assert extra["note.txt"] == b"\x00\xff"
    # Not frozen: parameters are still there for whoever optimises it on a device.
    assert len(list(module.parameters())) > 0
    assert not module.training


def test_inside_the_zip_everything_stands_under_the_given_name(
    make_tiny: Make, tmp_path: Path
) -> None:
    path = _save(make_tiny("chain"), tmp_path / "scratch.part")

    assert {name.partition("/")[0] for name in zipfile.ZipFile(path).namelist()} == {"net"}


def test_torchs_words_about_its_future_are_not_passed_on(make_tiny: Make, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ScriptedNetwork.load(_save(make_tiny("Joined"), tmp_path / "joined.pt"))


def test_other_warnings_are_passed_on(make_tiny: Make, tmp_path: Path) -> None:
    with pytest.warns(torch.jit.TracerWarning, match="Python"):
        _save(make_tiny("Choosing"), tmp_path / "choosing.pt")


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_file_is_an_error(make_tiny: Make, tmp_path: Path, content: bytes | None) -> None:
    path = _save(make_tiny("chain"), tmp_path / "chain.pt")
    path.write_bytes(path.read_bytes()[:-5000] if content is None else content)

    with pytest.raises(ExportError, match=r"chain\.pt: cannot be loaded back"):
        ScriptedNetwork.load(path)


def test_a_network_that_cannot_be_traced_is_an_error() -> None:
    class Refusing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise KeyError(images.ndim)

    with pytest.raises(ExportError, match=r"torch\.jit\.trace: KeyError: 4"):
        ScriptedNetwork.traced(Refusing(), IMAGES[:1])


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from builder.bundles.torchscript import ScriptedNetwork

network = torch.nn.Linear(1000, 1000)
traced = ScriptedNetwork.traced(network, torch.zeros(1, 1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    traced.save(Path(sys.argv[1]), name="net", extra_files={}, at_least_bytes=4_004_000)
except OSError as error:
    print("refused:", error.strerror)
"""


def test_a_file_that_does_not_fit_is_an_error_and_not_the_end_of_the_process(
    tmp_path: Path,
) -> None:
    """PyTorch's own writer calls abort() here."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "net.pt")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "refused: File too large\n"), done.stderr
