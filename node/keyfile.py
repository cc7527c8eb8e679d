"""One key on disk: JSON with name, address, public key and seed, readable by its owner only.  Spec: [KEY-FILE].

The seed is NOT encrypted yet: whoever reads the file owns the account, and whatever writes one for a person says so.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from chain.bech32m import encode_address
from chain.errors import LocalFault, Missing, Policy, TileworkError
from chain.keys import SigningKey

MAX_BYTES = 4096
OWNER_ONLY = 0o600


def write_key(path: Path, name: str, key: SigningKey, prefix: str) -> None:
    """Write a new key file; the address in it is for people and has the network's `prefix`.

    Raises: Policy KEY_EXISTS (a key is never overwritten), LocalFault KEY_WRITE.
    """
    form = {
        "name": name,
        "address": encode_address(prefix, key.address),
        "public_key": key.public_key.hex(),
        "seed": key.seed().hex(),
    }
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
            file.write(json.dumps(form, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise Policy(
            "KEY_EXISTS",
            found=str(path),
            allowed="a name without a key",
            hint="A key is never overwritten: choose another name.",
        ) from error
    except OSError as error:
        raise LocalFault(
            "KEY_WRITE", found=f"{path}: {error.strerror}", allowed="a directory we may write to"
        ) from error


def read_key(path: Path) -> SigningKey:
    """The key in a file.

    Raises: Missing KEY_UNKNOWN, LocalFault KEY_READ or KEY_PERMISSIONS, Policy KEY_FILE.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise Missing(
            "KEY_UNKNOWN", found=f"no key file {path}", hint="Make a key with `tilework keys new NAME`."
        ) from error
    except OSError as error:
        raise LocalFault(
            "KEY_READ", found=f"{path}: {error.strerror}", allowed="a file we may read"
        ) from error
    if mode & 0o077:
        raise LocalFault(
            "KEY_PERMISSIONS",
            found=f"{path} open to others (mode {mode:04o})",
            allowed="mode 0600",
            hint=f"Run `chmod 600 {path}`; if others use this machine, move the money to a new key.",
        )
    return _parse(path, data)


def _parse(path: Path, data: bytes) -> SigningKey:
    try:
        form: Any = json.loads(data) if len(data) <= MAX_BYTES else None
        key = SigningKey(bytes.fromhex(form["seed"]))
    except (ValueError, TypeError, KeyError, RecursionError, TileworkError) as error:
        raise _not_a_key(path, "something else") from error
    if form.get("public_key") != key.public_key.hex():
        raise _not_a_key(path, "a seed that does not give its public key")
    return key


def _not_a_key(path: Path, found: str) -> Policy:
    return Policy(
        "KEY_FILE",
        found=f"{found} in {path}",
        allowed="a file written by `tilework keys new`",
        hint="Restore it from a backup.",
    )
