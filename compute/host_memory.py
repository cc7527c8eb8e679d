"""How much memory this process can still have."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Bytes that can be allocated without swapping: the least of what the kernel and the control group allow."""
    system = _from_meminfo()
    group = _from_cgroup()
    return system if group is None else min(system, group)


def _from_meminfo() -> int:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:  # not Linux: half of what is installed
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _from_cgroup() -> int | None:
    """What is left of a version 2 control group's limit; None without one."""
    try:
        limit, used = (_CGROUP / "memory.max").read_text(), (_CGROUP / "memory.current").read_text()
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return None
