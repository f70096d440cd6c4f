"""What a processor can do is read from what Linux says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.quantization.engine import Engine, engine_obstacle
from builder.quantization.instructions import BFLOAT16, host_has


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("Features\t: fp asimd i8mm bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("model name\t: bf16\nflags\t: fpu\n", False),
    ],
)
def test_the_processors_flags_tell_whether_it_multiplies_bfloat16(
    tmp_path: Path, text: str, *, expected: bool
) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text(text)
    assert host_has(BFLOAT16, processor) is expected


def test_an_unknown_processor_is_taken_to_have_nothing(tmp_path: Path) -> None:
    assert host_has(BFLOAT16, tmp_path / "none") is False


@pytest.mark.parametrize("flags", ["avx2 avx512_vnni", "avx2 avx_vnni", "amx_int8"])
def test_onednn_is_built_for_where_8_bit_products_do_not_overflow(
    tmp_path: Path, flags: str
) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"flags\t\t: fpu {flags}\n")
    assert engine_obstacle(Engine.ONEDNN, processor) is None


def test_onednn_is_refused_where_they_do(tmp_path: Path) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags\t\t: fpu avx2\n")
    assert "has no VNNI" in (engine_obstacle(Engine.ONEDNN, processor) or "")
    assert engine_obstacle(Engine.X86, processor) is None
    assert engine_obstacle(Engine.QNNPACK, processor) is None
