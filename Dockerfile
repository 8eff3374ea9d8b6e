# syntax=docker/dockerfile:1
# Kwork Service. The API: no command; a worker: `worker`; the schema: `migrate`. See docs/deployment.md.
#
# What is built upon can be pinned: --build-arg DEBIAN_DIGEST=sha256:…
ARG DEBIAN_IMAGE=debian:trixie-slim
ARG DEBIAN_DIGEST=

# The packages, with hashes, into an environment of their own.
FROM ${DEBIAN_IMAGE}${DEBIAN_DIGEST:+@${DEBIAN_DIGEST}} AS packages
SHELL ["/bin/sh", "-euc"]
# hadolint ignore=DL3008
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
COPY requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/kwork && \
    /opt/kwork/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements.txt && \
    rm -rf /opt/kwork/lib/python3*/site-packages/pip /opt/kwork/lib/python3*/site-packages/pip-* /opt/kwork/bin/pip*

# What runs: Python, Chromium for the sign-in, an init that hands signals on and buries Chromium's children.
FROM ${DEBIAN_IMAGE}${DEBIAN_DIGEST:+@${DEBIAN_DIGEST}} AS base
SHELL ["/bin/sh", "-euc"]
# hadolint ignore=DL3008
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates chromium-headless-shell fonts-dejavu-core python3 tini && \
    rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 kwork && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin kwork && \
    install -d -o kwork -g kwork -m 0750 /data
COPY --from=packages /opt/kwork /opt/kwork
WORKDIR /srv/kwork
COPY app app
COPY main.py main.py
RUN /opt/kwork/bin/python -m compileall -q app main.py
# Nothing is written but to /data (settings DATA_DIR and LOG_DIR) and /tmp: the rest may be read-only.
ENV PATH=/opt/kwork/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data \
    LOG_DIR=/data/logs \
    CHROMIUM_PATH=/usr/bin/chromium-headless-shell
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "python", "/srv/kwork/main.py"]
CMD ["serve"]
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health/ready\", timeout=5)"]

# For `docker compose --profile demo`: the stand-ins of Kwork and of a CRM beside the service.
FROM base AS demo
COPY sandbox sandbox

FROM base AS service
