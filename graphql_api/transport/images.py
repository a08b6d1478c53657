"""Pictures of products."""

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from graphql_api.schema.context import Services
from graphql_api.services.errors import NotFound, ServiceError
from graphql_api.services.image import ADDRESS, CONTENT_TYPE, PictureName
from graphql_api.services.policy import Action, require
from graphql_api.transport.problems import language_of, service_error_response
from graphql_api.transport.ticket import download_viewer

# What an address leads to never changes: the content is part of the name.
CACHE_CONTROL = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Images:
    """Serves what the storage has of pictures.

    Args:
        services: what all requests share.
    """

    services: Services

    async def get(self, request: Request) -> Response:
        """One copy of a picture, for whoever may see the catalogue; by header, or by the ticket in the address."""
        try:
            require(await download_viewer(request, self.services, ADDRESS), Action.READ_CATALOGUE)
            name, variant = _wanted(request.path_params["name"], request.path_params["variant"])
            return await self._answer(request, name, variant)
        except ServiceError as error:
            return service_error_response(error, language_of(request.headers))

    async def _answer(self, request: Request, name: PictureName, variant: str) -> Response:
        headers = {"etag": f'"{name.digest}-{variant}"', "cache-control": CACHE_CONTROL}
        if _has(request, headers["etag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        try:
            content = await self.services.storage.read(name.key(variant))
        except FileNotFoundError:
            raise _unknown() from None
        return Response(content, headers=headers, media_type=CONTENT_TYPE)


def _wanted(name: str, variant: str) -> tuple[PictureName, str]:
    found = PictureName.parse(name)
    if found is None or variant not in found.variants:
        raise _unknown()
    return found, variant


def _unknown() -> NotFound:
    return NotFound("There is no such picture.")


def _has(request: Request, etag: str) -> bool:
    """Whether the client has the present content already."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in given.split(",")}
