"""The heartbeats of a provider: one in every epoch, as long as its account is on the list.  Spec: [PROV-HEARTBEAT]."""

from __future__ import annotations

from chain.types import Address, Hash32
from node.duties import Duties
from vm.context import Context
from vm.kinds.providers import ProviderHeartbeat
from vm.providers.heartbeat import answer, blocks_into_epoch, challenge, epoch_of
from vm.providers.record import activity_of


def due_challenge(context: Context, provider: Address) -> Hash32 | None:
    """What a heartbeat in the next block answers to; None if none is due.

    In the first block of an epoch none is: the ticket before it is that of the head, which enters the state with the
    next block. So a node has one block less than the window.
    """
    activity = activity_of(context, provider)
    if not activity.listed or epoch_of(context) <= activity.heartbeat_epoch:
        return None
    if blocks_into_epoch(context) >= context.spec.providers.heartbeat_blocks:
        return None
    return challenge(context, provider)


async def beat(context: Context, provider: Address, duties: Duties) -> None:
    """Send the heartbeat of this epoch, unless it is on its way or not due; to be called at every head."""
    seed = due_challenge(context, provider)
    if seed is not None and not duties.pending((seed, "heartbeat")):
        await duties.perform((seed, "heartbeat"), "provider.heartbeat", ProviderHeartbeat(answer(seed)))
