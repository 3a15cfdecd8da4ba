ARG IMAGE
FROM ${IMAGE}
RUN mkdir -p /data && chown 10001 /data
USER 10001
