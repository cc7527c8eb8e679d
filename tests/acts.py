"""What random people try on a chain: any kind of transaction, right or wrong, as bytes.

An act is drawn blindly, as a few numbers; what it becomes depends on the state, so that random sequences get far into
the life of a job or an asset and also try what is not allowed there.

A new family: a file `tests/acts_<family>.py` with a class of makers, named in its MAKERS, and the tuple that says how
often each is drawn; the class goes into the bases of `Acts`; and stories of its own, in a file like
tests/property/test_ledger_assets.py, which say what they must reach.  The model is in tests/model/__init__.py.
"""

from __future__ import annotations

from tests.acts_accounts import AccountActs
from tests.acts_base import EVERYBODY as EVERYBODY  # whoever tries acts needs the people, too: re-exported
from tests.acts_base import Act as Act
from tests.acts_base import seal as seal
from tests.acts_governance import GovernanceActs
from tests.acts_jobs import GOOD as GOOD
from tests.acts_jobs import commitment as commitment
from tests.acts_jobs import first_word as first_word
from tests.acts_providers import ProviderActs
from tests.acts_stakes import StakeActs


class Acts(ProviderActs, StakeActs, AccountActs, GovernanceActs):
    """Turns acts of every family into signed bytes for one pair of ledgers."""

    def __call__(self, act: Act) -> str:
        """Try it; returns the code."""
        self.twins.begin()
        return self.twins.add(self.makers[act.what](act))
