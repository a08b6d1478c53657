"""Who may do what: the one table of rights. What is not in it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from graphql_api.database.user import Role
from graphql_api.services.errors import ErrorCode, ServiceError
from graphql_api.services.translation import Sentence


class Unauthenticated(ServiceError):  # noqa: N818 - named as its code
    """Nobody has signed in, or the sign-in is over."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(ServiceError):  # noqa: N818 - named as its code
    """Whoever asks may not do this."""

    code = ErrorCode.FORBIDDEN


class Action(Enum):
    """What somebody can be allowed to do; the value completes the sentence "You may not …"."""

    SIGN_IN = Sentence("sign in, register or recover an account")
    USE_ACCOUNT = Sentence("see and change the own account")
    READ_CATALOGUE = Sentence("see stores, products, vendors, categories and places")
    READ_COSTS = Sentence("see what products cost, and profit")
    READ_INVOICES = Sentence("see invoices")
    READ_SALES = Sentence("see sales reports")
    READ_IMPORTS = Sentence("see imports")
    IMPORT = Sentence("load files and take them back")
    CREATE_PRODUCT = Sentence("create products")
    EDIT_PRODUCT = Sentence("edit products")
    EDIT_CATALOGUE = Sentence("edit stores, vendors and categories")
    READ_CUSTOMERS = Sentence("see customers")
    EDIT_CUSTOMERS = Sentence("edit customers")
    WRITE_INVOICES = Sentence("write invoices")
    SET_PRICES = Sentence("sell at another price than the product's")
    VOID_INVOICES = Sentence("void and credit invoices")
    READ_STOCK = Sentence("see stock")
    MOVE_STOCK = Sentence("adjust, count and transfer stock")
    READ_PURCHASES = Sentence("see purchases")
    MANAGE_PURCHASES = Sentence("order, receive and void purchases")
    WATCH_STOCK = Sentence("acknowledge low stock")
    READ_BOOKS = Sentence("check the books")
    READ_METRICS = Sentence("see metrics")
    NOTIFY = Sentence("notify others")
    READ_SETTINGS = Sentence("see the company's settings")
    CHANGE_SETTINGS = Sentence("change the company's settings")
    MANAGE_USERS = Sentence("see and change accounts and invitations")
    READ_AUDIT = Sentence("see the record of who did what")


EVERYBODY = frozenset(Role)
COMPANY = frozenset({Role.ADMIN, Role.STAFF, Role.SALESPERSON})
OFFICE = frozenset({Role.ADMIN, Role.STAFF})
ADMINS = frozenset({Role.ADMIN})

ROLES: Mapping[Action, frozenset[Role]] = {
    Action.SIGN_IN: EVERYBODY,
    Action.USE_ACCOUNT: EVERYBODY,
    Action.READ_CATALOGUE: EVERYBODY,
    Action.READ_COSTS: COMPANY,
    Action.READ_INVOICES: EVERYBODY,
    Action.READ_SALES: COMPANY,
    Action.READ_IMPORTS: OFFICE,
    Action.IMPORT: OFFICE,
    Action.CREATE_PRODUCT: OFFICE,
    Action.EDIT_PRODUCT: OFFICE,
    Action.EDIT_CATALOGUE: OFFICE,
    Action.READ_CUSTOMERS: EVERYBODY,
    Action.EDIT_CUSTOMERS: COMPANY,
    Action.WRITE_INVOICES: COMPANY,
    Action.SET_PRICES: OFFICE,
    Action.VOID_INVOICES: OFFICE,
    Action.READ_STOCK: COMPANY,
    Action.MOVE_STOCK: OFFICE,
    Action.READ_PURCHASES: OFFICE,
    Action.MANAGE_PURCHASES: OFFICE,
    Action.WATCH_STOCK: OFFICE,
    Action.READ_BOOKS: OFFICE,
    Action.READ_METRICS: ADMINS,
    Action.NOTIFY: ADMINS,
    Action.READ_SETTINGS: COMPANY,
    Action.CHANGE_SETTINGS: ADMINS,
    Action.MANAGE_USERS: ADMINS,
    Action.READ_AUDIT: ADMINS,
}
# Where a right ends within its rows; `visibility` and the services of the nouns hold to it.
OWN_ROWS: Mapping[tuple[Action, Role], str] = {
    (Action.READ_CUSTOMERS, Role.CUSTOMER): "the one whose account it is",
    (Action.READ_INVOICES, Role.CUSTOMER): "those written for the customer whose account it is",
    (Action.EDIT_PRODUCT, Role.STAFF): "those the account has created",
    (Action.WRITE_INVOICES, Role.SALESPERSON): "those the account has created",
}
# What needs no account.
PUBLIC = frozenset({Action.SIGN_IN})
ACTIONS_OF: Mapping[Role, frozenset[Action]] = {
    role: frozenset(action for action, roles in ROLES.items() if role in roles) for role in Role
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever asks: an active account with a session that has not ended."""

    user_id: int
    role: Role
    session_id: int

    @property
    def actions(self) -> frozenset[Action]:
        """Everything this person may do, as far as the role decides."""
        return ACTIONS_OF[self.role]


def require(viewer: Viewer | None, action: Action) -> None:
    """Return when `viewer` (None: nobody has signed in) may do this.

    Raises:
        Unauthenticated: somebody who signs in might.
        Forbidden: this role may not.
    """
    if action in PUBLIC:
        return
    if viewer is None:
        raise Unauthenticated("Sign in to {action}.", action=action.value)
    if action not in viewer.actions:
        raise Forbidden("You may not {action}.", action=action.value)


def signed_in(viewer: Viewer | None) -> Viewer:
    """Whoever asks, where a check has made sure that there is somebody.

    Raises:
        Unauthenticated: there is nobody.
    """
    if viewer is None:
        raise Unauthenticated("Sign in to {action}.", action=Action.USE_ACCOUNT.value)
    return viewer
