# The binary that prepare.sh has put beside this file, with Spark from PyPI, and what it runs on.
FROM debian:bookworm-slim
RUN groupadd --gid 10001 agent \
    && useradd --uid 10001 --gid agent --home-dir /var/lib/agent --create-home --shell /usr/sbin/nologin agent \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates openjdk-17-jre-headless procps python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
ARG PYSPARK=4.3.0
RUN python3 -m venv /opt/spark \
    && /opt/spark/bin/pip install --no-cache-dir "pyspark==$PYSPARK" boto3
ENV PATH=/opt/spark/bin:$PATH
COPY agent /usr/local/bin/agent
USER agent
WORKDIR /var/lib/agent
RUN mkdir agents agent-data
ENTRYPOINT ["agent"]
