"""`tilework model` from publishing to retiring: what is told before and after, and every refusal in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chain.bech32m import encode_address
from node.content import content_of
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, OPERATOR, PREFIX, MemoryNode, served
from vm.assets.limits import NOTICE_BLOCKS
from vm.assets.record import asset_id
from vm.jobs.record import job_id

ALICE_TEXT, BOB_TEXT = (encode_address(PREFIX, key.address) for key in (ALICE, BOB))
FIRST = asset_id(ALICE.address, 0).hex()


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    program = Tilework(tmp_path, monkeypatch)
    Path("weights").write_bytes(b"weights")
    Path("more").write_bytes(b"more")
    return program


@pytest.fixture
def node(tmp_path: Path, tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNode]:
    del tilework  # its environment comes first
    node = MemoryNode(tmp_path)
    node.instant = True
    with served(node) as url:
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield node


@pytest.fixture
def published(tilework: Tilework, node: MemoryNode) -> str:
    """Alice's model."""
    tilework.ok("model", "publish", "weights", "--title", "a thinker", "--wait")
    return FIRST


@pytest.fixture
def sold(tilework: Tilework, published: str) -> str:
    """It costs two TILE a call."""
    tilework.ok("model", "offer", "a thinker", "--kind", "per-call", "--price", "2tile", "--wait")
    return published


# -- publishing -------------------------------------------------------------------------------------------------------


def test_publishing_a_file(tilework: Tilework, node: MemoryNode) -> None:
    Path("licence").write_bytes(b"free")
    text = tilework.ok(
        "model", "publish", "weights", "--title", "a thinker", "--licence", "licence",
        "--derivatives", "forbidden", "--wait",
    )  # fmt: skip
    assert text.startswith(f"asset    {FIRST}  model  a thinker\n")
    assert f"content  {content_of(Path('weights')).root.hex()}\nsize     7 bytes\n" in text
    assert "deposit  1 TILE, back when" in text
    assert "in block 1: published a thinker, fee 0.0000" in text
    assert f"`tilework model offer {FIRST[:16]} --kind KIND --price AMOUNT`" in text
    form = tilework("model", "show", FIRST, "--json").json
    assert form["licence_root"] == content_of(Path("licence")).root.hex()
    assert (form["derivatives"], form["newest"]["size_bytes"]) == ("FORBIDDEN", 7)
    assert int(form["doc_root"], 16) == int(form["newest"]["manifest_root"], 16) == 0


