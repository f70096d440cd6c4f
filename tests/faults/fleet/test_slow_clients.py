"""Clients that hold what the API has few of: slow, silent, many, and of another name."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.responses import PlainTextResponse

from edgewright.http_limits import HttpLimits, LimitedServer
from edgewright.rate_limit import BURST
from fleet.authority.authority import Authority
from fleet.store.database import Database
from support.api import ApiProcess, ApiServer
from support.collectors import ServeProcess
from support.devices import PATIENCE_S, eventually
from support.faults.table import Row
from support.filling import fill
from support.measurements import make_run

MakeRow = Callable[..., Row]
SOON = HttpLimits(head_s=2.0, body_s=2.0, idle_s=2.0, write_s=2.0, per_address=4)
HALF_A_HEAD = b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
GET = HALF_A_HEAD + b"\r\n"
UNWANTED = HALF_A_HEAD + b"Content-Length: 100000\r\n\r\n"
POST = b"POST /api/v1/policies/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def served(database: Database) -> Iterator[Callable[[HttpLimits], ApiServer]]:
    """Start the API in this process, within given limits."""
    with contextlib.ExitStack() as stack:
        yield lambda limits: stack.enter_context(
            contextlib.closing(ApiServer(database, limits=limits))
        )


@pytest.fixture
def lines() -> Iterator[Callable[..., socket.socket]]:
    """Connect to a server; all connections are closed afterwards."""
    with contextlib.ExitStack() as stack:

        def connect(url: str, source: str = "127.0.0.1") -> socket.socket:
            where = httpx.URL(url)
            assert where.port is not None
            line = socket.create_connection(
                (where.host, where.port), timeout=PATIENCE_S, source_address=(source, 0)
            )
            return stack.enter_context(line)

        yield connect


def health(url: str, source: str = "127.0.0.1") -> int:
    """Status of /health, asked on a connection of its own."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        return client.get(f"{url}/api/v1/health", timeout=PATIENCE_S).status_code


def rest(line: socket.socket) -> bytes:
    """Everything that comes until the other side closes, which it does."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while piece := line.recv(65536):
            heard += piece
    return heard


def drip(line: socket.socket, drop: bytes) -> bytes:
    """Send a little at a time, each in good time, until the other side has enough of it."""
    line.settimeout(0.1)
    heard = b""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            line.sendall(drop)
            piece = line.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return heard
        heard += piece
        if not piece:
            return heard
    pytest.fail("the connection is still open")


def ports_served() -> set[int]:
    """Ports of clients of servers in this process."""
    found = psutil.Process().net_connections("tcp4")
    return {one.raddr.port for one in found if one.raddr and one.status != psutil.CONN_LISTEN}


@pytest.mark.parametrize(
    ("sent", "drop", "answer"),
    [
        (b"", b"", b"HTTP/1.1 408 "),
        (HALF_A_HEAD, b"", b"HTTP/1.1 408 "),
        (HALF_A_HEAD, b"x-a: b\r\n", b"HTTP/1.1 408 "),
        (POST, b"", b"HTTP/1.1 408 "),
        (POST, b"#\n", b"HTTP/1.1 408 "),
        (UNWANTED, b"#", b"HTTP/1.1 200 "),
        (GET, b"", b"HTTP/1.1 200 "),
        (GET + HALF_A_HEAD, b"x-a: b\r\n", b"HTTP/1.1 200 "),
    ],
    ids=[
        "nothing", "half a head", "a dripping head", "no body", "a dripping body",
        "a dripping body that nobody wants", "nothing after an answer", "a dripping second head",
    ],
)  # fmt: skip
def test_what_never_ends_is_ended(
    served: Callable[[HttpLimits], ApiServer],
    lines: Callable[..., socket.socket],
    sent: bytes,
    drop: bytes,
    answer: bytes,
    fault: MakeRow,
    request: pytest.FixtureRequest,
) -> None:
    row = fault(
        f"a client of the API sends {request.node.callspec.id}", holds="its connection is ended"
    )
    api = served(SOON)
    line = lines(api.url)
    line.sendall(sent)
    heard = drip(line, drop) if drop else rest(line)
    assert heard.startswith(answer)
    assert health(api.url) == 200
    row.tried()
    row.came_to(heard.partition(b"\r\n")[0].decode())


def test_a_client_that_does_not_read_its_answers_is_ended(
    served: Callable[[HttpLimits], ApiServer], lines: Callable[..., socket.socket]
) -> None:
    api = served(SOON)
    line = lines(api.url)
    port = line.getsockname()[1]
    line.settimeout(0.0)
    request = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with contextlib.suppress(BlockingIOError):
        for _ in range(5000):
            line.send(request)
    assert eventually(lambda: port in ports_served())
    assert eventually(lambda: port not in ports_served())
    assert health(api.url) == 200


def test_an_event_stream_outlives_every_limit(
    served: Callable[[HttpLimits], ApiServer], database: Database
) -> None:
    api = served(SOON)
    heard: list[str] = []
    with httpx.stream("GET", f"{api.url}/api/v1/events", timeout=PATIENCE_S) as answer:
        reader = threading.Thread(target=lambda: heard.extend(answer.iter_lines()), daemon=True)
        reader.start()
        assert eventually(lambda: "event: hello" in heard)
        time.sleep(3 * SOON.head_s)
        fill(database, "box", make_run())
        assert eventually(lambda: "event: result" in heard)
        api.close()
        reader.join(PATIENCE_S)


@contextlib.contextmanager
def secured(authority: Authority, limits: HttpLimits) -> Iterator[str]:
    """URL of a server with TLS that says hello, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    server = LimitedServer(
        PlainTextResponse("hello"),
        listener,
        limits=limits,
        lifespan="off",
        ssl_certfile=authority.server_file,
        ssl_keyfile=authority.server_file,
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()


def test_a_handshake_that_never_ends_is_ended(
    tmp_path: Path, lines: Callable[..., socket.socket]
) -> None:
    authority = Authority.open(tmp_path / "authority")
    context = authority.fleet_access.tls_context()
    with secured(authority, SOON) as url:
        silent, begun = lines(url), lines(url)
        begun.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert rest(silent) == rest(begun) == b""
        with context.wrap_socket(lines(url), server_hostname="127.0.0.1") as after:
            assert rest(after).startswith(b"HTTP/1.1 408 ")
        assert httpx.get(url, verify=context, timeout=PATIENCE_S).text == "hello"


def test_who_has_not_shaken_hands_counts_like_who_has(
    tmp_path: Path, lines: Callable[..., socket.socket]
) -> None:
    authority = Authority.open(tmp_path / "authority")
    with secured(authority, HttpLimits(per_address=4, head_s=10 * PATIENCE_S)) as url:
        for _ in range(4):
            lines(url)
        assert rest(lines(url)) == b""


def test_a_handshake_that_fails_gives_its_place_back(
    tmp_path: Path, lines: Callable[..., socket.socket]
) -> None:
    authority = Authority.open(tmp_path / "authority")
    context = authority.fleet_access.tls_context()
    with secured(authority, HttpLimits(per_address=4, head_s=10 * PATIENCE_S)) as url:
        for _ in range(8):
            with pytest.raises(OSError):  # noqa: PT011 - refused by us, or by the server
                ssl.create_default_context().wrap_socket(lines(url), server_hostname="127.0.0.1")

        def is_answered() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url, verify=context, timeout=PATIENCE_S).text == "hello"
            return False

        assert eventually(is_answered)


