# Belljar's server, with the runtime that code runs in. `make wheel` first: the image is made of dist/*.whl.
#   make wheel && docker build --tag belljar .
# compose.yaml has the options that the jail needs, and docs/install.md says why. Another base, or one by its digest:
# --build-arg BASE=debian:bookworm-slim@sha256:…
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libseccomp2 python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NATIVE_TLS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY locks/uv.txt locks/server.txt /build/locks/
RUN --mount=type=cache,target=/root/.cache \
    python3 -m venv /build/uv \
    && /build/uv/bin/pip install --require-hashes --requirement /build/locks/uv.txt
COPY dist/*.whl /build/dist/
# All that is installed is locked with its hash, but for Belljar itself.
RUN --mount=type=cache,target=/root/.cache \
    /build/uv/bin/uv venv --no-project --python /usr/bin/python3 /opt/belljar \
    && /build/uv/bin/uv pip sync --python /opt/belljar/bin/python --require-hashes --no-build --compile-bytecode /build/locks/server.txt \
    && /build/uv/bin/uv pip install --python /opt/belljar/bin/python --no-deps --compile-bytecode /build/dist/*.whl \
    && /build/uv/bin/uv pip check --python /opt/belljar/bin/python
RUN --mount=type=cache,target=/root/.cache \
    PATH=/build/uv/bin:$PATH BELLJAR_RUNTIME=/opt/belljar/share/belljar/runtimes/data /opt/belljar/bin/belljar setup

FROM ${BASE}
# The last line is what commands in the jail like to have (`belljar doctor`).
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libseccomp2 python3 \
        bc jq ripgrep sqlite3 unzip zip \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 belljar \
    && useradd --uid 10001 --no-log-init --gid 10001 --home-dir /var/lib/belljar --shell /usr/sbin/nologin belljar \
    && install --directory --owner belljar --group belljar --mode 0700 /var/lib/belljar
COPY --from=build /opt/belljar /opt/belljar
ENV PATH=/opt/belljar/bin:/usr/local/bin:/usr/bin:/bin BELLJAR_STATE_DIR=/var/lib/belljar BELLJAR_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/belljar
VOLUME /var/lib/belljar
EXPOSE 8421
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"BELLJAR_PORT\", 8421)}/health', timeout=4)"]
ENTRYPOINT ["belljar"]
CMD ["serve"]
