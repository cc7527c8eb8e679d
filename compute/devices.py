"""Which CUDA devices this machine has, whether or not CuPy is installed, and what to install for them.

Asked by people and by the node before it starts one worker per device. A worker is bound to its device by
`CUDA_VISIBLE_DEVICES`, set to the device's `visible_as` before CuPy is imported; inside the worker the device has
number 0.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

_TOOL = "nvidia-smi"
_TOOL_TIMEOUT_SECONDS = 10
_QUERY = ("index", "name", "compute_cap", "memory.total", "driver_version", "uuid")
# The first driver of each major version of CUDA.
_CUDA_13_DRIVER = 580
_CUDA_12_DRIVER = 525
_EXTRAS = {12: "gpu-cuda12", 13: "gpu-cuda13"}


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One device as its driver describes it."""

    ordinal: int
    """Its place in the list it was found in; CUDA and nvidia-smi may number the devices of one machine differently."""
    name: str
    compute_capability: str
    """Major and minor, as in "9.0"."""
    memory_bytes: int
    driver_version: str
    """The driver's own version, as in "580.65.06", or "CUDA 13.0" where only what it supports is known."""
    runtime_version: str
    """Of the CUDA runtime that CuPy uses; empty where CuPy was not asked."""
    uuid: str
    """As in "GPU-5d0c5d5e-...", or empty where the driver does not say."""

    @property
    def visible_as(self) -> str:
        """The value of `CUDA_VISIBLE_DEVICES` that shows this device alone."""
        return self.uuid or str(self.ordinal)


@dataclass(frozen=True, slots=True)
class CudaDevices:
    """The devices found, or why there is none."""

    devices: tuple[CudaDevice, ...]
    source: str
    """Who was asked: CuPy and its version, nvidia-smi, or empty."""
    reason: str
    """Why there is no device; empty if there is one."""
    extra: str
    """The make target that installs the CuPy for this driver; empty where nothing is known to fit."""


def list_cuda_devices() -> CudaDevices:
    """Ask CuPy if it is installed, otherwise nvidia-smi; never raises."""
    try:
        import cupy
    except Exception as error:  # noqa: BLE001 - a broken installation fails in ways of its own
        unimportable = f"CuPy cannot be imported ({error})"
    else:
        found = _ask_cupy(cupy)
        # A CuPy that does not fit the driver sees nothing; the driver's own tool still may.
        if found.devices:
            return found
        unimportable = found.reason
    asked = _ask_tool()
    if asked.devices:
        return asked
    return CudaDevices(devices=(), source="", reason=f"{unimportable}; {asked.reason}", extra="")


def _ask_cupy(cupy: Any) -> CudaDevices:
    try:
        runtime = cupy.cuda.runtime
        supported = int(runtime.driverGetVersion())
        properties = [runtime.getDeviceProperties(ordinal) for ordinal in range(runtime.getDeviceCount())]
        devices = tuple(
            CudaDevice(
                ordinal=ordinal,
                name=each["name"].decode(errors="replace"),
                compute_capability=f"{each['major']}.{each['minor']}",
                memory_bytes=int(each["totalGlobalMem"]),
                driver_version=f"CUDA {_cuda_version(supported)}",
                runtime_version=_cuda_version(int(runtime.runtimeGetVersion())),
                uuid=_uuid_text(each.get("uuid", b"")),
            )
            for ordinal, each in enumerate(properties)
        )
        source = f"CuPy {cupy.__version__}"
    except Exception as error:  # noqa: BLE001 - without a driver every call fails, each in its own way
        return CudaDevices(devices=(), source="", reason=f"CuPy finds no CUDA device ({error})", extra="")
    if not devices:
        return CudaDevices(devices=(), source=source, reason="CuPy finds no CUDA device", extra="")
    return CudaDevices(devices=devices, source=source, reason="", extra=_extra(supported // 1000))


def _ask_tool() -> CudaDevices:
    path = shutil.which(_TOOL)
    if path is None:
        return CudaDevices(devices=(), source="", reason=f"{_TOOL} is not on PATH", extra="")
    command = [path, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TOOL_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return CudaDevices(devices=(), source="", reason=f"{_TOOL} does not run ({error})", extra="")
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        reason = f"{_TOOL} failed ({said[0] if said else f'exit status {done.returncode}'})"
        return CudaDevices(devices=(), source="", reason=reason, extra="")
    devices = _devices_of(done.stdout)
    if not devices:
        return CudaDevices(devices=(), source=_TOOL, reason=f"{_TOOL} lists no device", extra="")
    return CudaDevices(
        devices=devices, source=_TOOL, reason="", extra=_extra(_cuda_major_of(devices[0].driver_version))
    )


def _devices_of(table: str) -> tuple[CudaDevice, ...]:
    """The devices in nvidia-smi's CSV; a line that is no device's, such as a warning, is passed over."""
    devices = []
    for line in csv.reader(table.splitlines(), skipinitialspace=True):
        if len(line) != len(_QUERY) or not line[0].isdigit():
            continue
        index, name, capability, mebibytes, driver, uuid = (field.strip() for field in line)
        devices.append(
            CudaDevice(
                ordinal=int(index),
                name=name,
                compute_capability=capability,
                # Some devices share the machine's memory and have none to report.
                memory_bytes=int(mebibytes) << 20 if mebibytes.isdigit() else 0,
                driver_version=driver,
                runtime_version="",
                uuid=uuid,
            )
        )
    return tuple(devices)


def _cuda_major_of(driver_version: str) -> int:
    """The newest major version of CUDA that a driver supports, among those there is an extra for; 0 if none."""
    major = driver_version.partition(".")[0]
    if not major.isdigit() or int(major) < _CUDA_12_DRIVER:
        return 0
    return 13 if int(major) >= _CUDA_13_DRIVER else 12


def _extra(cuda_major: int) -> str:
    """A driver runs everything made for its own and for earlier versions of CUDA."""
    return _EXTRAS.get(min(cuda_major, max(_EXTRAS)), "")


def _cuda_version(number: int) -> str:
    """CUDA's own notation: 12090 is 12.9."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _uuid_text(raw: bytes) -> str:
    """16 bytes as nvidia-smi and `CUDA_VISIBLE_DEVICES` spell them."""
    if len(raw) != 16:
        return ""
    digits = raw.hex()
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
