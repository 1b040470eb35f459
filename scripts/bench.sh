#!/usr/bin/env bash
# Every benchmark beside its floor and peers, one table per section; the flags
# are the bench command's, such as -quick or -only policy,signature.
set -euo pipefail
cd "$(dirname "$0")/../bench"
bin=$(mktemp)
trap 'rm -f "$bin"' EXIT
go build -o "$bin" .
"$bin" "$@"
