//! One shell per node, kept open for as long as the command runs.
//!
//! To start a command in a node's container costs the engine a tenth of a second, a command of
//! a shell that is there already next to nothing. Scripts go to the shell's standard input,
//! one at a time for each node; after each one it prints a random mark, so that the end of the
//! output and the exit code are known. Nothing is left behind in the node: when the connection
//! ends, the shell reads the end of its input and ends too.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::super::Error;
use super::super::digest::hex;
use super::super::engine::{Engine, Input, Ran, keep_last};
use super::containerd::Link;
use super::inventory::Inventory;

/// Reads a mark, then a script up to the line that is the mark, and runs it in a shell of its
/// own: an `exit` or a syntax error ends that one. `read` takes no byte beyond the line, so
/// what follows is the script's to read.
pub(super) const LOOP: &str = r#"while IFS= read -r mark; do script=
while IFS= read -r line || exit 0; do [ "$line" = "$mark" ] && break; script="$script$line
"; done
(eval "$script"); printf '\n%s %s\n' "$mark" "$?"; printf '\n%s\n' "$mark" >&2; done"#;

/// How long a node may take for a question.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// How long a command may take nothing of what it is given.
pub(super) const STALLED: Duration = Duration::from_secs(60);
/// How long it may take after it has been given all: it unpacks large layers on a slow disk.
pub(super) const UNPACKED: Duration = Duration::from_secs(600);

/// What a command is fed: bytes, or why they end too early.
pub(super) type Feed = mpsc::Receiver<Result<Bytes, String>>;

/// What the two streams of a shell bring.
pub(super) type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, String>> + Send>>;

/// The shells of an engine's nodes, opened when they are first needed. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Nodes(Arc<Mutex<BTreeMap<String, Arc<Node>>>>);

#[derive(Default)]
pub(super) struct Node {
    shell: AsyncMutex<Option<Shell>>,
    /// The quicker way to it.
    pub(super) link: AsyncMutex<Link>,
    /// What the node held when it was last asked.
    seen: Mutex<Option<(Instant, Arc<Inventory>)>>,
}

impl fmt::Debug for Nodes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Nodes")
    }
}

impl Nodes {
    pub(super) fn node(&self, name: &str) -> Arc<Node> {
        self.0.lock().expect("no holder panics").entry(name.to_owned()).or_default().clone()
    }

    /// Keeps what a node holds.
    pub(super) fn keep(&self, node: &str, inventory: &Arc<Inventory>) {
        let seen = Some((Instant::now(), inventory.clone()));
        *self.node(node).seen.lock().expect("no holder panics") = seen;
    }

    /// Returns what a node held at most `age` ago.
    pub(super) fn kept(&self, node: &str, age: Duration) -> Option<Arc<Inventory>> {
        let node = self.node(node);
        let seen = node.seen.lock().expect("no holder panics");
        seen.as_ref().filter(|(when, _)| when.elapsed() <= age).map(|(_, inventory)| inventory.clone())
    }

    /// Forgets what a node holds.
    pub(crate) fn forget(&self, node: &str) {
        *self.node(node).seen.lock().expect("no holder panics") = None;
    }
}

/// Runs a script on a node to its end, which must come within `deadline`. A shell that died
/// while it had nothing to do (the node was started again) is opened anew, once.
pub(super) async fn run(engine: &Engine, node: &str, script: &str, deadline: Duration) -> Result<Ran, Error> {
    let silent = || Error::NodeSilent { node: node.to_owned(), command: summary(script), seconds: deadline.as_secs() };
    let slot = engine.nodes.node(node);
    // Whoever comes next waits: one command at a time.
    let mut slot = slot.shell.lock().await;
    let alone = format!("{{\n{script}\n}} </dev/null");
    let work = async {
        // Taken out while it is used: a shell whose command is dropped half-way is out of step.
        if let Some(mut shell) = slot.take() {
            match shell.run(&alone).await {
                Ok(ran) => return Ok((ran, shell)),
                Err(Broken::Dead { said: false, .. }) => {}
                Err(broken) => return Err(broken.into_error(engine, node, &summary(script))),
            }
        }
        let mut shell = open(engine, node).await?;
        let ran = shell.run(&alone).await.map_err(|broken| broken.into_error(engine, node, &summary(script)))?;
        Ok((ran, shell))
    };
    let (ran, shell) = tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| Err(silent()))?;
    *slot = Some(shell);
    Ok(ran)
}

