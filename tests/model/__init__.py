"""The ledger a second time, in plain Python: dicts and lists, no tree, no overlay, no undo.

Written from docs/spec alone.  It imports nothing of `vm` and `consensus`, so a mistake there is not repeated here.
Everything is recomputed in the most direct way: a failing transaction is undone by having kept a copy of the state,
what is locked is added up from the objects that lock it, and a fraud proof is judged by multiplying the two rows.

A new family: a file here with its EFFECTS, called with (model, sender, origin, body); a shape per kind in forms.py; its
line in each of EFFECTS, AGENDA_STEPS and BOOKS of ledger.py, as far as it has them.  What it keeps is a subclass of
Books: plain dicts, and the state entries and locked coins they stand for.  What people try is in tests/acts.py.
"""
