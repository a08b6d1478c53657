"""Invented stores: forty of them in twelve counties, and one that no county claims."""

from dataclasses import dataclass

FIRST_NUMBER = 2101
FIRST_ZIP = 52010
STREETS = ("Main St", "Mill Rd", "Station Ave", "Harbor Way", "Market Sq", "Orchard Ln", "Quarry Rd")
CHAINS = ("Corner Cellar", "Goodbarrel Market", "Harvest Pantry", "Ninefields Spirits", "Old Depot Wines")

# County (number, name) and its cities: name, latitude and longitude in hundredths of a degree, stores.
COUNTIES = (
    (4, "Alderbrook", (("Maplewick", 4212, -9341, 4), ("Stonebridge", 4225, -9318, 2))),
    (11, "Bellhaven", (("Fairmont Ferry", 4158, -9086, 3),)),
    (17, "Carrowmore", (("Redwater", 4302, -9410, 2), ("Tamsin", 4311, -9436, 1))),
    (23, "Dunmarsh", (("Kestrel Point", 4144, -9275, 3), ("Lowell Creek", 4130, -9262, 1))),
    (29, "Eastmere", (("Port Ansel", 4189, -9024, 4),)),
    (31, "Foxglen", (("Hollis", 4240, -9533, 1), ("Westering", 4252, -9510, 1))),
    (38, "Granary", (("Silo Springs", 4268, -9187, 2),)),
    (42, "Highmoor", (("Cairn", 4331, -9152, 1), ("Upper Lindow", 4345, -9170, 1))),
    (50, "Ironvale", (("Foundry Hill", 4099, -9301, 3), ("Bessemer", 4087, -9322, 1))),
    (57, "Juniper", (("Tallgrass", 4176, -9468, 2),)),
    (63, "Kingsmead", (("Regent Falls", 4203, -9225, 4), ("Coronet", 4195, -9239, 1))),
    (71, "Larkspur", (("Meadowlark", 4283, -9357, 2),)),
)
NO_COUNTY = (None, None, (("Islet Landing", 4190, -9001, 1),))


@dataclass(frozen=True)
class DemoStore:
    """A store as a sales file describes it; `size` weighs how much it sells."""

    number: int
    name: str
    address: str
    city: str
    zip_code: str
    location: str
    county_number: int | None
    county_name: str | None
    size: int


def create_stores() -> list[DemoStore]:
    """All stores, the same in every process."""
    stores: list[DemoStore] = []
    zip_code = FIRST_ZIP
    for number, county, cities in (*COUNTIES, NO_COUNTY):
        for city, latitude, longitude, count in cities:
            for index in range(count):
                position = (latitude + index, longitude - index)
                # two stores to a zip code: a large city has several
                where = city, str(zip_code + index // 2), position
                stores.append(_create_store(len(stores), where, number, county))
            zip_code += 7
    return stores


def _create_store(
    index: int, where: tuple[str, str, tuple[int, int]], county_number: int | None, county_name: str | None
) -> DemoStore:
    city, zip_code, (latitude, longitude) = where
    return DemoStore(
        number=FIRST_NUMBER + 3 * index,
        name=f"{CHAINS[index % len(CHAINS)]} / {city}",
        address=f"{100 + 37 * index % 900} {STREETS[index % len(STREETS)]}",
        city=city,
        zip_code=zip_code,
        location=f"POINT ({_degrees(longitude)} {_degrees(latitude)})",
        county_number=county_number,
        county_name=county_name,
        size=2 + 5 * index % 9,
    )


def _degrees(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
