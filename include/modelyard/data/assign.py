"""Which row goes where: pure functions of the rows, the fractions and the seed.

Rows are ordered by the SHA-256 of the seed and of the row's own values, each spelt in one way
only, and the order is cut at exact sizes. No random-number generator takes part, so the answer is
the same on every machine, in every library version, and for equal rows in any order; and a row
that is added moves few others.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

Fractions = tuple[float, float, float]
Sizes = tuple[int, int, int]

SPLITS = (0, 1, 2)
NAMES = ("train", "validation", "test")


def largest_remainder(total: int, fractions: Fractions) -> Sizes:
    """Divide a whole number into three by their shares, exactly; ties go to the earlier split."""
    quotas = [total * fraction for fraction in fractions]
    sizes = [int(quota + 1e-9) for quota in quotas]
    by_remainder = sorted(SPLITS, key=lambda split: (sizes[split] - quotas[split], split))
    for split in by_remainder[: total - sum(sizes)]:
        sizes[split] += 1
    return (sizes[0], sizes[1], sizes[2])


def shuffled(rows: Sequence[str], seed: int) -> list[int]:
    """Return positions in an order that depends on the rows' contents and the seed only."""
    digests = [
        hashlib.sha256(f"{seed}\x1e{row}".encode("utf-8", "surrogatepass")).digest() for row in rows
    ]
    return sorted(range(len(rows)), key=lambda position: (digests[position], position))


def at_random(rows: Sequence[str], fractions: Fractions, seed: int) -> list[int]:
    """Assign rows at random, with exact sizes."""
    return _deal(shuffled(rows, seed), largest_remainder(len(rows), fractions), len(rows))


def stratified(
    rows: Sequence[str], classes: Sequence[Hashable], fractions: Fractions, seed: int
) -> list[int]:
    """Assign rows at random so that each split is exact and each class within one row of its share."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position in shuffled(rows, seed):
        members[classes[position]].append(position)
    counts = {name: len(found) for name, found in members.items()}
    assigned = [0] * len(rows)
    for name, sizes in class_sizes(counts, fractions).items():
        for position, split in zip(members[name], _repeated(sizes), strict=True):
            assigned[position] = split
    return assigned


def class_sizes(counts: Mapping[Hashable, int], fractions: Fractions) -> dict[Hashable, Sizes]:
    """Round each class's shares so that the splits' totals are those of the whole table.

    Each class first gets its shares rounded down. Its rows left over go, one each, to the splits
    that still lack most; that this always comes out even is the Gale-Ryser theorem.
    """
    totals = largest_remainder(sum(counts.values()), fractions)
    sizes = {
        name: [int(count * fraction + 1e-9) for fraction in fractions]
        for name, count in counts.items()
    }
    lacking = [totals[split] - sum(one[split] for one in sizes.values()) for split in SPLITS]
    for name in sorted(counts, key=str):
        over = counts[name] - sum(sizes[name])
        remainder = [counts[name] * fractions[split] - sizes[name][split] for split in SPLITS]
        neediest = sorted(SPLITS, key=lambda split: (-lacking[split], -remainder[split], split))
        for split in neediest[:over]:
            sizes[name][split] += 1
            lacking[split] -= 1
    return {name: (one[0], one[1], one[2]) for name, one in sizes.items()}


def by_group(groups: Sequence[str], fractions: Fractions, seed: int) -> list[int]:
    """Assign whole groups at random, each to the split that still lacks most rows."""
    sizes = Counter(groups)
    targets = largest_remainder(len(groups), fractions)
    lacking = list(targets)
    where: dict[str, int] = {}
    names = sorted(sizes)
    for position in shuffled(names, seed):
        name = names[position]
        where[name] = max(SPLITS, key=lambda split: (lacking[split], -split))
        lacking[where[name]] -= sizes[name]
    _fill_empty(where, sizes, targets)
    return [where[group] for group in groups]


def _fill_empty(where: dict[str, int], sizes: Mapping[str, int], targets: Sizes) -> None:
    """Give a split that got no group the smallest group of the split with most groups."""
    for split in SPLITS:
        if targets[split] and split not in where.values():
            crowded, count = Counter(where.values()).most_common(1)[0]
            if count > 1:
                own = [name for name in where if where[name] == crowded]
                where[min(own, key=lambda name: (sizes[name], name))] = split


def in_blocks(groups: Sequence[str], fractions: Fractions) -> list[int]:
    """Assign whole groups in the order of the table: first training, then validation, then test."""
    sizes = Counter(groups)
    order = list(dict.fromkeys(groups))
    targets = largest_remainder(len(groups), fractions)
    wanted = [split for split in SPLITS if targets[split]]
    where: dict[str, int] = {}
    done = goal = 0
    for place, split in enumerate(wanted):
        goal += targets[split]
        room = len(order) - len(where) - (len(wanted) - place - 1)
        taken = order[
            len(where) : len(where) + _blocks_until(order[len(where) :], sizes, goal - done, room)
        ]
        if place == len(wanted) - 1:
            taken = order[len(where) :]
        where |= dict.fromkeys(taken, split)
        done += sum(sizes[name] for name in taken)
    return [where[group] for group in groups]


def _blocks_until(blocks: Sequence[str], sizes: Mapping[str, int], goal: int, room: int) -> int:
    """Count the leading blocks, from 1 to `room`, whose rows come nearest to `goal`."""
    best, nearest, rows = 1, None, 0
    for count, name in enumerate(blocks[: max(room, 1)], start=1):
        rows += sizes[name]
        if nearest is None or abs(rows - goal) < nearest:
            best, nearest = count, abs(rows - goal)
    return best


def _deal(order: Sequence[int], sizes: Sizes, rows: int) -> list[int]:
    assigned = [0] * rows
    for position, split in zip(order, _repeated(sizes), strict=True):
        assigned[position] = split
    return assigned


def _repeated(sizes: Sizes) -> Iterable[int]:
    return (split for split in SPLITS for _ in range(sizes[split]))