def test_publishing_what_is_made_from_something(tilework: Tilework, node: MemoryNode, published: str) -> None:
    Path("tree").mkdir()
    for name in ("a", "b"):
        Path("tree", name).write_bytes(name.encode())
    found = tilework(
        "model", "publish", "tree", "--title", "a child", "--type", "evalset", "--manifest", "more", "--key",
        "bob", "--parent", f"{published[:8]}:trained-on:12.5", "--min-derivative-share", "0.5%", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    child = asset_id(BOB.address, 0).hex()
    assert (found.json["asset"], found.json["size_bytes"]) == (child, 2)
    form = tilework("model", "show", child, "--json").json
    assert form["type"] == "EVAL_SET"
    assert form["parents"] == [{"asset": published, "relation": "TRAINED_ON", "share_bp": 1_250}]
    assert form["min_derivative_share_bp"] == 50
    assert form["newest"]["content_root"] == content_of(Path("tree")).root.hex()
    assert form["newest"]["manifest_root"] == content_of(Path("more")).root.hex()
    (listed,) = tilework("model", "list", "--type", "evalset", "--json").json
    assert listed["id"] == child


def test_a_dry_run_of_publishing_sends_nothing(tilework: Tilework, node: MemoryNode) -> None:
    text = tilework.ok("model", "publish", "weights", "--title", "t", "--dry-run", "--tip", "5")
    assert f"asset    {FIRST}" in text
    assert "base fee 1,000 x weight 3 = 0.000003 TILE, " in text
    assert "0.000000005 TILE tip; weight 3" in text
    assert "AssetPublished: Something was published." in text
    assert "deposit_grains 1 TILE (1,000,000,000 grains)" in text
    assert f"balance of {ALICE_TEXT} -1.0000" in text
    assert "(now 1,000 TILE)" in text
    form = tilework("model", "publish", "weights", "--title", "t", "--dry-run", "--json").json
    assert (form["asset"], form["code"]) == (FIRST, "")
    assert node.chain.head.height == 0


def test_content_that_is_elsewhere(tilework: Tilework, node: MemoryNode) -> None:
    root, other = "ab" * 32, "cd" * 32
    tilework.ok(
        "model", "publish", "--content-root", root, "--size", "99", "--manifest-root", other, "--title", "far"
    )
    newest = tilework("model", "show", FIRST, "--json").json["newest"]
    assert (newest["content_root"], newest["size_bytes"], newest["manifest_root"]) == (root, 99, other)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give a file or directory, or --content-root and --size"),
        (("--size", "1"), "belong together"),
        (("weights", "--content-root", "ab" * 32, "--size", "1"), "not both"),
        (("weights", "--content-root", "ab"), "no hexadecimal of 32 bytes"),
        (("weights", "--manifest", "more", "--manifest-root", "ab" * 32), "not both"),
        (("weights", "--parent", "abcdef01:cloned:10"), "RELATION one of fine-tuned"),
        (("weights", "--parent", "abcdef01:10"), "ID:RELATION:PERCENT"),
        (("weights", "--parent", "abcdef01:derived:101"), "no parent"),
        (("weights", "--min-derivative-share", "1.234"), "no share"),
        (("weights", "--matrix", "c"), "'c' is not one of 'a', 'b'"),
    ],
)
def test_wrong_command_lines(
    tilework: Tilework, node: MemoryNode, arguments: tuple[str, ...], said: str
) -> None:
    assert said in tilework.usage("model", "publish", *arguments, "--title", "t")
    assert node.chain.head.height == 0


def test_files_that_cannot_be_published(tilework: Tilework, node: MemoryNode) -> None:
    assert "FILE: found no file or directory" in tilework.refused(1, "model", "publish", "no", "--title", "t")
    Path("empty").touch()
    assert "CONTENT_EMPTY" in tilework.refused(1, "model", "publish", "empty", "--title", "t")
    assert "MATRIX_FORMAT" in tilework.refused(
        1, "model", "publish", "weights", "--matrix", "a", "--title", "t"
    )
    assert "ENC_" in tilework.refused(1, "model", "publish", "weights", "--title", "t" * 65)


def test_refusals_cost_nothing_and_say_what_to_do(
    tilework: Tilework, node: MemoryNode, published: str
) -> None:
    height = node.chain.head.height
    error = tilework.refused(1, "model", "publish", "weights", "--title", "again", "--key", "bob")
    assert f"DUPLICATE: found {content_of(Path('weights')).root.hex()}, allowed content other than" in error
    assert "`tilework model list`. Nothing was sent." in error
    dry = tilework.refused(4, "model", "publish", "weights", "--title", "t", "--key", "bob", "--dry-run")
    assert "it would fail: DUPLICATE" in dry
    error = tilework.refused(1, "model", "version", published, "more", "--key", "bob")
    assert f"NOT_OWNER: found {BOB_TEXT}, allowed {ALICE_TEXT}" in error
    assert f"`tilework model show {published}`. Sign with its owner's key: --key." in error
    assert node.chain.head.height == height


