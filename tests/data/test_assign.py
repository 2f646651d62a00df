"""What must hold for every division of rows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.data.assign import (
    SPLITS,
    Fractions,
    at_random,
    by_group,
    class_sizes,
    in_blocks,
    largest_remainder,
    shuffled,
    stratified,
)


@st.composite
def shares(draw: st.DrawFn) -> Fractions:
    """Three shares in whole percents that add up to 1, with some training rows."""
    train = draw(st.integers(1, 100))
    validation = draw(st.integers(0, 100 - train))
    return (train / 100, validation / 100, (100 - train - validation) / 100)


seeds = st.integers(0, 2**31)
texts = st.lists(st.text(max_size=8), max_size=80, unique=True)
labels = st.lists(st.sampled_from("abcde"), max_size=150)


class TestLargestRemainder:
    @given(st.integers(0, 10**9), shares())
    def test_sizes_add_up_and_are_within_one_of_their_share(
        self, total: int, fractions: Fractions
    ) -> None:
        sizes = largest_remainder(total, fractions)
        assert sum(sizes) == total
        for size, fraction in zip(sizes, fractions, strict=True):
            assert abs(size - total * fraction) < 1 + 1e-6 * total

    @given(st.integers(0, 10**6))
    def test_a_share_of_nothing_gets_nothing(self, total: int) -> None:
        assert largest_remainder(total, (0.8, 0.2, 0.0))[2] == 0

    def test_rounding_errors_of_floats_do_not_move_a_row(self) -> None:
        assert largest_remainder(10, (0.7, 0.1, 0.2)) == (7, 1, 2)
        assert largest_remainder(1797, (0.7, 0.1, 0.2)) == (1258, 180, 359)


class TestShuffled:
    def test_the_order_is_this_one_on_every_machine(self) -> None:
        assert shuffled(["a", "b", "c", "d", "e", "f"], 42) == [2, 1, 3, 0, 5, 4]

    @given(texts, seeds)
    def test_it_is_a_permutation(self, rows: list[str], seed: int) -> None:
        assert sorted(shuffled(rows, seed)) == list(range(len(rows)))

    def test_another_seed_gives_another_order(self) -> None:
        rows = [str(number) for number in range(100)]
        assert shuffled(rows, 1) != shuffled(rows, 2)


class TestAtRandom:
    @given(texts, shares(), seeds)
    def test_the_sizes_are_exact(self, rows: list[str], fractions: Fractions, seed: int) -> None:
        counts = Counter(at_random(rows, fractions, seed))
        assert tuple(counts[split] for split in SPLITS) == largest_remainder(len(rows), fractions)

    @given(texts, shares(), seeds, st.randoms(use_true_random=False))
    def test_a_row_goes_to_the_same_split_wherever_it_stands(
        self, rows: list[str], fractions: Fractions, seed: int, random: object
    ) -> None:
        mixed = list(rows)
        random.shuffle(mixed)  # type: ignore[attr-defined]
        before = dict(zip(rows, at_random(rows, fractions, seed), strict=True))
        after = dict(zip(mixed, at_random(mixed, fractions, seed), strict=True))
        assert before == after

    def test_one_more_row_moves_few_others(self) -> None:
        rows = [str(number) for number in range(1000)]
        before = at_random(rows, (0.7, 0.1, 0.2), 42)
        after = at_random([*rows, "new"], (0.7, 0.1, 0.2), 42)
        assert sum(a != b for a, b in zip(before, after, strict=False)) <= 2


class TestStratified:
    @given(labels, shares(), seeds)
    def test_totals_are_exact_and_each_class_is_within_one_row_of_its_share(
        self, classes: list[str], fractions: Fractions, seed: int
    ) -> None:
        rows = [str(number) for number in range(len(classes))]
        assigned = stratified(rows, classes, fractions, seed)
        counts = Counter(assigned)
        assert tuple(counts[split] for split in SPLITS) == largest_remainder(len(rows), fractions)
        pairs = Counter(zip(classes, assigned, strict=True))
        for name, count in Counter(classes).items():
            for split in SPLITS:
                assert abs(pairs[name, split] - count * fractions[split]) <= 1 + 1e-6

    @given(st.dictionaries(st.text(max_size=3), st.integers(1, 500), max_size=30), shares())
    def test_class_sizes_always_come_out_even(
        self, counts: dict[str, int], fractions: Fractions
    ) -> None:
        sizes = class_sizes(counts, fractions)
        for name, count in counts.items():
            assert sum(sizes[name]) == count
            assert min(sizes[name]) >= 0
        totals = tuple(sum(one[split] for one in sizes.values()) for split in SPLITS)
        assert totals == largest_remainder(sum(counts.values()), fractions)

    @given(labels, seeds, st.randoms(use_true_random=False))
    def test_the_order_of_rows_does_not_matter(
        self, classes: list[str], seed: int, random: object
    ) -> None:
        rows = [f"{number}{name}" for number, name in enumerate(classes)]
        mixed = list(rows)
        random.shuffle(mixed)  # type: ignore[attr-defined]

        def assigned(order: list[str]) -> dict[str, int]:
            splits = stratified(order, [row[-1] for row in order], (0.6, 0.2, 0.2), seed)
            return dict(zip(order, splits, strict=True))

        assert assigned(rows) == assigned(mixed)


class TestByGroup:
    @given(st.lists(st.integers(0, 30).map(str), min_size=1, max_size=200), shares(), seeds)
    def test_a_group_stays_together(
        self, groups: list[str], fractions: Fractions, seed: int
    ) -> None:
        assigned = by_group(groups, fractions, seed)
        assert len(set(zip(groups, assigned, strict=True))) == len(set(groups))

    @given(st.lists(st.integers(0, 30).map(str), min_size=1, max_size=200), shares(), seeds)
    def test_each_split_with_a_share_gets_a_group_where_there_are_enough(
        self, groups: list[str], fractions: Fractions, seed: int
    ) -> None:
        wanted = {
            split for split, size in enumerate(largest_remainder(len(groups), fractions)) if size
        }
        present = set(by_group(groups, fractions, seed))
        if len(set(groups)) >= len(wanted):
            assert wanted <= present

    @given(st.integers(1, 20), seeds)
    def test_equal_groups_are_divided_exactly(self, size: int, seed: int) -> None:
        groups = [str(number % 10) for number in range(10 * size)]
        counts = Counter(by_group(groups, (0.7, 0.1, 0.2), seed))
        assert counts == {0: 7 * size, 1: size, 2: 2 * size}

    @given(st.lists(st.integers(0, 12).map(str), min_size=1, max_size=80), seeds)
    def test_the_order_of_rows_does_not_matter(self, groups: list[str], seed: int) -> None:
        forward = by_group(groups, (0.6, 0.2, 0.2), seed)
        backward = by_group(groups[::-1], (0.6, 0.2, 0.2), seed)
        assert forward == backward[::-1]


class TestInBlocks:
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=30), shares())
    def test_blocks_stay_whole_and_in_order(self, sizes: list[int], fractions: Fractions) -> None:
        groups = [str(block) for block, size in enumerate(sizes) for _ in range(size)]
        assigned = in_blocks(groups, fractions)
        assert len(set(zip(groups, assigned, strict=True))) == len(sizes)
        assert assigned == sorted(assigned)

    @given(st.lists(st.integers(1, 9), min_size=3, max_size=30), shares())
    def test_each_split_with_a_share_gets_a_block(
        self, sizes: list[int], fractions: Fractions
    ) -> None:
        groups = [str(block) for block, size in enumerate(sizes) for _ in range(size)]
        wanted = {
            split for split, size in enumerate(largest_remainder(len(groups), fractions)) if size
        }
        assert set(in_blocks(groups, fractions)) == wanted

    def test_equal_blocks_are_divided_exactly(self) -> None:
        groups = [str(block) for block in range(10) for _ in range(6)]
        assert Counter(in_blocks(groups, (0.7, 0.1, 0.2))) == {0: 42, 1: 6, 2: 12}

    def test_blocks_count_in_the_order_of_the_table_not_of_their_names(self) -> None:
        groups = ["z"] * 6 + ["m"] * 2 + ["a"] * 2
        assert in_blocks(groups, (0.6, 0.2, 0.2)) == [0] * 6 + [1] * 2 + [2] * 2

    def test_a_block_that_comes_again_later_still_stays_together(self) -> None:
        assigned = in_blocks(["a", "b", "c", "a"], (0.5, 0.25, 0.25))
        assert assigned[0] == assigned[3]


@settings(max_examples=20)
@given(st.lists(st.text(), min_size=10, max_size=40, unique=True), seeds)
def test_any_text_can_be_a_row(rows: list[str], seed: int) -> None:
    assert len(at_random(rows, (0.5, 0.25, 0.25), seed)) == len(rows)
