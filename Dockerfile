# headstyle with everything that its stages import, in the versions of constraints.txt.
#
#     docker build --tag headstyle .
#     docker build --tag headstyle:cuda \
#         --build-arg BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04 --build-arg DEVICE=cuda .
#
# The CUDA image needs the compiler in its base: gsplat compiles its kernels on the first GPU it sees.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
# cpu or cuda: whether PyTorch is the build without CUDA, which is a tenth of the size.
ARG DEVICE=cpu
# Where that build lies.
ARG CPU_BUILDS=https://download.pytorch.org/whl/cpu

# Versions are those of the base's release: its older ones leave the mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates g++ git python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /opt/headstyle
# First what changes seldom: only a change of these files installs the packages again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY workflow_scripts/headstyle/__init__.py workflow_scripts/headstyle/
RUN if [ "$DEVICE" = cpu ]; then export PIP_EXTRA_INDEX_URL="$CPU_BUILDS"; fi \
    && pip install --no-cache-dir --constraint constraints.txt --editable .
# Plugins of Snakemake, such as snakemake-storage-plugin-s3: who asks for one chooses its version.
ARG PLUGINS=""
# hadolint ignore=DL3013
RUN for plugin in $PLUGINS; do pip install --no-cache-dir "$plugin"; done

COPY Snakefile ./
COPY config config
COPY envs envs
COPY profiles profiles
COPY report report
COPY resources resources
COPY rules rules
COPY workflow workflow
COPY workflow_scripts workflow_scripts

# Not root; the studies lie in a folder that the run mounts.
RUN useradd --create-home --uid 10001 headstyle && install --directory --owner=headstyle /work
USER 10001
WORKDIR /work
CMD ["snakemake", "--snakefile", "/opt/headstyle/Snakefile", "--cores", "all"]
