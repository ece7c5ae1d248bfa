//! Tokens, as clients and operators meet them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::JoinHandle;

use kvraft_server::demo::client::Failure;
use kvraft_server::demo::stop::Stop;

use crate::common::{Answer, call};
use crate::single::{PATIENCE, Single, command, signal};

/// A token of the program itself, and its line for the file.
fn new_token(role: &str, name: &str) -> (String, String) {
    let output = command(&["token", "new", "--role", role, "--name", name]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    let [token, line] = lines.as_slice() else { panic!("{said}") };
    assert!(!String::from_utf8(output.stderr).unwrap().contains(token));
    ((*token).to_owned(), (*line).to_owned())
}

/// A node that asks for tokens, with one of each role.
struct Guarded {
    node: Single,
    file: PathBuf,
    tokens: [(String, String); 3],
    /// What it logs, read while it is written, so that it never waits for room.
    log: Option<JoinHandle<Vec<u8>>>,
    _dir: tempfile::TempDir,
}

impl Guarded {
    fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        let tokens = ["read", "write", "admin"].map(|role| new_token(role, role));
        let lines: Vec<_> = tokens.iter().map(|(_, line)| line.as_str()).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let data = format!("--data-dir={}", dir.path().join("data").display());
        let mut command = command(&[&data, "--listen-http=127.0.0.1:0"]);
        command.arg("--token-file").arg(&file).args(flags);
        let mut node = Single::start(&mut command);
        let mut stderr = node.child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            stderr.read_to_end(&mut log).unwrap();
            log
        });
        node.wait_ready();
        Self { node, file, tokens, log: Some(log), _dir: dir }
    }

    fn token(&self, role: &str) -> &str {
        let at = ["read", "write", "admin"].iter().position(|known| *known == role).unwrap();
        &self.tokens[at].0
    }

    fn call(&self, role: &str, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        self.with(self.token(role), method, path, body)
    }

    fn with(&self, token: &str, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        call(method, &format!("{}{path}", self.node.url), &headers, body)
    }
}

#[test]
fn each_role_may_do_what_it_is_for_and_nobody_anything_without_a_token() {
    let guarded = Guarded::start(&[]);
    assert_eq!(guarded.call("read", "PUT", "/key/k", Some(b"v")).status, 403);
    assert_eq!(guarded.call("write", "PUT", "/key/k", Some(b"v")).status, 201);
    assert_eq!(guarded.call("read", "GET", "/key/k?raw", None).body, b"v");
    let forbidden = guarded.call("write", "GET", "/backup", None);
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.detail().contains("needs admin"), "{forbidden:?}");
    assert_eq!(guarded.call("admin", "GET", "/backup", None).status, 200);
    let nobody = call("GET", &format!("{}/key/k", guarded.node.url), &[], None);
    assert_eq!(
        (nobody.status, &nobody.problem()["type"]),
        (401, &"urn:kvraft:unauthorized".into())
    );
    assert!(nobody.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(call("GET", &format!("{}/readyz", guarded.node.url), &[], None).status, 200);
}

fn members(guarded: &Guarded, token: &str) -> Output {
    let mut command: Command = command(&["members", "--url", &guarded.node.url]);
    command.env("KVRAFT_BEARER_TOKEN", token).output().unwrap()
}

#[test]
fn the_commands_send_the_token_of_their_environment() {
    let guarded = Guarded::start(&[]);
    let listed = members(&guarded, guarded.token("admin"));
    assert!(listed.status.success(), "{listed:?}");
    let refused = members(&guarded, guarded.token("read"));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("403") && said.contains("needs admin"), "{said}");
    let said = String::from_utf8(members(&guarded, "a\nb").stderr).unwrap();
    assert!(said.contains("KVRAFT_BEARER_TOKEN holds no token"), "{said}");
}

#[test]
fn an_idempotency_key_is_another_one_under_another_name() {
    let guarded = Guarded::start(&[]);
    let count = |role: &str| {
        let authorization = format!("Bearer {}", guarded.token(role));
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", "1")];
        let url = format!("{}/key/n/increment", guarded.node.url);
        call("POST", &url, &headers, None).json()["value"].as_i64().unwrap()
    };
    assert_eq!((count("write"), count("write")), (1, 1));
    assert_eq!((count("admin"), count("admin"), count("write")), (2, 2, 1));
}

