"""The columns of each kind of file. Case, spaces, underscores and punctuation of a header do not matter."""

from graphql_api.imports import values
from graphql_api.imports.layout import Column, Field, Layout
from graphql_api.imports.parsers import (
    MAX_NUMBER,
    MAX_PACK,
    MAX_QUANTITY,
    MAX_VOLUME_ML,
    clean_description,
    clean_reference,
    degrees_within,
    integer_between,
    parse_flag,
    parse_position,
    parse_price,
)

_NUMBER = integer_between(0, MAX_NUMBER)

_CITY = Column(Field.CITY, ("City", "Store City"), values.clean_place_name)
_ZIP_CODE = Column(Field.ZIP_CODE, ("Zip Code", "Zip", "Store Zip Code", "Postal Code", "Postcode"), values.clean_zip)
_ADDRESS = Column(Field.ADDRESS, ("Address", "Store Address"), values.clean_name)
_COUNTY_NUMBER = Column(Field.COUNTY_NUMBER, ("County Number", "County No", "County ID"), _NUMBER)
_COUNTY_NAME = Column(Field.COUNTY_NAME, ("County", "County Name", "Store County"), values.clean_place_name)
_CATEGORY_NUMBER = Column(Field.CATEGORY_NUMBER, ("Category", "Category Number", "Category No", "Category ID"), _NUMBER)
_CATEGORY_NAME = Column(Field.CATEGORY_NAME, ("Category Name",), values.clean_name)
_VENDOR_NUMBER = Column(Field.VENDOR_NUMBER, ("Vendor Number", "Vendor No", "Vendor ID", "Vendor"), _NUMBER)
_VENDOR_NAME = Column(Field.VENDOR_NAME, ("Vendor Name",), values.clean_name)
_STORE_NUMBER = Column(Field.STORE_NUMBER, ("Store Number", "Store No", "Store ID", "Store"), _NUMBER, is_required=True)
_SKU = Column(
    Field.SKU,
    ("Item Number", "Item No", "Item", "Item ID", "SKU", "Product Number"),
    values.clean_sku,
    is_required=True,
)
_PACK = Column(Field.PACK, ("Pack", "Pack Size"), integer_between(1, MAX_PACK))
_BOTTLE_VOLUME = Column(
    Field.BOTTLE_VOLUME_ML, ("Bottle Volume (ml)", "Bottle Volume", "Volume ml"), integer_between(0, MAX_VOLUME_ML)
)
_COST_SPELLINGS = ("State Bottle Cost", "Bottle Cost", "Unit Cost")
_UNIT_COST = Column(Field.UNIT_COST, _COST_SPELLINGS, parse_price)
_UNIT_PRICE = Column(
    Field.UNIT_PRICE, ("State Bottle Retail", "Bottle Retail", "Unit Price", "Retail Price"), parse_price
)
_IS_ACTIVE = Column(Field.IS_ACTIVE, ("Active", "Is Active", "In Use"), parse_flag)
_EXPIRES_ON = Column(
    Field.EXPIRES_ON, ("Expiry Date", "Expires On", "Expires", "Expiration Date", "Best Before"), values.parse_date
)

