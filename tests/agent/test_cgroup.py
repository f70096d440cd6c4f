"""Control groups on trees of files; a real one needs a box that delegates it."""

from __future__ import annotations

from pathlib import Path

from agent.cgroup import MemoryGroup


def tree(root: Path, *, controllers: str) -> Path:
    """A version 2 hierarchy as the agent finds it; returns the agent's own group."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/agent\n")
    own = root / "sys/fs/cgroup/agent"
    own.mkdir(parents=True)
    (own / "cgroup.controllers").write_text(controllers)
    return own


def test_without_the_memory_controller_there_is_no_group(tmp_path: Path) -> None:
    """The watchdog takes over where the kernel cannot limit memory."""
    own = tree(tmp_path, controllers="cpu io")
    assert MemoryGroup.create(tmp_path, name="worker", limit_bytes=1) is None
    assert not (own / "worker").exists()


def test_a_group_that_cannot_be_limited_is_removed_again(tmp_path: Path) -> None:
    """A folder without memory.max is no control group, whatever it is."""
    own = tree(tmp_path, controllers="memory")
    (own / "cgroup.subtree_control").write_text("")
    assert MemoryGroup.create(tmp_path, name="worker", limit_bytes=1) is None
    assert not (own / "worker").exists()


def test_no_hierarchy_at_all_is_no_failure(tmp_path: Path) -> None:
    """A box without control groups gives None."""
    assert MemoryGroup.create(tmp_path, name="worker", limit_bytes=1) is None


def test_a_kill_by_the_kernel_is_read_from_the_events(tmp_path: Path) -> None:
    """Only `oom_kill` is a kill; reaching the limit is not."""
    (tmp_path / "memory.events").write_text("low 0\nmax 7\noom 0\noom_kill 0\n")
    assert not MemoryGroup(tmp_path).killed_for_memory()
    (tmp_path / "memory.events").write_text("low 0\nmax 7\noom 1\noom_kill 1\n")
    assert MemoryGroup(tmp_path).killed_for_memory()
