"""The printed invoice: what stands on its pages, looked at as a reader of PDFs sees them."""

import asyncio
import datetime as dt
import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pypdfium2 as pdfium
import pytest
from pypdfium2 import raw
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.database.user import Role
from graphql_api.services.errors import Conflict, NotFound
from graphql_api.services.pdf.invoice_facts import amount, freeze_names, invoice_facts
from graphql_api.services.pdf.renderer import Pdf, Renderer
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import Line, create_customer, create_invoice, create_product, create_store, create_user

ADMIN = Viewer(1, Role.ADMIN, 1)
HOSTILE = '#include "/etc/passwd" $x$ *bold* #read("/etc/hosts") <script> @preview/x \\ ` ~'
ARABIC = "شركة المشروبات المتحدة"
EAST_ASIAN = "田中商店 株式会社 北京 한국"


@dataclass(frozen=True)
class Pages:
    """A document as a reader sees it."""

    texts: list[str]
    fonts: set[str]

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def read_pages(pdf: Pdf) -> Pages:
    document = pdfium.PdfDocument(pdf.content)
    texts = [page.get_textpage().get_text_range().replace("\u200b", "").replace("\ufffe", "") for page in document]
    fonts = {
        item.get_font().get_base_name()
        for page in document
        for item in page.get_objects(filter=(raw.FPDF_PAGEOBJ_TEXT,))
        if isinstance(item, pdfium.PdfTextObj)
    }
    return Pages(texts, fonts)


async def print_invoice(database: Database, invoice: InvoiceRow, viewer: Viewer = ADMIN) -> Pdf:
    async with database.read() as session:
        facts = await invoice_facts(session, invoice.id, viewer)
    return await Renderer().render(facts)