/// Runs a script on a node that reads exactly `size` bytes from its standard input. Nothing is
/// tried twice.
pub(super) async fn feed(engine: &Engine, node: &str, script: &str, size: u64, feed: Feed) -> Result<Ran, Error> {
    let slot = engine.nodes.node(node);
    let mut slot = slot.shell.lock().await;
    let kept = slot.take();
    let mut shell = match kept {
        Some(shell) => shell,
        None => tokio::time::timeout(ANSWER, open(engine, node)).await.unwrap_or_else(|_| {
            let command = summary(script);
            Err(Error::NodeSilent { node: node.to_owned(), command, seconds: ANSWER.as_secs() })
        })?,
    };
    let ran = shell.feed(script, size, feed).await;
    let ran = ran.map_err(|broken| broken.into_error(engine, node, &summary(script)))?;
    *slot = Some(shell);
    Ok(ran)
}

/// Returns the first command of a script, for a message.
fn summary(script: &str) -> String {
    let line = script.lines().map(str::trim).find(|line| line.contains("ctr ")).or_else(|| script.lines().next());
    let line = line.unwrap_or_default();
    let from = line.find("ctr ").unwrap_or(0);
    line[from..].split([';', '|', '&', '>']).next().unwrap_or(line).trim().to_owned()
}

async fn open(engine: &Engine, node: &str) -> Result<Shell, Error> {
    let argv = ["sh", "-c", LOOP].map(str::to_owned).to_vec();
    let (attached, input) = engine.attach(node, argv, true).await?;
    Ok(Shell::new(input, attached.output()))
}

/// Why a shell cannot be used any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// Its streams ended; `said`: after it had said something.
    Dead {
        said: bool,
        words: String,
    },
    Silent(Duration),
    /// What it was to be fed ended too early.
    Cut(String),
}

impl Broken {
    fn into_error(self, engine: &Engine, node: &str, command: &str) -> Error {
        match self {
            Self::Dead { words, .. } => engine.lost(format!("`{command}` on node `{node}`"), words),
            Self::Silent(time) => {
                Error::NodeSilent { node: node.to_owned(), command: command.to_owned(), seconds: time.as_secs() }
            }
            Self::Cut(words) => Error::NodeCommand {
                node: node.to_owned(),
                command: command.to_owned(),
                cause: super::super::error::Cause::new(words),
            },
        }
    }
}

/// A shell that runs [`LOOP`], wherever it is.
pub(super) struct Shell {
    input: Input,
    output: Output,
}

impl Shell {
    pub(super) fn new(input: Input, output: Output) -> Self {
        Self { input, output }
    }

    /// Runs a script; its input is what follows, of which it must read nothing.
    pub(super) async fn run(&mut self, script: &str) -> Result<Ran, Broken> {
        let mark = mark();
        let framed = framed(script, &mark);
        let written = write(&mut self.input, &framed);
        let (written, ran) = tokio::join!(written, read(&mut self.output, &mark));
        // What the shell said tells more than that it takes nothing.
        let ran = ran?;
        written.map_err(|error| Broken::Dead { said: true, words: error.to_string() })?;
        Ok(ran)
    }

    /// Runs a script that reads `size` bytes.
    pub(super) async fn feed(&mut self, script: &str, size: u64, feed: Feed) -> Result<Ran, Broken> {
        let mark = mark();
        let mut left = size;
        let (input, output) = (&mut self.input, &mut self.output);
        let head = framed(script, &mark);
        let ran = tokio::select! {
            ran = read(output, &mark) => ran?,
            broken = fed(input, &head, &mut left, feed) => return Err(broken),
        };
        if left > 0 {
            return Err(Broken::Cut(format!("it took {} of {size} bytes\n{}", size - left, ran.words)));
        }
        Ok(ran)
    }
}

