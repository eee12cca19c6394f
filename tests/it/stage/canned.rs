//! A server on loopback that answers with what a test gives it, in order, and remembers what it was asked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What becomes of one request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes are written.
    Bytes(Vec<u8>),
    /// These bytes are written, and the connection is closed.
    Last(Vec<u8>),
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing comes.
    Hang,
    /// It comes once this is notified.
    After(Arc<Notify>, Box<Answer>),
}

/// An answer with `status`, `headers` (each ending in CRLF) and `body`.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Answer {
    let text = format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    Answer::Bytes(text.into_bytes())
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// The request line.
    pub(crate) line: String,
    /// The headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Request {
    /// The value of header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The body as a form, in its order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// The form's field `name`.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// The server; ends with its test's runtime.
pub(crate) struct Server {
    pub(crate) url: url::Url,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Gives `answers` in order, and the last one again and again.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for number in 0.. {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(connection, number, Arc::clone(&answers), Arc::clone(&seen)));
            }
        });
        Self { url, requests }
    }

    /// Waits until this many requests have arrived.
    pub(crate) async fn asked(&self, times: usize) {
        while self.requests.lock().unwrap().len() < times {
            tokio::task::yield_now().await;
        }
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut connection: TcpStream,
    number: usize,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    while let Some(request) = read(&mut connection, number).await {
        seen.lock().unwrap().push(request);
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        };
        let mut answer = answer.expect("a test gives an answer at least");
        if let Answer::After(go, held) = answer {
            go.notified().await;
            answer = *held;
        }
        match answer {
            Answer::Bytes(bytes) => {
                if connection.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Answer::Last(bytes) => {
                let _ = connection.write_all(&bytes).await;
                return;
            }
            Answer::Close => return,
            Answer::Reset => return connection.set_zero_linger().unwrap(),
            Answer::Hang | Answer::After(..) => std::future::pending().await,
        }
    }
}

/// The next request; `None` when the client has gone.
async fn read(connection: &mut TcpStream, number: usize) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut request = Request { connection: number, line, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}
