"""Scripts that start and stop an agent, whoever keeps it running."""

from __future__ import annotations

from shlex import quote

from fleet.deploy.layout import UNIT_NAME, Keeper, Layout

_STOP_PATIENCE_S = 30
_LOG_LINES = 15
_LINGER = (
    "loginctl enable-linger >/dev/null 2>&1 || echo 'note: the agent ends when you log out; "
    '"sudo loginctl enable-linger $(id -un)" on the box changes that\''
)


def start_script(layout: Layout) -> str:
    """Starts the agent, or starts it anew; with systemd it ends when the agent is ready."""
    match layout.keeper:
        case Keeper.NOBODY:
            return f"{stop_script(layout)}\n{_start_process(layout)}"
        case keeper:
            systemctl = _systemctl(keeper)
            return "\n".join(
                [
                    f"{systemctl} daemon-reload",
                    f"{systemctl} enable --quiet {UNIT_NAME}",
                    f"{systemctl} restart {UNIT_NAME}",
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


def log_script(layout: Layout) -> str:
    """Prints what the agent said last."""
    match layout.keeper:
        case Keeper.NOBODY:
            return f"tail -n {_LOG_LINES} {quote(str(layout.log))} 2>/dev/null || true"
        case keeper:
            user = "--user " if keeper is Keeper.USER else ""
            return f"journalctl {user}-u {UNIT_NAME} -n {_LOG_LINES} -o cat --no-pager || true"


def _start_process(layout: Layout) -> str:
    agent, settings = layout.current / "bin/edgewright-agent", layout.agent_toml
    log, pid_file = quote(str(layout.log)), quote(str(layout.pid_file))
    return "\n".join(
        [
            f"cd {quote(str(layout.state))}",
            # Of a session of its own: it does not end with this connection.
            f"exec >>{log} 2>&1",
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


def _systemctl(keeper: Keeper) -> str:
    return "systemctl --user" if keeper is Keeper.USER else "systemctl"
