"""What a transaction must be to stand in a block.  Spec: [TX-*]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.blocks import MAX_TRANSACTION_BYTES
from chain.errors import Invalid
from chain.ledger import AgendaKind
from chain.types import Address, Grains, Height, PublicKey, Signature
from tests.builders import TILE, Ledger, key, refused
from tests.cases import Case
from vm.act import Act
from vm.envelope import SIGNATURE_BYTES, Authorisation, Transaction, unsigned_id
from vm.execute import parse
from vm.kinds.accounts import Transfer, Transferred
from vm.registry import KINDS

LEDGER = Ledger()
SENDER, OTHER = key(5), key(6)
CHAIN_ID = LEDGER.spec.chain_id


def sample(**changes: object) -> Transaction:
    LEDGER.forget()
    return LEDGER.transfer(SENDER, OTHER.address, TILE, **changes)


def refuse_parse(code: str, data: bytes, chain_id: bytes = CHAIN_ID) -> None:
    with pytest.raises(Invalid) as caught:
        parse(data, chain_id)
    assert caught.value.code == code


def test_a_good_one_parses() -> None:
    transaction = sample()
    parsed = parse(transaction.to_bytes(), CHAIN_ID)
    assert parsed.transaction == transaction
    assert parsed.body == Transfer(OTHER.address, Grains(TILE), b"")
    assert parsed.size_bytes == len(transaction.to_bytes())


def test_the_id_covers_everything_but_the_signature() -> None:
    transaction = sample()
    assert replace(transaction, authorisations=()).id == transaction.id
    changed = [
        replace(transaction, chain_id=b"x"),
        replace(transaction, kind="x"),
        replace(transaction, sender=OTHER.address),
        replace(transaction, nonce=9),
        replace(transaction, max_fee_grains=Grains(9)),
        replace(transaction, tip_grains=Grains(9)),
        replace(transaction, valid_until=Height(9)),
        replace(transaction, body=b"x"),
    ]
    assert len({transaction.id, *(t.id for t in changed)}) == 9
    for altered in changed:
        assert altered.authorisations == transaction.authorisations
        with pytest.raises(Invalid):
            parse(altered.to_bytes(), CHAIN_ID)


@pytest.mark.parametrize("signatures", [0, 1, 2, 15, 16])
def test_the_id_can_be_read_off_the_bytes(signatures: int) -> None:
    """[TX-ID] Fifteen and sixteen: the array of signatures gets a longer head."""
    transaction = sample().with_signatures(
        [Authorisation(PublicKey(bytes([number]) * 32), Signature(bytes(64))) for number in range(signatures)]
    )
    assert unsigned_id(transaction.to_bytes(), signatures) == transaction.id


def test_bad_signatures() -> None:
    good = sample()
    (own,) = good.authorisations
    flipped = Signature(bytes([own.signature[0] ^ 1]) + own.signature[1:])
    for authorisations in (
        (),
        (own, own),
        (replace(own, signature=flipped),),
        (replace(own, signature=Signature(bytes(64))),),
        (replace(own, public_key=PublicKey(bytes(32))),),
        (Authorisation(OTHER.public_key, own.signature),),
        tuple(reversed(good.signed(SENDER, OTHER).authorisations)),
    ):
        refuse_parse("BAD_AUTH", replace(good, authorisations=authorisations).to_bytes())


def test_several_signatures_by_ascending_keys() -> None:
    """Whether they speak for the sender is a question to the state: test_account_keys.py."""
    parsed = parse(sample().signed(OTHER, SENDER).to_bytes(), CHAIN_ID)
    assert parsed.transaction.signers == sorted([SENDER.public_key, OTHER.public_key])
    assert parsed.weight == parsed.kind.weight + 1
    weights = [
        parse(sample().signed(*map(key, range(count))).to_bytes(), CHAIN_ID).weight for count in (1, 2, 3, 16)
    ]
    assert weights == [1, 2, 2, 9]


def test_room_for_more_signatures() -> None:
    """Each adds exactly what the bound grows by [TX-SIGNED]."""
    one, two = sample().to_bytes(), sample().signed(SENDER, OTHER).to_bytes()
    assert len(two) - len(one) == SIGNATURE_BYTES


def test_a_transaction_of_another_chain() -> None:
    transaction = sample(chain_id=b"tilework-dev")
    parse(transaction.to_bytes(), b"tilework-dev")
    refuse_parse("CHAIN_ID", transaction.to_bytes())
    refuse_parse("CHAIN_ID", sample(chain_id=b"\xff\xff").to_bytes())


def test_an_unknown_kind() -> None:
    refuse_parse("KIND", sample(kind="mint").to_bytes())


def test_an_unknown_version() -> None:
    good = sample().to_bytes()
    assert good[1] == 1
    refuse_parse("ENC_INT", bytes([good[0], 2]) + good[2:])


def test_a_kind_has_its_own_size_limit() -> None:
    for kind in KINDS.values():
        head_bytes = len(sample(kind=kind.name, body=bytes(kind.max_bytes)).to_bytes()) - kind.max_bytes
        largest = sample(kind=kind.name, body=bytes(kind.max_bytes - head_bytes)).to_bytes()
        assert len(largest) == kind.max_bytes
        with pytest.raises(Invalid, match="ENC_"):
            parse(largest, CHAIN_ID)
        refuse_parse("SIZE", sample(kind=kind.name, body=bytes(kind.max_bytes - head_bytes + 1)).to_bytes())


def test_nothing_is_larger_than_a_fraud_proof_needs() -> None:
    refuse_parse("ENC_SIZE", sample(body=bytes(MAX_TRANSACTION_BYTES)).to_bytes())


def test_a_body_must_be_canonical() -> None:
    refuse_parse("ENC_CANON", sample(body=b"\x93\xc4\x14" + bytes(20) + b"\xcd\x00\x01\xc4\x00").to_bytes())
    refuse_parse("ENC_MSGPACK", sample(body=b"").to_bytes())
    refuse_parse("ENC_RECORD", sample(body=b"\x90").to_bytes())
    refuse_parse("ENC_MSGPACK", sample().to_bytes() + b"\x00")


def test_replay_and_gaps() -> None:
    ledger = Ledger()
    first = ledger.transfer(SENDER, OTHER.address, TILE)
    refused("NONCE", ledger, ledger.transfer(SENDER, OTHER.address, TILE, nonce=1))
    ledger.mine(first)
    refused("NONCE", ledger, first)
    second = ledger.transfer(SENDER, OTHER.address, TILE)
    with pytest.raises(Invalid, match="NONCE"):
        ledger.mine(second, second)
    ledger.mine(second)


def test_expiry() -> None:
    ledger = Ledger()
    ledger.mine_to(5)
    refused("EXPIRED", ledger, ledger.transfer(SENDER, OTHER.address, TILE, valid_until=Height(5)))
    ledger.mine(ledger.transfer(SENDER, OTHER.address, TILE, valid_until=Height(6)))


def test_a_fee_above_what_the_sender_allows() -> None:
    ledger = Ledger()
    bound = 1 << 31  # all lengths below encode alike
    size_bytes = len(ledger.transfer(SENDER, OTHER.address, TILE, max_fee_grains=Grains(bound)).to_bytes())
    cost = 1_000 + size_bytes
    ledger.forget()
    small = len(ledger.transfer(SENDER, OTHER.address, TILE, max_fee_grains=Grains(cost)).to_bytes())
    cost += small - size_bytes
    ledger.forget()
    refused(
        "FEE_TOO_LOW", ledger, ledger.transfer(SENDER, OTHER.address, TILE, max_fee_grains=Grains(cost - 1))
    )
    (receipt,) = ledger.mine(ledger.transfer(SENDER, OTHER.address, TILE, max_fee_grains=Grains(cost)))
    assert receipt.burned_grains == cost


def test_a_tip_counts_towards_the_fee() -> None:
    ledger = Ledger()
    refused(
        "FEE_TOO_LOW",
        ledger,
        ledger.transfer(SENDER, OTHER.address, TILE, max_fee_grains=Grains(5_000), tip_grains=Grains(5_000)),
    )
    refused(
        "RANGE",
        ledger,
        ledger.transfer(
            SENDER, OTHER.address, TILE, max_fee_grains=Grains(5_000), tip_grains=Grains((1 << 63) - 1)
        ),
    )


def test_who_cannot_pay_the_fee_stays_out() -> None:
    ledger = Ledger()
    refused("BALANCE", ledger, ledger.transfer(key(99), OTHER.address, TILE))


def test_a_failure_keeps_only_fee_and_nonce() -> None:
    ledger = Ledger()
    before = ledger.account(SENDER.address)
    (receipt,) = ledger.mine(
        ledger.transfer(SENDER, OTHER.address, before.balance_grains, tip_grains=Grains(3))
    )
    assert (receipt.code, receipt.events) == ("BALANCE", ())
    after = ledger.account(SENDER.address)
    assert after.nonce == before.nonce + 1
    assert after.balance_grains == before.balance_grains - receipt.burned_grains - 3
    assert ledger.account(OTHER.address) == Ledger().account(OTHER.address)
    ledger.audit()


def test_what_was_done_before_a_failure_vanishes() -> None:
    """Even if a kind changes money, state and agenda first and fails afterwards."""

    def fail_late(act: Act[Transfer]) -> None:
        sender, to, amount = act.call.sender, act.body.to, act.body.amount_grains
        act.context.debit(sender, amount)
        act.context.credit(to, amount)
        act.context.schedule(9, AgendaKind.JOB_DRAW, b"job")
        act.context.emit(Transferred(sender, to, amount))
        raise Invalid("LATE_FAILURE")

    def state_after(effect: Any) -> tuple[Any, Any]:
        ledger = Ledger()
        parsed = ledger.parse(ledger.transfer(SENDER, OTHER.address, TILE).to_bytes())
        transition = ledger.begin()
        receipt = transition.add(b"", replace(parsed, kind=replace(parsed.kind, effect=effect)))
        return receipt, transition.context.state.changes()

    def fail_first(act: Act[Transfer]) -> None:
        raise Invalid("LATE_FAILURE")

    receipt, changes = state_after(fail_late)
    assert (receipt.code, receipt.events) == ("LATE_FAILURE", ())
    assert (receipt, changes) == state_after(fail_first)


def test_dust_makes_no_account() -> None:
    ledger = Ledger()
    stranger = key(42)
    ledger.people.add(stranger.address)
    dust = ledger.spec.money.dust_grains
    for amount, code in ((dust - 1, "DUST"), (0, "DUST"), (dust, ""), (1, ""), (0, "")):
        (receipt,) = ledger.mine(ledger.transfer(SENDER, stranger.address, amount))
        assert receipt.code == code
    assert ledger.balance(stranger) == dust + 1
    ledger.audit()


def test_paying_oneself_costs_the_fee() -> None:
    ledger = Ledger()
    before = ledger.balance(SENDER)
    (receipt,) = ledger.mine(ledger.transfer(SENDER, SENDER.address, before // 2))
    assert receipt.code == ""
    assert ledger.balance(SENDER) == before - receipt.burned_grains


def test_the_whole_balance_minus_the_fee_can_leave() -> None:
    ledger = Ledger()
    transaction = ledger.transfer(SENDER, OTHER.address, ledger.balance(SENDER) - 10_000)
    ledger.forget()
    cost = 1_000 + len(transaction.to_bytes())
    more = ledger.transfer(SENDER, OTHER.address, ledger.balance(SENDER) - cost + 1)
    assert Ledger().mine(more)[0].code == "BALANCE"
    ledger.forget()
    (receipt,) = ledger.mine(ledger.transfer(SENDER, OTHER.address, ledger.balance(SENDER) - cost))
    assert receipt.code == ""
    assert ledger.balance(SENDER) == 0
    refused("BALANCE", ledger, ledger.transfer(SENDER, OTHER.address, 0))


def test_a_sponsored_kind_takes_no_tip() -> None:
    case = Case().open().claim().commit().draw()
    member = case.members[0]
    refused("TIP", case.ledger, case.ledger.sign(member, case.attest_commit(member), tip_grains=Grains(1)))


def test_a_sponsored_kind_needs_no_balance_and_no_fee() -> None:
    case = Case().open().claim().commit().draw()
    member = case.members[0]
    before = case.ledger.balance(member)
    (receipt,) = case.ledger.mine(
        case.ledger.sign(member, case.attest_commit(member), max_fee_grains=Grains(0))
    )
    assert receipt.code == ""
    assert case.ledger.balance(member) == before
    assert receipt.burned_grains == case.now.attest_fees_grains > 0


def test_the_address_of_nobody_can_be_paid() -> None:
    """Its coins are out of reach and still counted."""
    ledger = Ledger()
    ledger.people.add(Address(bytes(20)))
    ledger.mine(ledger.transfer(SENDER, Address(bytes(20)), TILE))
    ledger.audit()
