#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exported_symbols.sh LIBRARY: every symbol that it defines belongs to the public namespace.
set -euo pipefail
symbols=$(nm -DC --defined-only "$1" | cut -d' ' -f3-)
own=$(grep -cE '^warpbag::' <<<"$symbols")
foreign=$(grep -vE '^((vtable|typeinfo|typeinfo name|VTT) for )?warpbag::[^:]*(::|\(|\[|$)' <<<"$symbols" || true)
internal=$(grep -E 'warpbag::(operations|numerics|cpu|cuda|sharding|ranks|kernels|detail)::' <<<"$symbols" || true)
echo "$own symbols of warpbag"
if [ "$own" -lt 20 ] || [ -n "$foreign$internal" ]; then
  printf 'not part of the interface:\n%s\n%s\n' "$foreign" "$internal"
  exit 1
fi