def test_a_receipt_says_the_rule_and_what_to_do(tilework: Tilework, node: MemoryNode, published: str) -> None:
    """While another transaction of the account waits only the chain can tell, so this one is sent, and fails."""
    node.instant = False
    assert "on its way" in tilework.ok("model", "retire", published)
    assert "on its way" in tilework.ok("model", "version", published, "more")
    node.mine()
    node.instant = True
    error = tilework.refused(
        4, "tx", "asset", "version", "--asset", published, "--parent-version", "1", "--content-root", "ab" * 32,
        "--size-bytes", "1", "--manifest-root", "00" * 32, "--job", "00" * 32, "--wait",
    )  # fmt: skip
    said = "BAD_STATE: in block 3, but it failed; only its fee was paid. The rule: the asset is not retired."
    assert said in error
    assert f"See `tilework model show {published}`." in error


# -- versions ---------------------------------------------------------------------------------------------------------


def test_versions(tilework: Tilework, published: str) -> None:
    text = tilework.ok("model", "version", "a thinker", "more", "--wait")
    assert "version  2, of version 1\n" in text
    assert "in block 2: version 2 of a thinker" in text
    assert "`tilework model show" in text
    error = tilework.refused(1, "model", "version", published, "more")
    assert "DUPLICATE" in error
    assert f"see `tilework model show {published}`" in error
    Path("third").write_bytes(b"3")
    error = tilework.refused(1, "model", "version", published, "third", "--parent-version", "7")
    assert "NOT_FOUND: found 7, allowed 1..2" in error
    assert "--job" in tilework.usage("model", "version", published)


def test_a_version_made_by_a_job_is_verified(tilework: Tilework, node: MemoryNode) -> None:
    a, b = np.ones((4, 8), np.int8), np.full((8, 4), 2, np.int8)
    np.save("A.npy", a)
    np.save("B.npy", b)
    tilework.ok("model", "publish", "B.npy", "--matrix", "b", "--title", "a layer", "--wait")
    job = job_id(ALICE.address, 1).hex()
    tilework.ok("job", "submit", "--a", "A.npy", "--b", "B.npy", "--max-price", "1tile", "--wait")
    tilework.ok("job", "result", job, "--out", "C.npy")
    np.save("wrong.npy", np.zeros((4, 4), np.int32))
    error = tilework.refused(1, "model", "version", "a layer", "wrong.npy", "--job", job)
    assert "RESULT_ROOT" in error
    assert "MATRIX_DTYPE" in tilework.refused(1, "model", "version", "a layer", "A.npy", "--job", job)
    text = tilework.ok("model", "version", "a layer", "C.npy", "--job", job, "--dry-run")
    assert "verified 1" in text
    assert text == tilework.ok("model", "version", "a layer", "--job", job, "--dry-run")
    error = tilework.refused(1, "model", "version", "a layer", "A.npy", "--job", "00" * 32)
    assert "JOB_UNKNOWN" in error


def test_an_open_job_has_made_nothing(tilework: Tilework, node: MemoryNode, published: str) -> None:
    node.instant = False
    job = node.open_job(np.ones((4, 8), np.int8), np.ones((8, 4), np.int8)).hex()
    node.mine()
    assert "JOB_NOT_SETTLED: found OPEN" in tilework.refused(1, "model", "version", published, "--job", job)


# -- offers and sales -------------------------------------------------------------------------------------------------


