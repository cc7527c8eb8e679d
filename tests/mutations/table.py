"""One mutation per rule: what the program would be without it, and the tests that have to notice.

`old` stands exactly once in `path`; runner and default tests fail loudly if it does not, so the list cannot rot.
Every tag of docs/spec/work.md has at least one row here or a reason in `EXEMPT`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """A rule taken away: in `path` the text `old` becomes `new`."""

    tag: str
    what: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.tag}: {self.what}"


PROFILES = "compute/spec/profiles.py"
CLAIM = "compute/spec/claim.py"
PADDING = "compute/spec/padding.py"
COMMIT = "compute/spec/commit.py"
NOISE = "compute/spec/noise.py"
TILES = "compute/spec/tiles.py"
TICKET = "compute/spec/ticket.py"
REFERENCE = "compute/spec/reference.py"
CERTIFICATE = "compute/spec/certificate.py"
VERIFY = "compute/spec/verify.py"
FREIVALDS = "compute/spec/freivalds.py"
ENTRIES = "compute/entries.py"
BASE = "compute/engines/base.py"
NUMPY = "compute/engines/numpy_blocks.py"
PANELS = "compute/engines/numpy_panels.py"
TICKETS = "compute/engines/tickets.py"
SELECT = "compute/engines/select.py"
WORKBENCH = "compute/workbench.py"
MESSAGES = "compute/messages.py"
SERVICE = "compute/service.py"
WORK = "consensus/work.py"
HEADERS = "consensus/headers.py"
BLOCKS = "chain/blocks.py"
CODEC = "chain/codec.py"
HASHING = "chain/hashing.py"
WORKER = "compute/worker.py"
CUDA = "compute/engines/cuda_driver.py"
SLOT = "node/mining/slot.py"
PRODUCT = "node/mining/product.py"
PAUSE = "node/mining/pause.py"
WORK_FORMS = "node/mining/work_forms.py"
LENT = "node/mining/lent.py"

_UNIT = "tests/unit/"
T_PROFILES = _UNIT + "test_work_profiles.py"
T_SPEC = _UNIT + "test_work_spec.py"
T_MINER_COMMAND = _UNIT + "test_cli_miner.py"
T_DETAILS = _UNIT + "test_work_rule_details.py"
T_VERIFY = _UNIT + "test_work_verify.py"
T_HOSTILE = _UNIT + "test_work_hostile.py"
T_TAMPERS = _UNIT + "test_work_tampers.py"
T_RULES = _UNIT + "test_work_rules.py"
T_FREIVALDS = _UNIT + "test_work_freivalds.py"
T_ENGINES = _UNIT + "test_work_engines.py"
T_WORKBENCH = _UNIT + "test_work_workbench.py"
T_WORKER = _UNIT + "test_work_worker.py"
T_MESSAGES = _UNIT + "test_work_messages.py"
T_HEADERS = _UNIT + "test_headers.py"
T_CUPY = _UNIT + "test_work_cupy.py"
T_SERVICE = _UNIT + "test_mining_service.py"
T_SLOT = _UNIT + "test_mining_slot.py"
T_MINER = _UNIT + "test_mining_miner.py"
T_LENT = _UNIT + "test_mining_lent.py"
GOLDEN = _UNIT + "test_work_vectors.py::test_reference_makes_the_vectors[test]"

EXEMPT = {
    "POW-VECTORS": "what a command writes; the vectors themselves catch dozens of the changes below",
}


def _profiles() -> list[Mutation]:
    tests = (T_PROFILES + "::test_constants_are_those_of_the_specification",)
    bounds = (
        T_DETAILS + "::test_each_bound_of_a_profile_alone",
        T_PROFILES + "::test_unsound_constants_are_refused",
    )
    rows = [
        ("POW-PROFILE", "another rank in dev", "noise_rank=32,", "noise_rank=16,", tests),
        ("POW-PROFILE", "another tile in cpu", "tile=64,", "tile=32,", tests),
        ("POW-PROFILE", "another segment in gpu", "segment=4096,", "segment=2048,", tests),
        ("POW-PROFILE", "profiles exchange their ids", "profile_id=3,", "profile_id=7,", tests),
        ("POW-PROFILE-2", "slices of part of a rank", "assert segment % rank == 0", "assert True", bounds),
        ("POW-PROFILE-2", "lanes of unequal size", "assert tile % LANES == 0", "assert True", bounds),
        (
            "POW-PROFILE-2",
            "segments beyond 4 r^2",
            "assert segment <= 4 * rank * rank",
            "assert True",
            bounds,
        ),
        (
            "POW-PROFILE-2",
            "slices beyond float32",
            "assert rank * MAX_NOISED**2 <= 1 << 24",
            "assert True",
            bounds,
        ),
        ("POW-PROFILE-2", "accumulators that wrap", "MAX_DEPTH = 1 << 16", "MAX_DEPTH = 1 << 18", bounds),
        ("POW-PROFILE-2", "products too deep", "assert profile.max_k <= MAX_DEPTH", "assert True", bounds),
        ("POW-PROFILE-2", "noise of rank 1", "assert 2 <= rank <= segment", "assert True", bounds),
        (
            "POW-PROFILE-2",
            "bounds that are not whole tiles",
            "assert profile.max_m % tile",
            "assert 0",
            bounds,
        ),
        ("POW-PROFILE-2", "a smaller noised range", "MAX_NOISED = 126", "MAX_NOISED = 63", bounds),
        ("POW-PROFILE", "other lanes", "LANES = 16", "LANES = 8", (T_SPEC + "::test_transcript_by_hand",)),
        ("POW-PROFILE", "entries up to 64", "MAX_ENTRY = 63", "MAX_ENTRY = 64", (T_VERIFY, T_PROFILES)),
        (
            "POW-TARGET-2",
            "twice as easy a target",
            "TICKET_SPACE_BITS = 252",
            "TICKET_SPACE_BITS = 253",
            (T_PROFILES + "::test_easiest_target_is_the_last_below_the_ticket_space",),
        ),
        (
            "POW-TARGET-2",
            "the target after the easiest",
            "return ((1 << TICKET_SPACE_BITS) - 1) // self.cube_macs",
            "return (1 << TICKET_SPACE_BITS) // self.cube_macs",
            (T_PROFILES,),
        ),
        (
            "POW-TARGET-1",
            "a ticket stands for less than its cube",
            "return self.tile * self.tile * self.segment",
            "return self.tile * self.segment",
            (T_DETAILS + "::test_a_ticket_stands_for_its_cube",),
        ),
    ]
    return [Mutation(tag, what, PROFILES, old, new, tests) for tag, what, old, new, tests in rows]


def _claim() -> list[Mutation]:
    kappa = "pack([sigma, mu.to_bytes()])"
    key = (T_PROFILES + "::test_kappa_binds_header_claim_and_job",)
    claims = (T_PROFILES + "::test_impossible_claims_are_refused",)
    fields = ["mu.profile_id", "mu.m", "mu.n", "mu.k", "mu.binding.job", "mu.binding.step"]
    rows = [
        ("POW-CLAIM-2", "kappa without the header", kappa, 'pack([b"", mu.to_bytes()])', key),
        ("POW-CLAIM-2", "kappa without the claim", kappa, 'pack([sigma, b""])', key),
        ("POW-CLAIM-2", "kappa under another tag", "BulkTag.POW_KAPPA", "BulkTag.POW_ENTRIES", (GOLDEN,)),
        *(("POW-CLAIM-1", f"kappa without {field}", kappa, _without(field, fields), key) for field in fields),
        ("POW-CLAIM-1", "any profile", "if mu.profile_id != profile.profile_id:", "if False:", claims),
        ("POW-CLAIM-1", "a step of no job", "if mu.binding.job == NO_JOB and mu", "if False and mu", claims),
        ("POW-SHAPE-1", "any m", '("m", mu.m, profile.tile, profile.max_m),', "", claims),
        ("POW-SHAPE-1", "any n", '("n", mu.n, profile.tile, profile.max_n),', "", claims),
        ("POW-SHAPE-1", "any k", '("k", mu.k, profile.segment, profile.max_k),', "", claims),
        ("POW-SHAPE-1", "ragged cubes", "<= maximum or size % unit:", "<= maximum:", claims),
        (
            "POW-SHAPE-1",
            "shapes of nothing",
            "not unit <= size <= maximum",
            "not 0 <= size <= maximum",
            claims,
        ),
        (
            "POW-SHAPE-1",
            "shapes beyond the profile",
            "not unit <= size <= maximum",
            "not unit <= size",
            claims,
        ),
    ]
    return [Mutation(tag, what, CLAIM, old, new, tests) for tag, what, old, new, tests in rows]


def _without(field: str, fields: list[str]) -> str:
    """The input of kappa with one field of mu replaced by a constant."""
    kept = ["0" if each == field else each for each in fields]
    if field == "mu.binding.job":
        kept[4] = "bytes(32)"
    return f"pack([sigma, pack([{', '.join(kept)}])])"


def _padding() -> list[Mutation]:
    zeros = (T_PROFILES + "::test_padding_rounds_up_and_adds_zeros_only",)
    entries = (T_PROFILES + "::test_entries_out_of_range_are_refused",)
    rows = [
        (
            "POW-PAD-1",
            "sizes rounded down",
            "return ceil_div(size, unit) * unit",
            "return size // unit * unit",
            zeros,
        ),
        (
            "POW-PAD-1",
            "padding of ones",
            "np.zeros((rows, depth), np.int8)",
            "np.ones((rows, depth), np.int8)",
            zeros,
        ),
        (
            "POW-PAD-1",
            "padding above and to the left",
            "full[: matrix.shape[0], : matrix.shape[1]] = matrix",
            "full[-matrix.shape[0] :, -matrix.shape[1] :] = matrix",
            zeros,
        ),
        (
            "POW-PAD-1",
            "depth rounded to tiles",
            "round_up(depth, profile.segment)",
            "round_up(depth, profile.tile)",
            zeros,
        ),
        (
            "POW-PAD-2",
            "a last panel beyond the product",
            "min(panel_rows, rows - first)",
            "panel_rows",
            (T_PROFILES + "::test_row_panels_cover_every_row_once",),
        ),
        (
            "POW-VERIFY-1",
            "entries below -63",
            "if lowest < -MAX_ENTRY or highest > MAX_ENTRY:",
            "if highest > MAX_ENTRY:",
            entries,
        ),
        (
            "POW-VERIFY-1",
            "entries above 63",
            "if lowest < -MAX_ENTRY or highest > MAX_ENTRY:",
            "if lowest < -MAX_ENTRY:",
            entries,
        ),
        ("POW-VERIFY-1", "entries of 64", "or highest > MAX_ENTRY:", "or highest > MAX_ENTRY + 1:", entries),
    ]
    return [Mutation(tag, what, PADDING, old, new, tests) for tag, what, old, new, tests in rows]


def _commit() -> list[Mutation]:
    root = (T_SPEC + "::test_root_by_hand",)
    opens = (T_SPEC + "::test_every_leaf_opens_with_its_one_path",)
    apart = (T_SPEC + "::test_side_leaf_node_and_header_hash_apart",)
    seeds = (T_SPEC + "::test_seeds_bind_roots_and_dimensions",)
    order = (T_SPEC + "::test_leaves_run_along_a_block_row_first",)
    seed_a, seed_b = "pack([seed_b, root_a, m])", "pack([kappa, root_b, n])"
    rows = [
        (
            "POW-COMMIT-1",
            "leaves down a block column first",
            ".transpose(0, 2, 1, 3)",
            ".transpose(2, 0, 1, 3)",
            order,
        ),
        ("POW-COMMIT-1", "blocks by column", ".transpose(0, 2, 1, 3)", ".transpose(0, 2, 3, 1)", order),
        (
            "POW-COMMIT-1",
            "leaf numbers down a block column",
            "return block_row * (depth // profile.segment) + segment",
            "return segment * (depth // profile.segment) + block_row",
            (T_VERIFY + "::test_every_winner_verifies_and_no_loser_does",),
        ),
        (
            "POW-COMMIT-1",
            "a leaf count without the segments",
            "return (rows // profile.tile) * (depth // profile.segment)",
            "return rows // profile.tile",
            (T_VERIFY + "::test_every_winner_verifies_and_no_loser_does",),
        ),
        (
            "POW-COMMIT-2",
            "leaves keyed as nodes",
            "b3(self.value[0], kappa)",
            "b3(self.value[1], kappa)",
            apart,
        ),
        (
            "POW-COMMIT-2",
            "nodes keyed as leaves",
            "b3(self.value[1], kappa)",
            "b3(self.value[0], kappa)",
            apart,
        ),
        (
            "POW-COMMIT-2",
            "leaves of any header",
            "b3(self.value[0], kappa)",
            "b3(self.value[0], bytes(32))",
            apart,
        ),
        (
            "POW-COMMIT-2",
            "nodes of any header",
            "b3(self.value[1], kappa)",
            "b3(self.value[1], bytes(32))",
            apart,
        ),
        (
            "POW-COMMIT-2",
            "one leaf key for both sides",
            "(BulkTag.POW_LEAF_B, ",
            "(BulkTag.POW_LEAF_A, ",
            apart,
        ),
        (
            "POW-COMMIT-2",
            "one node key for both sides",
            ", BulkTag.POW_NODE_B)",
            ", BulkTag.POW_NODE_A)",
            apart,
        ),
        (
            "POW-COMMIT-2",
            "an odd node hashed with itself",
            "(*pairs, below[-1])",
            "(*pairs, b3_keyed(node_key, below[-1] + below[-1]))",
            root,
        ),
        (
            "POW-COMMIT-2",
            "nodes of right and left",
            "b3_keyed(node_key, below[at] + below[at + 1])",
            "b3_keyed(node_key, below[at + 1] + below[at])",
            root,
        ),
        (
            "POW-COMMIT-3",
            "paths that do not know left from right",
            "sibling + digest if is_right else digest + sibling",
            "digest + sibling",
            opens,
        ),
        (
            "POW-COMMIT-3",
            "paths of the nodes themselves",
            "siblings.append(level[index ^ 1])",
            "siblings.append(level[index])",
            opens,
        ),
        ("POW-COMMIT-3", "a promoted node with a sibling", "if index ^ 1 < count:", "if True:", opens),
        ("POW-COMMIT-3", "levels counted down", "count = (count + 1) // 2", "count = count // 2", opens),
        ("POW-SEED-1", "s_B without kappa", seed_b, "pack([root_b, n])", seeds),
        ("POW-SEED-1", "s_B without the root", seed_b, "pack([kappa, n])", seeds),
        ("POW-SEED-1", "s_B without n", seed_b, "pack([kappa, root_b])", seeds),
        ("POW-SEED-1", "s_B under the tag of s_A", "BulkTag.POW_SEED_B", "BulkTag.POW_SEED_A", seeds),
        ("POW-SEED-2", "s_A without s_B", seed_a, "pack([root_a, m])", seeds),
        ("POW-SEED-2", "s_A without the root", seed_a, "pack([seed_b, m])", seeds),
        ("POW-SEED-2", "s_A without m", seed_a, "pack([seed_b, root_a])", seeds),
        ("POW-SEED-2", "s_A under the tag of s_B", "BulkTag.POW_SEED_A", "BulkTag.POW_SEED_B", seeds),
    ]
    return [Mutation(tag, what, COMMIT, old, new, tests) for tag, what, old, new, tests in rows]


def _noise() -> list[Mutation]:
    factors = (T_SPEC + "::test_factors_by_hand",)
    alone = (T_SPEC + "::test_any_rows_and_slices_derive_alone",)
    ties = (T_DETAILS + "::test_equal_words_keep_their_order",)
    rank = (T_SPEC + "::test_noise_of_every_slice_has_full_rank",)
    rows = [
        ("POW-NOISE-1", "five bits of noise", "np.uint8(63)", "np.uint8(31)", factors),
        ("POW-NOISE-1", "noise off its middle", "np.int8(32)", "np.int8(31)", factors),
        (
            "POW-NOISE-1",
            "every row the noise of the first",
            "first_row * rank, rows * rank",
            "0, rows * rank",
            alone,
        ),
        (
            "POW-NOISE-1",
            "the left factor from the right stream",
            "BulkTag.POW_NOISE_LEFT",
            "BulkTag.POW_NOISE_RIGHT",
            factors,
        ),
        (
            "POW-NOISE-2",
            "the right factor from the left stream",
            "BulkTag.POW_NOISE_RIGHT",
            "BulkTag.POW_NOISE_LEFT",
            factors,
        ),
        ("POW-NOISE-2", "words read from the other end", '"<u4"', '">u4"', factors),
        ("POW-NOISE-2", "every slice the chain of the first", "first_slice * rank * _WORD_BYTES", "0", alone),
        ("POW-NOISE-2", "ties in any order", ', kind="stable"', ', kind="quicksort"', ties),
        (
            "POW-NOISE-3",
            "chains that add",
            "factor[orders[:, 1:], columns[:, :-1]] = -1",
            "factor[orders[:, 1:], columns[:, :-1]] = 1",
            factors,
        ),
        (
            "POW-NOISE-3",
            "a ring instead of a chain",
            "factor[orders[:, 1:], columns[:, :-1]] = -1",
            "factor[np.roll(orders, -1, axis=1), columns] = -1",
            rank,
        ),
        ("POW-NOISE-3", "single entries", "factor[orders[:, 1:], columns[:, :-1]] = -1", "pass", factors),
        (
            "POW-NOISE-4",
            "gathered noise that adds",
            "[:, :, :-1] -= gathered",
            "[:, :, :-1] += gathered",
            alone,
        ),
        (
            "POW-NOISE-4",
            "a last column with two terms",
            "gathered[:, :, :-1] -= gathered[:, :, 1:].copy()",
            "gathered -= np.roll(gathered, -1, axis=2)",
            alone,
        ),
    ]
    return [Mutation(tag, what, NOISE, old, new, tests) for tag, what, old, new, tests in rows]


def _tiles() -> list[Mutation]:
    by_hand = (T_SPEC + "::test_transcript_by_hand",)
    last = "        transcript = fold(transcript, partial)\n    return transcript"
    rows = [
        (TILES, "POW-TILE-2", "no rotation", "ROTATION_BITS = 13", "ROTATION_BITS = 0", by_hand),
        (TILES, "POW-TILE-2", "another rotation", "ROTATION_BITS = 13", "ROTATION_BITS = 7", by_hand),
        (
            TILES,
            "POW-TILE-2",
            "only the last slice counts",
            "return rotated ^ lanes",
            "return lanes",
            by_hand,
        ),
        (TILES, "POW-TILE-2", "a linear digest", "return rotated ^ lanes", "return rotated + lanes", by_hand),
        (
            TILES,
            "POW-TILE-2",
            "lanes of neighbours",
            ".reshape(-1, LANES), axis=0)",
            ".reshape(LANES, -1), axis=1)",
            (T_DETAILS + "::test_lanes_of_a_wide_tile",),
        ),
        (TILES, "POW-TILE-2", "a replay that folds once", last, last[4:], by_hand),
        (
            TILES,
            "POW-TILE-1",
            "a replay that forgets the slice before",
            "partial += (left",
            "partial = (left",
            by_hand,
        ),
        (
            REFERENCE,
            "POW-TILE-1",
            "partial sums over all segments",
            "        partial = np.zeros((m, n), np.int64)",
            "        partial = np.zeros((m, n), np.int64) if not segment else partial",
            by_hand,
        ),
        (
            TICKET,
            "POW-TICKET-1",
            "tickets without i",
            "[cube.tile_row, cube",
            "[0, cube",
            (T_SPEC + "::test_ticket_input_holds_the_cube_and_nothing_else",),
        ),
        (
            TICKET,
            "POW-TICKET-1",
            "tickets without j",
            ", cube.tile_column, ",
            ", 0, ",
            (T_SPEC + "::test_ticket_input_holds_the_cube_and_nothing_else",),
        ),
        (
            TICKET,
            "POW-TICKET-1",
            "tickets without s",
            ", cube.segment]",
            ", 0]",
            (T_SPEC + "::test_ticket_input_holds_the_cube_and_nothing_else",),
        ),
        (
            TICKET,
            "POW-TICKET-1",
            "words of the other end",
            '"<u4"',
            '">u4"',
            (T_SPEC + "::test_ticket_input_holds_the_cube_and_nothing_else",),
        ),
        (
            TICKET,
            "POW-TICKET-2",
            "tickets under no key",
            "b3_keyed(seed_a, ticket_input",
            "b3_keyed(bytes(32), ticket_input",
            (T_SPEC + "::test_ticket_input_holds_the_cube_and_nothing_else",),
        ),
        (
            TICKET,
            "POW-TARGET-1",
            "a ticket at the bound wins",
            '"little") < target',
            '"little") <= target',
            (T_SPEC + "::test_ticket_wins_strictly_below_the_bound_in_little_endian",),
        ),
        (
            TICKET,
            "POW-TARGET-1",
            "tickets read from the other end",
            '"little") < target',
            '"big") < target',
            (T_SPEC + "::test_ticket_wins_strictly_below_the_bound_in_little_endian",),
        ),
        (
            TICKET,
            "POW-TARGET-1",
            "a bound without the cube",
            "< target * profile.cube_macs",
            "< target",
            (T_SPEC + "::test_ticket_wins_strictly_below_the_bound_in_little_endian",),
        ),
    ]
    return [Mutation(tag, what, path, old, new, tests) for path, tag, what, old, new, tests in rows]


def _attempt() -> list[Mutation]:
    exact = (T_DETAILS + "::test_the_reference_product_is_the_plain_product",)
    rows = [
        (REFERENCE, "POW-DENOISE-1", "the noise of B left in", " - (padded_a @ f_left) @ f_right", "", exact),
        (REFERENCE, "POW-DENOISE-1", "the noise of A left in", " - e_left @ (e_right @ b_noised)", "", exact),
        (
            REFERENCE,
            "POW-DENOISE-1",
            "padding left in",
            "product[: a.shape[0], : b_t.shape[0]].",
            "product.",
            exact,
        ),
        (
            REFERENCE,
            "POW-SEED-2",
            "s_A of the wrong root",
            "seed_a_of(seed_b, commitment_a.root",
            "seed_a_of(seed_b, commitment_b.root",
            (GOLDEN,),
        ),
        (
            REFERENCE,
            "POW-ATTEMPT",
            "noise of A from s_B",
            "e_left = left_factor(seed_a,",
            "e_left = left_factor(seed_b,",
            (GOLDEN,),
        ),
        (
            REFERENCE,
            "POW-VERIFY-1",
            "attempts on any entries of A",
            "    check_entries(a)\n",
            "",
            (T_DETAILS + "::test_the_reference_refuses_entries_out_of_range",),
        ),
        (
            REFERENCE,
            "POW-VERIFY-1",
            "attempts on any entries of B",
            "    check_entries(b_t)\n",
            "",
            (T_DETAILS + "::test_the_reference_refuses_entries_out_of_range",),
        ),
        (
            CERTIFICATE,
            "POW-CERT-1",
            "fields in another order",
            "    root_a: Annotated[Hash32, Raw(32)]\n    root_b: Annotated[Hash32, Raw(32)]\n",
            "    root_b: Annotated[Hash32, Raw(32)]\n    root_a: Annotated[Hash32, Raw(32)]\n",
            (GOLDEN,),
        ),
        (
            CERTIFICATE,
            "POW-CERT-1",
            "both blocks of A",
            "block_b=commitment_b.blocks[index_b]",
            "block_b=commitment_a.blocks[index_a]",
            (T_VERIFY + "::test_sample_is_valid",),
        ),
        (
            CERTIFICATE,
            "POW-CERT-1",
            "both paths of A",
            "path_of(commitment_b, index_b)",
            "path_of(commitment_a, index_a)",
            (T_VERIFY + "::test_sample_is_valid",),
        ),
        (
            CERTIFICATE,
            "POW-CERT-1",
            "paths too short for the largest shape",
            "MAX_PATH_LENGTH = 16",
            "MAX_PATH_LENGTH = 14",
            (T_PROFILES + "::test_certificates_fit_their_bounds",),
        ),
        (
            CERTIFICATE,
            "POW-CERT-2",
            "another tag on the certificate",
            "Tag.CERTIFICATE",
            "Tag.BLOCK_ID",
            (GOLDEN,),
        ),
        (
            BLOCKS,
            "POW-CERT-2",
            "a header that names no certificate",
            "h256(Tag.CERTIFICATE, certificate) if certificate else",
            "",
            (T_RULES + "::test_a_winning_certificate_passes", T_HEADERS),
        ),
        (
            CODEC,
            "POW-CERT-1",
            "any encoding of a certificate",
            "if _PACKER.pack(wire) != data:",
            "if False:",
            (T_TAMPERS,),
        ),
        (
            CODEC,
            "POW-CERT-1",
            "certificates of any size",
            "if len(data) > cls.MAX_BYTES:",
            "if False:",
            (T_TAMPERS,),
        ),
    ]
    return [Mutation(tag, what, path, old, new, tests) for path, tag, what, old, new, tests in rows]


def _verification() -> list[Mutation]:
    tag = "POW-VERIFY-1"
    rows = [
        ("no check of the claim", "    check_mu(mu, profile)\n", "", "test_shape_out_of_bounds_or_ragged"),
        (
            "a target of zero",
            "if not 1 <= target <= profile.max_target:",
            "if not 0 <= target <= profile.max_target:",
            "test_target_out_of_range",
        ),
        (
            "any easy target",
            "if not 1 <= target <= profile.max_target:",
            "if not 1 <= target:",
            "test_target_out_of_range",
        ),
        (
            "any tile row",
            '("tile row", cube.tile_row, mu.m // profile.tile),',
            "",
            "test_cube_outside_the_product",
        ),
        (
            "any tile column",
            '("tile column", cube.tile_column, mu.n // profile.tile),',
            "",
            "test_cube_outside_the_product",
        ),
        (
            "any segment",
            '("segment", cube.segment, mu.k // profile.segment),',
            "",
            "test_cube_outside_the_product",
        ),
        (
            "one cube beyond the last",
            "not 0 <= found < count",
            "not 0 <= found <= count",
            "test_cube_outside_the_product",
        ),
        (
            "blocks of any size",
            "if len(block) != profile.block_bytes:",
            "if False:",
            "test_block_of_another_size",
        ),
        (
            "B's block of any size",
            "in (certificate.block_a, certificate.block_b):",
            "in (certificate.block_a,):",
            "test_block_of_another_size",
        ),
        ("paths of any length", "if len(path) != length:", "if False:", "test_path_of_another_length"),
        (
            "blocks of A that nobody committed",
            "if root_a != certificate.root_a:",
            "if False:",
            "test_block_that_was_not_committed",
        ),
        (
            "blocks of B that nobody committed",
            "if root_b != certificate.root_b:",
            "if False:",
            "test_block_that_was_not_committed",
        ),
        ("any entries of A", "    check_entries(block_a)\n", "", "test_committed_entry_out_of_range"),
        ("any entries of B", "    check_entries(block_b)\n", "", "test_committed_entry_out_of_range"),
        (
            "every ticket wins",
            "if not wins(ticket, target, profile):",
            "if False:",
            "test_ticket_above_the_target",
        ),
        (
            "the noise of the first segment",
            "first_slice = cube.segment * profile.slices",
            "first_slice = 0",
            "test_every_winner_verifies_and_no_loser_does",
        ),
        (
            "the noise of the first rows",
            "cube.tile_row * profile.tile, profile.tile",
            "0, profile.tile",
            "test_every_winner_verifies_and_no_loser_does",
        ),
    ]
    work = [
        (
            WORK,
            "POW-CERT-2",
            "certificates the header does not name",
            "header.certificate_hash != committed or not certificate",
            "not certificate",
            "test_the_header_commits_to_these_bytes",
        ),
        (
            WORK,
            "POW-CERT-2",
            "blocks without a certificate",
            "header.certificate_hash != committed or not certificate",
            "header.certificate_hash != committed",
            "test_the_header_commits_to_these_bytes",
        ),
        (
            WORK,
            tag,
            "a profile the certificate chooses",
            "PROFILES[spec.profile_id])\n",
            "PROFILES[proof.mu.profile_id])\n",
            "test_another_profile_is_another_network",
        ),
        (
            WORK,
            tag,
            "no verification",
            "return proof, verify_certificate(",
            "return proof, (lambda *_: committed)(",
            "test_work_is_done_over_every_header_field",
        ),
        (
            WORK,
            "POW-CLAIM-1",
            "bindings to jobs that do not exist or rest",
            "job.status != Status.CLAIMED",
            "False",
            "test_only_between_claim_and_commit",
        ),
        (
            WORK,
            "POW-CLAIM-1",
            "bindings to another's job",
            "job.provider != header.miner",
            "False",
            "test_only_the_provider_may_bind",
        ),
        (
            WORK,
            "POW-CLAIM-1",
            "bindings to any step",
            "or mu.binding.step != 0:",
            ":",
            "test_only_a_job_that_exists_and_its_step",
        ),
        (
            WORK,
            "POW-CLAIM-1",
            "bindings of another width or depth",
            "if (mu.n, mu.k) != (width, depth) or",
            "if",
            "test_only_the_jobs_own_shape",
        ),
        (
            WORK,
            "POW-CLAIM-1",
            "bindings of more rows than the job",
            " or mu.m > round_up(shape.m, profile.tile):",
            ":",
            "test_only_the_jobs_own_shape",
        ),
        (
            WORK,
            "POW-TARGET-1",
            "the weight of a target one off",
            "return (1 << 256) // (target + 1)",
            "return (1 << 256) // target",
            "test_work_is_the_expected_number_of_macs",
        ),
    ]
    return [
        *(Mutation(tag, what, VERIFY, old, new, (f"{T_VERIFY}::{test}",)) for what, old, new, test in rows),
        *(
            Mutation(tag, what, path, old, new, (f"{T_RULES}::{test}",))
            for path, tag, what, old, new, test in work
        ),
        Mutation(
            "POW-CLAIM-2",
            "a win that does not depend on its miner",
            BLOCKS,
            "return pack(self.to_wire()[:-1])",
            "return pack(self.to_wire()[:-2])",
            (T_HEADERS + "::test_every_field_changes_id_and_work",),
        ),
        Mutation(
            "POW-TARGET-1",
            "headers with a target of their own",
            HEADERS,
            "if header.target != target:",
            "if False:",
            (T_HEADERS + "::test_each_rule_refuses",),
        ),
    ]


def _engines() -> list[Mutation]:
    cpu = (T_ENGINES + "::test_cpu_passes_its_self_test",)
    faulty = (T_ENGINES + "::test_self_test_catches_a_faulty_engine",)
    rows = [
        (
            PANELS,
            "POW-EXACT-2",
            "biased sums where they do not fit",
            "_BIASED_LIMIT = 1 << 22",
            "_BIASED_LIMIT = 1 << 40",
            (T_DETAILS + "::test_the_deepest_segments_are_exact_at_their_largest",),
        ),
        (
            PANELS,
            "POW-EXACT-2",
            "sums without the sign",
            "_SIGN_BITS = np.int32(9)",
            "_SIGN_BITS = np.int32(0)",
            cpu,
        ),
        (
            PANELS,
            "POW-EXACT-2",
            "a bias that is not taken away",
            "_BIAS_BITS = 0x4B400000",
            "_BIAS_BITS = 0x4B000000",
            cpu,
        ),
        (
            NUMPY,
            "POW-EXACT-1",
            "float32 beyond 2^24",
            "_FLOAT32_EXACT = 1 << 24",
            "_FLOAT32_EXACT = 1 << 40",
            (T_ENGINES + "::test_denoising_is_exact_for_an_a_made_to_match_the_noise_of_b",),
        ),
        (
            TILES,
            "POW-EXACT-1",
            "a replay in half precision",
            "a_noised.astype(np.float64), b_noised.astype(np.float64)",
            "a_noised.astype(np.float16), b_noised.astype(np.float16)",
            (T_SPEC + "::test_transcript_by_hand",),
        ),
        (
            TICKETS,
            "POW-TARGET-1",
            "an engine whose winners stand at the bound",
            "if wins(ticket, target, profile):",
            "if True:",
            (T_ENGINES + "::test_winner_search_decides_exactly_at_the_bound",),
        ),
        (
            BASE,
            "POW-ENGINE-1",
            "engines with wrong products",
            "if attempt.product is None or not np.array_equal(attempt.product, reference.product):",
            "if False:",
            faulty,
        ),
        (
            BASE,
            "POW-ENGINE-1",
            "engines with wrong tickets",
            "for winner in attempt.winners} != reference.tickets:",
            "for winner in attempt.winners} is None:",
            faulty,
        ),
        (
            SELECT,
            "POW-ENGINE-1",
            "engines that nobody tested",
            "self_test(engine, profile, seed)",
            "pass",
            (T_DETAILS + "::test_an_engine_that_fails_its_self_test_is_not_chosen",),
        ),
        (
            BASE,
            "POW-ENGINE-2",
            "winners that were not replayed",
            "        ticket = verify_certificate(sigma, target, certificate, prepared.profile)",
            "        ticket = winner.ticket",
            (T_ENGINES + "::test_nothing_leaves_before_the_replay_agrees",),
        ),
        (
            BASE,
            "POW-ENGINE-2",
            "winners whose replay gave another ticket",
            "if ticket != winner.ticket:",
            "if False:",
            (T_ENGINES + "::test_nothing_leaves_before_the_replay_agrees",),
        ),
        (
            BASE,
            "POW-ENGINE-6",
            "attempts that do not fit",
            "if needed > free:",
            "if False:",
            (T_WORKBENCH + "::test_what_does_not_fit_is_refused_before_it_is_tried",),
        ),
        (
            WORKBENCH,
            "POW-ENGINE-7",
            "matrices that nobody looked at",
            "        check_entries(matrix)\n",
            "",
            (T_WORKBENCH + "::test_load_checks_every_entry",),
        ),
        (
            ENTRIES,
            "POW-ENTRIES-1",
            "seeded matrices that ignore their number",
            "pack([seed, index])",
            "pack([seed])",
            (T_ENGINES + "::test_seeded_entries_cover_the_range_and_differ",),
        ),
        (
            ENTRIES,
            "POW-ENTRIES-1",
            "entries up to 64",
            "np.uint16(127)",
            "np.uint16(128)",
            (
                T_ENGINES + "::test_seeded_entries_cover_the_range_and_differ",
                T_DETAILS + "::test_seeded_entries_by_hand",
            ),
        ),
        (
            ENTRIES,
            "POW-ENTRIES-1",
            "entries of another tag",
            "BulkTag.POW_ENTRIES",
            "BulkTag.POW_KAPPA",
            (T_DETAILS + "::test_seeded_entries_by_hand",),
        ),
    ]
    return [Mutation(tag, what, path, old, new, tests) for path, tag, what, old, new, tests in rows]


def _bytes() -> list[Mutation]:
    golden = (GOLDEN,)
    rows = [
        (CODEC, "POW-BYTES-1", "bytes packed as text", "use_bin_type=True", "use_bin_type=False", golden),
        (
            HASHING,
            "POW-BYTES-2",
            "another context",
            "tilework v1 pow leaf a",
            "tilework v2 pow leaf a",
            golden,
        ),
        (
            HASHING,
            "POW-BYTES-2",
            "a key as data",
            "blake3(data, key=key)",
            "blake3(key + bytes(data))",
            golden,
        ),
    ]
    return [Mutation(tag, what, path, old, new, tests) for path, tag, what, old, new, tests in rows]


def _process() -> list[Mutation]:
    """What keeps a wrong engine from doing harm, and a stale order from lasting."""
    rows = [
        (
            SLOT,
            "POW-ENGINE-3",
            "engines that change without a word",
            "self._report(engine, why, left[0])",
            "pass",
            (T_SLOT + "::test_an_engine_that_does_not_start_gives_way_to_the_next",),
        ),
        (
            PAUSE,
            "POW-ENGINE-4",
            "pauses that do not grow",
            "min(2 * self.next_ms, self._longest_ms)",
            "self.next_ms",
            (T_SLOT + "::test_a_cpu_without_engines_tries_all_again_after_growing_pauses",),
        ),
        (
            SLOT,
            "POW-ENGINE-6",
            "memory that is short as an engine's fault",
            "elif event.code == _MEMORY_SHORT:",
            "elif False:",
            (T_SLOT + "::test_memory_that_is_short_rests_idle_work_and_costs_no_engine",),
        ),
        (
            SERVICE,
            "POW-ENGINE-5",
            "stale work that goes on",
            "if not all(isinstance(command, Mine) and",
            "if False and not all(isinstance(command, Mine) and",
            (T_SERVICE + "::test_new_work_ends_the_attempt_under_way_within_one_batch",),
        ),
        (
            SERVICE,
            "POW-WORKER-2",
            "patient orders that end an attempt",
            "isinstance(command, Mine) and command.patient for",
            "False for",
            (T_SERVICE + "::test_a_patient_order_lets_the_attempt_finish",),
        ),
        (
            SERVICE,
            "POW-WORKER-2",
            "panels that nobody can stop",
            "if self._stopping.is_set():",
            "if False:",
            (T_SERVICE + "::test_stop_ends_a_panel_within_one_batch",),
        ),
        (
            PRODUCT,
            "POW-ENGINE-8",
            "products that nobody checked",
            "return find_wrong_row(",
            "return (lambda *_: None)(",
            (T_MINER + "::test_a_wrong_product_is_made_again_and_the_liar_loses_its_engine",),
        ),
        (
            CUDA,
            "POW-EXACT-3",
            "products of another type on the device",
            "_CUDA_R_32I = 10",
            "_CUDA_R_32I = 3",
            (T_CUPY + "::test_self_test",),
        ),
        (
            WORKER,
            "POW-WORKER-3",
            "engines tried in silence",
            "sink.write(to_frame(Trying(name)))",
            "None",
            (T_DETAILS + "::test_a_worker_names_the_engine_that_it_tries",),
        ),
        (
            WORK_FORMS,
            "POW-WORKER-4",
            "miners of other rules",
            'if form["work_rules"] != WORK_RULES:',
            "if False:",
            (T_DETAILS + "::test_work_of_other_rules_is_refused",),
        ),
        (
            WORK_FORMS,
            "POW-WORKER-4",
            "work that pays somebody else",
            "if address is not None and header.miner != _account(address):",
            "if False:",
            (T_MINER_COMMAND + "::test_work_for_somebody_else_is_refused",),
        ),
        (
            LENT,
            "POW-WORKER-5",
            "lent devices that may lie again",
            "self.is_refused = True",
            "self.is_refused = False",
            (T_LENT + "::test_a_liar_is_refused_for_good_and_its_panels_are_made_again",),
        ),
        (
            LENT,
            "POW-WORKER-5",
            "answers to panels that nobody owes",
            "lease is None or lease.offer.panel != panel",
            "lease is None",
            (T_LENT + "::test_a_product_of_a_wrong_size_costs_the_panel",),
        ),
        (
            LENT,
            "POW-WORKER-5",
            "calls that broke off and still get panels",
            "while turn == self._turn:",
            "while turn:",
            (T_LENT + "::test_who_asks_twice_gets_the_panel_once_and_last",),
        ),
    ]
    return [Mutation(tag, what, path, old, new, tests) for path, tag, what, old, new, tests in rows]


def _worker() -> list[Mutation]:
    rows = [
        (
            MESSAGES,
            "frames counted from the other end",
            'int.from_bytes(length, "big")',
            'int.from_bytes(length, "little")',
            (T_MESSAGES,),
        ),
        (
            MESSAGES,
            "frames of any size",
            "not 1 <= size <= MAX_FRAME_BYTES",
            "not 1 <= size",
            (T_MESSAGES + "::test_frames_are_bounded",),
        ),
        (
            MESSAGES,
            "events taken for commands",
            "return _record(_COMMANDS, payload)",
            "return _record({**_COMMANDS, **_EVENTS}, payload)",
            (T_MESSAGES,),
        ),
        (
            MESSAGES,
            "frames without a kind",
            "if not payload or payload[0] not in table:",
            "if payload[0] not in table:",
            (T_DETAILS + "::test_an_empty_frame_has_no_kind",),
        ),
        (
            MESSAGES,
            "other numbers of kinds",
            "5: Bench, 6: Idle",
            "6: Bench, 5: Idle",
            (T_DETAILS + "::test_the_table_of_kinds_is_the_specification",),
        ),
    ]
    return [Mutation("POW-WORKER-1", what, path, old, new, tests) for path, what, old, new, tests in rows]


def _freivalds() -> list[Mutation]:
    by_hand = (T_DETAILS + "::test_a_challenge_by_hand",)
    refused = (T_FREIVALDS + "::test_entries_out_of_range_are_refused",)
    rows = [
        ("FREIVALDS-1", "another prime", "PRIME = (1 << 31) - 1", "PRIME = (1 << 31) - 19", by_hand),
        (
            "FREIVALDS-1",
            "words of 32 bits, with their bias",
            '"<u8") % np.uint64',
            '"<u4")[::2] % np.uint64',
            by_hand,
        ),
        ("FREIVALDS-1", "words read from the other end", '"<u8"', '">u8"', by_hand),
        (
            "FREIVALDS-1",
            "one challenge for every length",
            "pack([seed, length, rounds])",
            "pack([seed, rounds])",
            by_hand,
        ),
        (
            "FREIVALDS-1",
            "one challenge for any rounds",
            "pack([seed, length, rounds])",
            "pack([seed, length])",
            by_hand,
        ),
        (
            "FREIVALDS-1",
            "one challenge for every seed",
            "pack([seed, length, rounds])",
            "pack([length, rounds])",
            by_hand,
        ),
        (
            "FREIVALDS-2",
            "one round",
            "ROUNDS = 3",
            "ROUNDS = 1",
            (T_FREIVALDS + "::test_challenge_is_field_elements_of_the_seed",),
        ),
        (
            "FREIVALDS-2",
            "no range check",
            "np.flatnonzero(out_of_range | differs)",
            "np.flatnonzero(differs)",
            (T_FREIVALDS + "::test_difference_of_one_prime_is_seen",),
        ),
        (
            "FREIVALDS-2",
            "only the range check",
            "np.flatnonzero(out_of_range | differs)",
            "np.flatnonzero(out_of_range)",
            (T_FREIVALDS + "::test_first_wrong_row_is_named",),
        ),
        (
            "FREIVALDS-2",
            "the last wrong row",
            "int(wrong[0])",
            "int(wrong[-1])",
            (T_DETAILS + "::test_the_first_of_several_wrong_rows_is_named",),
        ),
        ("FREIVALDS-2", "any entries of A", "    check_entries(a)\n", "", refused),
        ("FREIVALDS-2", "any entries of B", "    check_entries(b_t)\n", "", refused),
        (
            "FREIVALDS-2",
            "a range one row wide",
            "largest = MAX_ENTRY * MAX_ENTRY * k",
            "largest = MAX_ENTRY * MAX_ENTRY",
            (T_FREIVALDS + "::test_extreme_product_passes",),
        ),
        (
            "FREIVALDS-3",
            "evidence that is not reduced",
            "    return total % PRIME\n",
            "    return total\n",
            (T_FREIVALDS + "::test_evidence_is_c_times_x_and_rows_stand_alone",),
        ),
        (
            "FREIVALDS-3",
            "evidence of another vector",
            "rounds=1))",
            "rounds=2))",
            (T_FREIVALDS + "::test_evidence_is_c_times_x_and_rows_stand_alone",),
        ),
    ]
    return [Mutation(tag, what, FREIVALDS, old, new, tests) for tag, what, old, new, tests in rows]


MUTATIONS: tuple[Mutation, ...] = (
    *_profiles(),
    *_claim(),
    *_padding(),
    *_commit(),
    *_noise(),
    *_tiles(),
    *_attempt(),
    *_verification(),
    *_engines(),
    *_bytes(),
    *_process(),
    *_worker(),
    *_freivalds(),
)
