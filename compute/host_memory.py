"""How much memory this process can have: the machine's, or less where a control group says so.

Containers, batch systems and systemd limit memory through control groups, which nest: the tightest of a group and its
ancestors counts. Pages of files that can be dropped at once count as free, as in the kernel's own MemAvailable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_UNKNOWN_MACHINE_BYTES = 2 << 30
"""Assumed installed where the system does not tell."""


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Bytes of main memory, as far as this process is concerned."""

    total: int
    """Installed, or the limit of the control group if that is lower."""
    available: int
    """Can be allocated now without swapping."""


@dataclass(frozen=True, slots=True)
class _GroupFiles:
    """Names of a control group's files, which differ between the two versions."""

    limit: str
    used: str
    droppable: str
    """Key in memory.stat of the file pages that can be dropped at once."""


_VERSION_1 = _GroupFiles("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = _GroupFiles("memory.max", "memory.current", "inactive_file")


def available_bytes() -> int:
    """Bytes that can be allocated without swapping."""
    return host_memory().available


def host_memory(root: Path = _ROOT) -> HostMemory:
    """The least of what the kernel and every control group above this process allow; never raises.

    `root` is where /proc and /sys are found.
    """
    machine = _machine(root)
    total, available = machine.total, machine.available
    for group in _groups(root):
        total, available = min(total, group.total), min(available, group.available)
    return HostMemory(total=total, available=available)


def _machine(root: Path) -> HostMemory:
    """What the kernel reports; half of what is installed where it does not say how much is free."""
    fields = {}
    for line in _lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        number = value.split()
        if number and number[0].isdigit():
            fields[name] = int(number[0]) * 1024
    total = fields.get("MemTotal") or _installed_bytes()
    return HostMemory(total=total, available=fields.get("MemAvailable", total // 2))


def _installed_bytes() -> int:
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not POSIX, or a POSIX that does not know
        return _UNKNOWN_MACHINE_BYTES
    return installed if installed > 0 else _UNKNOWN_MACHINE_BYTES


def _groups(root: Path) -> Iterator[HostMemory]:
    """Every limit on a group that holds this process, the group's own first, then its ancestors'."""
    for files, mounted_part, mount_point, own_path in _hierarchies(root):
        # Inside a container the mount may show only a part of the hierarchy, starting at the container's own group.
        inside = own_path.removeprefix(mounted_part.rstrip("/")) if own_path.startswith(mounted_part) else "/"
        top = root / mount_point.lstrip("/")
        place = top / inside.strip("/")
        while True:
            limit, used = _number(place / files.limit), _number(place / files.used)
            if limit is not None and used is not None:
                held = used - min(used, _droppable(place / "memory.stat", files.droppable))
                yield HostMemory(total=limit, available=max(0, limit - held))
            if place == top or top not in place.parents:
                break
            place = place.parent


def _hierarchies(root: Path) -> Iterator[tuple[_GroupFiles, str, str, str]]:
    """Files, part mounted, mount point and this process's path for each hierarchy that can limit memory."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths[controller] = path
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, source = line.partition(" - ")
        where, what = mount.split(), source.split()
        if len(where) < 5 or len(what) < 3:
            continue
        mounted_part, mount_point = where[3], where[4]
        if what[0] == "cgroup2" and "" in paths:
            yield _VERSION_2, mounted_part, mount_point, paths[""]
        elif what[0] == "cgroup" and "memory" in what[2].split(",") and "memory" in paths:
            yield _VERSION_1, mounted_part, mount_point, paths["memory"]


def _droppable(stat: Path, key: str) -> int:
    for line in _lines(stat):
        name, _, value = line.partition(" ")
        if name == key and value.isdigit():
            return int(value)
    return 0


def _number(file: Path) -> int | None:
    """The number in a file; None if there is none, or it says "max"."""
    lines = _lines(file)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
