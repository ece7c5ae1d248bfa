# The image of kvraft-server. Three arguments, so that it can be built from a checkout, or around a
# binary that was built elsewhere:
#   docker build -t kvraft-server .
#   docker build -t kvraft-server --build-arg BIN_STAGE=<image with /kvraft-server> .
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG BIN_STAGE=build

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked -p kvraft-server && cp target/release/kvraft-server /kvraft-server

FROM ${BIN_STAGE} AS bin

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="kvraft-server" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/kvraft/kvraft"
COPY --from=bin /kvraft-server /usr/local/bin/kvraft-server
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
# HTTP, health, and QUIC between the nodes.
EXPOSE 8080/tcp 9090/tcp 7000/udp
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["/usr/local/bin/kvraft-server", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/kvraft-server"]
