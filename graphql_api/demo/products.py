"""Invented products: forty brands of fifteen vendors in ten categories, each in three sizes."""

from dataclasses import dataclass

FIRST_SKU = 10_011
FIRST_VENDOR_NUMBER = 110

# Category number and name, cents that 750 ml of its cheapest brand cost, and its brands.
CATEGORIES = (
    (1011, "Straight Bourbon", 980, ("Twelve Mile", "Old Ferry", "Cooper's Rest", "Bright Mash")),
    (1021, "Blended Whisky", 840, ("Heather & Slate", "Low Tide", "Grey Heron", "Kirkstane")),
    (1031, "Vodka", 520, ("Clear Quarry", "North Lantern", "Volkova", "Plain Sight")),
    (1041, "Dry Gin", 760, ("Juniper Lane", "Wild Hedge", "Captain Orrin", "Sea Rosemary")),
    (1051, "White Rum", 640, ("Caleta", "Trade Wind", "Isla Serena", "Cane & Coral")),
    (1061, "Spiced Rum", 700, ("Black Pennant", "Nutmeg Bay", "Old Ballast", "Ember Cay")),
    (1071, "Tequila Reposado", 1240, ("Tres Piedras", "Agave Alta", "Casa Lumbre", "El Camino Azul")),
    (1081, "Brandy", 720, ("Vieux Moulin", "Orchard House", "Saint Corvin", "Amberley")),
    (1091, "Fruit Liqueur", 610, ("Peach Porch", "Blackcurrant Row", "Cherry Lock", "Sunny Grove")),
    (1101, "Cream Liqueur", 890, ("Dairy Lane", "Velvet Acre", "Cloud & Cocoa", "Toffee Mill")),
)
# Content in ml, bottles in a case, and cost in hundredths of that of 750 ml.
SIZES = ((375, 24, 55), (750, 12, 100), (1750, 6, 205))
VENDORS = (
    "Aldgate Brands", "Beacon Hill Spirits", "Copperworks Trading", "Distillers United", "Evergreen Imports",
    "Four Rivers Bottling", "Grantham & Daughters", "Highland Gate", "Inland Beverage", "Juno Liquors",
    "Kettle & Coil", "Lakeland Distribution", "Meridian Importers", "Northern Cask", "Open Range Distilling",
)  # fmt: skip


@dataclass(frozen=True)
class DemoProduct:
    """A product as a sales file describes it; cost and price are cents a bottle, `demand` weighs its sales."""

    sku: str
    name: str
    category_number: int
    category_name: str
    vendor_number: int
    vendor_name: str
    pack: int
    volume_ml: int
    unit_cost: int
    unit_price: int
    demand: int


def create_products() -> list[DemoProduct]:
    """All products, the same in every process."""
    products: list[DemoProduct] = []
    for category_number, category_name, cheapest, brands in CATEGORIES:
        for tier, brand in enumerate(brands):
            for volume_ml, pack, percent in SIZES:
                unit_cost = cheapest * (100 + 35 * tier) * percent // 10_000
                vendor = (len(products) // len(SIZES)) * 4 % len(VENDORS)
                products.append(
                    DemoProduct(
                        sku=str(FIRST_SKU + 13 * len(products)),
                        name=f"{brand} {category_name}",
                        category_number=category_number,
                        category_name=category_name,
                        vendor_number=FIRST_VENDOR_NUMBER + 5 * vendor,
                        vendor_name=VENDORS[vendor],
                        pack=pack,
                        volume_ml=volume_ml,
                        unit_cost=unit_cost,
                        unit_price=_shelf_price(unit_cost),
                        demand=(5 - tier) * (4 if percent == 100 else 1) + category_number % 7,  # noqa: PLR2004 - 750 ml
                    )
                )
    return products


def _shelf_price(unit_cost: int) -> int:
    """Half as much again as the cost, up to the next nine cents."""
    return (unit_cost * 3 // 2) // 10 * 10 + 9
