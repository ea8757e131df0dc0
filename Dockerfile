# The MES as an image: `docker build -t mes .`
# What it installs is fixed to the byte by deploy/requirements.lock (`python deploy/lock.py` renews it); where from is
# the builder's business: pip's and uv's own settings, as build arguments or secrets, work as everywhere.

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
WORKDIR /src
COPY deploy/build.lock deploy/requirements.lock deploy/
RUN python -m venv /opt/build && /opt/build/bin/python -m pip install --require-hashes -r deploy/build.lock
RUN python -m venv --without-pip /opt/mes
RUN /opt/build/bin/uv pip install --python /opt/mes/bin/python --require-hashes --compile-bytecode -r deploy/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY mes mes
COPY stations stations
COPY migrations migrations
COPY deploy/products deploy/products
RUN /opt/build/bin/python -m hatchling build -t wheel -d dist
RUN /opt/build/bin/uv pip install --python /opt/mes/bin/python --no-deps --compile-bytecode dist/*.whl

FROM python:${PYTHON}-slim
# 1883 is Mosquitto's user: the service that writes its password file runs as it.
RUN groupadd --gid 10001 mes && useradd --uid 10001 --gid mes --no-create-home --home-dir /tmp mes \
 && install -d -o 1883 -g 1883 -m 0750 /accounts
COPY --from=build /opt/mes /opt/mes
COPY deploy/products /usr/share/mes/products
# Nothing is written but to /tmp, so the root file system may be read-only.
ENV PATH=/opt/mes/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MES_HOST=0.0.0.0 MES_DATA_DIR=/tmp/mes
USER mes
WORKDIR /tmp
EXPOSE 8460
STOPSIGNAL SIGTERM
# For `mes serve`; the compose file says how the others are watched.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('MES_PORT', '8460') + '/readyz', timeout=4)"]
ENTRYPOINT ["mes"]
CMD ["serve"]
