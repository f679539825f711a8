//! An HTTP server that answers as told and keeps what it was sent.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Largest request that the server reads.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Answers.
    With {
        /// The status.
        status: u16,
        /// Headers beside those that frame the body.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// Closes the connection without a word.
    HangUp,
}

impl Answer {
    /// An answer without headers of its own.
    pub fn with(status: u16, body: &str) -> Self {
        Self::With { status, headers: Vec::new(), body: body.to_owned() }
    }
}

/// A request that the server was sent.
#[derive(Debug, Clone)]
pub struct Received {
    /// The request line.
    pub line: String,
    /// Header lines.
    pub headers: Vec<String>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// A server on a port of its own, until it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    otherwise: Answer,
    received: Mutex<Vec<Received>>,
}

impl Server {
    /// Starts a server that gives these answers in order and `otherwise` after them.
    pub async fn start(answers: Vec<Answer>, otherwise: Answer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { answers: Mutex::new(answers.into()), otherwise, received: Mutex::default() });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was sent so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = exchange(stream, &shared).await {
                tracing::debug!(%error, "a connection of the test server ended");
            }
        });
    }
}

/// One request per connection.
async fn exchange(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let received = read(&mut stream).await?;
    lock(&shared.received).push(received);
    let answer = lock(&shared.answers).pop_front().unwrap_or_else(|| shared.otherwise.clone());
    let Answer::With { status, headers, body } = answer else { return Ok(()) };
    let mut head =
        format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Received> {
    let line = read_line(stream).await?;
    let mut headers = Vec::new();
    loop {
        let header = read_line(stream).await?;
        if header.is_empty() {
            break;
        }
        headers.push(header);
    }
    let value = |name: &str| {
        let found = headers.iter().filter_map(|header| header.split_once(':'));
        found.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let mut body = Vec::new();
    if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = usize::from_str_radix(&read_line(stream).await?, 16).map_err(io::Error::other)?;
            read_exactly(stream, size, &mut body).await?;
            read_line(stream).await?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = value("content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        read_exactly(stream, length, &mut body).await?;
    }
    Ok(Received { line, headers, body })
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

async fn read_exactly(
    stream: &mut BufReader<TcpStream>,
    length: usize,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let start = body.len();
    if start + length > MAX_BODY_BYTES {
        return Err(io::Error::other("the body is too large for a test"));
    }
    body.resize(start + length, 0);
    stream.read_exact(&mut body[start..]).await?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
