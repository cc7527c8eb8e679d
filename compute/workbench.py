"""Attempts on orders of a node: the code a worker process runs, callable in-process as well."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from chain.errors import Invalid, Missing
from chain.types import Hash32
from compute.engines.base import (
    Attempt,
    Engine,
    Order,
    Output,
    PreparedB,
    Progress,
    check_memory,
    checked_certificate,
    unobserved,
)
from compute.messages import Drop, Found, Load, Mine, Panel, PanelDone
from compute.spec.arrays import Int8Array
from compute.spec.claim import NO_BINDING, Binding, Mu, check_mu
from compute.spec.padding import check_entries, padded_mu
from compute.spec.profiles import PROFILES, Profile

_PREPARED_LIMIT = 2
"""One B for the running job and one for idle attempts; each costs five bytes per entry."""


@dataclass(frozen=True, slots=True)
class AttemptDone:
    """What one idle attempt brought."""

    found: Found | None
    macs: int
    tickets: int


class Workbench:
    """Loaded matrices and prepared operands around one engine; one caller at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._matrices: dict[Hash32, Int8Array] = {}
        self._prepared: OrderedDict[tuple[bytes, bytes, bytes], PreparedB] = OrderedDict()

    def load(self, order: Load) -> None:
        """Keep a matrix.  Raises: Invalid WORK_SHAPE or WORK_RANGE."""
        if order.rows * order.columns != len(order.data) or not order.data:
            raise Invalid(
                "WORK_SHAPE",
                found=f"{len(order.data)} bytes",
                allowed=f"{order.rows} x {order.columns} entries",
            )
        matrix = np.frombuffer(order.data, np.int8).reshape(order.rows, order.columns)
        check_entries(matrix)
        self._forget_prepared(order.matrix)
        self._matrices[order.matrix] = matrix

    def drop(self, order: Drop) -> None:
        self._forget_prepared(order.matrix)
        self._matrices.pop(order.matrix, None)

    def mine(self, order: Mine, attempt_index: int, progress: Progress = unobserved) -> AttemptDone:
        """Attempt number `attempt_index` of a standing order, in the engine's own shape; B stays under one template.

        Raises:
            Invalid: WORK_PROFILE.
            Policy: WORK_MEMORY if the attempt would not fit.
            Withdrawn: when `progress` does.
            LocalFault: WORK_ENGINE if the engine's winner does not survive the replay.
        """
        profile = profile_of(order.profile_id)
        m, n, k = self.engine.idle_shape(profile)
        mu = Mu(profile_id=order.profile_id, m=m, n=n, k=k, binding=NO_BINDING)
        b_id = order.seed
        prepared = self._find_prepared(order.sigma, b_id, mu)
        if prepared is None:
            check_memory(self.engine, profile, mu, Output.TICKETS_ONLY)
            b_t = self.engine.seeded(order.seed, 0, n, k)
            prepared = self._prepare(order.sigma, b_id, profile, mu, b_t, progress)
        a = self.engine.seeded(order.seed, 1 + attempt_index, m, k)
        attempt = self.engine.run(Order(prepared, a, order.target, Output.TICKETS_ONLY, progress))
        found = self._found(order.template, order.sigma, order.target, attempt)
        return AttemptDone(found=found, macs=attempt.macs, tickets=attempt.tickets)

    def panel(self, order: Panel, progress: Progress = unobserved) -> tuple[Found | None, PanelDone]:
        """The exact product of a row panel, computed with the multiplications that draw its tickets.

        Raises:
            Missing: WORK_MATRIX if an operand was not loaded.
            Invalid: WORK_PROFILE, WORK_SHAPE or WORK_STEP.
            Policy: WORK_MEMORY if the attempt would not fit.
            Withdrawn: when `progress` does.
            LocalFault: WORK_ENGINE if the engine's winner does not survive the replay.
        """
        profile = profile_of(order.profile_id)
        a, b_t = self._matrix(order.a), self._matrix(order.b)
        last_row = order.row_start + order.row_count
        if a.shape[1] != b_t.shape[1] or not 0 < order.row_count <= last_row <= a.shape[0]:
            raise Invalid(
                "WORK_SHAPE",
                found=f"rows {order.row_start}..{last_row} of {a.shape} by {b_t.shape}",
                allowed="rows inside A and equal depths",
            )
        binding = Binding(job=order.job, step=order.step)
        mu = padded_mu(profile, order.row_count, b_t.shape[0], b_t.shape[1], binding)
        check_mu(mu, profile)
        prepared = self._find_prepared(order.sigma, order.b, mu)
        if prepared is None:
            check_memory(self.engine, profile, mu, Output.PRODUCT)
            prepared = self._prepare(order.sigma, order.b, profile, mu, b_t, progress)
        rows = a[order.row_start : last_row]
        attempt = self.engine.run(Order(prepared, rows, order.target, Output.PRODUCT, progress))
        assert attempt.product is not None
        found = self._found(order.template, order.sigma, order.target, attempt)
        done = PanelDone(
            template=order.template,
            job=order.job,
            step=order.step,
            row_start=order.row_start,
            row_count=order.row_count,
            product=attempt.product.astype("<i4", copy=False).tobytes(),
            tickets=attempt.tickets,
            winners=len(attempt.winners),
            macs=attempt.macs,
        )
        return found, done

    def _matrix(self, matrix: Hash32) -> Int8Array:
        if matrix not in self._matrices:
            raise Missing("WORK_MATRIX", found=matrix, allowed="a loaded matrix", hint="Send Load first.")
        return self._matrices[matrix]

    def _find_prepared(self, sigma: bytes, b_id: bytes, mu: Mu) -> PreparedB | None:
        return self._prepared.get((sigma, b_id, mu.to_bytes()))

    def _prepare(
        self, sigma: bytes, b_id: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress
    ) -> PreparedB:
        prepared = self.engine.prepare_b(sigma, profile, mu, b_t, progress)
        self._prepared[sigma, b_id, mu.to_bytes()] = prepared
        while len(self._prepared) > _PREPARED_LIMIT:
            self._prepared.popitem(last=False)
        return prepared

    def _forget_prepared(self, b_id: bytes) -> None:
        for key in [key for key in self._prepared if key[1] == b_id]:
            del self._prepared[key]

    def _found(self, template: int, sigma: bytes, target: int, attempt: Attempt) -> Found | None:
        if not attempt.winners:
            return None
        winner = attempt.winners[0]
        certificate = checked_certificate(sigma, target, attempt, winner)
        return Found(template=template, certificate=certificate.to_bytes(), ticket=winner.ticket)


def profile_of(profile_id: int) -> Profile:
    """The whitelisted profile with this id.  Raises: Invalid WORK_PROFILE."""
    if profile_id not in PROFILES:
        raise Invalid("WORK_PROFILE", found=profile_id, allowed=", ".join(map(str, PROFILES)))
    return PROFILES[profile_id]
