"""A warm worker's work: one image after the other in, its best classes out."""

from __future__ import annotations

import gc
import io
import os
import queue
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from agent import images
from agent.errors import ImageError, NotAnImageError, TooManyPixelsError
from agent.network import Network
from agent.predictions import rank
from agent.protocol import Fault, Query, Refused, Tagged
from agent.timing import Stopwatch
from contract.manifest import Manifest

_WARM_UP_RUNS = 3


class Queries:
    """Queries as they arrive, each with its image file's bytes.

    A thread of its own reads them, so that the process ends as soon as the pipe closes,
    whatever it is doing: who would hear the answer is gone.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._heard: queue.SimpleQueue[tuple[Query, bytes]] = queue.SimpleQueue()
        # Whoever ends the supervisor may signal the whole group; the pipe tells when to go.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._listen, daemon=True).start()

    def __iter__(self) -> Iterator[tuple[Query, bytes]]:
        """Each query with its bytes; there is no last one."""
        while True:
            yield self._heard.get()

    def _listen(self) -> None:
        decoder = msgspec.json.Decoder(Query)
        while line := self._pipe.readline():
            query = decoder.decode(line)
            content = self._pipe.read(query.size_bytes)
            if len(content) < query.size_bytes:
                break
            self._heard.put((query, content))
        os._exit(0)


class Tagger:
    """A proven network that answers image files.

    Args:
        network: what computes.
        manifest: its papers.
        labels: of its classes.
        fast_decode: whether JPEGs may be decoded at a fraction of their size.
    """

    def __init__(
        self,
        network: Network,
        manifest: Manifest,
        labels: list[str],
        *,
        fast_decode: bool,
    ) -> None:
        self._network = network
        self._rule = manifest.preprocessing
        self._labels = labels
        self._shorter_side = self._rule.resize_size if fast_decode else None

    def warm_up(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Go the whole way a few times, so that the first client waits no longer than others.

        Pillow imports a format's code when it first meets it, and torch settles on its kernels
        during the first calls.

        Args:
            pixels: an image, uint8 [S, S, 3].
        """
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="JPEG")
        for _ in range(_WARM_UP_RUNS):
            self.tag(file.getvalue(), 1)
        # What stands now stays for good; it need not be looked through again.
        gc.collect()
        gc.freeze()

    def answer(self, content: bytes, top_k: int) -> Tagged | Refused:
        """Answer to one image file's bytes, whatever they are.

        Raises:
            NetworkError: the network fails on this image.
        """
        try:
            return self.tag(content, top_k)
        except (ImageError, MemoryError) as error:
            return _refused(error)

    def tag(self, content: bytes, top_k: int) -> Tagged:
        """Best classes of one image file's bytes.

        Raises:
            ImageError: it cannot be decoded, or must not be.
            NetworkError: the network fails on this image.
        """
        watch = Stopwatch()
        picture = images.decode_image(content, shorter_side=self._shorter_side)
        decode_ms = watch.elapsed_ms()
        watch = Stopwatch()
        inputs = images.network_input(picture, self._rule)
        preprocess_ms = watch.elapsed_ms()
        watch = Stopwatch()
        logits = self._network.logits(inputs)[0]
        inference_ms = watch.elapsed_ms()
        watch = Stopwatch()
        top = rank(logits, self._labels, top_k)
        return Tagged(
            top=top,
            decode_ms=decode_ms,
            preprocess_ms=preprocess_ms,
            inference_ms=inference_ms,
            postprocess_ms=watch.elapsed_ms(),
        )


def refusal(contents: Iterable[bytes]) -> Refused | None:
    """What is wrong with the first image file that cannot be decoded, or None."""
    try:
        for content in contents:
            images.decode_image(content)
    except (ImageError, MemoryError) as error:
        return _refused(error)
    return None


def _refused(error: ImageError | MemoryError) -> Refused:
    if isinstance(error, ImageError):
        return Refused(fault=_fault(error), reason=str(error))
    reason = "image: this box has too little memory for it; scale it down first"
    return Refused(fault=Fault.TOO_MUCH_MEMORY, reason=reason)


def _fault(error: ImageError) -> Fault:
    match error:
        case NotAnImageError():
            return Fault.NOT_AN_IMAGE
        case TooManyPixelsError():
            return Fault.TOO_MANY_PIXELS
        case _:
            return Fault.DAMAGED
