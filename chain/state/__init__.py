"""The state: one flat map from 32-byte keys to values, committed to by the root in every header."""

from chain.state.overlay import Overlay
from chain.state.proofs import AbsenceProof, InclusionProof, verify_absence, verify_inclusion
from chain.state.reader import MAX_VALUE_BYTES, StateReader, state_key
from chain.state.tree import Staged, StateTree
from chain.state.undo import Undo, decode_undo, encode_undo

__all__ = [
    "StateReader",
    "state_key",
    "MAX_VALUE_BYTES",
    "Overlay",
    "StateTree",
    "Staged",
    "Undo",
    "encode_undo",
    "decode_undo",
    "InclusionProof",
    "AbsenceProof",
    "verify_inclusion",
    "verify_absence",
]
