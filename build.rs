//! Builds the helper (`helper/`) for the machines that nodes are, and packs it, so that
//! `coracle` carries it: per target `helper-ARCH.gz` and `helper-ARCH.sha256` in `OUT_DIR`.
//!
//! It is a cargo of its own with its own target folder, so the profile, flags and wrapper of
//! the build that it is part of do not reach it, and it stays what it is from build to build.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use sha2::{Digest, Sha256};

/// As images name them, and as Rust does.
const TARGETS: [(&str, &str); 2] = [("amd64", "x86_64-unknown-linux-musl"), ("arm64", "aarch64-unknown-linux-musl")];

fn main() -> ExitCode {
    for input in ["build.rs", "Cargo.toml", "Cargo.lock", "helper/Cargo.toml", "helper/src"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    let Err(words) = carry(&out) else { return ExitCode::SUCCESS };
    for line in words.lines() {
        println!("cargo::error={line}");
    }
    ExitCode::FAILURE
}

fn carry(out: &Path) -> Result<(), String> {
    let target_folder = out.join("helper");
    build(&target_folder)?;
    for (architecture, target) in TARGETS {
        let program = target_folder.join(target).join("helper/coracle-helper");
        let program = fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
        pack(out, architecture, &program).map_err(|error| format!("the helper could not be packed: {error}"))?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "`exec` is part of what is built")]
fn build(target_folder: &Path) -> Result<(), String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where"));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(&root).args(["build", "--locked", "--package=coracle-helper", "--bin=coracle-helper"]);
    cargo.arg("--profile=helper").arg("--target-dir").arg(target_folder);
    for (_, target) in TARGETS {
        cargo.arg(format!("--target={target}"));
        // Rust brings a linker and a C library for them, so no other compiler is needed.
        let name = target.replace('-', "_").to_uppercase();
        cargo.env(format!("CARGO_TARGET_{name}_LINKER"), "rust-lld");
    }
    // What belongs to the build around it: clippy's wrapper, coverage, flags for this machine.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    let output = cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.map_err(|error| format!("cargo could not be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("may not be installed") || words.contains("can't find crate for `std`") {
        let targets = TARGETS.map(|(_, target)| target).join(" ");
        return Err(format!(
            "{words}\nthe helper of `coracle dev` needs more of Rust; run: rustup target add {targets}"
        ));
    }
    Err(format!("the helper could not be built:\n{words}"))
}

/// Packed with gzip, which every node can unpack by itself.
fn pack(out: &Path, architecture: &str, program: &[u8]) -> std::io::Result<()> {
    let mut packed = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    packed.write_all(program)?;
    fs::write(out.join(format!("helper-{architecture}.gz")), packed.finish()?)?;
    let digest: Vec<String> = Sha256::digest(program).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(out.join(format!("helper-{architecture}.sha256")), digest.concat())
}
