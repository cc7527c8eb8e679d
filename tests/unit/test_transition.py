"""The state transition of a block.  Spec: [STF-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.blocks import Receipt
from chain.errors import Invalid
from chain.hashing import Tag
from chain.ledger import TICKET_RING
from chain.merkle import list_root
from chain.types import ZERO_HASH, Hash32
from consensus.transition import EMPTY_VOTES_ROOT, Outcome, check_commitments, run_block
from tests.builders import TILE, Ledger, funded_spec, key, registration
from tests.cases import Case
from vm.jobs.record import Status, Verdict
from vm.kinds.jobs import JobCancel


def transfers(ledger: Ledger, count: int) -> list[bytes]:
    made = [ledger.transfer(key(i % 5), key(7).address, TILE + i).to_bytes() for i in range(count)]
    ledger.forget()
    return made


def run(ledger: Ledger, transactions: list[bytes]) -> Outcome:
    return run_block(
        ledger.spec, ledger.tree, ledger.parent, [(data, ledger.parse(data)) for data in transactions]
    )


def test_producer_and_verifier_take_the_same_path() -> None:
    ledger = Ledger()
    ledger.mine(miner=key(9).address)
    transactions = transfers(ledger, 7)
    transition = ledger.begin()
    for data in transactions:
        transition.add(data, ledger.parse(data))
    assert transition.finish() == run(ledger, transactions)


def test_a_candidate_that_may_not_stand_here_changes_nothing() -> None:
    """A producer tries transactions one after the other; those that do not fit leave the block as it was."""
    ledger = Ledger()
    good = transfers(ledger, 2)
    bad = ledger.transfer(key(0), key(7).address, TILE, nonce=5).to_bytes()
    transition = ledger.begin()
    transition.add(good[0], ledger.parse(good[0]))
    with pytest.raises(Invalid, match="NONCE"):
        transition.add(bad, ledger.parse(bad))
    transition.add(good[1], ledger.parse(good[1]))
    assert transition.finish() == run(ledger, good)
    with pytest.raises(Invalid, match="NONCE"):
        run(ledger, [good[0], bad, good[1]])


def test_roots_commit_to_what_happened() -> None:
    ledger = Ledger()
    transactions = transfers(ledger, 3)
    outcome = run(ledger, transactions)
    assert outcome.transaction_root == list_root(Tag.TX_LEAF, transactions)
    assert len(outcome.receipts) == 4
    first = outcome.receipts[0]
    assert (first.transaction, first.code, first.weight) == (ZERO_HASH, "", 0)
    assert [r.transaction for r in outcome.receipts[1:]] == [
        ledger.parse(t).transaction.id for t in transactions
    ]
    assert outcome.receipt_root == list_root(Tag.RECEIPT_LEAF, [r.to_bytes() for r in outcome.receipts])
    assert list(outcome.changes) == sorted(outcome.changes)


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("ROOT_TRANSACTIONS", "transaction_root"),
        ("ROOT_RECEIPTS", "receipt_root"),
        ("ROOT_STATE", "state_root"),
        ("ROOT_VOTES", "votes_root"),
    ],
)
def test_a_header_must_commit_to_exactly_this(code: str, field: str) -> None:
    ledger = Ledger()
    outcome = run(ledger, transfers(ledger, 2))
    root = ledger.tree.stage(outcome.changes).root
    header = replace(
        ledger.genesis,
        transaction_root=outcome.transaction_root,
        receipt_root=outcome.receipt_root,
        state_root=root,
        votes_root=EMPTY_VOTES_ROOT,
    )
    check_commitments(header, outcome, root)
    with pytest.raises(Invalid) as caught:
        check_commitments(replace(header, **{field: Hash32(b"\1" * 32)}), outcome, root)
    assert caught.value.code == code


def test_order_of_transactions_is_part_of_the_outcome() -> None:
    ledger = Ledger()
    there = ledger.transfer(key(5), key(42).address, 10 * TILE).to_bytes()
    back = ledger.transfer(key(6), key(42).address, 1).to_bytes()
    ledger.forget()
    codes = [[r.code for r in run(ledger, order).receipts[1:]] for order in ([there, back], [back, there])]
    assert codes == [["", ""], ["DUST", ""]]


def test_tickets_of_parents_enter_a_ring() -> None:
    ledger = Ledger()
    for height in range(1, TICKET_RING + 5):
        ledger.mine(ticket=Hash32(bytes([height]) * 32))
    ring = ledger.tickets
    assert [t.height for t in ring] == list(range(4, TICKET_RING + 4)), (
        "the head's own ticket comes with its child"
    )
    assert all(t.ticket == bytes([t.height]) * 32 for t in ring)


def test_nothing_depends_on_the_blocks_own_proof() -> None:
    """Ticket and miner of a block show in its child, because its state root is fixed before its proof exists."""
    left, right = Ledger(), Ledger()
    left.mine(miner=key(1).address, ticket=Hash32(b"\1" * 32))
    right.mine(miner=key(2).address, ticket=Hash32(b"\2" * 32))
    assert left.tree.root == right.tree.root
    left.mine()
    right.mine()
    assert left.tree.root != right.tree.root


def test_automatic_steps_run_in_the_order_they_were_asked_for() -> None:
    ledger = Ledger()
    cases = [Case(ledger=ledger) for _ in range(3)]
    bodies = [ledger.sign(c.payer, c.open_body()) for c in cases]
    receipts = ledger.mine(*bodies)
    jobs = [r.events[0].values[0] for r in receipts]
    ledger.mine_to(1 + ledger.spec.jobs.open_expiry_blocks)
    refunded = [values[0] for name, values in ledger.events() if name == "JobRefunded"]
    assert refunded == jobs


def test_a_block_full_of_jobs_ends_a_block_full_of_jobs_later() -> None:
    """As many automatic steps as the weight limit admits run at their height, and the receipt holds their events."""
    plain = funded_spec()
    spec = replace(plain, money=replace(plain.money, block_weight_limit=800))
    ledger = Ledger(spec)
    case = Case(ledger=ledger)
    first = len(ledger.mine(*(ledger.sign(case.payer, case.open_body()) for _ in range(200))))
    assert first == 200
    ledger.mine_to(spec.jobs.open_expiry_blocks)
    assert not [name for name, _ in ledger.events() if name == "JobRefunded"]
    ledger.mine()
    assert len([name for name, _ in ledger.events() if name == "JobRefunded"]) == 200
    automatic = ledger.outcomes[-1].receipts[0]
    assert Receipt.from_bytes(automatic.to_bytes()) == automatic
    assert ledger.chain.locked_grains == sum(ledger.stake(person) for person in ledger.people)


def test_the_agenda_runs_before_transactions() -> None:
    """A job that expires in this block cannot be cancelled in it any more."""
    case = Case().open()
    case.ledger.mine_to(case.now.opened_height + case.ledger.spec.jobs.open_expiry_blocks - 1)
    assert case.do(case.payer, JobCancel(case.job_id)) == "BAD_STATE"
    assert case.status is Status.EXPIRED


def test_two_ledgers_with_the_same_blocks_agree() -> None:
    def story() -> bytes:
        case = Case().open().claim().commit().draw().attest(Verdict.OK, Verdict.OK, Verdict.OK).finish()
        case.do(case.watcher, registration(2_000 * TILE))
        case.ledger.mine_to(40)
        case.ledger.audit()
        return case.ledger.tree.root

    assert story() == story()


def test_a_body_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    transactions = transfers(ledger, 4)
    monkeypatch.setattr("consensus.transition.MAX_BODY_BYTES", sum(map(len, transactions[:3])))
    assert len(run(ledger, transactions[:3]).receipts) == 4
    with pytest.raises(Invalid, match="BLOCK_FULL"):
        run(ledger, transactions)
