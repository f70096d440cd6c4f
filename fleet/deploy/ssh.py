"""The system's `ssh`: scripts for the box go in over its standard input, answers come back."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Self

from fleet.errors import BoxUnreachableError, DeployError, RemoteError

_PROGRAM = "ssh"
#: Exit code of ssh itself; what it runs there seldom ends with it.
_SSH_FAILED = 255
_CONNECT_TIMEOUT_S = 15
#: A box that is silent for a minute is gone, whatever TCP hopes.
_ALIVE_EVERY_S, _ALIVE_TIMES = 15, 4
_LOOK_S = 0.05
_END_PATIENCE_S = 5
_CHUNK_BYTES = 256 * 1024
_TAIL_LINES = 12
#: What ssh says, and what a person can do about it.
_ADVICE = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": (
        "the box shows another host key than the one that ssh knows: it was set up anew, or "
        "somebody stands between. Find out which, then 'ssh-keygen -R HOST'"
    ),
    "Host key verification failed": (
        "ssh does not know the box's host key. Run 'ssh {target}' once, compare the fingerprint "
        "with the one on the box, and accept it"
    ),
    "Permission denied": (
        "the box takes none of your keys. Check with 'ssh {target}'; 'ssh-copy-id {target}' puts "
        "a key there"
    ),
    "Could not resolve hostname": "is the name right?",
    "Connection refused": "does sshd run there, and on this port?",
    "timed out": "is the box on, and in this network?",
    "No route to host": "is the box on, and in this network?",
}


class Ssh:
    """One connection to a box, shared by everything that is run there; use it in `with`.

    Args:
        target: `USER@HOST`, or a name from the user's ssh configuration.
        config: another configuration file than the user's own (`ssh -F`).
        may_ask: whether ssh may ask a person (host key, passphrase).
        sudo_password: for scripts that run as root; None where sudo asks for none.
    """

    def __init__(
        self,
        target: str,
        *,
        config: Path | None = None,
        may_ask: bool = False,
        sudo_password: str | None = None,
    ) -> None:
        self.target = target
        self._config = config
        self._may_ask = may_ask
        self.sudo_password = sudo_password
        self._folder = Path(tempfile.mkdtemp(prefix="edgewright-"))
        self._socket = self._folder / "ssh"
        self._master: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            BoxUnreachableError: the message says why, and what to do.
        """
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        if self._master is not None and self._master.stdin is not None:
            self._master.stdin.close()
            try:
                self._master.wait(_END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._master.kill()
                self._master.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def break_off(self) -> None:
        """End the connection at once, whatever goes over it."""
        if self._master is not None:
            self._master.kill()
            self._master.wait()

    def run(self, script: str, *, as_root: bool = False) -> str:
        """What a POSIX shell script prints on the box.

        Raises:
            RemoteError: it ended with another exit code than 0.
            BoxUnreachableError: the connection failed.
        """
        # Braces: nothing runs before all of it is there. Its commands must not read it either.
        whole = f"{{\nset -eu\numask 022\nexport LC_ALL=C\n{script}\n}} </dev/null\n"
        with self._started(["sh", "-s"], as_root=as_root) as process:
            output, errors = process.communicate(self._password(as_root=as_root) + whole.encode())
        return self._checked(process.returncode, output, errors).decode(errors="replace")

    def send(
        self,
        command: str,
        content: IO[bytes],
        *,
        as_root: bool = False,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """Run a one-line command on the box with `content` as its standard input.

        Raises:
            RemoteError: it ended with another exit code than 0.
            BoxUnreachableError: the connection failed.
        """
        with self._started(["sh", "-c", command], as_root=as_root) as process:
            stdin = process.stdin
            assert stdin is not None  # noqa: S101 - it was asked for
            with contextlib.suppress(BrokenPipeError):
                stdin.write(self._password(as_root=as_root))
                while chunk := content.read(_CHUNK_BYTES):
                    stdin.write(chunk)
                    stdin.flush()
                    if on_sent is not None:
                        on_sent(len(chunk))
            with contextlib.suppress(BrokenPipeError):
                stdin.close()
            process.stdin = None
            output, errors = process.communicate()
        self._checked(process.returncode, output, errors)

    @contextlib.contextmanager
    def holding(self, words: list[str], *, as_root: bool = False) -> Iterator[str]:
        """Keep a command running on the box; yields the first line that it prints.

        It must end when its standard input ends, which it does even where this machine dies.

        Raises:
            BoxUnreachableError: the connection failed.
        """
        with self._started(words, as_root=as_root) as process:
            stdin, stdout = process.stdin, process.stdout
            assert stdin is not None  # noqa: S101 - they were asked for
            assert stdout is not None  # noqa: S101
            stdin.write(self._password(as_root=as_root))
            stdin.flush()
            try:
                yield stdout.readline().decode(errors="replace").strip()
            finally:
                with contextlib.suppress(BrokenPipeError):
                    stdin.close()
                process.stdin = None
                process.communicate()

    def _open(self) -> None:
        # It ends with its standard input, even where this process is killed.
        command = [*self._command("-M", "-o", "ControlPersist=no"), "exec cat >/dev/null"]
        try:
            self._master = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            message = f"{_PROGRAM}: {error.strerror}; install the OpenSSH client on this machine"
            raise DeployError(message) from error
        while not self._socket.exists():
            if self._master.poll() is not None:
                assert self._master.stderr is not None  # noqa: S101 - it was asked for
                raise self._unreachable(self._master.stderr.read())
            time.sleep(_LOOK_S)

    def _command(self, *options: str) -> list[str]:
        return [
            _PROGRAM,
            *(("-F", str(self._config)) if self._config is not None else ()),
            "-S", str(self._socket),
            "-o", f"BatchMode={'no' if self._may_ask else 'yes'}",
            "-o", f"ConnectTimeout={_CONNECT_TIMEOUT_S}",
            "-o", f"ServerAliveInterval={_ALIVE_EVERY_S}",
            "-o", f"ServerAliveCountMax={_ALIVE_TIMES}",
            "-o", "ForwardAgent=no",
            "-T",
            *options,
            "--",
            self.target,
        ]  # fmt: skip

    def _started(self, words: list[str], *, as_root: bool) -> subprocess.Popen[bytes]:
        if as_root:
            # -k: the password is read even where sudo still remembers one; it is not part of
            # what the command is to read.
            asking = ["-n"] if self.sudo_password is None else ["-k", "-S", "-p", ""]
            words = ["sudo", *asking, "--", *words]
        return subprocess.Popen(
            [*self._command("-o", "ControlMaster=no"), shlex.join(words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _password(self, *, as_root: bool) -> bytes:
        if not as_root or self.sudo_password is None:
            return b""
        return f"{self.sudo_password}\n".encode()

    def _checked(self, code: int, output: bytes, errors: bytes) -> bytes:
        if code == _SSH_FAILED or code < 0:
            raise self._unreachable(errors)
        if code != 0:
            said = (errors or output).decode(errors="replace").strip().splitlines()
            raise RemoteError("\n".join(said[-_TAIL_LINES:]) or "it said nothing", code)
        return output

    def _unreachable(self, errors: bytes) -> BoxUnreachableError:
        said = errors.decode(errors="replace").strip()
        last = said.splitlines()[-1].strip() if said else "the connection ended"
        advice = next((what for sign, what in _ADVICE.items() if sign in said), None)
        message = f"{self.target}: {last}"
        if advice is not None:
            message += f"; {advice.format(target=self.target)}"
        return BoxUnreachableError(message)
