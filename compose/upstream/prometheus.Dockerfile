# Its user is the agents': it reads the token for reading in their volume.
ARG IMAGE
FROM ${IMAGE}
USER 10001:10001
