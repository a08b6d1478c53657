"""Made-up sales files in the shape and size of real ones: scattered lines, 24 columns, quoted thousands."""

import random
from pathlib import Path

HEADER = (
    "Invoice/Item Number,Date,Store Number,store_name,Address,City,Zip Code,Store Location,County Number,County,"
    "Category,category_name,Vendor Number,vendor_name,Item Number,item_desc,Pack,Bottle Volume (ml),"
    "State Bottle Cost,State Bottle Retail,Bottles Sold,Sale (Dollars),Volume Sold (Liters),Volume Sold (Gallons)"
)
VOLUMES = ("750", "375", '"1,000"', '"1,750"')
STORES, PRODUCTS, DAYS, LINES_PER_INVOICE = 1_561, 2_968, 84, 27


def _stores(rng: random.Random) -> list[str]:
    return [
        f"{2000 + n},STORE NUMBER {n} / TOWN {n % 403},{rng.randint(1, 9999)} MAIN STREET,TOWN {n % 403},"
        f"{50001 + n % 441},POINT (-9{n % 7}.{n:06d} 4{n % 3}.{n:06d}),{n % 99 + 1},COUNTY {n % 99 + 1}"
        for n in range(STORES)
    ]


def _products(rng: random.Random) -> list[tuple[str, int, int]]:
    return [_product(n, rng.choice(VOLUMES), rng.randint(200, 4_000)) for n in range(PRODUCTS)]


def _product(n: int, volume: str, cost: int) -> tuple[str, int, int]:
    category = f"{1011000 + n % 63},CATEGORY {n % 63}"
    vendor = f"{n % 149 + 1:03d},VENDOR NUMBER {n % 149 + 1} INC"
    return f"{category},{vendor},{10000 + n},PRODUCT NUMBER {n} OF THE RANGE,12,{volume}", cost, cost * 3 // 2


def write_sales_file(path: Path, lines: int, *, seed: int = 1) -> None:
    """Write `lines` sales lines; the same seed gives the same bytes."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, no secret
    stores, products = _stores(rng), _products(rng)
    invoices = max(1, lines // LINES_PER_INVOICE)
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        order = list(range(lines))
        rng.shuffle(order)
        for index in order:
            invoice, line = index % invoices, index // invoices + 1
            store, day = stores[invoice * 7 % STORES], invoice % DAYS
            product, cost, price = products[rng.randrange(PRODUCTS)]
            bottles = rng.choice((1, 2, 3, 6, 12, 12, 24))
            file.write(
                f"INV-{invoice:07d}{line:05d},2019-{day // 28 + 1:02d}-{day % 28 + 1:02d},{store},{product},"
                f"{cost / 100:.2f},{price / 100:.2f},{bottles},{bottles * price / 100:.2f},{bottles * 0.75:.2f},"
                f"{bottles * 0.2:.2f}\n"
            )
