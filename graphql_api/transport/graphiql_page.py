"""The page a browser gets at `GET /graphql`: GraphiQL as built by Vite, or a plain console without it."""

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

SOURCES = Path(__file__).parent / "graphiql"
DIST = SOURCES / "dist"
EXAMPLES = SOURCES / "examples"
CONSOLE = SOURCES / "console.html"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".ttf": "font/ttf"}

POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_HEADERS = {**SECURITY_HEADERS, "Cache-Control": "no-cache", "Vary": "Accept"}
ASSET_HEADERS = {
    **SECURITY_HEADERS,
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Vary": "Accept-Encoding",
}


async def graphiql_response(_request: Request) -> Response:
    """GraphiQL, or the plain query console when GraphiQL is not built; never cached without asking again."""
    index = DIST / "index.html"
    if not index.is_file():
        return _console_response()
    # Monaco and Radix write style elements without a nonce while they run; scripts are our files alone.
    policy = POLICY.format(script="'self'", style="'self' 'unsafe-inline'")
    return HTMLResponse(index.read_bytes(), headers={**PAGE_HEADERS, "Content-Security-Policy": policy})


async def graphiql_asset(request: Request) -> Response:
    """One hashed file of the build, kept by browsers for a year; compressed for clients that allow it."""
    assets = {path.name: path for path in (DIST / "assets").glob("*")}
    asset = assets.get(request.path_params["name"])
    if asset is None or asset.suffix not in MEDIA_TYPES:
        return PlainTextResponse("No such file; reload the page.\n", 404, SECURITY_HEADERS)
    media_type = MEDIA_TYPES[asset.suffix]
    compressed = assets.get(f"{asset.name}.gz")
    if compressed is None or not _accepts_gzip(request):
        return FileResponse(asset, headers=ASSET_HEADERS, media_type=media_type)
    headers = {**ASSET_HEADERS, "Content-Encoding": "gzip"}
    return FileResponse(compressed, headers=headers, media_type=media_type)


def graphiql_routes() -> list[Route]:
    """The routes the page loads its scripts, styles and workers from."""
    return [Route("/graphql/assets/{name}", graphiql_asset, methods=["GET"])]


def prefers_html(request: Request) -> bool:
    """Whether the client names `text/html` and wants it at least as much as all else it names.

    Browsers do; `*/*`, JSON clients and listeners to `text/event-stream` do not.
    """
    qualities = _qualities(request.headers.get("accept", ""))
    html = qualities.get("text/html", 0.0)
    return html > 0 and html >= max(qualities[name] for name in qualities if "*" not in name)


def _console_response() -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    policy = POLICY.format(script=f"'nonce-{nonce}'", style=f"'nonce-{nonce}'")
    page = CONSOLE.read_text(encoding="utf-8").replace("{nonce}", nonce)
    return HTMLResponse(page, headers={**PAGE_HEADERS, "Content-Security-Policy": policy})


def _accepts_gzip(request: Request) -> bool:
    return _qualities(request.headers.get("accept-encoding", "")).get("gzip", 0.0) > 0


def _qualities(header: str) -> dict[str, float]:
    """The names of an Accept or Accept-Encoding header with their quality from 0 to 1."""
    return dict(_name_and_quality(item) for item in header.split(",") if item.strip())


def _name_and_quality(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0
