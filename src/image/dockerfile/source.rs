//! Where each instruction stands in the text.

use parse_dockerfile::{Instruction, Keyword};

/// One instruction and its text.
pub(super) struct Located<'b, 'a> {
    pub(super) instruction: &'b Instruction<'a>,
    /// Counted from 1.
    pub(super) line: usize,
    /// `RUN`, in upper case.
    pub(super) keyword: String,
    /// What follows the keyword: comments and line continuations left out, whitespace
    /// collapsed, here-documents included.
    pub(super) rest: String,
}

/// Returns all instructions with their places, in order.
pub(super) fn locate<'b, 'a>(text: &str, instructions: &'b [Instruction<'a>]) -> Vec<Located<'b, 'a>> {
    let spans: Vec<_> =
        instructions.iter().map(|instruction| keyword(instruction).map(|word| word.span.clone())).collect();
    let mut located = Vec::new();
    for (at, instruction) in instructions.iter().enumerate() {
        let Some(span) = spans[at].clone() else { continue };
        let end = spans.get(at + 1).and_then(Option::as_ref).map_or(text.len(), |next| next.start);
        located.push(Located {
            instruction,
            line: text[..span.start].matches('\n').count() + 1,
            keyword: text[span.clone()].to_uppercase(),
            rest: tidy(&text[span.end..end]),
        });
    }
    located
}

/// Returns `text` on one line, as Docker names steps but with whitespace collapsed.
fn tidy(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| line.strip_suffix('\\').unwrap_or(line).split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}

/// Returns the instruction's first word; `None` for one that this parser's future adds.
pub(super) fn keyword<'a>(instruction: &'a Instruction<'_>) -> Option<&'a Keyword> {
    Some(match instruction {
        Instruction::Add(it) => &it.add,
        Instruction::Arg(it) => &it.arg,
        Instruction::Cmd(it) => &it.cmd,
        Instruction::Copy(it) => &it.copy,
        Instruction::Entrypoint(it) => &it.entrypoint,
        Instruction::Env(it) => &it.env,
        Instruction::Expose(it) => &it.expose,
        Instruction::From(it) => &it.from,
        Instruction::Healthcheck(it) => &it.healthcheck,
        Instruction::Label(it) => &it.label,
        Instruction::Maintainer(it) => &it.maintainer,
        Instruction::Onbuild(it) => &it.onbuild,
        Instruction::Run(it) => &it.run,
        Instruction::Shell(it) => &it.shell,
        Instruction::Stopsignal(it) => &it.stopsignal,
        Instruction::User(it) => &it.user,
        Instruction::Volume(it) => &it.volume,
        Instruction::Workdir(it) => &it.workdir,
        _ => return None,
    })
}
