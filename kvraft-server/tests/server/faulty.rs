//! A server that answers as its script says, and often badly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::single::PATIENCE;

/// A request that has come.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The method and the path with its query.
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The value of a header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = |line: &'_ str| {
            let (found, _) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(found.len() + 1)
        };
        self.head.lines().find_map(|line| Some(line[value(line)?..].trim())).unwrap_or("")
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status, a header if there is one to say, and a body.
    Say(u16, String, String),
    /// The connection ends without an answer.
    Close,
    /// An answer that ends before its time.
    Half,
    /// No answer, for as long as the test lasts.
    Hang,
    /// The node at this base answers.
    Pass(String),
    /// The node at this base does it, and its answer is lost.
    Lose(String),
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self::Say(200, String::new(), body.to_owned())
    }

    pub(crate) fn status(status: u16) -> Self {
        let body = format!(r#"{{"type":"urn:kvraft:x","status":{status},"detail":"as scripted"}}"#);
        Self::Say(status, String::new(), body)
    }

    pub(crate) fn redirect(base: &str, seen: &Seen) -> Self {
        let path = seen.line.split(' ').nth(1).unwrap();
        Self::Say(307, format!("location: {base}{path}"), String::new())
    }
}

/// What all connections share.
struct Shared {
    seen: Mutex<Vec<Seen>>,
    over: Mutex<bool>,
    ended: Condvar,
}

/// The server; it ends when it is dropped.
pub(crate) struct Faulty {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Drop for Faulty {
    fn drop(&mut self) {
        *self.shared.over.lock().unwrap() = true;
        self.shared.ended.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address()));
    }
}

impl Faulty {
    /// The script is given how many requests came before this one, those for `/status` aside.
    pub(crate) fn start(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            over: Mutex::default(),
            ended: Condvar::new(),
        });
        let (script, here) = (Arc::new(script), Arc::clone(&shared));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *here.over.lock().unwrap() {
                    return;
                }
                let (script, here) = (Arc::clone(&script), Arc::clone(&here));
                // A client that goes away in the midst ends the connection, and nothing else.
                std::thread::spawn(move || drop(serve(stream.unwrap(), &*script, &here)));
            }
        });
        Self { url, shared }
    }

    fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The requests that have come, those for `/status` aside.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|seen| !is_status(seen)).cloned().collect()
    }

    /// Every request that has come.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

fn is_status(seen: &Seen) -> bool {
    seen.line == "GET /status"
}

fn serve(
    mut stream: TcpStream,
    script: &(impl Fn(usize, &Seen) -> Reply + ?Sized),
    shared: &Shared,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let seen = read(&mut BufReader::new(stream.try_clone()?))?;
    let before = {
        let mut all = shared.seen.lock().unwrap();
        let before = all.iter().filter(|seen| !is_status(seen)).count();
        all.push(seen.clone());
        before
    };
    match script(before, &seen) {
        Reply::Close => {}
        Reply::Half => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":")?;
        }
        Reply::Hang => {
            let over = shared.over.lock().unwrap();
            let wait = shared.ended.wait_timeout_while(over, PATIENCE, |over| !*over);
            drop(wait.unwrap());
        }
        Reply::Say(status, header, body) => {
            let header = if header.is_empty() { header } else { format!("{header}\r\n") };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())?;
        }
        Reply::Pass(base) => {
            let answer = forward(&base, &seen)?;
            stream.write_all(&answer)?;
        }
        Reply::Lose(base) => drop(forward(&base, &seen)?),
    }
    stream.shutdown(Shutdown::Both)
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let first = lines.first().cloned().unwrap_or_default();
    let line = first.trim_end_matches(" HTTP/1.1").to_owned();
    let mut seen = Seen { line, head: lines.get(1..).unwrap_or_default().join("\n"), body: vec![] };
    let length = seen.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    seen.body = body;
    Ok(seen)
}

/// Has a node do it, and reads its answer to the end.
fn forward(base: &str, seen: &Seen) -> std::io::Result<Vec<u8>> {
    let mut node = TcpStream::connect(base.trim_start_matches("http://"))?;
    node.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head: String = seen.head.lines().map(|line| format!("{line}\r\n")).collect();
    write!(node, "{} HTTP/1.1\r\n{head}connection: close\r\n\r\n", seen.line)?;
    node.write_all(&seen.body)?;
    let mut answer = Vec::new();
    node.read_to_end(&mut answer)?;
    Ok(answer)
}
