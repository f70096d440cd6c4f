"""A warm worker's work: one image after the other in, its best classes out."""

from __future__ import annotations

import gc
import io
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from agent import images
from agent.errors import ImageError, NotAnImageError, TooManyPixelsError
from agent.network import Network
from agent.predictions import rank
from agent.protocol import Event, Fault, Query, Refused, Tagged
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


def warm_up(
    pixels: npt.NDArray[np.uint8],
    network: Network,
    manifest: Manifest,
    labels: list[str],
) -> None:
    """Go the whole way a few times, so that the first client waits no longer than others.

    Pillow imports a format's code when it first meets it, and torch settles on its kernels
    during the first calls.

    Args:
        pixels: an image, uint8 [S, S, 3].
        network: what serves.
        manifest: its papers.
        labels: of its classes.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG")
    for _ in range(_WARM_UP_RUNS):
        _tagged(file.getvalue(), 1, network, manifest, labels)


def answer_queries(
    queries: Queries,
    network: Network,
    manifest: Manifest,
    labels: list[str],
    send: Callable[[Event], None],
) -> None:
    """Answer one query after the other; ends with the process.

    Raises:
        NetworkError: the network fails on an image.
    """
    # What stands now stays for good; it need not be looked through again.
    gc.collect()
    gc.freeze()
    for query, content in queries:
        try:
            answer: Event = _tagged(content, query.top_k, network, manifest, labels)
        except ImageError as error:
            answer = Refused(fault=_fault(error), reason=str(error))
        except MemoryError:
            reason = "image: this box has too little memory for it; scale it down first"
            answer = Refused(fault=Fault.TOO_MUCH_MEMORY, reason=reason)
        send(answer)


def _tagged(
    content: bytes,
    top_k: int,
    network: Network,
    manifest: Manifest,
    labels: list[str],
) -> Tagged:
    watch = Stopwatch()
    picture = images.decode_image(content)
    decode_ms = watch.elapsed_ms()
    watch = Stopwatch()
    inputs = images.network_input(picture, manifest.preprocessing)
    preprocess_ms = watch.elapsed_ms()
    watch = Stopwatch()
    logits = network.logits(inputs)[0]
    inference_ms = watch.elapsed_ms()
    watch = Stopwatch()
    top = rank(logits, labels, top_k)
    return Tagged(
        top=top,
        decode_ms=decode_ms,
        preprocess_ms=preprocess_ms,
        inference_ms=inference_ms,
        postprocess_ms=watch.elapsed_ms(),
    )


def _fault(error: ImageError) -> Fault:
    match error:
        case NotAnImageError():
            return Fault.NOT_AN_IMAGE
        case TooManyPixelsError():
            return Fault.TOO_MANY_PIXELS
        case _:
            return Fault.DAMAGED
