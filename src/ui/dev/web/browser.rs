//! The page in a real browser. `scripts/test page` runs it where a Chromium is.
//!
//! The browser is driven over its own debugging protocol, so that nothing else is needed.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Served, serve};
use crate::dev::machine::How;
use crate::dev::shown::{Shown, Wish};
use crate::ui::dev::board::Board;
use crate::ui::dev::{Shared, script};

const NAMES: [&str; 5] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Nothing on the page takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with one page.
struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    process: Child,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    /// Ends all of its processes, also where a test fails: Debian starts it from a script.
    fn drop(&mut self) {
        let id = self.process.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
        if let Some(id) = id {
            // One that has ended needs no end.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

impl Browser {
    async fn open(url: &str) -> Self {
        let program = NAMES.iter().find_map(|name| which::which(name).ok()).expect("no Chromium is here");
        let profile = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own browser")]
        let mut process = Command::new(program)
            // The sandbox does not start for root or in a container; the only page is our own.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            let line = timeout_at(deadline, lines.next_line()).await.unwrap().unwrap().expect("the browser ended");
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.to_owned();
            }
        };
        // Its later complaints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = connect_async(address).await.unwrap();
        let mut browser = Self { socket, session: None, calls: 0, process, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": url})).await["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let session = browser.call("Target.attachToTarget", attach).await["sessionId"].as_str().unwrap().to_owned();
        browser.session = Some(session);
        browser
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut request = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = timeout_at(deadline, self.socket.next()).await.unwrap().unwrap().unwrap();
            let Ok(text) = message.to_text() else { continue };
            let answer: Value = serde_json::from_str(text).unwrap_or_default();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Returns what an expression is on the page.
    async fn is(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true})).await;
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true on the page.
    async fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.is(expression).await != json!(true) {
            if Instant::now() > deadline {
                let page = self.is("document.body.innerText").await;
                panic!("never true: {expression}\n{}", page.as_str().unwrap_or_default());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn opened() -> (Shared, Served, UnboundedReceiver<Wish>, Browser) {
    let (wishes, asked) = unbounded_channel();
    let board = Shared::new(false);
    let served = serve(board.clone(), wishes).await.unwrap();
    let browser = Browser::open(&served.url).await;
    (board, served, asked, browser)
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/test page"]
async fn the_page_in_chromium() {
    let (board, served, mut asked, mut browser) = opened().await;
    browser.until("document.getElementById('link').textContent === 'connected'").await;
    assert_eq!(browser.is("location.search + document.cookie").await, "", "the secret is where a script sees it");

    script::play(&board);
    browser.until("document.querySelectorAll('#rows tr').length === 2").await;
    browser.until("document.title.includes('1/2')").await;
    let text = "document.querySelector('[data-service=api]').innerText";
    browser.until(&format!("{text}.includes('failing') && {text}.includes('CrashLoopBackOff')")).await;
    browser.until("document.querySelector('[data-service=web] a').href === 'http://localhost:30001/'").await;

    // An update arrives, and the error that was there is none any more.
    board.hear(&script::updated("web", How::Sync, &["fresh.py"], 6, None, (3, 3)));
    browser.until("document.querySelector('[data-service=web] .said').textContent.includes('in 6 ms: fresh.py')").await;
    board.hear(&script::dev(Shown::Problem {
        of: "profile".into(),
        text: "<b>broken</b>".into(),
        report: Value::Null,
    }));
    browser.until("document.querySelector('#problems pre').textContent.includes('<b>broken</b>')").await;
    board.hear(&script::dev(Shown::Mended { of: "profile".into() }));
    browser.until("!document.querySelector('#problems pre')").await;

    // What a service writes is text.
    board.hear(&script::log(
        "web",
        "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
    ));
    browser.until("document.getElementById('log').textContent.includes('<script>document.title')").await;
    assert_eq!(browser.is("document.querySelectorAll('#log script, #log img').length").await, 0);

    buttons(&mut browser, &mut asked).await;
    many_lines(&mut browser, &board).await;

    board.change(Board::end);
    browser.until("!document.getElementById('banner').hidden && document.getElementById('pause').disabled").await;
    browser.until("document.getElementById('banner').textContent.startsWith('dev has ended')").await;
    served.close().await;
}

async fn buttons(browser: &mut Browser, asked: &mut UnboundedReceiver<Wish>) {
    browser.is("document.querySelector('[aria-label=\"Restart web\"]').click()").await;
    assert_eq!(asked.recv().await, Some(Wish::Restart(Some("web".into()))));
    browser.is("document.getElementById('rebuild').click()").await;
    assert_eq!(asked.recv().await, Some(Wish::Rebuild(None)));
    // The keyboard alone is enough.
    browser.is("document.getElementById('pause').focus()").await;
    for kind in ["keyDown", "keyUp"] {
        let key = json!({"type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13});
        browser.call("Input.dispatchKeyEvent", key).await;
    }
    assert_eq!(asked.recv().await, Some(Wish::Pause));
}

async fn many_lines(browser: &mut Browser, board: &Shared) {
    for number in 0..6000 {
        board.hear(&script::log("web", &format!("line {number}")));
    }
    browser.until("document.getElementById('log').lastElementChild.textContent.endsWith('line 5999')").await;
    browser.until("document.getElementById('log').childElementCount <= 2000").await;
    // One service's lines can be hidden.
    browser.is("document.querySelector('#chosen input').click()").await;
    browser.until("document.getElementById('log').lastElementChild.hidden").await;
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/test page"]
async fn the_page_says_when_dev_is_gone() {
    let (wishes, _asked) = unbounded_channel();
    let board = Shared::new(false);
    let killed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let served = killed.spawn(serve(board.clone(), wishes)).await.unwrap().unwrap();
    let mut browser = Browser::open(&served.url).await;
    script::play(&board);
    browser.until("document.querySelectorAll('#rows tr').length === 2").await;
    // Killed, and not ended: nothing says so but the cut connection.
    killed.shutdown_background();
    browser.until("document.getElementById('banner').textContent.startsWith('dev is not reached')").await;
}
