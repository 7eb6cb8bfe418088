# The bot as a server: browsers, telephones, WebSockets. Needs Google credentials, or an emulator beside it (compose.yaml).
#   docker build -t halfcascade .
#   docker run -p 7860:7860 -e HALFCASCADE_SERVE_TOKEN=… -e GOOGLE_API_KEY=… halfcascade
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc portaudio19-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/halfcascade && /opt/halfcascade/bin/pip install --no-cache-dir uv==0.13.9
# The user of the image may not write there, and would compile everything anew at each start.
ENV UV_COMPILE_BYTECODE=1
ARG REQUIREMENTS=server
RUN VIRTUAL_ENV=/opt/halfcascade /opt/halfcascade/bin/uv pip install --no-cache --require-hashes -r requirements/${REQUIREMENTS}.txt
COPY . .
RUN VIRTUAL_ENV=/opt/halfcascade /opt/halfcascade/bin/uv pip install --no-cache --no-deps .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 bot
COPY --from=build /opt/halfcascade /opt/halfcascade
USER bot
WORKDIR /home/bot
ENV PATH=/opt/halfcascade/bin:$PATH PYTHONUNBUFFERED=1 HALFCASCADE_SERVE_HOST=0.0.0.0
EXPOSE 7860
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=2)"]
# SIGTERM lets talks end: give `docker stop` as long as HALFCASCADE_SERVE_DRAIN_SECS, and some more.
STOPSIGNAL SIGTERM
CMD ["halfcascade", "serve", "--backend", "google"]
