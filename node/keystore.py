"""A directory of named keys: DIR/NAME.json, one file each (node/keyfile.py).  Spec: [KEY-STORE]."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from chain.errors import LocalFault, Missing, Policy
from chain.keys import SigningKey
from node.keyfile import read_key, write_key

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Keystore:
    """The keys of one person."""

    directory: Path

    def create(self, name: str, seed: bytes, prefix: str) -> SigningKey:
        """Keep the key of a fresh 32-byte `seed` under a new name.

        Raises: Policy KEY_NAME, KEY_EXISTS; LocalFault KEY_WRITE.
        """
        path = self._path(name)
        key = SigningKey(seed)
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise LocalFault(
                "KEY_WRITE", found=f"{self.directory}: {error.strerror}", allowed="a directory we may make"
            ) from error
        write_key(path, name, key, prefix)
        return key

    def load(self, name: str) -> SigningKey:
        """Raises: Policy KEY_NAME, KEY_FILE; Missing KEY_UNKNOWN, listing the names there are; LocalFault KEY_*."""
        path = self._path(name)
        if not path.exists():
            names = ", ".join(self.names()) or "none yet"
            raise Missing(
                "KEY_UNKNOWN",
                found=f"no key {name!r} in {self.directory}",
                allowed=f"one of: {names}",
                hint=f"Make one with `tilework keys new {name}`, or name another with --key or --keys DIR.",
            )
        return read_key(path)

    def names(self) -> list[str]:
        """Names of all keys, in order."""
        if not self.directory.is_dir():
            return []
        return sorted(path.stem for path in self.directory.glob(f"*{_SUFFIX}") if _NAME.fullmatch(path.stem))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Policy(
                "KEY_NAME",
                found=name,
                allowed="a small letter or digit, then up to 31 more, - and _ too",
                hint="Try `alice`.",
            )
        return self.directory / f"{name}{_SUFFIX}"