async def change(database: Database, statement: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(text(statement), values)


async def test_every_amount_stands_there_to_the_cent(database: Database) -> None:
    # given 3 bottles at 1,234.56 less 0.07, with 8.25 % of tax
    async with database.transaction() as session:
        product = await create_product(session, sku="11776", name="Black Velvet", unit_price=123_456)
        invoice = await create_invoice(session, Line(product, 3, discount=7), number="2107-000001")
        invoice.tax_rate, invoice.tax, invoice.currency = Decimal("8.250"), 30_555, "USD"
        invoice.company_name, invoice.company_tax_number = "Harbour Spirits", "DE-77"
        invoice.customer_name, invoice.note = "Ann Example", "Thank you"

    # when
    pages = read_pages(await print_invoice(database, invoice))

    # then
    for expected in (
        "Invoice", "2107-000001", "2024-03-15", "Harbour Spirits", "Tax number DE-77", "Ann Example", "Thank you",
        "11776", "Black Velvet", "1,234.56", "0.07", "3,703.61", "Before discount", "3,703.68", "-0.07",
        "Tax 8.25 %", "305.55", "4,009.16", "All amounts in USD", "1 / 1",
    ):  # fmt: skip
        assert expected in pages.text, expected


async def test_many_lines_take_many_pages_each_with_the_header(database: Database) -> None:
    async with database.transaction() as session:
        products = [await create_product(session, name=f"Product number {place}") for place in range(150)]
        invoice = await create_invoice(session, *[Line(product) for product in products], number="2107-000002")

    pages = read_pages(await print_invoice(database, invoice))

    assert len(pages.texts) > 3
    assert all("Description" in page and "2107-000002" in page for page in pages.texts)
    assert all(f"Product number {place}" in pages.text for place in range(150))
    assert f"{len(pages.texts)} / {len(pages.texts)}" in pages.texts[-1]
    assert "1,350.00" in pages.texts[-1]


async def test_texts_are_data_and_never_markup(database: Database) -> None:
    async with database.transaction() as session:
        customer = await create_customer(session, name=HOSTILE)
        product = await create_product(session, name=HOSTILE)
        invoice = await create_invoice(session, Line(product), customer=customer)
        invoice.customer_name, invoice.note, invoice.company_name = HOSTILE, HOSTILE, HOSTILE

    pages = read_pages(await print_invoice(database, invoice))

    plain = " ".join(pages.text.split())
    assert plain.count('#include "/etc/passwd" $x$ *bold* #read("/etc/hosts") <script>') >= 3
    assert "root:" not in plain


async def test_names_in_arabic_and_east_asian_scripts_are_legible(database: Database) -> None:
    async with database.transaction() as session:
        product = await create_product(session, name=EAST_ASIAN)
        invoice = await create_invoice(session, Line(product))
        invoice.customer_name = ARABIC

    pages = read_pages(await print_invoice(database, invoice))

    assert any("Arabic" in font for font in pages.fonts), pages.fonts
    assert any("CJK" in font for font in pages.fonts), pages.fonts
    assert EAST_ASIAN in pages.text
    assert set(ARABIC.replace(" ", "")) <= set(pages.text)


async def test_a_word_that_has_no_end_stays_in_its_column(database: Database) -> None:
    async with database.transaction() as session:
        product = await create_product(session, sku="S" * 64, name="N" * 200)
        invoice = await create_invoice(session, Line(product, 1, unit_price=99_999_999_99))

    document = pdfium.PdfDocument((await print_invoice(database, invoice)).content)

    (page,) = document
    width, _ = page.get_size()
    edges = [item.get_bounds() for item in page.get_objects(filter=(raw.FPDF_PAGEOBJ_TEXT,))]
    assert edges
    assert all(left > 0 and right < width for left, _, right, _ in edges)
    assert "99,999,999.99" in page.get_textpage().get_text_range()


SCRIPT = """
import asyncio, json, sys
from graphql_api.services.pdf.renderer import Renderer
print(asyncio.run(Renderer().render(json.load(sys.stdin))).sha256)
"""


async def test_the_same_invoice_makes_the_same_bytes_in_every_process(database: Database) -> None:
    async with database.transaction() as session:
        invoice = await create_invoice(session, Line(await create_product(session, name=ARABIC)))
    async with database.read() as session:
        facts = await invoice_facts(session, invoice.id, ADMIN)

    here = await Renderer().render(facts)
    command = [sys.executable, "-c", SCRIPT]
    there = await asyncio.to_thread(
        subprocess.run, command, input=json.dumps(facts), capture_output=True, text=True, check=True
    )

    assert there.stdout.strip() == here.sha256
    assert (await Renderer().render(facts)).content == here.content


async def test_what_was_issued_does_not_change_with_the_names_of_today(database: Database) -> None:
    # given an invoice whose names were frozen
    async with database.transaction() as session:
        store = await create_store(session, name="Old store")
        product = await create_product(session, name="Old name")
        invoice = await create_invoice(session, Line(product), store=store)
        invoice.company_name, invoice.currency = "Old company", "EUR"
    async with unit_of_work(database) as work:
        await freeze_names(work, invoice.id)
    before = await print_invoice(database, invoice)

    # when everything is renamed
    await change(database, "UPDATE product SET name = 'New name', sku = 'new', unit_price = 1")
    await change(database, "UPDATE store SET name = 'New store', address = 'elsewhere'")
    await change(database, "UPDATE settings SET company_name = 'New company', currency = 'USD'")

    async with unit_of_work(database) as work:
        await freeze_names(work, invoice.id)  # as an edit of the invoice does

    # then it is the same, byte by byte
    assert await print_invoice(database, invoice) == before
    assert all(name in read_pages(before).text for name in ("Old name", "Old store", "Old company"))


async def test_a_credit_note_has_the_names_of_the_invoice_that_it_takes_back(database: Database) -> None:
    # given
    async with database.transaction() as session:
        store = await create_store(session, name="Old store")
        product = await create_product(session, name="Old name")
        original = await create_invoice(session, Line(product, 2), store=store)
        note = await create_invoice(session, Line(product, -1), store=store, number="1-C000001")
        note.credit_of = original.id
    async with unit_of_work(database) as work:
        await freeze_names(work, original.id)

    # when it is written after everything was renamed
    await change(database, "UPDATE product SET name = 'New name'")
    await change(database, "UPDATE store SET name = 'New store'")
    async with unit_of_work(database) as work:
        await freeze_names(work, note.id)

    # then
    printed = read_pages(await print_invoice(database, note)).text
    assert "Old name" in printed
    assert "Old store" in printed
    assert "New" not in printed


async def test_void_and_paid_invoices_and_credit_notes_say_so(database: Database) -> None:
    async with database.transaction() as session:
        product = await create_product(session)
        paid = await create_invoice(session, Line(product), number="1-000001")
        paid.paid_at = dt.datetime(2024, 4, 1, tzinfo=dt.UTC)
        void = await create_invoice(session, Line(product), status=InvoiceStatus.VOID)
        credit = await create_invoice(session, Line(product, -1), number="1-C000001")
        credit.credit_of = paid.id

    printed = [read_pages(await print_invoice(database, invoice)).text for invoice in (paid, void, credit)]

    assert "PAID 2024-04-01" in printed[0]
    assert "VOID" in printed[1]
    assert all(part in printed[2] for part in ("Credit note", "Credits invoice", "1-000001", "-9.00"))


async def test_a_draft_and_what_somebody_may_not_see_have_none(database: Database) -> None:
    async with database.transaction() as session:
        customer = await create_user(session, role=Role.CUSTOMER)
        invoice = await create_invoice(session)
        draft = await create_invoice(session, status=InvoiceStatus.DRAFT)
        draft.number = None

    with pytest.raises(Conflict):
        await print_invoice(database, draft)
    with pytest.raises(NotFound):
        await print_invoice(database, invoice, Viewer(customer.id, Role.CUSTOMER, 1))


@pytest.mark.parametrize(
    ("cents", "shown"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123_456, "1,234.56"), (-100, "-1.00")]
)
def test_cents_are_written_as_people_write_them(cents: int, shown: str) -> None:
    assert amount(cents) == shown


async def test_an_invoice_of_too_many_lines_is_not_printed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # given two invoices as a file may bring them, of which one has a line too many
    monkeypatch.setattr("graphql_api.services.pdf.invoice_facts.MAX_LINES", 3)
    async with database.transaction() as session:
        lines = [Line(await create_product(session))] * 4
        whole, endless = await create_invoice(session, *lines[:3]), await create_invoice(session, *lines)

    # when
    pages = read_pages(await print_invoice(database, whole))

    # then
    assert pages.text
    with pytest.raises(Conflict) as refused:
        await print_invoice(database, endless)
    assert refused.value.path == ("id",)
