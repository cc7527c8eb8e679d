"""The CUDA source compiles where nvcc is installed, and the cache of machine code serves only what fits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chain.errors import LocalFault
from compute.engines import cuda_cubin
from compute.engines.cuda_source import MMA, PORTABLE, WGMMA, options, source
from compute.spec.profiles import DEV, GPU, PROFILES, TEST, Profile

# Target, the files for it, and the profiles whose constants enter.
BUILDS = [
    ("75", PORTABLE, (TEST,)),
    ("80", PORTABLE, (TEST,)),
    ("80", MMA, tuple(PROFILES.values())),
    ("90a", PORTABLE, (TEST,)),
    ("90a", MMA, tuple(PROFILES.values())),
    ("90a", WGMMA, tuple(PROFILES.values())),
    ("120", MMA, (GPU,)),
]
CASES = [
    pytest.param(target, files, profile, id=f"{target}-{files[-1]}-{profile.name}")
    for target, files, profiles in BUILDS
    for profile in profiles
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tilework"


def fake_nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    nvcc = directory / "nvcc"
    nvcc.write_text(f"#!/bin/sh\n{script}\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))


@pytest.mark.slow
@pytest.mark.parametrize(("target", "files", "profile"), CASES)
def test_nvcc_compiles_without_spills(
    target: str, files: tuple[str, ...], profile: Profile, tmp_path: Path
) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")
    known = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True).stdout
    if f"sm_{target.rstrip('a')}" not in known.split():
        pytest.skip(f"this nvcc no longer knows sm_{target}")
    text = tmp_path / "kernels.cu"
    text.write_text(source(files))
    gencode = f"-gencode=arch=compute_{target},code=sm_{target}"
    command = [nvcc, "-O3", *options(profile), gencode, "-Werror", "all-warnings", "-Xptxas", "-v", "-cubin"]
    done = subprocess.run(
        [*command, str(text), "-o", str(tmp_path / "out.cubin")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    spills = [line.strip() for line in done.stderr.splitlines() if "spill" in line]
    assert spills
    if files is MMA and profile is TEST:
        return  # two folds within a step take more registers than there are; nobody mines with this profile
    assert set(spills) == {"0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"}


@pytest.mark.slow
def test_machine_code_is_built_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if cuda_cubin.find_nvcc() is None:
        pytest.skip("no nvcc on PATH")
    assert cuda_cubin.main() == 0
    built = [cuda_cubin.cached_cubin(profile) for profile in PROFILES.values()]
    assert len({path.name for path in built if path is not None}) == len(PROFILES)
    assert all(path.read_bytes()[:4] == b"\x7fELF" for path in built if path is not None)
    monkeypatch.setenv("PATH", "")
    assert cuda_cubin.main() == 0


def test_cache_follows_the_source(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvcc(tmp_path, monkeypatch, 'for last; do :; done; echo code >"$last"')
    assert cuda_cubin.cached_cubin(TEST) is None
    path = cuda_cubin.build_cubin(TEST)
    assert path == cuda_cubin.cached_cubin(TEST)
    assert path.parent == cache
    assert [each.name for each in cache.iterdir()] == [path.name]
    assert cuda_cubin.cached_cubin(DEV) is None
    monkeypatch.setattr(cuda_cubin, "source", lambda files: source(files) + "// changed")
    assert cuda_cubin.cached_cubin(TEST) is None


@pytest.mark.parametrize("script", ["echo 'error: sm_90a is unknown' >&2; exit 1", "exit 0"])
def test_builds_that_fail(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    fake_nvcc(tmp_path, monkeypatch, script)
    with pytest.raises(LocalFault, match="WORK_GPU"):
        cuda_cubin.build_cubin(TEST)
    assert cuda_cubin.cached_cubin(TEST) is None
    assert cuda_cubin.main() == 1
    assert list(cache.iterdir()) == []


def test_no_compiler(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalFault, match="nvcc"):
        cuda_cubin.build_cubin(TEST)
