# The images of the services, a target for each: docker buildx build --target operator --tag kube-sfu/operator:0.1.0 .
# Without an engine, `make images` builds the part from "FROM scratch" on, with the same folders made on the machine itself.
ARG NODE_VERSION=24.21.0

FROM node:${NODE_VERSION}-bookworm-slim AS build
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates git \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The packages and the worker change seldom: a layer for each, which changes of our own files leave alone.
COPY .node-version package.json package-lock.json ./
COPY scripts/setup.sh scripts/
COPY scripts/setup scripts/setup
RUN scripts/setup.sh node dependencies
COPY scripts/mediasoup-worker scripts/mediasoup-worker
RUN scripts/setup.sh worker
COPY . .
RUN npm run build:web && . .run/env && scripts/images/trees.sh /usr/local/bin/node /trees

FROM scratch AS base
COPY --from=build /trees/base /
ENV PATH=/usr/local/bin NODE_ENV=production
WORKDIR /app
USER 65532:65532
STOPSIGNAL SIGTERM
LABEL org.opencontainers.image.vendor="kube-sfu" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="0.1.0"

FROM base AS operator
COPY --from=build /trees/operator /app
LABEL org.opencontainers.image.title="kube-sfu/operator" \
  org.opencontainers.image.description="Keeps the pods of media nodes and the rooms on them as the resources ask"
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "operator/main.ts", "healthcheck", "--config", "/etc/kube-sfu/operator.yaml"]
ENTRYPOINT ["node", "operator/main.ts"]

FROM base AS signaling
COPY --from=build /trees/signaling /app
LABEL org.opencontainers.image.title="kube-sfu/signaling" \
  org.opencontainers.image.description="Joins browsers to rooms, and serves the page"
EXPOSE 4443 4444
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "signaling/main.ts", "healthcheck", "--config", "/etc/kube-sfu/signaling.yaml"]
ENTRYPOINT ["node", "signaling/main.ts"]

FROM base AS media-node
COPY --from=build /trees/media-node /app
LABEL org.opencontainers.image.title="kube-sfu/media-node" \
  org.opencontainers.image.description="Forwards media between the peers of rooms"
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "media-node/main.ts", "healthcheck", "--config", "config/media-node.yaml"]
ENTRYPOINT ["node", "media-node/main.ts"]

FROM base AS trial-postgres
COPY --from=build /trees/trial-postgres /app
# A new volume of docker takes over the folder's owner.
COPY --from=build --chown=65532:65532 /trees/data /var/lib/postgresql
LABEL org.opencontainers.image.title="kube-sfu/trial-postgres" \
  org.opencontainers.image.description="A Postgres server for trials"
EXPOSE 5432
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "trial-postgres/main.ts", "healthcheck"]
ENTRYPOINT ["node", "trial-postgres/main.ts"]
