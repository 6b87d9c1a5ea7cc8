# SPDX-License-Identifier: MIT
"""Makes a failing list small: delta debugging (ddmin) where failing is a matter of chance.

fails(list) runs a candidate as often as it wants to be sure enough; a candidate that fails by luck once is
a failure, one that fails seldom is left out at worst, and then the result is larger than it could be.
"""


def _without(items, first, length):
    return items[:first] + items[first + length:]


def shrink(items, fails, enough=lambda: False):
    """A smaller list that failed; `enough` says when the time is over."""
    length = max(len(items) // 2, 1)
    while items:
        first, smaller = 0, False
        while first < len(items) and not enough():
            candidate = _without(items, first, length)
            if candidate and fails(candidate):
                items, smaller = candidate, True
            else:
                first += length
        if enough() or (length == 1 and not smaller):
            break
        length = max(length // 2, 1)
    return items
