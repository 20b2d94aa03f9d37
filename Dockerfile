# glaze with Vulkan drivers for AMD, Intel and CPUs; NVIDIA's come from the container toolkit.
# Builds without BuildKit, too (docker, podman, buildah).
FROM debian:trixie-slim AS install
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
  && rm -rf /var/lib/apt/lists/*
RUN npm install --global bun@1.4.5
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
# SwiftShader stays out: Mesa's lavapipe is the faster driver for CPUs, and is in the image.
RUN bun install --frozen-lockfile --production \
  && rm -rf node_modules/@sparticuz \
  && cp "$(bun -e 'console.log(process.execPath)')" /usr/local/bin/bun-runtime

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="glaze" \
  org.opencontainers.image.description="Serves gated linear-attention language models over the OpenAI HTTP API" \
  org.opencontainers.image.licenses="Apache-2.0"
# mesa-vulkan-drivers: RADV, ANV, NVK and lavapipe. The others are what NVIDIA's library needs to load.
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    libvulkan1 mesa-vulkan-drivers libegl1 libgl1 libglx0 libglvnd0 libx11-6 libxext6 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --uid 1000 --create-home glaze \
  && mkdir /data && chown 1000:1000 /data
COPY --from=install /usr/local/bin/bun-runtime /usr/local/bin/bun
WORKDIR /app
COPY --from=install /app/node_modules node_modules
COPY package.json LICENSE README.md ./
COPY src src
COPY kernels kernels
COPY models models
# `graphics` brings the Vulkan driver into the container; `compute` alone does not.
# What is written goes to /data (downloaded models, autotuned kernels), so that the root may be read-only.
ENV NVIDIA_VISIBLE_DEVICES=all \
  NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility \
  XDG_CACHE_HOME=/data/cache \
  HF_HOME=/data \
  GLAZE_HOST=0.0.0.0
VOLUME /data
# A number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=120s --interval=10s --timeout=5s \
  CMD ["bun", "-e", "process.exit((await fetch('http://127.0.0.1:' + (process.env.GLAZE_PORT || 8000) + '/health')).ok ? 0 : 1)"]
ENTRYPOINT ["bun", "src/main.ts"]
CMD ["serve"]
