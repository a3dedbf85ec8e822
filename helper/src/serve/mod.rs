//! `serve`: carries out what arrives, until the stream ends.
//!
//! Batches are carried out where they are read, one piece after the other: that is the shortest
//! way, and a disk takes no more at once. What may take longer (contents to hash, a process to
//! end) runs beside it.

mod batch;
mod commit;
mod find;
mod look;
mod names;
mod processes;
mod restart;
mod root;
#[cfg(test)]
mod tests;
mod wishes;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Scope;

use batch::Batch;
pub use find::Finder;

use crate::protocol::{Answer, Found, Frames, Kind, Refusal, Request, VERSION, encode};

/// Folders that were looked through for what dead helpers left: device, number, and the
/// container's first process.
type Swept = HashSet<(u64, u64, u32)>;

/// How many questions are worked on beside the batches; more are answered in line.
const BESIDE: usize = 8;
/// How many batches may be under way.
const BATCHES: usize = 64;

/// Serves standard input and output. Returns the exit code.
pub fn main() -> Result<u8, String> {
    serve(io::stdin().lock(), io::stdout(), &Finder::default()).map(|()| 0).map_err(|error| error.to_string())
}

/// Serves a stream to its end. What is not finished by then is undone.
pub fn serve(input: impl Read, output: impl Write + Send, finder: &Finder) -> io::Result<()> {
    let server =
        Server { output: Mutex::new(output), finder, beside: AtomicUsize::new(0), ended: AtomicBool::new(false) };
    server.answer(0, &Answer::Hello { version: VERSION });
    std::thread::scope(|scope| {
        let result = read(input, &server, scope);
        // Whoever still works for an answer that nobody reads.
        server.ended.store(true, Ordering::Relaxed);
        result
    })
}

fn read<'scope, W: Write + Send>(
    mut input: impl Read,
    server: &'scope Server<'_, W>,
    scope: &'scope Scope<'scope, '_>,
) -> io::Result<()> {
    let (mut frames, mut work) = (Frames::default(), Work::default());
    let mut buffer = vec![0; 256 * 1024];
    while !server.ended.load(Ordering::Relaxed) {
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        frames.push(&buffer[..read]);
        let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while let Some((number, request)) = frames.message::<Request>().map_err(malformed)? {
            if request == Request::Leave {
                return Ok(());
            }
            work.request(number, request, server, scope);
        }
    }
    Ok(())
}

/// What all threads share.
struct Server<'finder, W> {
    output: Mutex<W>,
    finder: &'finder Finder,
    beside: AtomicUsize,
    /// Nobody reads any more.
    ended: AtomicBool,
}

impl<W: Write + Send> Server<'_, W> {
    fn answer(&self, number: u32, answer: &Answer) {
        let frame = encode(number, answer);
        let mut output = self.output.lock().expect("no holder panics");
        if output.write_all(&frame).and_then(|()| output.flush()).is_err() {
            self.ended.store(true, Ordering::Relaxed);
        }
    }

    /// Answers what changes nothing in a container's files.
    fn ask(&self, number: u32, request: Request) {
        let answer = match request {
            Request::Look { container, targets } => self.look(&container, &targets).map(Answer::Looked),
            Request::Restart { container } => {
                self.finder.find(&container).and_then(|first| restart::restart(&first, &self.ended)).map(Answer::Found)
            }
            Request::Processes { container } => {
                let found = self.finder.find(&container);
                found.map(|_| Answer::Processes(processes::processes(self.finder, &container)))
            }
            Request::Find { container } => self
                .finder
                .find(&container)
                .map(|first| Answer::Found(Found { pid: first.pid, supervised: restart::supervised(&first) })),
            _ => unreachable!("the rest belongs to batches"),
        };
        self.answer(number, &answer.unwrap_or_else(Answer::Refused));
    }

    fn look(&self, container: &str, targets: &[PathBuf]) -> Result<Vec<Option<crate::protocol::Node>>, Refusal> {
        let root = root::Root(self.finder.find(container)?.root()?);
        targets.iter().map(|target| look::look(&root, target)).collect()
    }
}

/// What is under way.
#[derive(Default)]
struct Work {
    batches: HashMap<u32, Batch>,
    swept: Swept,
}

impl Work {
    fn request<'scope, W: Write + Send>(
        &mut self,
        number: u32,
        request: Request,
        server: &'scope Server<'_, W>,
        scope: &'scope Scope<'scope, '_>,
    ) {
        let result = match request {
            Request::Sync { container, ops } => self.begin(number, &container, ops, server.finder),
            Request::Ops(ops) => self.with(number, |batch, swept| batch.ops(ops, swept)),
            Request::Data(bytes) => self.with(number, |batch, swept| batch.data(&bytes, swept)),
            Request::Withdraw => {
                // It may have been refused, and answered, before this arrived.
                if self.batches.remove(&number).is_some() {
                    server.answer(number, &Answer::Done);
                }
                return;
            }
            other => return beside(number, other, server, scope),
        };
        match result {
            Ok(false) => {}
            Ok(true) => server.answer(number, &Answer::Done),
            Err(refusal) => {
                self.batches.remove(&number);
                server.answer(number, &Answer::Refused(refusal));
            }
        }
    }

    fn begin(&mut self, number: u32, container: &str, ops: u32, finder: &Finder) -> Result<bool, Refusal> {
        if self.batches.len() >= BATCHES {
            return Err(refuse("", Kind::Other, "too many batches are under way"));
        }
        let batch = Batch::new(finder.find(container)?, ops)?;
        self.batches.insert(number, batch);
        if ops > 0 { Ok(false) } else { self.with(number, |_, _| Ok(())) }
    }

    /// Works on a batch; returns whether that finished it. What comes for one that was refused
    /// was on its way.
    fn with(
        &mut self,
        number: u32,
        work: impl FnOnce(&mut Batch, &mut Swept) -> Result<(), Refusal>,
    ) -> Result<bool, Refusal> {
        let Some(batch) = self.batches.get_mut(&number) else { return Ok(false) };
        work(batch, &mut self.swept)?;
        if !batch.is_whole() {
            return Ok(false);
        }
        let batch = self.batches.remove(&number).expect("it was there a moment ago");
        batch.commit(&mut self.swept).map(|()| true)
    }
}

fn beside<'scope, W: Write + Send>(
    number: u32,
    request: Request,
    server: &'scope Server<'_, W>,
    scope: &'scope Scope<'scope, '_>,
) {
    if server.beside.fetch_add(1, Ordering::Relaxed) < BESIDE {
        scope.spawn(move || {
            server.ask(number, request);
            server.beside.fetch_sub(1, Ordering::Relaxed);
        });
    } else {
        server.ask(number, request);
        server.beside.fetch_sub(1, Ordering::Relaxed);
    }
}

fn refuse(path: impl Into<PathBuf>, kind: Kind, words: &str) -> Refusal {
    Refusal { path: path.into(), kind, words: words.to_owned(), partly: false }
}
