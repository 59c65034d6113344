"""Which rows belong together when some are linked: union and find."""

from __future__ import annotations


class Links:
    """Disjoint sets of 0 ... n - 1 (Tarjan 1975, doi:10.1145/321879.321884); the root is the smallest member."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def root(self, i: int) -> int:
        """The smallest member of the set of `i`."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make one set of the sets of `i` and `j`."""
        a, b = sorted((self.root(i), self.root(j)))
        self._parent[b] = a

    def sets(self) -> list[list[int]]:
        """All sets with more than one member, each sorted, in the order of their first."""
        members: dict[int, list[int]] = {}
        for i in range(len(self._parent)):
            members.setdefault(self.root(i), []).append(i)
        return [m for m in members.values() if len(m) > 1]
