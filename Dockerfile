# glaze with Vulkan drivers for AMD, Intel and CPUs; NVIDIA's come from the container toolkit.
FROM debian:trixie-slim AS install
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
  && rm -rf /var/lib/apt/lists/*
RUN npm install --global bun@1.4.5
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production \
  && rm -rf node_modules/@sparticuz \
  && cp "$(bun -e 'console.log(process.execPath)')" /usr/local/bin/bun-runtime

FROM debian:trixie-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    libvulkan1 mesa-vulkan-drivers libegl1 libgl1 libglx0 libglvnd0 libx11-6 libxext6 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --uid 1000 --create-home glaze
COPY --from=install /usr/local/bin/bun-runtime /usr/local/bin/bun
WORKDIR /app
COPY --from=install /app/node_modules node_modules
COPY package.json LICENSE README.md ./
COPY src src
COPY kernels kernels
COPY models models
# `graphics` brings the Vulkan driver into the container; `compute` alone does not.
ENV NVIDIA_VISIBLE_DEVICES=all \
  NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility \
  GLAZE_HOST=0.0.0.0
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=120s --interval=10s \
  CMD ["bun", "-e", "process.exit((await fetch('http://127.0.0.1:' + (process.env.GLAZE_PORT || 8000) + '/health')).ok ? 0 : 1)"]
ENTRYPOINT ["bun", "src/main.ts"]
CMD ["serve"]
