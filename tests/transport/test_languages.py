"""Whoever prefers Arabic is answered in Arabic, wherever an answer speaks."""

import asyncio
import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from graphql_api.app import create_app
from graphql_api.config import Settings
from tests.faults.mail_server import closed_port, code_in
from tests.transport.conftest import client_of

ARABIC = {"accept-language": "ar-EG, ar;q=0.9, en;q=0.5"}
PATIENCE_SECONDS = 60.0
NO_IMPORT = "لا يوجد استيراد بهذا المعرّف."


@dataclass(frozen=True)
class Asked:
    """A request, and the Arabic words of its answer."""

    message: str
    query: str
    variables: dict[str, Any] | None = None
    code: str = "BAD_USER_INPUT"


@pytest.fixture
async def arab(app: Starlette, admin_header: dict[str, str]) -> Any:
    """An HTTP client of an administrator who reads Arabic."""
    async with client_of(app, admin_header | ARABIC) as client:
        yield client


def first_error(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["errors"][0]
    return error


@pytest.mark.parametrize(
    "asked",
    [
        Asked("قيمة `first` من 0 إلى 100؛ والقيمة المعطاة -1.", "{ stores(first: -1) { totalCount } }"),
        Asked("هذا المعرّف يخص النوع Store، والمطلوب معرّف من النوع Product.", '{ product(id: "U3RvcmU6MQ==") { id } }'),
        Asked("أعطِ واحدًا فقط من `id` و`sku`.", "{ product { id } }"),
        Asked(
            "الحد الأقصى لتداخل الحقول: 20.",
            "{ " + "stores { nodes { place { county { " * 6 + "__typename" + " } } } }" * 6 + " }",
            code="QUERY_TOO_COMPLEX",
        ),
        Asked(
            "يوجد في `$sku` محرف لا يمكن تخزينه (NUL أو نصف زوج بديل). احذفه.",
            "query ($sku: String) { product(sku: $sku) { id } }",
            {"sku": "\x00"},
        ),
    ],
    ids=lambda asked: asked.code + asked.query[:12],
)
async def test_errors_of_an_operation(arab: httpx.AsyncClient, asked: Asked) -> None:
    response = await arab.post("/graphql", json={"query": asked.query, "variables": asked.variables})

    error = first_error(response)
    assert (error["message"], error["extensions"]["code"]) == (asked.message, asked.code)
    assert response.headers["vary"] == "Accept, Accept-Language"


async def test_user_errors_of_a_mutation(arab: httpx.AsyncClient) -> None:
    query = 'mutation { cancelImport(input: {id: "SW1wb3J0Ojk5"}) { userErrors { code message path } } }'
    response = await arab.post("/graphql", json={"query": query})

    (error,) = response.json()["data"]["cancelImport"]["userErrors"]
    assert error == {"code": "NOT_FOUND", "message": NO_IMPORT, "path": ["input", "id"]}


async def test_rights_are_explained(app: Starlette) -> None:
    async with client_of(app, ARABIC) as stranger:
        response = await stranger.post("/graphql", json={"query": "{ imports { totalCount } }"})

    assert first_error(response)["message"] == "سجّل الدخول لتتمكن من الاطلاع على عمليات الاستيراد."


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (httpx.Request("GET", "http://localhost/nowhere"), 404, "لا يوجد شيء في هذا العنوان."),
        (
            httpx.Request("DELETE", "http://localhost/graphql"),
            405,
            "لا يقبل هذا العنوان DELETE؛ راجع الترويسة Allow.",
        ),
        (httpx.Request("GET", "http://localhost/imports/99/rejects.csv"), 404, NO_IMPORT),
        (
            httpx.Request("POST", "http://localhost/graphql", content=b'{"query": NaN}'),
            400,
            "محتوى الطلب ليس بصيغة JSON. \u200fNaN ليس عددًا في JSON.",
        ),
    ],
    ids=["unknown address", "method", "download", "body"],
)
async def test_requests_that_are_refused(
    arab: httpx.AsyncClient, request_: httpx.Request, status: int, message: str
) -> None:
    headers = {**arab.headers, **request_.headers, "content-type": "application/json"}
    response = await arab.request(request_.method, request_.url, content=request_.content, headers=headers)

    assert (response.status_code, first_error(response)["message"]) == (status, message)
    assert response.headers["content-language"] == "ar"
    assert response.headers["vary"] == "Accept-Language"


async def test_a_document_with_several_operations(arab: httpx.AsyncClient) -> None:
    body = {"query": "query A { __typename } query B { __typename }", "operationName": "C"}

    response = await arab.post("/graphql", json=body)

    assert first_error(response)["message"] == 'لا توجد في المستند عملية باسم "C".'


async def test_outages(settings: Settings, admin_header: dict[str, str]) -> None:
    app = create_app(settings.model_copy(update={"database_url": f"postgresql://x@127.0.0.1:{closed_port()}/x"}))
    async with client_of(app, admin_header | ARABIC) as client:
        response = await client.post("/graphql", json={"query": "{ stores { totalCount } }"})

    assert first_error(response)["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert first_error(response)["message"].startswith("لا يمكن الوصول إلى قاعدة البيانات")


async def test_a_registration_is_mailed_in_the_language_of_its_request(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"worker_in_server": True}))
    register = 'register(input: {email: "mona@example.com", name: "Mona", password: "copper violin meadow"})'
    async with app.router.lifespan_context(app), client_of(app, ARABIC) as stranger:
        registered = await stranger.post("/graphql", json={"query": f"mutation {{ {register} {{ token }} }}"})
        mail = await first_mail(settings.data_dir / "mail")
        verify = f'verifyEmail(input: {{token: "{token_in(registered)}", code: "{code_in(mail)}"}})'
        verified = await stranger.post("/graphql", json={"query": f"mutation {{ {verify} {{ accessToken }} }}"})

    assert mail["Subject"] == "تأكيد عنوان بريدك الإلكتروني"
    assert verified.json()["data"]["verifyEmail"]["accessToken"]


def token_in(registered: httpx.Response) -> str:
    return str(registered.json()["data"]["register"]["token"])


async def first_mail(folder: Path) -> EmailMessage:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (files := list(folder.glob("*.eml"))):  # noqa: ASYNC110, ASYNC240 - a worker puts it there
            await asyncio.sleep(0.05)
    return email.message_from_bytes(files[0].read_bytes(), policy=email.policy.default)


async def test_whoever_says_nothing_reads_english(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": "{ product { id } }"})

    assert first_error(response)["message"] == "Give exactly one of `id` and `sku`."


async def test_what_developers_read_is_english(arab: httpx.AsyncClient) -> None:
    response = await arab.post("/graphql", json={"query": "{ nothing }"})

    assert first_error(response)["message"] == "Cannot query field 'nothing' on type 'Query'."
