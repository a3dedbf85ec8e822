//! The stream to one node's helper: requests go in as they come, answers go to whom they belong.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::container::LogOutput;
use bytes::Bytes;
use coracle_helper::protocol::{Answer, Frames, Request, VERSION, encode};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::super::machine::{Fault, Op};
use super::{ANSWER, STALLED, source};
use crate::ui::sanitize;

/// How many frames wait to be written: with pieces of 128 KiB, half a megabyte.
const QUEUE: usize = 4;

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, String>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A stream that is open, or was. Clones share it; with the last one it is closed, and the
/// helper ends.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: String,
    frames: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Frames that were written: that it moves.
    written: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last request.
    last: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
    /// Why it cannot be used any more.
    broken: Option<String>,
}

/// An answer that is awaited. Dropped, nobody waits for it any more.
struct Expected<'a> {
    link: &'a Link,
    number: u32,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.link.0.shared.state().waiting.remove(&self.number);
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Whoever waits is told.
    fn break_off(&self, words: &str) {
        let mut state = self.state();
        state.broken.get_or_insert_with(|| sanitize::line(words));
        state.waiting.clear();
    }
}

impl Link {
    pub(super) fn new(node: &str, output: Output, input: Input) -> Self {
        let (frames, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let reader = tokio::spawn(read(output, shared.clone())).abort_handle();
        let writer = tokio::spawn(write(queue, input, shared.clone())).abort_handle();
        Self(Arc::new(Inner { node: node.to_owned(), frames, shared, tasks: [reader, writer] }))
    }

    pub(super) fn lives(&self) -> bool {
        self.0.shared.state().broken.is_none()
    }

    /// Waits for the helper's first word; it has none for a request that it does not know.
    pub(super) async fn greeted(&self, patience: Duration) -> Result<(), Fault> {
        // Any question shows that it speaks; its version was checked when it said Hello.
        let request = Request::Find { container: "nothing-has-this-id".to_owned() };
        self.ask(&request, patience).await.map(drop)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, request: &Request, patience: Duration) -> Result<Answer, Fault> {
        let mut expected = self.expect()?;
        let frame = encode(expected.number, request).into();
        let asked = async {
            // A queue that is closed has a reason, which the answer tells.
            drop(self.0.frames.send(frame).await);
            (&mut expected.answer).await
        };
        match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer.map_err(|_| self.cut()),
            Err(_) => Err(self.silent(patience)),
        }
    }

    /// Sends a batch, and waits for its answer. See [`source`] for what is read.
    pub(super) async fn send(&self, container: &str, root: &Path, ops: &[Op]) -> Result<Answer, Fault> {
        let mut expected = self.expect()?;
        // Set when this ends, however it does: nothing is read for a batch that is over.
        let over = Arc::new(AtomicBool::new(false));
        let _guard = Over(over.clone());
        let frames = self.0.frames.clone();
        let feed = move |frame: Vec<u8>| !over.load(Ordering::Relaxed) && frames.blocking_send(frame.into()).is_ok();
        let batch = source::Batch::new(expected.number, container, root, ops);
        let mut reading = tokio::task::spawn_blocking(move || batch.write(feed));
        let mut read = false;
        let mut written = self.written();
        loop {
            tokio::select! {
                answer = &mut expected.answer => return answer.map_err(|_| self.cut()),
                result = &mut reading, if !read => {
                    read = true;
                    if let Err(fault) = result.expect("reading does not panic") {
                        return Err(self.withdraw(&mut expected, fault).await);
                    }
                }
                () = tokio::time::sleep(STALLED) => {
                    if self.written() == written {
                        return Err(self.silent(STALLED));
                    }
                    written = self.written();
                }
            }
        }
    }

    /// Has the helper forget a batch; waits until it has, so that a new one finds all as it was.
    async fn withdraw(&self, expected: &mut Expected<'_>, fault: Fault) -> Fault {
        let withdrawn = async {
            drop(self.0.frames.send(encode(expected.number, &Request::Withdraw).into()).await);
            (&mut expected.answer).await
        };
        match tokio::time::timeout(ANSWER, withdrawn).await {
            Ok(Ok(Answer::Refused(refusal))) => super::fault_of(&refusal),
            Ok(Ok(_)) => fault,
            Ok(Err(_)) => self.cut(),
            Err(_) => self.silent(ANSWER),
        }
    }

    fn written(&self) -> u64 {
        self.0.shared.written.load(Ordering::Relaxed)
    }

    fn expect(&self) -> Result<Expected<'_>, Fault> {
        let (sender, answer) = oneshot::channel();
        let number = {
            let mut state = self.0.shared.state();
            if state.broken.is_none() {
                // 0 is the helper's own.
                state.last = state.last.checked_add(1).unwrap_or(1);
                let number = state.last;
                state.waiting.insert(number, sender);
                Some(number)
            } else {
                None
            }
        };
        match number {
            Some(number) => Ok(Expected { link: self, number, answer }),
            None => Err(self.cut()),
        }
    }

    fn cut(&self) -> Fault {
        let state = self.0.shared.state();
        let words = state.broken.as_deref().unwrap_or("the stream was closed");
        Fault::Cut(format!("the helper on node `{}` was lost: {words}", self.0.node))
    }

    /// Gives the stream up: what comes over it now belongs to nobody.
    fn silent(&self, patience: Duration) -> Fault {
        self.0.shared.break_off(&format!("it did not answer within {} s", patience.as_secs()));
        self.0.tasks.iter().for_each(AbortHandle::abort);
        self.cut()
    }
}

struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn write(mut queue: mpsc::Receiver<Bytes>, mut input: Input, shared: Arc<Shared>) {
    while let Some(frame) = queue.recv().await {
        let written = async {
            input.write_all(&frame).await?;
            // What waits already goes with it.
            if queue.is_empty() { input.flush().await } else { Ok(()) }
        };
        if let Err(error) = written.await {
            return shared.break_off(&error.to_string());
        }
        shared.written.fetch_add(1, Ordering::Relaxed);
    }
}

async fn read(mut output: Output, shared: Arc<Shared>) {
    let (mut frames, mut words) = (Frames::default(), Vec::new());
    let reason = loop {
        match output.next().await {
            None => break "it ended".to_owned(),
            Some(Err(error)) => break error,
            Some(Ok(LogOutput::StdErr { message })) => crate::image::engine::keep_last(&mut words, &message),
            Some(Ok(other)) => {
                frames.push(&other.into_bytes());
                if let Err(words) = deliver(&mut frames, &shared) {
                    break words;
                }
            }
        }
    };
    let words = String::from_utf8_lossy(&words);
    shared.break_off(format!("{} {reason}", words.trim()).trim());
}

fn deliver(frames: &mut Frames, shared: &Shared) -> Result<(), String> {
    while let Some((number, answer)) = frames.message::<Answer>().map_err(|error| error.to_string())? {
        match answer {
            Answer::Hello { version: VERSION } => {}
            Answer::Hello { version } => return Err(format!("it speaks version {version}, not {VERSION}")),
            answer => {
                // Who gave up waiting does not want it.
                if let Some(waiting) = shared.state().waiting.remove(&number) {
                    drop(waiting.send(answer));
                }
            }
        }
    }
    Ok(())
}
