"""Acts with keys: others for an account, session keys, and what is done with them."""

from __future__ import annotations

from typing import Any

from chain.keys import SigningKey
from tests.acts_base import EVERYBODY, SPARE_KEYS, TILE, U63_MAX, ZERO, Act, Signing, seal, spread
from tests.twins import PEOPLE

KEYS = ("set_auth", "set_auth", "grant", "grant", "revoke", "agent", "agent", "agent", "agent", "cosigned")
"""How often each is drawn in stories about keys."""
OWNERS = PEOPLE[5:7]
"""Whose keys change: others go on as ever, so that everything else does."""


class AccountActs(Signing):
    MAKERS = ("set_auth", "grant", "revoke", "agent", "cosigned")

    def set_auth(self, act: Act) -> bytes:
        """Other keys, with one thing wrong now and then, or a change called off."""
        owner = OWNERS[act.who % 2]
        least = self.twins.ledger.spec.accounts.key_delay_blocks
        members = [[each.public_key, 1 + act.choice % 3] for each in [owner, *SPARE_KEYS][: 1 + act.job % 4]]
        members.sort()
        whole = sum(weight for _, weight in members)
        delay = least + act.amount % 3
        bodies: list[list[Any]] = [
            [0, [], 0],
            [1, [], 0],
            [0, [], 5],
            [0, members, delay],
            [whole + 1, members, delay],
            [whole, members[::-1] + members, delay],
            [whole, members, least - 1],
            *[[max(1, whole // 2), members, delay]] * 5,
        ]
        return self.signed(owner, "account.set_auth", bodies[spread(act, len(bodies))])

    def grant(self, act: Act) -> bytes:
        """Limits so narrow that they are met."""
        owner = EVERYBODY[act.who % 8]
        total = (U63_MAX, TILE, 20_000, 5 * TILE)[act.amount % 4]
        window = (0, 3, 5)[act.job % 3]
        expires = self.twins.model.height + (1, 4, 9, 30)[act.choice % 4]
        jobs = list(self.twins.model.state.jobs)[-1:]
        body: list[Any] = [
            SPARE_KEYS[act.choice % 3].public_key,
            ["job.cancel", "job.claim", "stake.delegate", "transfer"][act.choice % 4 :],
            total,
            window,
            (0, 15_000, TILE)[act.amount % 3] if window else 0,
            [PEOPLE[act.job].address] if act.choice % 3 == 0 else [],
            jobs if act.choice % 5 == 0 else [],
            act.amount % 32,
            act.amount % 2,
            expires,
        ]
        wrong: dict[int, tuple[int, Any]] = {
            0: (0, owner.public_key),
            1: (1, ["mint"]),
            2: (1, ["transfer", "job.open"]),
            3: (1, ["session.grant"]),
            4: (4, 1 if not window else 0),
            5: (9, self.twins.model.height),
            6: (9, U63_MAX),
            7: (1, ["batch"]),
        }
        place = spread(act, 24)
        if place in wrong:
            body[wrong[place][0]] = wrong[place][1]
        return self.signed(owner, "session.grant", body)

    def revoke(self, act: Act) -> bytes:
        """A session of one's own if there is one, or somebody else's."""
        sessions = list(self.twins.model.state.books["accounts"].sessions)
        if sessions and act.choice % 4:
            owner, key = sessions[act.job % len(sessions)]
            person = next(each for each in EVERYBODY if each.address == owner)
            return self.signed(person, "session.revoke", [key])
        return self.signed(EVERYBODY[act.who], "session.revoke", [SPARE_KEYS[act.job % 3].public_key])

    def agent(self, act: Act) -> bytes:
        """What a session key tries."""
        sessions = list(self.twins.model.state.books["accounts"].sessions.items())
        if not sessions:
            return self.grant(act)
        (owner, public_key), session = sessions[act.who % len(sessions)]
        person = next(each for each in EVERYBODY if each.address == owner)
        agent = next(each for each in SPARE_KEYS if each.public_key == public_key)
        left = session["total"] - session["spent"]
        to = PEOPLE[act.job].address
        job = [*session["objects"], *list(self.twins.model.state.jobs)[-1:], ZERO][0]
        pay = ["transfer", [to, (5_000, max(0, left - 2_000), 15_000, TILE, 0)[act.amount % 5], b""]]
        tries: list[list[Any]] = [
            pay,
            pay,
            pay,
            ["transfer", [owner, 1_000, b"to oneself"]],
            ["stake.delegate", [to, (TILE, 1_000)[act.amount % 2]]],
            ["job.cancel", [job]],
            ["job.claim", [ZERO, 1]],
            ["session.revoke", [public_key]],
            ["batch", [[pay, pay]]],
            ["batch", [[pay, ["asset.claim", [ZERO]]]]],
        ]
        kind, body = tries[spread(act, len(tries))]
        signers = [agent, person] if act.choice == 11 else [agent]
        return seal(signers, self.envelope(person, kind, body, act.choice))

    def cosigned(self, act: Act) -> bytes:
        """A payment out of an account whose keys change, signed by whoever happens to be there."""
        owner = OWNERS[act.who % 2]
        around = [owner, *SPARE_KEYS[:4]]
        signers: list[SigningKey] = around[act.job : act.job + 1 + act.choice % 4]
        body = [PEOPLE[act.choice % 4].address, 5_000, b""]
        return seal(signers or [owner], self.envelope(owner, "transfer", body))
