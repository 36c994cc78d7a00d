#!/bin/sh
# Stands in for the OpenTelemetry collector in tests: an independent receiver of OTLP that prints what it gets.
exec rotel-agent start --otlp-grpc-endpoint 0.0.0.0:4317 --otlp-http-endpoint 127.0.0.1:4318 --exporter blackhole --debug-log traces
