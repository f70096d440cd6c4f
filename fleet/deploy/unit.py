"""The systemd unit of the agent."""

from __future__ import annotations

from fleet.deploy.box import Box
from fleet.deploy.layout import Keeper, Layout

#: What is left of a box's memory to everybody else.
_MEMORY_SHARE = 0.75
#: Half of what any other service has where both want the processor.
_CPU_WEIGHT = 50
#: docs/agent.md says why no less.
_WATCHDOG_S = 180
#: It imports torch once before it is ready; from an SD card that takes its time.
_START_S = 180
#: Versions of systemd that brought what is used here.
_BACKOFF_SINCE = 254
_SUBGROUP_SINCE = 254


def unit_text(layout: Layout, box: Box) -> str:
    """The unit of an agent that `layout` has installed on `box`."""
    is_system = layout.keeper is Keeper.SYSTEM
    lines = [
        "# Written by edgewright-fleet deploy, and replaced by the next one.",
        "# Changes belong into a drop-in: systemctl edit edgewright-agent",
        "[Unit]",
        "Description=Edgewright agent",
        *(("Wants=network-online.target", "After=network-online.target") if is_system else ()),
        # However often it fails, it is started again: nobody may be near the box.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={layout.current}/bin/edgewright-agent run --config {layout.agent_toml}",
        f"WorkingDirectory={layout.state}",
        *((f"User={layout.owner}", f"Group={layout.owner}") if layout.owner else ()),
        f"WatchdogSec={_WATCHDOG_S}",
        f"TimeoutStartSec={_START_S}",
        "TimeoutStopSec=30",
        # The agent is asked to end; measuring processes that outlive it are killed.
        "KillMode=mixed",
        "Restart=on-failure",
        *_backoff(box),
        "",
        "# The box has other work to do.",
        *_memory(box),
        f"CPUWeight={_CPU_WEIGHT}",
        "TasksMax=512",
        "LimitNOFILE=4096",
        "",
        "# A variant that takes too much memory is a result; the agent lives on and says so.",
        "OOMPolicy=continue",
        "Delegate=memory",
        *(("DelegateSubgroup=agent",) if _is_since(box, _SUBGROUP_SINCE) else ()),
    ]
    if is_system:
        lines += ["", *_hardening(layout, box)]
    else:
        lines += ["", "NoNewPrivileges=yes", "UMask=0077"]
    wanted_by = "multi-user.target" if is_system else "default.target"
    lines += ["", "[Install]", f"WantedBy={wanted_by}"]
    return "\n".join(lines) + "\n"


def _backoff(box: Box) -> list[str]:
    if _is_since(box, _BACKOFF_SINCE):
        return ["RestartSec=5", "RestartSteps=6", "RestartMaxDelaySec=300"]
    return ["RestartSec=30"]


def _memory(box: Box) -> list[str]:
    if box.ram_bytes is None:
        return [f"MemoryMax={_MEMORY_SHARE:.0%}"]
    return [f"MemoryMax={int(box.ram_bytes * _MEMORY_SHARE) >> 20}M"]


def _hardening(layout: Layout, box: Box) -> list[str]:
    return [
        "# It may write its state, and nothing else; bundles are root's.",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        f"ReadWritePaths={layout.state}",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        *_devices(box),
        "CapabilityBoundingSet=",
        "UMask=0077",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "ProtectProc=invisible",
        "# Not ProtectControlGroups: each measuring process gets a group with its memory limit.",
        "# Not MemoryDenyWriteExecute: torch's kernels are machine code made at run time.",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "KeyringMode=private",
        "RemoveIPC=yes",
        "# The broker; systemd's own socket; the interfaces' names.",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
        "SystemCallArchitectures=native",
        "# @resources stays: a measurement is bound to cores.",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "SystemCallErrorNumber=EPERM",
    ]


def _devices(box: Box) -> list[str]:
    if not box.has_firmware:
        return ["PrivateDevices=yes"]
    return [
        "# vcgencmd asks the firmware of a Raspberry Pi for heat, throttling and power.",
        "DevicePolicy=closed",
        "DeviceAllow=/dev/vcio rw",
        "SupplementaryGroups=video",
    ]


def _is_since(box: Box, version: int) -> bool:
    return box.systemd is not None and box.systemd >= version
