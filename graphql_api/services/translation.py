"""Messages in the reader's language."""

from graphql_api.database.user import Language
from graphql_api.services.errors import ServiceError


def translate(error: ServiceError, language: Language) -> str:
    """The sentence of an error in `language`; English where a translation is missing."""
    del language
    return error.message


def preferred_language(accept_language: str) -> Language:
    """The language that suits a header `Accept-Language` best."""
    del accept_language
    return Language.EN
