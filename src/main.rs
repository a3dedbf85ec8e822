//! The `coracle` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    coracle::run()
}
