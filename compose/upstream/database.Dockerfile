ARG IMAGE
FROM ${IMAGE}
COPY --chown=mysql accounts.sh /docker-entrypoint-initdb.d/
USER mysql