def test_offering_and_changing_an_offer(tilework: Tilework, node: MemoryNode, published: str) -> None:
    offer = ("model", "offer", published, "--kind", "subscription", "--period", "50")
    text = tilework.ok(*offer, "--price", "2tile", "--supply", "7", "--quota", "3", "--wait")
    words = "subscription 2 TILE, for 50 blocks (about 50 s), at most 3 per user, at most 7 in all"
    assert f"slot 0   {words}\n" in text
    assert "from     its block on\n" in text
    assert f"others buy with `tilework model buy {published[:16]} --slot 0`" in text
    height = node.chain.head.height + 1 + NOTICE_BLOCKS
    dearer = tilework.ok(*offer, "--price", "3tile", "--dry-run")
    assert f"from     100 blocks after its block, height {height}, in about 1 min at the earliest" in dearer
    assert f"height {height}, in about 1 min\n" in dearer.partition("OfferSet")[2]
    assert "from     its block on" in tilework.ok(*offer, "--price", "1tile", "--dry-run")
    assert "from     its block on" in tilework.ok(*offer, "--price", "3tile", "--slot", "1", "--dry-run")
    assert "per call" in tilework.ok(
        "model", "offer", published, "--kind", "per-call", "--price", "1", "--inactive", "--dry-run"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "free", "--price", "1"), "free offer has no --price"),
        (("--kind", "per-call"), "free offer has no --price"),
        (("--kind", "gift", "--price", "1"), "gift"),
        (("--kind", "per-call", "--price", "1.5"), "no amount"),
        (("--kind", "per-call", "--price", "1", "--slot", "8"), "8 is not in the range"),
    ],
)
def test_offers_that_are_none(tilework: Tilework, arguments: tuple[str, ...], said: str) -> None:
    assert said in tilework.usage("model", "offer", FIRST, *arguments)


def test_the_chain_refuses_an_offer(tilework: Tilework, published: str) -> None:
    error = tilework.refused(1, "model", "offer", published, "--kind", "subscription", "--price", "1")
    assert "FORM: found period 0, allowed a subscription with a period" in error


def test_buying_shows_who_gets_what_before_it_is_signed(
    tilework: Tilework, node: MemoryNode, published: str
) -> None:
    child = asset_id(BOB.address, 0).hex()
    parent = f"{published}:fine-tuned:12.5"
    tilework.ok("model", "publish", "more", "--title", "a child", "--parent", parent, "--key", "bob")
    tilework.ok("model", "offer", "a child", "--kind", "per-call", "--price", "2tile", "--key", "bob")
    height = node.chain.head.height
    text = tilework.ok("model", "buy", child[:8], "--units", "3", "--dry-run")
    assert node.chain.head.height == height
    assert "price    6 TILE (6,000,000,000 grains) for 3 units\n" in text
    assert f"user     {ALICE_TEXT}\n" in text
    rows = [line.split() for line in text.partition("shared among")[2].splitlines()[2:4]]
    assert rows == [
        ["a", "thinker", published[:16], ALICE_TEXT, "0.75", "TILE"],
        ["a", "child", child[:16], BOB_TEXT, "5.25", "TILE"],
    ]
    assert "Acquired: Somebody bought the use of an asset." in text
    assert "expiry none" in text
    assert f"balance of {ALICE_TEXT} -6.0000" in text
    done = tilework.ok("model", "buy", child, "--for", "bob", "--wait")
    assert "bought 1 of slot 0 of a child, fee" in done
    assert f"user     {BOB_TEXT}\n" in done
    assert "earned       1.75 TILE" in tilework.ok("model", "show", child)


def test_a_sale_that_is_refused(tilework: Tilework, node: MemoryNode, sold: str) -> None:
    error = tilework.refused(1, "model", "buy", sold, "--slot", "3")
    assert "INACTIVE: found slot 3, allowed a slot with an active offer: 0" in error
    error = tilework.refused(1, "model", "buy", sold, "--max-price", "1tile")
    assert "PRICE_MOVED: found 2000000000, allowed at most the 1000000000 grains" in error
    assert f"Without --max-price, `tilework model buy {sold} --slot 0` takes the present price." in error
    assert "BALANCE" in tilework.refused(1, "model", "buy", sold, "--units", "600")
    assert "RANGE" in tilework.refused(1, "model", "buy", sold, "--units", str((1 << 63) - 1))
    assert "NOT_FOUND: found 9, allowed 1..1" in tilework.refused(1, "model", "buy", sold, "--version", "9")
    assert "units" in tilework.usage("model", "buy", sold, "--units", "0")
    tilework.ok("model", "retire", sold)
    assert "allowed an asset that is for sale" in tilework.refused(1, "model", "buy", sold)
    assert node.chain.head.height == 3