SALES = Layout(
    "sales",
    (
        Column(
            Field.LINE_ID,
            (
                "Invoice/Item Number",
                "Invoice and Item Number",
                "Invoice Line Number",
                "Invoice Line No",
                "Line ID",
            ),
            is_text=True,
        ),
        Column(Field.DATE, ("Date", "Order Date", "Invoice Date", "Sale Date"), values.parse_date, is_required=True),
        _STORE_NUMBER,
        Column(Field.STORE_NAME, ("Store Name", "Name"), values.clean_name),
        _ADDRESS,
        _CITY,
        _ZIP_CODE,
        Column(Field.LOCATION, ("Store Location", "Location"), values.parse_location),
        _COUNTY_NUMBER,
        _COUNTY_NAME,
        _CATEGORY_NUMBER,
        _CATEGORY_NAME,
        _VENDOR_NUMBER,
        _VENDOR_NAME,
        _SKU,
        Column(
            Field.PRODUCT_NAME,
            ("Item Description", "Item Desc", "IM Desc", "Item Name", "Product Name", "Product Description"),
            values.clean_name,
        ),
        _PACK,
        _BOTTLE_VOLUME,
        Column(Field.UNIT_COST, _COST_SPELLINGS, parse_price, is_required=True),
        _UNIT_PRICE,
        Column(
            Field.QUANTITY,
            ("Bottles Sold", "Sale Bottles", "Quantity", "Quantity Sold"),
            integer_between(-MAX_QUANTITY, MAX_QUANTITY),
            is_required=True,
        ),
        Column(
            Field.SALE_AMOUNT,
            ("Sale (Dollars)", "Sale Amount", "Sales Dollars", "Sale", "Revenue"),
            values.parse_money,
        ),
        # bottles and their volume say these exactly
        Column(Field.VOLUME_LITERS, ("Volume Sold (Liters)", "Sale Liters", "Volume Liters"), is_read=False),
        Column(Field.VOLUME_GALLONS, ("Volume Sold (Gallons)", "Sale Gallons", "Volume Gallons"), is_read=False),
    ),
    one_required=(Field.UNIT_PRICE, Field.SALE_AMOUNT),
)
PRODUCTS = Layout(
    "products",
    (
        _SKU,
        Column(
            Field.PRODUCT_NAME,
            ("Name", "Product Name", "Item Name", "Item Description", "Item Desc", "IM Desc"),
            values.clean_name,
        ),
        Column(Field.DESCRIPTION, ("Description", "Product Description", "Long Description"), clean_description),
        _CATEGORY_NUMBER,
        _CATEGORY_NAME,
        _VENDOR_NUMBER,
        _VENDOR_NAME,
        _PACK,
        _BOTTLE_VOLUME,
        _UNIT_COST,
        _UNIT_PRICE,
        Column(
            Field.LOW_STOCK_THRESHOLD,
            ("Low Stock Threshold", "Low Stock", "Threshold", "Minimum Stock", "Reorder Level"),
            integer_between(0, MAX_NUMBER),
        ),
        _IS_ACTIVE,
    ),
)
STORES = Layout(
    "stores",
    (
        Column(Field.STORE_NUMBER, (*_STORE_NUMBER.spellings, "Number"), _NUMBER, is_required=True),
        Column(Field.STORE_NAME, ("Store Name", "Name"), values.clean_name),
        _ADDRESS,
        _CITY,
        _ZIP_CODE,
        _COUNTY_NUMBER,
        _COUNTY_NAME,
        Column(Field.LOCATION, ("Store Location", "Location"), parse_position),
        Column(Field.LATITUDE, ("Latitude", "Lat"), degrees_within(values.MAX_LATITUDE)),
        Column(Field.LONGITUDE, ("Longitude", "Lon", "Lng"), degrees_within(values.MAX_LONGITUDE)),
        _IS_ACTIVE,
    ),
)
PURCHASES = Layout(
    "purchases",
    (
        Column(
            Field.PURCHASE_NUMBER,
            ("Purchase Number", "Purchase No", "Purchase", "PO Number", "Supplier Reference", "Reference"),
            clean_reference,
            is_required=True,
        ),
        Column(Field.LINE_NUMBER, ("Line Number", "Line No", "Line"), integer_between(1, MAX_NUMBER)),
        Column(
            Field.DATE, ("Date", "Purchase Date", "Received On", "Receipt Date"), values.parse_date, is_required=True
        ),
        _STORE_NUMBER,
        _VENDOR_NUMBER,
        Column(Field.VENDOR_NAME, ("Vendor Name", "Supplier", "Supplier Name"), values.clean_name),
        _SKU,
        Column(
            Field.QUANTITY,
            ("Quantity", "Bottles", "Bottles Received", "Quantity Received", "Received"),
            integer_between(1, MAX_QUANTITY),
            is_required=True,
        ),
        Column(Field.UNIT_COST, ("Unit Cost", "Bottle Cost", "State Bottle Cost"), parse_price, is_required=True),
        _EXPIRES_ON,
    ),
    one_required=(Field.VENDOR_NUMBER, Field.VENDOR_NAME),
)
STOCK_COUNT = Layout(
    "stock count",
    (
        _STORE_NUMBER,
        _SKU,
        Column(
            Field.COUNTED,
            ("Counted Quantity", "Counted", "Count", "Quantity", "Bottles", "Bottles Counted"),
            integer_between(0, MAX_QUANTITY),
            is_required=True,
        ),
        Column(
            Field.EXPECTED,
            ("Expected Quantity", "Expected", "On Hand", "Book Quantity"),
            integer_between(0, 2**53),
        ),
        Column(Field.UNIT_COST, ("Unit Cost", "Bottle Cost", "State Bottle Cost"), parse_price),
        _EXPIRES_ON,
        Column(Field.DATE, ("Date", "Count Date", "Counted On"), values.parse_date),
    ),
)
