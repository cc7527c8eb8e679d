"""What a transaction must satisfy, one rule at a time: the code of its refusal, the rule in words, and the test.

A rule is declared where it is tested and nowhere else; receipts, command lines and the manual read it from here.
Spec: [TX-CHECK].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.errors import Invalid


@dataclass(frozen=True, slots=True)
class Rule:
    """The code of a failure, and what holds if it does not occur."""

    code: str
    requires: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a check does not hold, in the terms of every error: what was found, what was allowed."""

    found: object
    allowed: object


@dataclass(frozen=True, slots=True)
class Check:
    """A test that changes nothing; it returns what is wrong, or, under several rules, raises Invalid with one of them.

    `test` takes the attempt (see vm/act.py) that is checked.
    """

    rules: tuple[Rule, ...]
    test: Callable[[Any], Refusal | None]

    def run(self, act: Any) -> None:
        """Raises: Invalid with the code of one of the rules."""
        refusal = self.test(act)
        if refusal is not None:
            raise Invalid(self.rules[0].code, found=refusal.found, allowed=refusal.allowed)


def check(code: str, requires: str, test: Callable[[Any], Refusal | None]) -> Check:
    """A check of one rule, whose test returns the refusal."""
    return Check((Rule(code, requires),), test)


def guarded(rules: tuple[Rule, ...], test: Callable[[Any], None]) -> Check:
    """A check of several rules, whose test raises Invalid with the code of one of them."""
    return Check(rules, test)
