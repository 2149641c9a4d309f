# Two images: `queue` is the installed wheel alone, `application` adds domain/ and its migrations.
#   docker build --target queue -t pgqueue .
FROM python:3.13-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY pgqueue pgqueue
RUN python -m build --wheel --outdir /dist

FROM python:3.13-slim AS queue
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
COPY constraints.txt /tmp/
COPY --from=build /dist /tmp/dist
RUN wheel=$(ls /tmp/dist/*.whl) \
    && pip install --constraint /tmp/constraints.txt "$wheel[binary,cron]" \
    && rm -r /tmp/dist /tmp/constraints.txt \
    && useradd --system --uid 10001 --no-create-home pgqueue
USER pgqueue
ENTRYPOINT ["pgqueue"]

FROM queue AS application
WORKDIR /app
USER root
COPY pyproject.toml constraints.txt alembic.ini ./
RUN pip install --upgrade 'pip>=25.1' && pip install --constraint constraints.txt --group domain
COPY migrations migrations
COPY domain domain
# a volume that is mounted here belongs to whom the folder belongs to
RUN mkdir /objects && chown pgqueue /objects
USER pgqueue
