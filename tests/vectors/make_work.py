"""Golden vectors of the work, made by the reference: `python -m tests.vectors.make_work` rewrites work.json.

They are the cases of `tilework work vectors`, without the certificates that are large. Every engine must reproduce
them bit for bit; another implementation can check itself against them step by step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compute.spec.profiles import PROFILES, TEST, Profile
from compute.vectors import build_case

PATH = Path(__file__).with_name("work.json")


def build() -> list[dict[str, Any]]:
    """One case per profile."""
    return [committed_case(profile) for profile in PROFILES.values()]


def committed_case(profile: Profile) -> dict[str, Any]:
    """A case as the repository keeps it: the certificate whole for `test`, else its size and digests."""
    case = build_case(profile)
    if profile is not TEST:
        del case["certificate"]
    return case


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n", encoding="ascii")
