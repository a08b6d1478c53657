from graphql_api.imports.sales_block import PlaceFacts
from tests.pure.test_import_samples import create_file, create_row, read_block


def test_every_spelling_of_a_place_is_one_place() -> None:
    rows = [
        create_row({"City": city, "County": county}, number=number)
        for number, (city, county) in enumerate(
            [("CEDAR RAPIDS", "LINN"), ("Cedar Rapids", "Linn"), (" cedar  rapids ", "linn")], start=1
        )
    ]

    block = read_block(create_file(rows))

    assert block.places == [PlaceFacts("CEDAR RAPIDS", "52401", 57, "LINN")]
    assert block.lines.place.tolist() == [0, 0, 0]


def test_the_first_row_describes_a_product_and_later_rows_fill_its_gaps() -> None:
    rows = [
        create_row({"Item Description": "", "Pack": "6", "State Bottle Cost": "9.00"}, number=1),
        create_row({"Item Description": "NAMED", "Pack": "12"}, number=2),
        create_row({"Item Description": "OTHER"}, number=3),
    ]

    [product] = read_block(create_file(rows)).products

    assert (product.name, product.pack, product.unit_cost) == ("NAMED", 6, 900)


def test_a_category_is_never_named_after_another() -> None:
    rows = [
        create_row({"Category": "1", "Category Name": ""}, number=1),
        create_row({"Category": "2", "Category Name": "TWO"}, number=2),
        create_row({"Category": "1", "Category Name": "ONE", "Item Number": "other"}, number=3),
    ]

    products = read_block(create_file(rows)).products

    assert [(product.category_number, product.category_name) for product in products] == [(1, "ONE"), (1, "ONE")]


def test_a_vendor_without_a_number_keeps_its_name() -> None:
    [product] = read_block(create_file([create_row({"Vendor Number": ""})])).products

    assert (product.vendor_number, product.vendor_name) == (None, "BACARDI USA INC")


def test_a_store_stands_in_its_first_complete_place() -> None:
    rows = [
        create_row({"County": "", "County Number": ""}, number=1),
        create_row(number=2),
        create_row({"City": "MARION"}, number=3),
    ]

    block = read_block(create_file(rows))

    assert block.places[block.stores[0].place] == PlaceFacts("CEDAR RAPIDS", "52401", 57, "LINN")
    assert block.lines.place.tolist() == [0, 1, 2]


def test_a_store_gets_its_position_from_the_first_row_that_has_one() -> None:
    rows = [create_row({"Store Location": ""}, number=1), create_row(number=2)]

    [store] = read_block(create_file(rows)).stores

    assert (str(store.latitude), str(store.longitude)) == ("41.975740", "-91.659875")
