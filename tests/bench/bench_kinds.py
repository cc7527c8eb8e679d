"""What each kind costs per unit of its weight, beside transfers: usual and dearest forms, automatic steps included.

    python -m tests.bench.bench_kinds [beginning of the names of kinds]

CPU time of one thread: decoding, signatures, execution and staging of the state, in memory, without what an empty block
takes. Blocks of the kind, of transfers and empty ones take turns on the same state, and medians are shown, so that a
busy machine shows less. Far above 1 is a kind that is too cheap for what it makes others do; the target is between a
half and two. The forms are in kind_blocks*.py, the table in docs/weights.md.
"""

from __future__ import annotations

import sys

from tests.bench.kind_blocks import FORMS
from tests.bench.kind_stage import Form


def measured(form: Form) -> str:
    """One row of the table."""
    stage = form.stage()
    life = form.make(stage)
    block = next(life)
    weight = sum(stage.ledger.parse(each.to_bytes()).weight for each in block) / len(block)
    us, transfers = stage.measure(block)
    for _ in life:
        raise AssertionError("one block of a form is measured")
    later_us, later = stage.later_us / len(block), stage.later_transfers / len(block)
    whole = transfers + later
    return (
        f"| `{form.kind}` | {form.words} | {us + later_us:.0f} | {(us + later_us) / whole:.0f} | {later:.1f} | "
        f"{weight:.0f} | {whole:.1f} | {whole / weight:.2f} |"
    )


def main(prefix: str = "") -> None:
    print("| kind | form | µs | transfer µs | of it later | weight | in transfers | per unit |")
    print("|---|---|---|---|---|---|---|---|")
    for form in FORMS:
        if form.kind.startswith(prefix):
            print(measured(form), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
