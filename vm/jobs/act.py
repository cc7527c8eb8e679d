"""What every kind about a job begins with: the job exists, and is in the right state."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from chain.types import JobId
from vm.act import Act
from vm.jobs.record import Job, Status, find_job
from vm.rules import Check, Refusal, check


class OnJob(Act[Any]):
    """An attempt that is about one job, named by the field `job` of the body."""

    @property
    def job_id(self) -> JobId:
        identity: JobId = self.body.job
        return identity

    @cached_property
    def found(self) -> Job | None:
        return find_job(self.context, self.job_id)

    @property
    def job(self) -> Job:
        """The job, once `EXISTS` has passed."""
        assert self.found is not None, "EXISTS comes first"
        return self.found


def _exists(act: OnJob) -> Refusal | None:
    return Refusal(act.job_id, "the id of a job on this chain") if act.found is None else None


EXISTS = check("NOT_FOUND", "the job exists", _exists)


def in_status(*allowed: Status) -> Check:
    """The job is in one of these states."""
    names = " or ".join(status.name for status in allowed)

    def test(act: OnJob) -> Refusal | None:
        return Refusal(act.job.status.name, names) if act.job.status not in allowed else None

    return check("BAD_STATE", f"the job is {names}", test)
