"""Scripts that start and stop an agent, whoever keeps it running."""

from __future__ import annotations

from shlex import quote

from fleet.deploy.layout import UNIT_NAME, Keeper, Layout
from fleet.deploy.remote_runner import LOCK_DESCRIPTOR

_STOP_PATIENCE_S = 30
_LOG_LINES = 15
_LOG_MARK = "log-mark="
#: Tells the agent where its log goes, so that it keeps it within bounds.
_LOG_VARIABLE = "EDGEWRIGHT_AGENT_LOG_FILE"
_LINGER = (
    "loginctl enable-linger >/dev/null 2>&1 || echo 'note: the agent ends when you log out; "
    '"sudo loginctl enable-linger $(id -un)" on the box changes that\''
)


def start_script(layout: Layout) -> str:
    """Starts the agent, or starts it anew; with systemd it ends when the agent is ready."""
    match layout.keeper:
        case Keeper.NOBODY:
            return "\n".join([stop_script(layout), _mark(layout), _start_process(layout)])
        case keeper:
            systemctl = _systemctl(keeper)
            return "\n".join(
                [
                    f"{systemctl} daemon-reload",
                    f"{systemctl} enable --quiet {UNIT_NAME}",
                    # Not restarted: between the two the old agent's log ends.
                    f"{systemctl} stop {UNIT_NAME} 2>/dev/null || true",
                    _mark(layout),
                    f"{systemctl} start {UNIT_NAME}",
                    *([_LINGER] if keeper is Keeper.USER else ()),
                ]
            )


def stop_script(layout: Layout) -> str:
    """Stops the agent where it runs, and keeps it from being started again."""
    if layout.keeper is not Keeper.NOBODY:
        return f"{_systemctl(layout.keeper)} disable --quiet --now {UNIT_NAME} 2>/dev/null || true"
    return "\n".join(
        [
            _pid(layout),
            'if [ -n "$pid" ]; then',
            '  kill "$pid"',
            f"  left={_STOP_PATIENCE_S * 5}",
            # One that has ended and was not reaped yet has no command line.
            '  while grep -q . "/proc/$pid/cmdline" 2>/dev/null && [ "$left" -gt 0 ]; do',
            "    sleep 0.2",
            "    left=$((left - 1))",
            "  done",
            '  kill -9 "$pid" 2>/dev/null || true',
            "fi",
            f"rm -f {quote(str(layout.pid_file))}",
        ]
    )


def is_running_script(layout: Layout) -> str:
    """Prints `yes` where the agent runs."""
    if layout.keeper is not Keeper.NOBODY:
        return f"{_systemctl(layout.keeper)} --quiet is-active {UNIT_NAME} && echo yes || true"
    return f'{_pid(layout)}\n[ -z "$pid" ] || echo yes'


def log_mark(said: str) -> str:
    """Where the log of the started agent begins, out of what `start_script` printed."""
    marks = [line for line in said.splitlines() if line.startswith(_LOG_MARK)]
    return marks[-1].removeprefix(_LOG_MARK) if marks else ""


def log_script(layout: Layout, *, mark: str) -> str:
    """Prints what the agent said last, and nothing of before `mark`."""
    if layout.keeper is Keeper.NOBODY:
        log, before = quote(str(layout.log)), mark if mark.isdecimal() else "0"
        return "\n".join(
            [
                f"if [ -f {log} ]; then",
                f"  before={before}",
                # It was begun anew meanwhile.
                f'  [ "$(wc -c <{log})" -ge "$before" ] || before=0',
                f'  tail -c "+$((before + 1))" {log} | tail -n {_LOG_LINES}',
                "fi",
            ]
        )
    after = f"--after-cursor={quote(mark)} " if mark else ""
    return f"{_journalctl(layout.keeper)} {after}-n {_LOG_LINES} -o cat || true"


def _mark(layout: Layout) -> str:
    """Prints where the agent's log ends now, for `log_mark`."""
    if layout.keeper is Keeper.NOBODY:
        end = f"wc -c <{quote(str(layout.log))} 2>/dev/null || true"
    else:
        # A cursor holds also where the clock is set meanwhile.
        cursor = f"{_journalctl(layout.keeper)} -n 1 --show-cursor 2>/dev/null"
        end = f"{cursor} | sed -n 's/^-- cursor: //p' || true"
    return f'echo "{_LOG_MARK}$({end})"'


def _start_process(layout: Layout) -> str:
    agent, settings = layout.current / "bin/edgewright-agent", layout.agent_toml
    log, pid_file = quote(str(layout.log)), quote(str(layout.pid_file))
    return "\n".join(
        [
            f"cd {quote(str(layout.state))}",
            "umask 077",
            f"exec >>{log} 2>&1",
            f"chmod 600 {log}",
            # The lock of the box is not the agent's, which lives on.
            f"exec {LOCK_DESCRIPTOR}>&-",
            # A variable: an agent of before, which does not know it, passes over it.
            f"export {_LOG_VARIABLE}={log}",
            # Of a session of its own: it does not end with this connection.
            f"setsid nohup {quote(str(agent))} run --config {quote(str(settings))} </dev/null &",
            f"echo $! >{pid_file}",
        ]
    )


def _pid(layout: Layout) -> str:
    """Sets `pid` to that of the running agent; a number alone may be another's by now."""
    return "\n".join(
        [
            f"pid=$(cat {quote(str(layout.pid_file))} 2>/dev/null || true)",
            f"wanted={quote(str(layout.agent_toml))}",
            'if [ -n "$pid" ]; then',
            '  tr "\\0" " " <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$wanted" || pid=',
            "fi",
        ]
    )


def _journalctl(keeper: Keeper) -> str:
    user = "--user " if keeper is Keeper.USER else ""
    return f"journalctl {user}--no-pager -u {UNIT_NAME}"


def _systemctl(keeper: Keeper) -> str:
    return "systemctl --user" if keeper is Keeper.USER else "systemctl"
