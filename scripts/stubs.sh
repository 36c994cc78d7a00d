#!/bin/sh
# Generates the Python stubs of proto/ into proto/gen (or into the folder named as first argument).
set -eu
cd "$(dirname "$0")/.."
out=${1:-proto/gen}
mkdir -p "$out"
find "$out" -name '*_pb2*.py*' -delete
# shellcheck disable=SC2046
PATH=$PWD/.venv/bin:$PATH .venv/bin/python -m grpc_tools.protoc -I proto --python_out="$out" --grpc_python_out="$out" \
  --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out" \
  $(cd proto && find smartscale headscale -name '*.proto' 2>/dev/null | sort)
