"""Memory limits as Linux spells them: meminfo and control groups, nested and in containers; and other systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compute.host_memory import HostMemory, available_bytes, host_memory

MIB = 1 << 20
MEMINFO = (
    "MemTotal:       8388608 kB\nMemFree:         100000 kB\nMemAvailable:   4194304 kB\nHugePages_Total: 0\n"
)
MACHINE = HostMemory(total=8192 * MIB, available=4096 * MIB)
V2_MOUNT = "31 23 0:28 {part} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
V1_MOUNT = "35 31 0:32 {part} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in ({"proc/meminfo": MEMINFO} | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(path: str, limit: str, used: int, droppable: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup{path}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 1\ninactive_file {droppable}\n",
    }


def v1(path: str, limit: int, used: int, droppable: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory{path}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"cache 7\ntotal_inactive_file {droppable}\n",
    }


def proc(cgroup: str, mounts: str, part: str = "/") -> dict[str, str]:
    other = "24 1 8:1 / / rw - ext4 /dev/sda rw\n\nnonsense\n"
    return {"proc/self/cgroup": cgroup, "proc/self/mountinfo": other + mounts.format(part=part)}


def test_no_group_no_limit(tmp_path: Path) -> None:
    assert host_memory(write(tmp_path, {})) == MACHINE


def test_version_2(tmp_path: Path) -> None:
    files = proc("0::/work\n", V2_MOUNT) | v2("/work", str(1024 * MIB), 700 * MIB, droppable=200 * MIB)
    assert host_memory(write(tmp_path, files)) == HostMemory(total=1024 * MIB, available=524 * MIB)


def test_the_tightest_ancestor_counts(tmp_path: Path) -> None:
    files = (
        proc("0::/slice/unit/leaf\n", V2_MOUNT)
        | v2("/slice/unit/leaf", "max", 10 * MIB)
        | v2("/slice/unit", str(2048 * MIB), 100 * MIB)
        | v2("/slice", str(600 * MIB), 550 * MIB)
    )
    assert host_memory(write(tmp_path, files)) == HostMemory(total=600 * MIB, available=50 * MIB)


def test_version_2_inside_a_container_with_its_own_view(tmp_path: Path) -> None:
    files = proc("0::/\n", V2_MOUNT) | v2("", str(512 * MIB), 0)
    assert host_memory(write(tmp_path, files)).available == 512 * MIB


def test_a_mount_that_starts_at_the_containers_group(tmp_path: Path) -> None:
    files = proc("0::/docker/abc/job\n", V2_MOUNT, part="/docker/abc") | v2("/job", str(300 * MIB), 0)
    assert host_memory(write(tmp_path, files)).available == 300 * MIB


def test_version_1(tmp_path: Path) -> None:
    files = (
        proc("9:cpu,cpuacct:/x\n4:memory:/pods/pod\n0::/\n", V1_MOUNT)
        | v1("/pods/pod", 0x7FFFFFFFFFFFF000, 50 * MIB)
        | v1("/pods", 1000 * MIB, 900 * MIB, droppable=300 * MIB)
    )
    assert host_memory(write(tmp_path, files)) == HostMemory(total=1000 * MIB, available=400 * MIB)


def test_version_1_beside_version_2(tmp_path: Path) -> None:
    mounts = V1_MOUNT + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    files = proc("4:memory:/pod\n0::/\n", mounts) | v1("/pod", 700 * MIB, 0)
    assert host_memory(write(tmp_path, files)).available == 700 * MIB


def test_a_group_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    files = proc("0::/w\n", V2_MOUNT) | v2("/w", str(100 * MIB), 150 * MIB, droppable=900 * MIB)
    assert host_memory(write(tmp_path, files)).available == 100 * MIB
    files = proc("0::/w\n", V2_MOUNT) | v2("/w", str(100 * MIB), 150 * MIB)
    assert host_memory(write(tmp_path, files)).available == 0


def test_rubbish_in_the_files_is_no_limit(tmp_path: Path) -> None:
    files = proc("0::/w\nnonsense\n:\n", V2_MOUNT) | v2("/w", "plenty", 1)
    files["sys/fs/cgroup/w/memory.current"] = ""
    assert host_memory(write(tmp_path, files)) == MACHINE


def test_a_system_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert host_memory(tmp_path) == HostMemory(total=4_096_000, available=2_048_000)
    monkeypatch.delattr(os, "sysconf")
    assert host_memory(tmp_path) == HostMemory(total=2 << 30, available=1 << 30)


def test_this_machine() -> None:
    assert 0 < available_bytes() <= host_memory().total
