"""The schema, put together from its parts: built once at start-up."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_api.schema.account import AccountMutation
from graphql_api.schema.audit import AuditQuery
from graphql_api.schema.books import BooksQuery
from graphql_api.schema.category import CategoryMutation, CategoryQuery
from graphql_api.schema.context import Context, Origin
from graphql_api.schema.customer import CustomerQuery
from graphql_api.schema.customer_mutation import CustomerMutation
from graphql_api.schema.documents import Preparation, document_cache
from graphql_api.schema.errors import InputError, present_error
from graphql_api.schema.import_job import ImportQuery
from graphql_api.schema.import_mutation import ImportMutation
from graphql_api.schema.import_subscription import ImportSubscription
from graphql_api.schema.invitation import InvitationMutation, InvitationQuery
from graphql_api.schema.invoice import InvoiceQuery
from graphql_api.schema.invoice_mutation import InvoiceMutation
from graphql_api.schema.invoice_subscription import InvoiceSubscription
from graphql_api.schema.low_stock import LowStockMutation, LowStockQuery
from graphql_api.schema.low_stock_subscription import LowStockSubscription
from graphql_api.schema.notification import NotificationQuery
from graphql_api.schema.notification_mutation import NotificationMutation
from graphql_api.schema.notification_subscription import NotificationSubscription
from graphql_api.schema.one_of import declare_one_of
from graphql_api.schema.permissions import Policy, guard
from graphql_api.schema.place import PlaceQuery
from graphql_api.schema.product import ProductQuery
from graphql_api.schema.product_mutation import ProductMutation
from graphql_api.schema.product_subscription import ProductSubscription
from graphql_api.schema.purchase import PurchaseQuery
from graphql_api.schema.purchase_blocked import PurchaseBlocked
from graphql_api.schema.purchase_mutation import PurchaseMutation
from graphql_api.schema.purchase_subscription import PurchaseSubscription
from graphql_api.schema.refetch import NodeQuery
from graphql_api.schema.reorder import ReorderMutation, ReorderQuery
from graphql_api.schema.report import ReportQuery
from graphql_api.schema.report_live import ReportSubscription
from graphql_api.schema.scalars import SCALARS
from graphql_api.schema.session import SessionMutation, SessionQuery
from graphql_api.schema.settings import SettingsMutation, SettingsQuery
from graphql_api.schema.stock import StockQuery
from graphql_api.schema.stock_movement import StockMovementQuery
from graphql_api.schema.stock_mutation import StockMutation
from graphql_api.schema.stock_report import StockReportQuery
from graphql_api.schema.stock_subscription import StockSubscription
from graphql_api.schema.store import StoreQuery
from graphql_api.schema.store_mutation import StoreMutation
from graphql_api.schema.subscription_root import watch_subscriptions
from graphql_api.schema.upload import UPLOAD_SCALAR, Upload
from graphql_api.schema.user import UserMutation, UserQuery
from graphql_api.schema.user_errors import ShortStock
from graphql_api.schema.vendor import VendorMutation, VendorQuery
from graphql_api.schema.viewer import ViewerQuery


@strawberry.type(description="Everything that can be read. Reading changes nothing.")
class Query(
    NodeQuery,
    ViewerQuery,
    UserQuery,
    SessionQuery,
    InvitationQuery,
    PlaceQuery,
    StoreQuery,
    VendorQuery,
    CategoryQuery,
    ProductQuery,
    CustomerQuery,
    InvoiceQuery,
    ReportQuery,
    StockQuery,
    StockMovementQuery,
    PurchaseQuery,
    ReorderQuery,
    StockReportQuery,
    BooksQuery,
    ImportQuery,
    AuditQuery,
    SettingsQuery,
    LowStockQuery,
    NotificationQuery,
):
    """Everything that can be read."""


@strawberry.type(description="Everything that can be changed. Each answers with what came of it, or `userErrors`.")
class Mutation(
    AccountMutation,
    SessionMutation,
    UserMutation,
    InvitationMutation,
    ImportMutation,
    ProductMutation,
    StockMutation,
    PurchaseMutation,
    ReorderMutation,
    InvoiceMutation,
    CustomerMutation,
    StoreMutation,
    VendorMutation,
    CategoryMutation,
    SettingsMutation,
    LowStockMutation,
    NotificationMutation,
):
    """Everything that can be changed."""


@strawberry.type(
    description="Everything that can be listened to: over a WebSocket (graphql-transport-ws), or as server-sent events."
)
class Subscription(
    StockSubscription,
    ReportSubscription,
    ProductSubscription,
    InvoiceSubscription,
    PurchaseSubscription,
    LowStockSubscription,
    NotificationSubscription,
    ImportSubscription,
):
    """Everything that can be listened to."""


class ApiSchema(strawberry.Schema):
    """The schema with the rules of this house: prepared documents, checked rights, errors fit to be seen."""

    def __init__(self, *, policy: Policy, **parts: Any) -> None:
        config = StrawberryConfig(scalar_map={**SCALARS, Upload: UPLOAD_SCALAR})
        super().__init__(**parts, config=config, extensions=[lambda: Preparation(self.prepare)])
        declare_one_of(self._schema)
        self.prepare = document_cache(self._schema)
        self.policy = policy
        watch_subscriptions(self._schema)
        guard(self._schema, policy)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace each error by what the client may see, in place: every way out passes here once."""
        self.present_errors(errors, execution_context.context if execution_context else None)

    def present_errors(self, errors: list[GraphQLError], context: object) -> None:
        """The same for operations that run without Strawberry's own machinery."""
        origin = context.origin if isinstance(context, Context) else Origin("unknown")
        errors[:] = [present_error(error, origin.request_id, origin.language) for error in errors]


def build_schema(policy: Policy | None = None) -> ApiSchema:
    """The schema this server offers; `policy` is that of the house unless a test wants another."""
    return ApiSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[InputError, ShortStock, PurchaseBlocked],
        policy=policy or Policy(),
    )


def print_sdl() -> str:
    """The schema in its own language, as `schema.graphql` keeps it."""
    return build_schema().as_str() + "\n"
