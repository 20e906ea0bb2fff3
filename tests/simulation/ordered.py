"""A set in the order of its additions: sets of objects have another order in each process, and a seed has to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import TypeVar

_Item = TypeVar("_Item")


class OrderedSet(MutableSet[_Item]):
    """A set as a dict."""

    def __init__(self, items: Iterable[_Item] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[_Item]:
        return iter(tuple(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: _Item) -> None:
        """Add an item at the end."""
        self._items[value] = None

    def discard(self, value: _Item) -> None:
        """Remove an item, if it is there."""
        self._items.pop(value, None)
