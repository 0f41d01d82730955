# The guard alone in an image: docker, podman or buildah build it with `build -t exporter-guard .`
# conf/container has one with an exporter.

# 1.88 is the oldest that builds it.
ARG RUST_VERSION=1.95

FROM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS build
# `make static` looks for the same, but takes the perl of the slim image for a whole one.
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make musl-tools perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What was built and fetched before stays beside the layers, where a change of a file cannot
# discard it.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    make static && cp target/static/exporter-guard /

FROM scratch
# The tests compare it with Cargo.toml.
ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="exporter-guard" \
      org.opencontainers.image.description="TLS and authentication in front of any Prometheus exporter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /exporter-guard /exporter-guard
# Not by a flag, so that arguments of `run` come in addition.
ENV EXPORTER_GUARD_WEB_CONFIG_FILE=/etc/exporter-guard/web.yml
USER 65532:65532
EXPOSE 9443
# In the image format of Docker only: podman and buildah need `--format docker`.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s \
    CMD ["/exporter-guard", "healthcheck"]
ENTRYPOINT ["/exporter-guard"]
