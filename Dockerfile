# A small image that serves: no compiler, no package manager of Python, not root. It holds no PKCS#11 module: mount the
# vendor's. The stage `softhsm` has SoftHSM in it, to try. How to make configuration and keys, and to run it:
# docs/operations-container.md; deploy/compose.yaml is a whole example.
#
# The base image is an argument, for those who mirror or build their own (any Debian with python3 >= 3.11).
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/countersign
COPY requirements/ requirements/
# Only built wheels: nothing is compiled here, so nothing to compile with is needed.
RUN /opt/countersign/bin/pip install --no-cache-dir --only-binary :all: --require-hashes \
      -r requirements/build.txt -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY hsm/ hsm/
COPY proxy/ proxy/
RUN /opt/countersign/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/countersign/bin/pip uninstall --yes setuptools pip \
 && /opt/countersign/bin/python -m compileall -q /opt/countersign/lib

FROM ${BASE} AS runtime
COPY --from=build /opt/countersign /opt/countersign
RUN echo 'countersign:x:10001:' >> /etc/group \
 && echo 'countersign:x:10001:10001::/var/lib/countersign:/usr/sbin/nologin' >> /etc/passwd \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/countersign
ENV PATH=/opt/countersign/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    COUNTERSIGN_LIVEZ=http://127.0.0.1:5001/livez
USER 10001:10001
WORKDIR /var/lib/countersign
VOLUME /var/lib/countersign
EXPOSE 5000
# Set COUNTERSIGN_LIVEZ where admin.listen is another address.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['COUNTERSIGN_LIVEZ'], timeout=2)"]
ENTRYPOINT ["countersign"]
CMD ["serve", "--config", "/var/lib/countersign/countersign.yaml"]

# To try: docker build --target softhsm -t countersign:softhsm .
FROM runtime AS softhsm
USER 0:0
RUN apt-get update && apt-get install --yes --no-install-recommends softhsm2 && rm -rf /var/lib/apt/lists/*
USER 10001:10001

FROM runtime
