# Sourced by the scripts that build: where, and with how much of the machine.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/coracle/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto} INSTA_UPDATE=no
# A linker needs about a gigabyte: no more of them than the memory holds.
if [ -z "${CARGO_BUILD_JOBS:-}" ] && [ -r /proc/meminfo ]; then
  cores=$(nproc)
  fits=$(($(awk '/^MemAvailable/ {print $2}' /proc/meminfo) / 1500000))
  if [ "$fits" -lt 1 ]; then fits=1; fi
  export CARGO_BUILD_JOBS=$((fits < cores ? fits : cores))
fi
