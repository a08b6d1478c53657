"""Which rows somebody may see or edit: the one rule for lists, single objects, ids, lines and reports.

What is not visible is treated as not existing. A right as a whole is the business of `policy`; this narrows it.
"""

from sqlalchemy import ColumnElement, and_, false, select, true
from sqlmodel import col

from graphql_api.database.customer import CustomerRow
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.services.policy import ADMINS, COMPANY, OFFICE, Action, Forbidden, Viewer


def visible_customers(viewer: Viewer | None) -> ColumnElement[bool]:
    """The condition that a customer may be seen: by the company all, by others the one whose account it is."""
    if viewer is None:
        return false()
    return true() if viewer.role in COMPANY else col(CustomerRow.user_id) == viewer.user_id


def sees_all_invoices(viewer: Viewer | None) -> bool:
    """Whether every invoice may be seen, drafts included: by the company."""
    return viewer is not None and viewer.role in COMPANY


def visible_invoices(viewer: Viewer | None) -> ColumnElement[bool]:
    """The condition that an invoice may be seen: by the company all, by others those written for them, not drafts."""
    if viewer is None:
        return false()
    if sees_all_invoices(viewer):
        return true()
    customer = select(col(CustomerRow.id)).where(col(CustomerRow.user_id) == viewer.user_id).scalar_subquery()
    return and_(col(InvoiceRow.customer_id) == customer, col(InvoiceRow.status) != InvoiceStatus.DRAFT)


def visible_lines(viewer: Viewer | None) -> ColumnElement[bool]:
    """The condition that a line may be seen: when its invoice may."""
    if viewer is not None and viewer.role in COMPANY:
        return true()
    return col(InvoiceLineRow.invoice_id).in_(select(col(InvoiceRow.id)).where(visible_invoices(viewer)))


def may_edit_product(viewer: Viewer | None, created_by: int | None) -> bool:
    """Whether a product may be edited: by administrators every one, by others with the right those they created."""
    if viewer is None or Action.EDIT_PRODUCT not in viewer.actions:
        return False
    return viewer.role in ADMINS or viewer.user_id == created_by


def check_may_edit_product(viewer: Viewer | None, created_by: int | None) -> None:
    """Return when a product may be edited.

    Raises:
        Forbidden: somebody else created it.
    """
    if not may_edit_product(viewer, created_by):
        raise Forbidden("You may only edit products that you have created.")


def may_edit_invoice(viewer: Viewer | None, created_by: int | None) -> bool:
    """Whether an invoice may be changed: by salespeople those they created, by others with the right every one."""
    if viewer is None or Action.WRITE_INVOICES not in viewer.actions:
        return False
    return viewer.role in OFFICE or viewer.user_id == created_by


def check_may_edit_invoice(viewer: Viewer | None, created_by: int | None) -> None:
    """Return when an invoice may be changed.

    Raises:
        Forbidden: somebody else created it.
    """
    if not may_edit_invoice(viewer, created_by):
        raise Forbidden("You may only change invoices that you have created.")
