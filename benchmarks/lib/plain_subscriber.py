"""A subscriber as anybody writes it, that only counts: what the collector is held against.

`python -m benchmarks.lib.plain_subscriber HOST PORT CLIENT_ID FILTER COUNT` opens the session of
CLIENT_ID; with COUNT 0 it subscribes and leaves, so that the broker keeps what comes. Else it
counts as many messages and prints the seconds from the acknowledged subscription to the last
one, and its processor time, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_PATIENCE_S = 300


def main() -> None:
    """Count."""
    host, port, client_id, topic_filter, count = sys.argv[1:]
    wanted, seen = int(count), 0
    done, subscribed = threading.Event(), threading.Event()
    began_s = cpu_s = 0.0

    def received(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            done.set()

    def has_subscribed(*_: object) -> None:
        nonlocal began_s, cpu_s
        began_s, cpu_s = time.monotonic(), time.process_time()
        subscribed.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    client.on_message = received
    client.on_subscribe = has_subscribed

    def connected(connection: mqtt.Client, *_: Any) -> None:  # noqa: ANN401 - paho's own types
        connection.subscribe(topic_filter, 1)

    client.on_connect = connected
    client.connect(host, int(port))
    client.loop_start()
    subscribed.wait(_PATIENCE_S)
    if wanted and not done.wait(_PATIENCE_S):
        sys.exit(f"only {seen} of {wanted} messages came")
    took = {"seconds": time.monotonic() - began_s, "cpu_s": time.process_time() - cpu_s}
    client.disconnect()
    client.loop_stop()
    print(json.dumps(took))  # noqa: T201 - what it is started for


if __name__ == "__main__":
    main()
