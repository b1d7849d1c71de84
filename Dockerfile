# The proxy, with the native application inside; nothing of legacy, the tests or the demo.
#
#   docker build -t strangler .
#   docker run -p 8080:8080 -e LEGACY_URL=http://rails:3000 \
#     -e DATABASE_URL=… -e REDIS_URL=… -e SHADOW_DATABASE_URL=… -e SHADOW_REDIS_URL=… \
#     -e JWT_SECRET=… -e STRANGLER_REDIS_URL=… strangler
#   docker exec CONTAINER strangler status
#
# Your own configuration: -v ./config.yaml:/app/config.yaml:ro. Requests in flight have `drain` (30 s) when the container is told
# to stop: docker stop --time 50.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY requirements-dev.lock pyproject.toml README.md ./
COPY proxy ./proxy
COPY flags ./flags
COPY shadow ./shadow
COPY handlers ./handlers
RUN sed -n '/^setuptools==/,/# via/p' requirements-dev.lock > setuptools.lock \
 && python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes -r setuptools.lock \
 && /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /venv/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin strangler
COPY --from=build /venv /venv
WORKDIR /app
COPY config.yaml ./
# Users come from outside the container. The operators' port stays inside until there are tokens:
# -e STRANGLER_ADMIN_LISTEN=0.0.0.0:9901 -e STRANGLER_TOKENS_FILE=/run/secrets/tokens
ENV PATH=/venv/bin:$PATH STRANGLER_LISTEN=0.0.0.0:8080 STRANGLER_ADMIN_LISTEN=127.0.0.1:9901
EXPOSE 8080 9901
USER 10001
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "\
import http.client, os, sys; \
port = os.environ['STRANGLER_ADMIN_LISTEN'].rpartition(':')[2]; \
connection = http.client.HTTPConnection('127.0.0.1', int(port), timeout=2); \
connection.request('GET', '/healthz'); \
sys.exit(connection.getresponse().status != 200)"]
ENTRYPOINT ["strangler"]
CMD ["serve"]