def test_terms_that_are_about_to_change_are_shown(tilework: Tilework, sold: str) -> None:
    tilework.ok("model", "offer", sold, "--kind", "per-call", "--price", "3tile")
    assert "coming   per call 3 TILE, from height 103, in about 1 min" in tilework.ok(
        "model", "buy", sold, "--dry-run"
    )


def test_rating_what_one_has_bought(tilework: Tilework, sold: str) -> None:
    error = tilework.refused(1, "model", "rate", sold, "4", "--key", "bob")
    assert "NO_GRANT" in error
    assert f"`tilework model buy {sold}`" in error
    tilework.ok("model", "buy", sold, "--key", "bob")
    assert "rated a thinker" in tilework.ok("model", "rate", sold, "4", "--key", "bob", "--wait")
    assert "4 stars" in tilework.ok("model", "show", sold)
    assert "TEXT" in tilework.refused(1, "model", "rate", sold, "4", "--metric", "", "--key", "bob")


def test_earnings_and_a_new_owner(tilework: Tilework, sold: str) -> None:
    tilework.ok("model", "buy", sold, "--key", "bob")
    text = tilework.ok("model", "transfer", sold, "bob", "--wait")
    assert f"to       {BOB_TEXT}, with the deposit of 1 TILE\n" in text
    assert "yours    2 TILE (2,000,000,000 grains) earned so far" in text
    assert "claimed what it had earned" in tilework.ok("model", "claim", sold, "--wait")
    error = tilework.refused(1, "model", "claim", sold)
    assert "NOTHING: found 0 grains" in error
    assert "`tilework model list --mine`" in error
    tilework.ok("model", "buy", sold)
    text = tilework.ok("model", "claim", "a thinker", "--key", "bob", "--wait")
    assert "earned   2 TILE (2,000,000,000 grains)\n" in text
    assert "claimed 2 TILE, fee" in text


def test_retiring_says_when_the_deposit_comes_back(
    tilework: Tilework, node: MemoryNode, published: str
) -> None:
    tilework.ok(
        "model", "offer", published, "--kind", "subscription", "--period", "4", "--price", "5", "--slot", "2"
    )
    assert "is taken back" in tilework.ok("model", "retire", published, "--slot", "2", "--dry-run")
    assert "1 TILE comes back with it" in tilework.ok("model", "retire", published, "--dry-run")
    tilework.ok("model", "buy", published, "--slot", "2", "--key", "bob")
    end = node.chain.head.height + 4
    text = tilework.ok("model", "retire", published, "--wait")
    assert (
        f"deposit  1 TILE, back from height {end + 1}, in about 5 s, when the last grant has ended\n" in text
    )
    assert f"then send `tilework model retire {published[:16]}` again" in text
    assert f"back from height {end + 1}" in tilework.ok("model", "show", published)
    error = tilework.refused(1, "model", "retire", published)
    assert (
        f"GRANTS_LIVE: found height {node.chain.head.height + 1}, allowed from height {end + 1} on" in error
    )
    node.mine(end - node.chain.head.height)
    assert "back when `tilework model retire` is sent again" in tilework.ok("model", "show", published)
    assert "DepositReturned" in tilework.ok("model", "retire", published, "--dry-run")
    tilework.ok("model", "retire", published, "--wait")
    assert "BAD_STATE" in tilework.refused(1, "model", "retire", published)
    assert "NOT_FOUND" in tilework.refused(1, "model", "retire", published, "--slot", "6")


def test_json_of_what_was_sent(tilework: Tilework, sold: str) -> None:
    found = tilework("model", "buy", sold, "--key", "bob", "--wait", "--json").json
    assert (found["asset"], found["price_grains"], found["status"]) == (sold, 2 * 10**9, "included")
    assert found["receipt"]["events"][0]["event"] == "Acquired"
    assert encode_address(PREFIX, OPERATOR.address) not in str(found["parts"])
