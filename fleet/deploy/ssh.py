"""The system's `ssh`: scripts for the box go in over its standard input, answers come back."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Self

from fleet.deploy.failure_reason import reason_of
from fleet.deploy.interrupt import Interrupt
from fleet.deploy.remote_command import BoxLock, RemoteCommand, as_root_words
from fleet.errors import BoxUnreachableError, DeployError, RemoteError

_PROGRAM = "ssh"
#: Exit code of ssh itself; what it runs there seldom ends with it.
_SSH_FAILED = 255
_CONNECT_TIMEOUT_S = 15
#: A box that is silent for a minute is gone, whatever TCP hopes.
_ALIVE_EVERY_S, _ALIVE_TIMES = 15, 4
_LOOK_S = 0.05
_END_PATIENCE_S = 5
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
        interrupt: the wish to end, which every wait looks at.
    """

    def __init__(
        self,
        target: str,
        *,
        config: Path | None = None,
        may_ask: bool = False,
        sudo_password: str | None = None,
        interrupt: Interrupt | None = None,
    ) -> None:
        self.interrupt = interrupt or Interrupt()
        #: Title of what is done, for whoever finds the box held.
        self.doing = ""
        self._lock: BoxLock | None = None
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
                self._master.wait(_END_PATIENCE_S if self._socket.exists() else 0)
            except subprocess.TimeoutExpired:
                # Asked first: where it asks for a passphrase, it gives the terminal its echo back.
                self._master.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._master.wait(_END_PATIENCE_S)
                self._master.kill()
                self._master.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def break_off(self) -> None:
        """End the connection at once, whatever goes over it."""
        if self._master is not None:
            self._master.kill()
            self._master.wait()

    def run(
        self,
        script: str,
        *,
        as_root: bool = False,
        finish: bool = False,
        on_wait: Callable[[float], None] | None = None,
    ) -> str:
        """What a POSIX shell script prints on the box.

        Args:
            script: ends at the first command that fails.
            as_root: through sudo.
            finish: while the box is held, let it come to its end even where the connection breaks.
            on_wait: is told now and then for how many seconds it has run.

        Raises:
            RemoteError: it ended with another exit code than 0.
            BoxUnreachableError: the connection failed.
            DeployInterruptedError: somebody wished to end.
        """
        self.interrupt.check()
        # Braces: nothing runs before all of it is there. Its commands must not read it either.
        whole = f"{{\nset -eu\numask 022\nexport LC_ALL=C\n{script}\n}} </dev/null\n"
        with self._started(["sh", "-s"], as_root=as_root) as command:
            if self._lock is not None:
                command.write(self._lock.preamble(whole, doing=self.doing, finish=finish))
            else:
                command.write(whole.encode())
                command.close_input()
            output, errors = command.result(on_wait)
        return self._checked(command.returncode, output, errors).decode(errors="replace")

    def send(
        self,
        command: str,
        content: IO[bytes],
        *,
        as_root: bool = False,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """Run a one-line command on the box with the rest of `content` as its standard input.

        Raises:
            RemoteError: it ended with another exit code than 0.
            BoxUnreachableError: the connection failed.
            DeployInterruptedError: somebody wished to end.
        """
        self.interrupt.check()
        start = content.tell()
        count = content.seek(0, io.SEEK_END) - start
        content.seek(start)
        with self._started(["sh", "-c", command], as_root=as_root) as running:
            if self._lock is not None:
                doing = self.doing
                running.write(self._lock.preamble(command, doing=doing, content_bytes=count))
            running.write_all(content, count, on_sent)
            if self._lock is None:
                running.close_input()
            output, errors = running.result()
        self._checked(running.returncode, output, errors)

    @contextlib.contextmanager
    def holding(self, lock: BoxLock, *, as_root: bool = False) -> Iterator[str]:
        """Try to take the lock, and keep it meanwhile; yields what the box answers.

        Raises:
            BoxUnreachableError: the connection failed.
        """
        with self._started(lock.words, as_root=as_root, is_runner=True) as command:
            command.write(lock.preamble(None))
            answer = command.first_line("{")
            with command.kept_alive():
                yield answer

    @contextlib.contextmanager
    def guarded(self, lock: BoxLock) -> Iterator[None]:
        """Let everything that runs meanwhile share a lock that is held, and end with us."""
        self._lock = lock
        try:
            yield
        finally:
            self._lock = None

    def _open(self) -> None:
        if shutil.which(_PROGRAM) is None:
            message = f"{_PROGRAM}: not found; install the OpenSSH client on this machine"
            raise DeployError(message)
        # It ends with its standard input, even where this process is killed. Signals that a
        # terminal or `timeout` sends to all of a group are not for it: what was begun is taken
        # back over this connection.
        command = [*self._command("-M", "-o", "ControlPersist=no"), "exec cat >/dev/null"]
        self._master = subprocess.Popen(
            ["sh", "-c", "trap '' HUP INT TERM; exec \"$@\"", "sh", *command],  # noqa: S607 - any will do
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while not self._socket.exists():
            self.interrupt.check()
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

    def _started(
        self, words: list[str], *, as_root: bool, is_runner: bool = False
    ) -> RemoteCommand:
        """A command on the box that has been given the password for sudo already."""
        if self._lock is not None:
            words, is_runner = self._lock.words, True
        if as_root:
            words = as_root_words(words, asks_password=self.sudo_password is not None)
        command = RemoteCommand(
            self._command("-o", "ControlMaster=no"),
            words,
            interrupt=self.interrupt,
            is_guarded=is_runner,
        )
        command.write(self._password(as_root=as_root))
        return command

    def _password(self, *, as_root: bool) -> bytes:
        if not as_root or self.sudo_password is None:
            return b""
        return f"{self.sudo_password}\n".encode()

    def _checked(self, code: int, output: bytes, errors: bytes) -> bytes:
        if code == _SSH_FAILED or code < 0:
            raise self._unreachable(errors)
        if code != 0:
            printed = output.decode(errors="replace")
            raise RemoteError(reason_of(errors.decode(errors="replace"), printed), code, printed)
        return output

    def _unreachable(self, errors: bytes) -> BoxUnreachableError:
        said = errors.decode(errors="replace").strip()
        last = said.splitlines()[-1].strip() if said else "the connection ended"
        advice = next((what for sign, what in _ADVICE.items() if sign in said), None)
        message = f"{self.target}: {last}"
        if advice is not None:
            message += f"; {advice.format(target=self.target)}"
        return BoxUnreachableError(message)
