"""Sums of invoices in whole cents: discounts that are spread, tax, and parts that add up to the whole."""

from collections.abc import Sequence
from decimal import Decimal

# A tax rate is percent with three digits after the point.
RATE_DIGITS = 3
RATE_WHOLE = 100 * 10**RATE_DIGITS


def portion(amount: int, part: int, whole: int) -> int:
    """`amount * part / whole`, halves away from zero: 5 cents of 50 percent are 3.

    Args:
        amount: cents, of either sign.
        part: 0 to `whole`, or more for a rate above 100 percent.
        whole: above 0.
    """
    doubled = 2 * abs(amount) * part
    rounded = (doubled + whole) // (2 * whole)
    return rounded if amount >= 0 else -rounded


def portion_between(amount: int, before: int, after: int, whole: int) -> int:
    """What of `amount` falls to the parts from `before` to `after`: such portions add up to `amount` exactly."""
    if not whole:
        return 0
    return portion(amount, after, whole) - portion(amount, before, whole)


def tax_on(net: int, rate: Decimal | None) -> int:
    """The tax on `net` cents at `rate` percent, rounded once for the whole invoice."""
    return portion(net, int((rate or Decimal(0)).scaleb(RATE_DIGITS)), RATE_WHOLE)


def spread(discount: int, amounts: Sequence[int]) -> list[int]:
    """Share a discount among amounts in proportion to them, by largest remainder; the shares add up to it.

    No share is more than its amount; among equal remainders the first comes first.

    Raises:
        ValueError: the discount is negative, or more than the amounts come to.
    """
    total = sum(amounts)
    if not 0 <= discount <= total:
        raise ValueError(f"a discount of {discount} cents does not fit {total}")
    if not discount:
        return [0] * len(amounts)
    shares = [discount * amount // total for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda place: (-(discount * amounts[place] % total), place))
    for place in by_remainder[: discount - sum(shares)]:
        shares[place] += 1
    return shares
