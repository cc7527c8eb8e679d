"""The same measurement of another node: py-evm takes in blocks of signed native transfers.

    PYTHON tests/bench/peer_py_evm.py [transfers per block] [blocks] [accounts]

PYTHON is an interpreter that has py-evm (0.12.1b1 was measured) and coincurve; neither is a requirement of this
program. One chain makes the blocks, a fresh one takes each in with `import_block`: signatures, execution, state root,
in memory. Prints one line of JSON, with rates per second of CPU time. `bench_ledger --peers PYTHON` runs this.
"""

import json
import statistics
import sys
import time

from eth import constants
from eth.chains.base import MiningChain
from eth.consensus.noproof import NoProofConsensus
from eth.db.atomic import AtomicDB
from eth.vm.forks.london import LondonVM
from eth_keys import keys

GAS, GAS_PRICE = 21_000, 2 * 10**9
BALANCE = 10**20


def empty_chain(accounts, transfers):
    rules = LondonVM.configure(
        "Unsealed", consensus_class=NoProofConsensus
    )  # no proof of work on either side
    chain = MiningChain.configure("Bench", vm_configuration=((0, rules),), chain_id=1337)
    state = {address: {"balance": BALANCE, "nonce": 0, "code": b"", "storage": {}} for address in accounts}
    parameters = {
        "coinbase": constants.ZERO_ADDRESS,
        "difficulty": 1,
        "extra_data": b"",
        "gas_limit": 4 * GAS * transfers,
        "mix_hash": constants.ZERO_HASH32,
        "nonce": bytes(8),
        "timestamp": 1,
    }
    return chain.from_genesis(AtomicDB(), parameters, state)


def main(transfers=1_000, blocks=5, accounts=10_000):
    senders = [keys.PrivateKey(number.to_bytes(32, "big")) for number in range(1, transfers + 1)]
    others = [number.to_bytes(20, "big") for number in range(1 << 64, (1 << 64) + accounts - transfers)]
    holders = [sender.public_key.to_canonical_address() for sender in senders] + others
    producer, importer = empty_chain(holders, transfers), empty_chain(holders, transfers)
    rates = []
    for nonce in range(blocks):
        unsigned = [
            producer.create_unsigned_transaction(
                nonce=nonce,
                gas_price=GAS_PRICE,
                gas=GAS,
                to=holders[(7919 * (index + nonce)) % len(holders)],
                value=5_000,
                data=b"",
            )
            for index in range(transfers)
        ]
        signed = [each.as_signed_transaction(key) for each, key in zip(unsigned, senders, strict=True)]
        block = producer.mine_all(signed)[0].imported_block
        assert len(block.transactions) == transfers
        fresh = block.copy(transactions=tuple(_unread(importer, each) for each in block.transactions))
        started = time.process_time()
        importer.import_block(fresh, perform_validation=False)
        rates.append(transfers / (time.process_time() - started))
    assert importer.get_canonical_head().state_root == producer.get_canonical_head().state_root
    print(json.dumps({"median": statistics.median(rates), "least": min(rates), "most": max(rates)}))


def _unread(chain, transaction):
    """The transaction as its bytes say it: nothing that the producer found out is remembered in it."""
    return chain.get_vm().get_transaction_builder().decode(transaction.encode())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
