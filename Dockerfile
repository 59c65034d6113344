# SpineCare in a container: web service or worker, by the command. docs/operations.md shows how it is run.
#
#   docker build -t spinecare .
#   docker run --rm --read-only --tmpfs /tmp -v spinecare-data:/data -p 127.0.0.1:8000:8000 spinecare

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/spinecare
# What is needed changes seldom, so it is a layer of its own: `constraints.txt` names the exact versions.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir -p src/spinecare && printf '__version__ = "0"\n' > src/spinecare/__init__.py \
 && /opt/spinecare/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt . \
 && /opt/spinecare/bin/pip uninstall --yes spinecare
COPY src src
RUN /opt/spinecare/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.11-slim-bookworm
# A number, not a name: whoever runs it can see that it is not root.
RUN groupadd --gid 10001 spinecare \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin spinecare \
 && install -d -o 10001 -g 10001 -m 700 /data
COPY --from=build /opt/spinecare /opt/spinecare
ENV PATH=/opt/spinecare/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SPINECARE_DATA=/data \
    SPINECARE_LOG_JSON=yes
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Finishes what is in hand on SIGTERM; give it the time (docker stop --time 90).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["spinecare"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
