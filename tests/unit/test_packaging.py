"""What is installed, from where, and at which versions."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"node", "chain", "consensus", "vm", "p2p", "compute", "genesis"}
CUDA_LOCKS = {cuda: f"requirements-gpu-{cuda}.lock" for cuda in ("cuda12", "cuda13")}
LOCKS = ("requirements.lock", "requirements-build.lock", *CUDA_LOCKS.values())
# Prints what setup.py tells setuptools.
DESCRIBE = """
import setuptools, distutils.core
d = distutils.core.run_setup("setup.py", stop_after="init")
print(repr({
    "name": d.get_name(), "packages": d.packages, "py_modules": d.py_modules or [],
    "python_requires": str(d.python_requires), "requirements": d.install_requires,
    "extras": dict(d.extras_require), "scripts": d.entry_points["console_scripts"],
}))
"""
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*==[0-9][A-Za-z0-9.!+]*")


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_package_comes_from_this_tree(package: str) -> None:
    """The names are generic: another distribution's `node` or `chain` must not shadow ours."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / package / "__init__.py"


def test_installed_packages_come_from_this_tree(tmp_path: Path) -> None:
    """The same without the help of the working directory, as the `tilework` command sees it."""
    if "tilework" not in {distribution.name for distribution in metadata.distributions()}:
        pytest.skip("tilework is not installed in this environment (`make setup` does)")
    code = "import sys, importlib.util as u; print(*(u.find_spec(p).origin for p in sys.argv[1:]), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *sorted(PACKAGES)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str(ROOT / package / "__init__.py") for package in sorted(PACKAGES)]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_other_distribution_installs_the_package(package: str) -> None:
    owners = metadata.packages_distributions().get(package, [])
    assert set(owners) <= {"tilework"}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_directory_with_code_is_a_package(package: str) -> None:
    """`find_packages` silently leaves out a directory without `__init__.py`."""
    directories = {file.parent for file in (ROOT / package).rglob("*.py")}
    assert directories
    assert [str(path) for path in sorted(directories) if not (path / "__init__.py").exists()] == []


def test_setup_lists_exactly_our_packages() -> None:
    described = _describe()
    assert {name.partition(".")[0] for name in described["packages"]} == PACKAGES
    assert described["py_modules"] == []


def test_metadata() -> None:
    described = _describe()
    assert described["name"] == "tilework"
    assert described["python_requires"] == ">=3.11,<3.13"
    assert described["scripts"] == ["tilework = node.cli.main:main"]
    assert set(described["extras"]) == {"gpu-cuda12", "gpu-cuda13", "fast", "demo", "dev"}


@pytest.mark.slow
def test_wheel_holds_our_packages_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "LICENSE", "NOTICE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", tmp_path, source], check=True
    )

    (wheel,) = tmp_path.glob("tilework-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_package_with_hashes(lock: str) -> None:
    entries = _lock_entries(lock)
    assert len(entries) == len({entry.partition("==")[0] for entry in entries})
    for entry in entries:
        requirement = entry.partition(";")[0].split()[0]
        assert PIN.fullmatch(requirement), f"not an exact pin: {requirement}"
        assert "--hash=sha256:" in entry, f"no hash: {requirement}"


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_index_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    for forbidden in (
        "://",
        "--index",
        "--extra-index",
        "--find-links",
        "--trusted-host",
        "-f ",
        "-e ",
        " @ ",
        "/home/",
    ):
        assert forbidden not in text


def test_locks_agree() -> None:
    everything, *others = (dict(_name_and_version(entry) for entry in _lock_entries(lock)) for lock in LOCKS)
    for other in others:
        shared = everything.keys() & other.keys()
        assert {name: other[name] for name in shared} == {name: everything[name] for name in shared}


@pytest.mark.parametrize(("cuda", "lock"), CUDA_LOCKS.items())
def test_gpu_extra_is_locked(cuda: str, lock: str) -> None:
    locked = dict(_name_and_version(entry) for entry in _lock_entries(lock))
    (requirement,) = _describe()["extras"][f"gpu-{cuda}"]
    assert _is_met(requirement, locked), f"{requirement} is not met by {lock}: run `make lock`"


def test_direct_requirements_are_locked_at_an_allowed_version() -> None:
    locked = dict(_name_and_version(entry) for entry in _lock_entries("requirements.lock"))
    described = _describe()
    for requirement in (
        *described["requirements"],
        *described["extras"]["fast"],
        *described["extras"]["demo"],
        *described["extras"]["dev"],
    ):
        assert _is_met(requirement, locked), f"{requirement} is not met by requirements.lock: run `make lock`"


def test_build_requirements_are_locked() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        requires = tomllib.load(file)["build-system"]["requires"]
    locked = dict(_name_and_version(entry) for entry in _lock_entries("requirements-build.lock"))
    for requirement in requires:
        assert _is_met(requirement, locked), f"{requirement} is not met by requirements-build.lock"


def test_import_of_libp2p_needs_only_what_the_stand_in_has() -> None:
    """Holds with the stand-in and with the real package; `make` and CI install the stand-in."""
    subprocess.run(
        [sys.executable, "-c", "import libp2p, libp2p.crypto.ecc, libp2p.crypto.key_exchange"], check=True
    )


@pytest.mark.parametrize(
    "use",
    [
        "from fastecdsa import curve; curve.P256",
        "from fastecdsa import curve; curve.Curve('P-256', 0)",
        "from fastecdsa import keys; keys.gen_private_key(None)",
        "from fastecdsa import keys; keys.PEMEncoder",
        "from fastecdsa import point; point.Point(0, 0)",
        "from fastecdsa.encoding.sec1 import SEC1Encoder; SEC1Encoder.decode_public_key(b'', None)",
        "from fastecdsa.encoding.sec1 import SEC1Encoder; SEC1Encoder.encode_public_key(None)",
        "from fastecdsa.encoding.util import int_bytelen; int_bytelen(1)",
    ],
)
def test_stand_in_raises_on_use(use: str) -> None:
    stand_in = ROOT / "third_party" / "fastecdsa-standin"
    done = subprocess.run([sys.executable, "-S", "-c", use], cwd=stand_in, capture_output=True, text=True)
    assert done.returncode == 1
    assert "fastecdsa.StandInUsed" in done.stderr
    assert "pip install" in done.stderr


def test_stand_in_has_the_version_libp2p_pins() -> None:
    pins = [line for line in metadata.requires("libp2p") or [] if line.startswith("fastecdsa")]
    setup = (ROOT / "third_party" / "fastecdsa-standin" / "setup.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'version="([^"]+)"', setup)
    assert [pin.partition(";")[0].strip() for pin in pins] == [f"fastecdsa=={version}"]


def _describe() -> dict[str, Any]:
    """The arguments of `setup()`, from setuptools itself, without writing anything."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DESCRIBE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ast.literal_eval(done.stdout)


def _lock_entries(lock: str) -> list[str]:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _name_and_version(entry: str) -> tuple[str, str]:
    name, _, version = entry.partition(";")[0].split()[0].partition("==")
    return name, version


def _is_met(requirement: str, locked: dict[str, str]) -> bool:
    parsed = Requirement(requirement)
    return locked[parsed.name] in parsed.specifier
