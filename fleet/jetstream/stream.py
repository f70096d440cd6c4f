"""The stream that holds results until they are stored, and the consumer that collectors share."""

from __future__ import annotations

import logging

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from contract.topics import Leaf, topics_of_all
from fleet.jetstream.names import CONSUMER, STREAM
from fleet.jetstream.subject import subject_of_filter

_log = logging.getLogger(__name__)

#: One server of three may be lost.
_REPLICAS = 3
#: What a server says that is not in a cluster.
_NOT_CLUSTERED = 10074
#: Beyond this the oldest results go; no device was told that they are stored, so they come again.
_LARGEST_BYTES = 256 * 1024 * 1024
#: After so long without a word of it, a result that a collector took is given to another.
_ACK_WAIT_S = 30.0
#: Results that all collectors together may hold; each takes a few thousand.
_HELD_AT_MOST = 50_000


async def ensure_consumer(stream: JetStreamContext) -> None:
    """Make the stream and its consumer where they are missing; what there is stays as it is.

    Raises:
        nats.errors.Error: the cluster does not answer, or does not make them.
    """
    try:
        await stream.stream_info(STREAM)
    except NotFoundError:
        await _add_stream(stream)
    try:
        await stream.consumer_info(STREAM, CONSUMER)
    except NotFoundError:
        await stream.add_consumer(STREAM, _consumer())


async def _add_stream(stream: JetStreamContext) -> None:
    try:
        await stream.add_stream(_stream(_REPLICAS))
    except APIError as error:
        if error.err_code != _NOT_CLUSTERED:
            raise
        _log.warning("a server without a cluster: results are kept once, on its disk")
        await stream.add_stream(_stream(1))


def _stream(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=STREAM,
        description="Results of Edgewright's devices until a collector has stored them",
        subjects=[subject_of_filter(topics_of_all(Leaf.RESULT))],
        # What is acknowledged goes.
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        num_replicas=replicas,
        discard=DiscardPolicy.OLD,
        max_bytes=_LARGEST_BYTES,
    )


def _consumer() -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=CONSUMER,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=_ACK_WAIT_S,
        max_ack_pending=_HELD_AT_MOST,
        # A message that can never be stored goes to quarantine and is acknowledged too.
        max_deliver=-1,
    )
