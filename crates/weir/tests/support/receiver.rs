//! The other end of the exporters: a receiver of any protocol that keeps what it was sent and can be in any mood.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It is taken, and the answer says so.
    Take,
    /// It is taken, and the connection is reset in the middle of the answer.
    TakeAndReset,
    /// The connection is reset in the middle of the request.
    Reset,
    /// The request is read and never answered.
    Stall,
    /// It is not taken, and the answer has this status.
    Answer(u16),
    /// It is not taken, and what comes back is no HTTP.
    Garbage,
    /// Nobody listens.
    Vanish,
}

/// A call that was read to its end.
#[derive(Debug, Clone)]
pub struct Call {
    /// Request line and headers.
    pub head: String,
    pub body: Vec<u8>,
    pub mood: Mood,
    /// Whether the whole answer was written.
    pub answered: bool,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub fn was_taken(&self) -> bool {
        matches!(self.mood, Mood::Take | Mood::TakeAndReset)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

pub struct Recorder {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    mood: watch::Sender<Mood>,
}

impl Recorder {
    /// A receiver that takes everything; `accepted` is the status with which it says so.
    pub async fn start(accepted: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, moods) = watch::channel(Mood::Take);
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        tokio::spawn(listen(listener, Shop { accepted, calls: calls.clone(), moods }));
        Self { address, calls, mood }
    }

    /// Changes the mood. Calls under way are broken off.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[derive(Clone)]
struct Shop {
    accepted: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    moods: watch::Receiver<Mood>,
}

impl Shop {
    /// Whether a call held this word, in its head or its body. `GET /seen/<word>` asks that.
    fn knows(&self, word: &str) -> bool {
        let held =
            |call: &Call| call.head.contains(word) || String::from_utf8_lossy(&call.body).contains(word);
        self.calls.lock().unwrap().iter().any(held)
    }
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} Status\r\ncontent-length: 2\r\n\r\n{{}}")
}

async fn listen(listener: TcpListener, mut shop: Shop) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    loop {
        let mood = *shop.moods.borrow_and_update();
        if mood == Mood::Vanish {
            listener = None;
        } else if listener.is_none() {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap();
            listener = Some(socket.listen(64).unwrap());
        }
        let changed = match &listener {
            None => shop.moods.changed().await,
            Some(listener) => tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.unwrap();
                    tokio::spawn(converse(stream, shop.clone()));
                    Ok(())
                }
                changed = shop.moods.changed() => changed,
            },
        };
        if changed.is_err() {
            return;
        }
    }
}

async fn converse(stream: TcpStream, shop: Shop) {
    let mut moods = shop.moods.clone();
    let mood = *moods.borrow_and_update();
    let mut stream = BufReader::new(stream);
    let broken_off = tokio::select! {
        outcome = serve(&mut stream, &shop, mood) => outcome.is_err(),
        _ = moods.changed() => true,
    };
    if broken_off {
        // With this, closing resets the connection.
        let _outcome = stream.get_ref().set_zero_linger();
    }
}

/// Serves calls until the other side closes; an error ends the connection with a reset.
async fn serve(stream: &mut BufReader<TcpStream>, shop: &Shop, mood: Mood) -> std::io::Result<()> {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        if mood == Mood::Reset {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        if let Some(word) = head.strip_prefix("GET /seen/").and_then(|rest| rest.split(' ').next()) {
            let known = shop.knows(word);
            let status = if known { 200 } else { 404 };
            stream.write_all(answer(status).as_bytes()).await?;
            continue;
        }
        if head.starts_with("GET ") {
            // A question for a configuration that is not there.
            stream.write_all(answer(404).as_bytes()).await?;
            continue;
        }
        let mut call = Call { head, body: Vec::new(), mood, answered: false };
        let length = call.header("content-length").map_or(0, |length| length.parse().unwrap());
        call.body.resize(length, 0);
        stream.read_exact(&mut call.body).await?;
        let number = {
            let mut calls = shop.calls.lock().unwrap();
            calls.push(call);
            calls.len() - 1
        };
        match mood {
            Mood::Take => stream.write_all(answer(shop.accepted).as_bytes()).await?,
            Mood::Answer(status) => stream.write_all(answer(status).as_bytes()).await?,
            Mood::Garbage => {
                stream.write_all(b"\x16\x03\x01 what?\r\n\r\n\0\0\0").await?;
                return Ok(());
            }
            Mood::TakeAndReset => {
                stream.write_all(b"HTTP/1.1 2").await?;
                stream.flush().await?;
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            Mood::Stall => std::future::pending().await,
            Mood::Reset | Mood::Vanish => return Err(std::io::ErrorKind::ConnectionReset.into()),
        }
        shop.calls.lock().unwrap()[number].answered = true;
    }
}
