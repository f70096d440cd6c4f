"""Names of what collectors share in a NATS cluster; the server's configuration permits these."""

from __future__ import annotations

STREAM = "EDGEWRIGHT"
CONSUMER = "collectors"
