"""Answers a question: its image through its variants, one fresh worker process each."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from agent.attempts import climb_down, preparations
from agent.bench import fit_to_load
from agent.bundles import Bundle, Shelf
from agent.errors import StoppedError
from agent.logs import fields
from agent.protocol import Loaded, Predict, Predicted, Preparation, Refused
from agent.questions import Question, dismissal
from agent.supervisor import Limits, Outcome, Supervisor
from contract.benchmark import RunStatus
from contract.errors import BundleDamagedError
from contract.question import Answer, AnswerStatus, Guess, Request

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """What became of one variant."""

    status: AnswerStatus
    reason: str | None = None
    #: Whether the image is at fault, so that no other variant need be asked.
    is_final: bool = False
    loaded: Loaded | None = None
    predicted: Predicted | None = None


class Respondent:
    """Answers one question at a time.

    Args:
        limits: what one worker may use; the question's deadline may cut its time.
        supervise: makes a supervisor of workers with given limits.
        send: takes each answer as it is ready.
        clock: the clock of the questions' deadlines.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        supervise: Callable[[Limits], Supervisor],
        send: Callable[[Answer], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._supervise = supervise
        self._send = send
        self._clock = clock

    def respond(self, question: Question, shelf: Shelf | None, *, active: str | None) -> None:
        """Send one answer a variant, or one that says why there is none.

        Args:
            question: what was asked.
            shelf: the bundle set, or None where it cannot be read.
            active: the variant to ask where the question names none; None for the baseline.

        Raises:
            StoppedError: the agent was asked to stop; the rest was refused.
        """
        request = question.request
        if shelf is None:
            reason = "the bundle set of this device cannot be read"
            self._send(dismissal(request, AnswerStatus.REFUSED, reason))
            return
        names = list(dict.fromkeys(request.variants)) or [active or shelf.bundle_set.baseline]
        done = 0
        try:
            # The worker reads it as it reads any image; what it holds is checked there.
            with tempfile.NamedTemporaryFile(prefix="edgewright-question-") as file:
                file.write(request.image)
                file.flush()
                for name in names:
                    finding = self._ask(question, shelf, name, file.name)
                    self._tell(request, names, done, finding)
                    done += 1
                    if finding.is_final:
                        self._give_up(request, names, done, finding)
                        return
        except StoppedError:
            finding = _Finding(status=AnswerStatus.REFUSED, reason="the agent was stopped")
            self._give_up(request, names, done, finding)
            raise
        except OSError as error:
            finding = _Finding(status=AnswerStatus.FAILED, reason=f"this device: {error}")
            self._give_up(request, names, done, finding)

    def _ask(self, question: Question, shelf: Shelf, name: str, image: str) -> _Finding:
        bundle = shelf.bundle(name)
        if bundle is None:
            known = ", ".join(one.member.variant for one in shelf.bundles)
            reason = f"'{name}' is not in the bundle set of this device; it has {known}"
            return _Finding(status=AnswerStatus.REFUSED, reason=reason)
        if self._left_s(question) <= 0:
            reason = f"{_deadline(question.request)} before its turn"
            return _Finding(status=AnswerStatus.LATE, reason=reason)
        try:
            path = str(fit_to_load(shelf, bundle))
        except BundleDamagedError as error:
            return _Finding(status=AnswerStatus.FAILED, reason=f"damaged: {error}")
        return self._run(question, bundle, path, image)

    def _run(self, question: Question, bundle: Bundle, path: str, image: str) -> _Finding:
        request = question.request

        def attempt(preparation: Preparation) -> Outcome:
            timeout_s = max(0.0, min(self._limits.timeout_s, self._left_s(question)))
            limits = Limits(
                timeout_s=timeout_s,
                memory_limit_bytes=self._limits.memory_limit_bytes,
            )
            task = Predict(
                threads=request.threads,
                bundle=path,
                preparation=preparation,
                images=[image],
                top_k=request.top_k,
                is_foreign=True,
            )
            return self._supervise(limits).perform(task)

        outcome, _ = climb_down(preparations(bundle.manifest), attempt)
        refused = outcome.last_event(Refused)
        if refused is not None:
            return _Finding(
                status=AnswerStatus.REFUSED,
                reason=refused.reason,
                is_final=True,
            )
        if outcome.status is RunStatus.TIMEOUT and self._left_s(question) <= 0:
            reason = f"{_deadline(request)}: {outcome.reason}"
            return _Finding(status=AnswerStatus.LATE, reason=reason)
        predicted = outcome.last_event(Predicted)
        if predicted is None or not predicted.answers:
            why = outcome.reason or "the worker gave no answer that can be read"
            return _Finding(status=AnswerStatus.FAILED, reason=f"{outcome.status.value}: {why}")
        return _Finding(
            status=AnswerStatus.ANSWERED,
            loaded=outcome.last_event(Loaded),
            predicted=predicted,
        )

    def _left_s(self, question: Question) -> float:
        return question.deadline_at - self._clock()

    def _give_up(self, request: Request, names: list[str], done: int, finding: _Finding) -> None:
        for index in range(done, len(names)):
            self._tell(request, names, index, finding)

    def _tell(self, request: Request, names: list[str], index: int, finding: _Finding) -> None:
        answer = Answer(
            site=request.site,
            device=request.device,
            at=time.time(),
            id=request.id,
            status=finding.status,
            reason=finding.reason,
            variant=names[index],
            number=index + 1,
            of=len(names),
            is_last=index + 1 == len(names),
            threads=request.threads,
            load_ms=finding.loaded.load_ms if finding.loaded else None,
        )
        if finding.predicted is not None:
            (said,) = finding.predicted.answers
            answer = msgspec.structs.replace(
                answer,
                top=[
                    Guess(label=one.label, index=one.index, probability=one.probability)
                    for one in said.top
                ],
                decode_ms=said.decode_ms,
                preprocess_ms=said.preprocess_ms,
                inference_ms=said.inference_ms,
                postprocess_ms=said.postprocess_ms,
            )
        _log.info(
            "question_answered",
            extra=fields(
                id=request.id,
                variant=answer.variant,
                status=answer.status.value,
                reason=answer.reason,
            ),
        )
        self._send(answer)


def _deadline(request: Request) -> str:
    return f"the deadline of {request.deadline_s:g} s passed"
