//! Parses arguments, runs the command, returns its exit code.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::io::Write;

    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let ended = match command.as_ref().and_then(|word| word.to_str()) {
        Some("serve") => coracle_helper::serve::main(),
        Some("supervise") => coracle_helper::supervise::main(arguments.collect()),
        _ => Err("say `serve`, or `supervise --stop-signal N --grace-ms N -- PROGRAM …`".to_owned()),
    };
    ended.map_or_else(
        |words| {
            // Nobody may be there to read it; the exit code says enough then.
            let _ = writeln!(std::io::stderr(), "coracle: {words}");
            ExitCode::from(2)
        },
        ExitCode::from,
    )
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::from(2)
}
