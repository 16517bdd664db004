# `scm` in an image. The last stage is the default: it needs no GPU; `--target cuda` adds the Mamba2 kernels.
# The pins are those of the Makefile and of constraints-py311.txt; tests/test_dockerfile.py holds them together.
# Where pip looks is left to it: pass --build-arg PIP_INDEX_URL=…, or PIP_EXTRA_INDEX_URL=… for smaller torch.
ARG DEBIAN=bookworm
ARG PYTHON=3.11
ARG CUDA=13.0
ARG CUDA_PATCH=2

FROM nvidia/cuda:${CUDA}.${CUDA_PATCH}-devel-ubuntu24.04 AS toolkit

FROM python:${PYTHON}-${DEBIAN} AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG TORCH=2.13.0
ENV PATH=/opt/scm/bin:${PATH}
WORKDIR /build
RUN python -m venv /opt/scm && pip install --no-cache-dir "torch==${TORCH}"
COPY pyproject.toml constraints-py311.txt README.md LICENSE ./
COPY conf conf
COPY src src
RUN pip install --no-cache-dir -c constraints-py311.txt .

# The kernels are compiled against the torch that is installed, by a CUDA of the same major version.
FROM build AS build-cuda
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG CUDA
ARG TORCH_CUDA_ARCH_LIST="8.0;8.6;8.9;9.0+PTX"
COPY --from=toolkit /usr/local/cuda-${CUDA} /usr/local/cuda
ENV CUDA_HOME=/usr/local/cuda
RUN pip install --no-cache-dir -c constraints-py311.txt setuptools wheel packaging ninja \
    && pip install --no-cache-dir --no-build-isolation -c constraints-py311.txt '.[cuda]'

FROM python:${PYTHON}-slim-${DEBIAN} AS base
RUN useradd --create-home --uid 1000 scm && mkdir /work && chown scm /work
# Caches lie where any user may write, for `docker run --user`.
ENV PATH=/opt/scm/bin:${PATH} \
    KEDRO_DISABLE_TELEMETRY=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /work
ENTRYPOINT ["scm"]
CMD ["--help"]

FROM base AS cuda
# Triton compiles small C files while it runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-cuda /opt/scm /opt/scm
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000

FROM base AS cpu
COPY --from=build /opt/scm /opt/scm
USER 1000