/// Writes head and feed; returns only when it cannot go on, or the command does not end.
async fn fed(input: &mut Input, head: &[u8], left: &mut u64, mut feed: Feed) -> Broken {
    let dead = |words: std::io::Error| Broken::Dead { said: true, words: words.to_string() };
    if let Err(error) = write(input, head).await {
        return dead(error);
    }
    while *left > 0 {
        match feed.recv().await {
            Some(Ok(chunk)) if chunk.len() as u64 <= *left => {
                match tokio::time::timeout(STALLED, input.write_all(&chunk)).await {
                    Ok(Ok(())) => *left -= chunk.len() as u64,
                    Ok(Err(error)) => return dead(error),
                    Err(_) => return Broken::Silent(STALLED),
                }
            }
            Some(Ok(_)) => return Broken::Cut("more bytes came than were announced".to_owned()),
            Some(Err(words)) => return Broken::Cut(words),
            None => return Broken::Cut(format!("{left} bytes never came")),
        }
    }
    if let Err(error) = input.flush().await {
        return dead(error);
    }
    drop(feed);
    tokio::time::sleep(UNPACKED).await;
    Broken::Silent(UNPACKED)
}

fn framed(script: &str, mark: &str) -> Vec<u8> {
    format!("{mark}\n{script}\n{mark}\n").into_bytes()
}

async fn write(input: &mut Input, bytes: &[u8]) -> std::io::Result<()> {
    input.write_all(bytes).await?;
    input.flush().await
}

/// Reads to the marks of both streams.
async fn read(output: &mut Output, mark: &str) -> Result<Ran, Broken> {
    let (mut out, mut words) = (Vec::new(), Vec::new());
    let mut ended: (Option<i64>, bool) = (None, false);
    loop {
        let dead = |cause: String, out: &[u8], words: &[u8]| {
            let said = !out.is_empty() || !words.is_empty();
            Broken::Dead { said, words: format!("{}{cause}", String::from_utf8_lossy(words)) }
        };
        match output.next().await {
            Some(Ok(LogOutput::StdErr { message })) => {
                keep_last(&mut words, &message);
                if let Some((at, "")) = marked(&words, mark) {
                    words.truncate(at);
                    ended.1 = true;
                }
            }
            Some(Ok(other)) => {
                out.extend_from_slice(&other.into_bytes());
                let end = marked(&out, mark).and_then(|(at, code)| Some((at, code.trim().parse().ok()?)));
                if let Some((at, code)) = end {
                    out.truncate(at);
                    ended.0 = Some(code);
                }
            }
            Some(Err(error)) => return Err(dead(error, &out, &words)),
            None => return Err(dead("the shell in it ended".to_owned(), &out, &words)),
        }
        if let (Some(code), true) = ended {
            return Ok(Ran { code, out, words: String::from_utf8_lossy(&words).into_owned() });
        }
    }
}

/// Returns where the last line begins and what follows the mark in it, if that is how `text` ends.
fn marked<'a>(text: &'a [u8], mark: &str) -> Option<(usize, &'a str)> {
    let lines = text.strip_suffix(b"\n")?;
    let at = lines.iter().rposition(|byte| *byte == b'\n')?;
    let rest = lines[at + 1..].strip_prefix(mark.as_bytes())?;
    Some((at, std::str::from_utf8(rest).ok()?))
}

/// Returns a word that no output has by chance.
pub(super) fn mark() -> String {
    use std::hash::{BuildHasher, RandomState};
    let word = |number: u8| RandomState::new().hash_one(number).to_be_bytes();
    format!("mark-{}{}", hex(&word(0)), hex(&word(1)))
}

#[cfg(test)]
mod tests;
