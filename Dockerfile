# An image with the guard alone. docker, podman and buildah build it with `build -t exporter-guard .`
# conf/container has an image with an exporter.

# 1.88 is the oldest version that builds the guard.
ARG RUST_VERSION=1.95

FROM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS build
# `make static` checks for these packages, too, but mistakes the slim image's perl for a complete one.
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make musl-tools perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The context has no history of git; build_info names what is given here.
ARG REVISION=""
ENV EXPORTER_GUARD_REVISION=${REVISION}
# The caches keep fetched and built crates outside the layers, where a changed file does not discard
# them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    make static && cp target/static/exporter-guard /

FROM scratch
# A test compares this version with Cargo.toml.
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
# A variable instead of a flag, so that arguments of `run` add to it.
ENV EXPORTER_GUARD_WEB_CONFIG_FILE=/etc/exporter-guard/web.yml
USER 65532:65532
EXPOSE 9443
# Only Docker's image format has a health check: podman and buildah need `--format docker`.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s \
    CMD ["/exporter-guard", "healthcheck"]
ENTRYPOINT ["/exporter-guard"]
