"""Deploys to many boxes: a few at a time, each on its own, and each with a result."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from contract.errors import ContractError
from fleet.deploy.box_deploy import BoxDeploy
from fleet.deploy.deployment import Listener
from fleet.deploy.interrupt import Interrupt
from fleet.deploy.order import Order
from fleet.deploy.preparation import Prepared
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Step
from fleet.deploy.telling import DryStep, Outcome, Removed, dry_steps
from fleet.errors import DeployInterruptedError, FleetError

_log = logging.getLogger(__name__)


class HostStatus(enum.Enum):
    """How it stands with one box."""

    WAITING = "waiting"
    WORKING = "working"
    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"
    PLANNED = "planned"
    REMOVED = "removed"
    ABSENT = "absent"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_BEGUN = "not-begun"

    @property
    def is_bad(self) -> bool:
        """Whether the box is not as it was ordered."""
        return self in {HostStatus.FAILED, HostStatus.INTERRUPTED, HostStatus.NOT_BEGUN}


class HostResult(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with one box; `--hosts --json` prints one for each."""

    host: str
    status: HostStatus
    #: While it works: the present step; where it failed: where and why, and what runs now.
    detail: str | None = None
    #: As the order says, or as the box did.
    site: str | None = None
    device: str | None = None
    release: str | None = None
    previous_release: str | None = None
    keeper: str | None = None
    torch: str | None = None
    bundle_set: str | None = None
    broker: str | None = None
    notes: list[str] = []
    #: After a removal: what stays on the box.
    kept: list[str] = []
    #: Of a dry run.
    steps: list[DryStep] = []


class HostsRun:
    """A run over many boxes.

    Args:
        orders: one for each box.
        deploy: what the boxes share.
        interrupt: the wish to end all of them.
        sudo_password: for every box where sudo asks for one.
        on_change: is told each time that it stands differently with a box; from several threads,
            one at a time.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        deploy: BoxDeploy,
        *,
        interrupt: Interrupt,
        sudo_password: str | None,
        on_change: Callable[[HostResult], None],
    ) -> None:
        self._orders = orders
        self._deploy = deploy
        self._interrupt = interrupt
        self._sudo_password = sudo_password
        self._on_change = on_change
        self._lock = threading.Lock()
        self._results = {one.host: one for one in waiting(orders)}

    @property
    def results(self) -> list[HostResult]:
        """How it stands with each box, in the order of the file."""
        with self._lock:
            return list(self._results.values())

    def perform(self, *, parallel: int) -> list[HostResult]:
        """Work on `parallel` boxes at a time until all are done or somebody wishes to end.

        A failure of one box stops no other.
        """
        with ThreadPoolExecutor(parallel, thread_name_prefix="deploy") as pool:
            for done in [pool.submit(self._work, one) for one in self._orders]:
                done.result()
        return self.results

    def _work(self, order: Order) -> None:
        begun = _begun(order, HostStatus.WORKING)
        if self._interrupt.is_due:
            self._set(msgspec.structs.replace(begun, status=HostStatus.NOT_BEGUN))
            return
        self._set(msgspec.structs.replace(begun, detail="connect"))
        try:
            result = self._result(order)
        except DeployInterruptedError as error:
            status = HostStatus.INTERRUPTED
            result = msgspec.structs.replace(begun, status=status, detail=str(error))
        except (FleetError, ContractError, OSError) as error:
            result = msgspec.structs.replace(begun, status=HostStatus.FAILED, detail=str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not stop 24 other boxes
            _log.exception("deploy failed host=%s", order.target)
            detail = f"{type(error).__name__}: {error}"
            result = msgspec.structs.replace(begun, status=HostStatus.FAILED, detail=detail)
        self._set(result)

    def _result(self, order: Order) -> HostResult:
        self._deploy.check(order)
        interrupt = self._interrupt.for_one_box()
        # Several that ask at one terminal at once would be no help to anybody.
        ssh = Ssh(
            order.target,
            config=order.ssh_config,
            sudo_password=self._sudo_password,
            interrupt=interrupt,
        )
        listener = _StepListener(lambda detail: self._set_detail(order, detail))
        with ssh:
            self._set_detail(order, "look")
            if order.remove:
                return _removed(order, self._deploy.remove(ssh, order, listener))
            if order.dry_run:
                return _planned(order, *self._deploy.dry_run(ssh, order))
            return _deployed(self._deploy.perform(ssh, order, listener))

    def _set_detail(self, order: Order, detail: str) -> None:
        working = _begun(order, HostStatus.WORKING)
        self._set(msgspec.structs.replace(working, detail=detail))

    def _set(self, result: HostResult) -> None:
        with self._lock:
            self._results[result.host] = result
            self._on_change(result)


class _StepListener(Listener):
    """Tells the present step of one box."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def begin(self, number: int, total: int, step: Step) -> None:
        self._tell(f"[{number}/{total}] {step.title}")


def waiting(orders: Sequence[Order]) -> list[HostResult]:
    """How it stands before anything is begun."""
    return [_begun(one, HostStatus.WAITING) for one in orders]


def _begun(order: Order, status: HostStatus) -> HostResult:
    return HostResult(host=order.target, status=status, site=order.site, device=order.device)


def _planned(order: Order, found: Prepared, steps: Sequence[Step]) -> HostResult:
    wanted, there = found.wanted, found.there
    return HostResult(
        host=order.target,
        status=HostStatus.PLANNED,
        site=found.site,
        device=found.device,
        release=wanted.release.name,
        previous_release=there.release,
        keeper=wanted.layout.keeper.value,
        bundle_set=wanted.bundles.name if wanted.bundles is not None else there.set_name,
        broker=str(found.broker),
        notes=list(found.remarks),
        steps=dry_steps(steps),
    )


def _deployed(outcome: Outcome) -> HostResult:
    return HostResult(
        host=outcome.target,
        status=HostStatus.DEPLOYED if outcome.changed else HostStatus.UNCHANGED,
        site=outcome.site,
        device=outcome.device,
        release=outcome.release,
        previous_release=outcome.previous_release,
        keeper=outcome.keeper,
        torch=outcome.torch,
        bundle_set=outcome.bundle_set,
        broker=outcome.broker,
        notes=outcome.notes,
    )


def _removed(order: Order, removed: Removed | list[DryStep]) -> HostResult:
    begun = _begun(order, HostStatus.PLANNED)
    if isinstance(removed, list):
        return msgspec.structs.replace(begun, steps=removed)
    return msgspec.structs.replace(
        begun,
        status=HostStatus.REMOVED if removed.steps else HostStatus.ABSENT,
        previous_release=removed.release,
        kept=removed.kept,
        notes=removed.notes,
    )