/// Asks again and again until the answer has this status.
fn until(guarded: &Guarded, token: &str, status: u16) {
    let asked = || match guarded.with(token, "GET", "/status", None).status {
        found if found == status => Ok(()),
        other => Err(Failure::ForNow(other.to_string())),
    };
    Stop::default().retry(&format!("{status}"), PATIENCE, asked).unwrap();
}

#[test]
fn a_changed_token_file_is_taken_over_and_a_broken_one_is_not() {
    let guarded = Guarded::start(&[]);
    let (token, line) = new_token("read", "later");
    assert_eq!(guarded.with(&token, "GET", "/status", None).status, 401);
    std::fs::write(&guarded.file, &line).unwrap();
    signal("HUP", guarded.node.child.id());
    until(&guarded, &token, 200);
    until(&guarded, guarded.token("read"), 401);
    std::fs::write(&guarded.file, "nonsense").unwrap();
    signal("HUP", guarded.node.child.id());
    assert_eq!(guarded.with(&token, "GET", "/status", None).status, 200);
    // Without a signal it takes a moment longer.
    std::fs::write(&guarded.file, &guarded.tokens[0].1).unwrap();
    until(&guarded, &token, 401);
}

#[test]
fn too_many_wrong_tokens_are_told_so_and_a_right_one_is_taken_all_the_same() {
    let guarded = Guarded::start(&[]);
    let wrong = || guarded.with("kvraft_guess", "GET", "/status", None).status;
    let limited = || match wrong() {
        429 => Ok(()),
        other => Err(Failure::ForNow(other.to_string())),
    };
    assert_eq!(wrong(), 401);
    Stop::default().retry("the limit", PATIENCE, limited).unwrap();
    assert_eq!(guarded.call("read", "GET", "/status", None).status, 200);
}

#[test]
fn no_token_is_ever_shown() {
    let mut guarded = Guarded::start(&["--log=trace"]);
    let token = guarded.token("admin").to_owned();
    let mut told = Vec::new();
    for path in ["/status", "/metrics", "/cluster/members", "/openapi.json", "/nothing"] {
        told.extend(guarded.with(&token, "GET", path, None).body);
    }
    assert_eq!(guarded.with("kvraft_guess", "GET", "/status", None).status, 401);
    signal("TERM", guarded.node.child.id());
    guarded.node.child.wait().unwrap();
    told.extend(guarded.log.take().unwrap().join().unwrap());
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("a request came with a wrong token"), "{told}");
    let secret = token.trim_start_matches("kvraft_");
    assert!(!told.contains(secret) && !told.contains("kvraft_guess"));
}

#[test]
fn the_health_port_tells_metrics_without_a_token() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let health = format!("127.0.0.1:{port}");
    let guarded = Guarded::start(&["--listen-health", &health]);
    assert_eq!(guarded.call("write", "PUT", "/key/k", Some(b"v")).status, 201);
    let told = call("GET", &format!("http://{health}/metrics"), &[], None);
    let text = String::from_utf8(told.body).unwrap();
    assert!(text.contains("\nkvraft_keys 1\n"), "{text}");
    let route = "method=\"PUT\",route=\"/key/{id}\",status=\"201\"";
    let counted = format!("kvraft_http_request_duration_seconds_count{{{route}}} 1\n");
    assert!(text.contains(&counted), "{text}");
    let base = guarded.node.url.clone();
    assert_eq!(call("GET", &format!("{base}/metrics"), &[], None).status, 401);
    assert_eq!(guarded.call("read", "GET", "/metrics", None).status, 200);
}

#[test]
fn a_token_file_that_is_not_there_ends_the_program() {
    let missing = Path::new("/nowhere/tokens");
    let mut command = command(&["--listen-http=127.0.0.1:0", "--token-file"]);
    let output = command.arg(missing).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("/nowhere/tokens"), "{said}");
}
