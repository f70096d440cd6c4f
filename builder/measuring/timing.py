"""What variants take on this host, so that work saved can be held against time saved."""

from __future__ import annotations

import enum
import logging
import statistics
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import msgspec

from builder.measuring.host import cpu_model
from builder.measuring.timing_process import TimingProcess
from builder.measuring.timing_protocol import Preparation, TimingAnswer, TimingOrder
from builder.progress import Progress, tracked
from builder.workspace import Workspace
from contract.bundleset import Member, read_set, verify_member
from contract.errors import BundleError
from contract.files import write_atomically
from contract.interval import median_interval

_log = logging.getLogger(__name__)

#: A builder's host stands in for boxes that run one image at a time on one core.
THREADS = 1
_CLOCK = "thread-time"


class TimingStatus(enum.StrEnum):
    """Whether a variant could be timed."""

    OK = "ok"
    FAILED = "failed"


class HostTiming(msgspec.Struct, frozen=True, kw_only=True):
    """One variant's latency for one image on this host, and against the set's baseline.

    The baseline ran in turns with it, so that the speed-up holds where the host's speed
    changed meanwhile. Intervals are 95 %.
    """

    variant: str
    sha256: str
    base_sha256: str
    cpu: str
    torch: str
    threads: int
    #: What the bursts were timed by. Caches from before it was named are outdated: they held
    #: time on the wall.
    clock: str
    status: TimingStatus = TimingStatus.OK
    reason: str | None = None
    preparation: Preparation | None = None
    p50_ms: float | None = None
    ci_low_ms: float | None = None
    ci_high_ms: float | None = None
    #: Bursts of calls, whose medians are what the figures come from.
    samples: int = 0
    #: The baseline in the same minutes.
    base_p50_ms: float | None = None
    #: Median of the rounds' ratios, above 1 where the variant is faster than the baseline.
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    #: Below 1 other programs took the core away while it was timed.
    cpu_share: float | None = None


def time_set(
    folder: Path,
    *,
    workspace: Workspace,
    progress: Progress,
    fresh: bool = False,
    process: Callable[[], TimingProcess] = TimingProcess,
) -> dict[str, HostTiming]:
    """Timings of a bundle set's variants by name, in the set's order.

    What was timed before on this processor with this torch is taken from the workspace. A
    variant that cannot be timed has a timing that says why.

    Args:
        folder: the bundle set.
        workspace: keeps the timings.
        progress: told of each variant.
        fresh: time again what was timed before.
        process: makes what runs the bundles.

    Raises:
        BundleDamagedError: the folder has no readable `set.json`.
        PackageNotFoundError: torch is not installed.
        OSError: the workspace cannot be written.
    """
    bundle_set = read_set(folder)
    base = bundle_set.member(bundle_set.baseline)
    host = _Host(base_sha256="" if base is None else base.sha256)
    kept = _read_cache(workspace.timings)
    known = {} if fresh else {t.sha256: t for t in kept if host.made(t)}
    missing = [member for member in bundle_set.members if member.sha256 not in known]
    # Where the baseline fails, the others have a latency and nothing to hold it against.
    missing.sort(key=lambda member: member is not base)
    timed: dict[str, HostTiming] = {}
    if missing:
        with process() as worker:
            for member in tracked(missing, progress, "timing variants", len(missing)):
                timing = host.time(folder, member, base, worker)
                timed[member.variant] = timing
                if member is base and timing.status is TimingStatus.FAILED:
                    base = None
                _keep(workspace, timed[member.variant], kept)
    timings = {}
    for member in bundle_set.members:
        # A variant may have got another name since.
        timing = timed.get(member.variant) or known[member.sha256]
        timings[member.variant] = msgspec.structs.replace(timing, variant=member.variant)
    return timings


class _Host:
    """This processor with this torch, and the baseline that speed-ups refer to."""

    def __init__(self, base_sha256: str) -> None:
        self._base_sha256 = base_sha256
        self._cpu = cpu_model()
        self._torch = metadata.version("torch")

    def made(self, timing: HostTiming) -> bool:
        """Whether `timing` would come out here again."""
        mine = (self._cpu, self._torch, THREADS, self._base_sha256)
        return mine == (timing.cpu, timing.torch, timing.threads, timing.base_sha256)

    def time(
        self, folder: Path, member: Member, base: Member | None, worker: TimingProcess
    ) -> HostTiming:
        try:
            path = verify_member(folder, member)
            base_path = path if base is None else verify_member(folder, base)
            answer = worker.ask(TimingOrder(path=str(path), base_path=str(base_path)))
        except BundleError as error:
            answer = TimingAnswer(failure=str(error))
        if answer.failure is not None:
            _log.info("timing.failed variant=%s reason=%s", member.variant, answer.failure)
        return self._timing(member, answer, has_base=base is not None)

    def _timing(self, member: Member, answer: TimingAnswer, *, has_base: bool) -> HostTiming:
        identity = HostTiming(
            variant=member.variant,
            sha256=member.sha256,
            base_sha256=self._base_sha256,
            cpu=self._cpu,
            torch=self._torch,
            threads=THREADS,
            clock=_CLOCK,
        )
        if answer.failure is not None:
            return msgspec.structs.replace(
                identity, status=TimingStatus.FAILED, reason=answer.failure
            )
        own = median_interval(answer.bursts_ms)
        timing = msgspec.structs.replace(
            identity,
            preparation=answer.preparation,
            p50_ms=statistics.median(answer.bursts_ms),
            ci_low_ms=own.low if own else None,
            ci_high_ms=own.high if own else None,
            samples=len(answer.bursts_ms),
            cpu_share=answer.cpu_share,
        )
        return _against_base(timing, answer) if has_base else timing


def _against_base(timing: HostTiming, answer: TimingAnswer) -> HostTiming:
    """Add the baseline of the same rounds."""
    pairs = zip(answer.bursts_ms, answer.base_bursts_ms, strict=True)
    ratios = [base_ms / own_ms for own_ms, base_ms in pairs]
    gain = median_interval(ratios)
    return msgspec.structs.replace(
        timing,
        base_p50_ms=statistics.median(answer.base_bursts_ms),
        speedup=statistics.median(ratios),
        speedup_low=gain.low if gain else None,
        speedup_high=gain.high if gain else None,
    )


def _keep(workspace: Workspace, timing: HostTiming, kept: list[HostTiming]) -> None:
    """Write what is complete at once, so that an interrupted run goes on from there."""
    if timing.speedup is None:
        return
    key = _key(timing)
    kept[:] = [*(other for other in kept if _key(other) != key), timing]
    workspace.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(workspace.timings, msgspec.json.format(msgspec.json.encode(kept), indent=1))


def _key(timing: HostTiming) -> tuple[str, str, str, str, int]:
    return (timing.sha256, timing.base_sha256, timing.cpu, timing.torch, timing.threads)


def _read_cache(path: Path) -> list[HostTiming]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[HostTiming])
    except (OSError, msgspec.MsgspecError):
        # The workspace may be removed or outdated at any time: it is measured again.
        return []
