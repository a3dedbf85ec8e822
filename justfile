# Daily work. `just` lists it; `scripts/setup` makes a machine ready.

export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", env("HOME") / ".cache/coracle/target")

_default:
    @just --list --unsorted

# compile, and nothing else
check:
    cargo check --all-targets

# format everything
fmt:
    cargo fmt

# lints, as CI sees them
lint:
    cargo clippy --all-targets -- -D warnings

# the tests that need no Docker; NAME picks
test *NAME:
    cargo test {{ NAME }}

# the tests on real kind clusters; NAME picks
e2e *NAME:
    scripts/test e2e {{ NAME }}

# ours beside the usual shell line; IDs pick
bench *ID:
    scripts/bench {{ ID }}

# licences, banned crates, duplicates, advisories
deny:
    cargo deny check

# bring profiles/add-two up and call it
demo:
    scripts/demo

# all that a change must pass
ci:
    .ci/run
