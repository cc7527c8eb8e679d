"""The ledger a second time, in plain Python: dicts and lists, no tree, no overlay, no undo.

Written from docs/spec/chain.md, jobs.md and encoding.md alone.  It imports nothing of `vm` and `consensus`, so a
mistake there is not repeated here.  Everything is recomputed in the most direct way: a failing transaction is undone by
having kept a copy of the state, what is locked is added up from the objects that lock it, and a fraud proof is judged
by multiplying the two rows.
"""
