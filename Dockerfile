# The image of kvraft-server. Three arguments, so that it can be built from a checkout, or around a
# binary that was built elsewhere:
#   docker build -t kvraft-server .
#   docker build -t kvraft-server --build-arg BIN_STAGE=<image with /kvraft-server> .
# SOURCE_DATE_EPOCH, taken from the last commit, is the time that the image bears.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG BIN_STAGE=build

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# The folder of the build is no part of the binary, and neither is the time.
ENV RUSTFLAGS="--remap-path-prefix=/src=."
RUN --mount=type=cache,target=/src/target,sharing=locked \
    --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked -p kvraft-server && cp target/release/kvraft-server /kvraft-server

FROM ${BIN_STAGE} AS bin

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="kvraft-server" \
      org.opencontainers.image.description="A node of a replicated map, with an HTTP interface" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/kvraft/kvraft" \
      org.opencontainers.image.documentation="https://github.com/kvraft/kvraft/blob/main/docs/kubernetes.md"
COPY --from=bin /kvraft-server /usr/local/bin/kvraft-server
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
# Made for that user; it is the only place that is written to, and a volume takes its owner.
WORKDIR /var/lib/kvraft
# Public: the server refuses to start like this without tokens, TLS, or being told that the network
# is protected. Probes have a port of their own, in plain HTTP whatever the other one speaks.
ENV KVRAFT_DATA_DIR=/var/lib/kvraft/data \
    KVRAFT_LISTEN_HTTP=0.0.0.0:8080 \
    KVRAFT_LISTEN_HEALTH=0.0.0.0:9090
# HTTP, health, and QUIC between the nodes.
EXPOSE 8080/tcp 9090/tcp 7000/udp
STOPSIGNAL SIGTERM
# There is no shell: the server asks itself.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["/usr/local/bin/kvraft-server", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/kvraft-server"]
CMD ["serve"]