def test_one_address_has_so_many_connections_and_others_have_theirs(
    served: Callable[[HttpLimits], ApiServer], lines: Callable[..., socket.socket]
) -> None:
    api = served(HttpLimits(per_address=4))
    mine = [lines(api.url) for _ in range(4)]
    assert rest(lines(api.url)) == b""
    assert health(api.url, "127.0.0.2") == 200
    mine[0].close()

    def has_a_place() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return health(api.url) == 200
        return False

    assert eventually(has_a_place)


def test_a_server_of_both_kinds_of_addresses_tells_them_apart(
    lines: Callable[..., socket.socket],
) -> None:
    """There 127.0.0.1 is ::ffff:127.0.0.1, and all of these would be one network of IPv6."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    limits = HttpLimits(per_address=4, head_s=10 * PATIENCE_S)
    server = LimitedServer(PlainTextResponse("hello"), listener, limits=limits, lifespan="off")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for source in ("127.0.0.1", "127.0.0.2"):
            for _ in range(4):
                lines(url, source)
            assert rest(lines(url, source)) == b""
        assert health(url, "127.0.0.3") == 200
    finally:
        server.should_exit = True
        thread.join()


def test_whoever_waits_for_nothing_takes_nobodys_place(
    served: Callable[[HttpLimits], ApiServer],
    lines: Callable[..., socket.socket],
    fault: MakeRow,
) -> None:
    """As behind a proxy, where all come from one address; bodies wait like heads."""
    row = fault("more connections than the API has places", holds="whoever asks is answered")
    api = served(HttpLimits(connections=8, per_address=None, requests=4))
    attacks = [HALF_A_HEAD, POST + b"#", b"", GET]
    for number in range(40):
        lines(api.url).sendall(attacks[number % len(attacks)])
        row.tried()
        assert health(api.url) == 200


def test_one_request_too_many_is_told_to_come_again(
    served: Callable[[HttpLimits], ApiServer],
) -> None:
    api = served(HttpLimits(requests=1))
    with httpx.stream("GET", f"{api.url}/api/v1/events", timeout=PATIENCE_S):
        assert health(api.url) == 503
    assert eventually(lambda: health(api.url) == 200)


def test_six_hundred_half_sent_heads_disturb_nobody(
    database: Database, tmp_path: Path, lines: Callable[..., socket.socket], fault: MakeRow
) -> None:
    row = fault("600 half-sent heads from one client of the API", holds="others are answered")
    api = ApiProcess(["--listen", "127.0.0.1:0", "--db", database.url], tmp_path / "api.log", {})
    with contextlib.closing(api):
        for number in range(600):
            with contextlib.suppress(ConnectionError):
                lines(api.url).sendall(HALF_A_HEAD)
            row.tried()
            if number % 20 == 0:
                assert health(api.url, "127.0.0.2") == 200

        def has_a_place() -> bool:
            assert health(api.url, "127.0.0.2") == 200
            with contextlib.suppress(httpx.TransportError):
                return health(api.url) == 200
            return False

        assert eventually(has_a_place)
        log = api.log.read_text()
        assert 1 <= log.count("connections refused address=127.0.0.1") <= BURST
        assert "Traceback" not in log


def test_figures_of_a_collector_are_as_well_guarded(
    start_serve: Callable[..., ServeProcess], lines: Callable[..., socket.socket]
) -> None:
    serve = start_serve("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    url = serve.ready_line.split("metrics=")[1].strip()
    for _ in range(200):
        with contextlib.suppress(ConnectionError):
            lines(url).sendall(HALF_A_HEAD)
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
        assert "edgewright_messages_total" in client.get(url, timeout=PATIENCE_S).text
        for name, status in (("localhost:9", 200), ("[::1]", 200), ("evil.example", 421)):
            answer = client.get(url, headers={"Host": name}, timeout=PATIENCE_S)
            assert answer.status_code == status
            assert ("edgewright_messages_total" in answer.text) is (status == 200)
    assert serve.stop() == 0
    assert "Traceback" not in serve.log.read_text()
