#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every tracked C file is as clang-format writes it. `tools/check_format.sh --fix` rewrites instead.
cd "$(dirname "$0")/.." || exit 1
command -v clang-format >/dev/null || { echo "skipped: no clang-format"; exit 77; }
mode="--dry-run -Werror"
[ "$1" = "--fix" ] && mode="-i"
git ls-files '*.c' '*.h' '*.hpp' '*.cpp' | xargs -r -n 50 -P 2 clang-format $mode || exit 1
echo "format: ok"
