# Packs Python packages for EMR 7 (Amazon Linux 2023) into dist/environment.tar.gz:
#   make wheel && docker build --file deploy/emr/environment.Dockerfile --output dist .
# Spark and Delta are EMR's own: never the extra `spark`.
FROM --platform=linux/amd64 amazonlinux:2023 AS packed
ARG EXTRAS=text
RUN dnf install --assumeyes python3.11 python3.11-pip tar gzip
RUN python3.11 -m venv /environment
COPY dist/*.whl /wheels/
RUN /environment/bin/python -m pip install --no-cache-dir \
    "$(echo /wheels/*.whl)[$EXTRAS]" venv-pack2
RUN /environment/bin/venv-pack --prefix /environment --output /environment.tar.gz

FROM scratch
COPY --from=packed /environment.tar.gz /
