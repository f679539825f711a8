//! A gateway with one service on port 0, scripted services, and clients that write and read bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use weir_gateway::plugins::{Chain, Plugin, Slot};
use weir_gateway::snapshot::{
    PathHandling, PrefixRouter, Route, Service, Snapshot, SnapshotHandle, UpstreamProtocol,
};
use weir_gateway::{Gateway, GatewayHandle, Settings};
use weir_model::Exchange;

/// Long enough for a busy machine, short enough to notice a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway, and the exchanges it has told of.
pub(crate) struct TestGateway {
    pub(crate) handle: GatewayHandle,
    pub(crate) snapshots: SnapshotHandle,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// Settings for tests: one worker, free ports.
pub(crate) fn settings() -> Settings {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings { listen: vec![local], listen_tls: vec![local], workers: 1, ..Settings::default() }
}

impl TestGateway {
    pub(crate) fn start(settings: Settings, snapshot: Snapshot) -> Self {
        let snapshots = SnapshotHandle::new(snapshot);
        let exchanges: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let told = Arc::clone(&exchanges);
        let sink = Arc::new(move |more: Vec<Exchange>| told.lock().unwrap().extend(more));
        let handle = Gateway::start(settings, snapshots.clone(), sink).unwrap();
        Self { handle, snapshots, exchanges }
    }

    /// A gateway before one service, with the usual settings.
    pub(crate) fn before(service: SocketAddr) -> Self {
        Self::start(settings(), snapshot_of(service_at(service)))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.addresses()[0]
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Waits for so many exchanges and gives all there are, oldest first.
    pub(crate) fn exchanges(&self, count: usize) -> Vec<Exchange> {
        let began = Instant::now();
        loop {
            let exchanges = self.exchanges.lock().unwrap();
            if exchanges.len() >= count {
                return exchanges.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{} of {count} exchanges", exchanges.len());
            drop(exchanges);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The only exchange.
    pub(crate) fn exchange(&self) -> Exchange {
        let exchanges = self.exchanges(1);
        assert_eq!(exchanges.len(), 1, "{exchanges:?}");
        exchanges.into_iter().next().unwrap()
    }

    /// Stops the gateway and gives every exchange.
    pub(crate) fn finish(self) -> Vec<Exchange> {
        self.handle.shutdown(PATIENCE);
        let exchanges = self.exchanges.lock().unwrap();
        exchanges.clone()
    }
}

/// A service with short timeouts.
pub(crate) fn service_at(address: SocketAddr) -> Service {
    Service {
        id: "service-id".into(),
        name: Some("the-service".into()),
        protocol: UpstreamProtocol::Http,
        host: address.ip().to_string().into(),
        port: address.port(),
        path: None,
        connect_timeout: Duration::from_secs(2),
        write_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
        retries: 1,
        tls_verify: false,
        upstream: None,
    }
}

/// A route for everything to this service.
pub(crate) fn route() -> Route {
    Route {
        id: "route-id".into(),
        name: Some("the-route".into()),
        service: Some(0),
        hosts: Vec::new(),
        strip_path: false,
        preserve_host: false,
        accepts_plain: true,
        https_redirect_status: StatusCode::UPGRADE_REQUIRED,
        path_handling: PathHandling::V0,
        request_buffering: true,
        response_buffering: true,
        chain: Chain::default(),
    }
}

pub(crate) fn snapshot_of(service: Service) -> Snapshot {
    snapshot_with(service, route(), "/")
}

pub(crate) fn snapshot_with(service: Service, route: Route, prefix: &str) -> Snapshot {
    Snapshot {
        services: vec![service],
        routes: vec![route],
        router: Box::new(PrefixRouter::new([(prefix.to_owned(), 0)])),
        ..Snapshot::empty()
    }
}

pub(crate) fn chain_of(plugin: impl Plugin + 'static) -> Chain {
    Chain::new(vec![Slot::for_anyone(Arc::new(plugin))])
}

/// A service that answers each connection with this function, on a thread each.
pub(crate) fn scripted(script: impl Fn(Client) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let script = Arc::clone(&script);
            std::thread::spawn(move || script(Client::of(stream.unwrap())));
        }
    });
    address
}

/// A service that answers every request on a connection with the same bytes, having read its head and body.
pub(crate) fn answering(answer: &'static [u8]) -> SocketAddr {
    scripted(move |mut client| {
        while client.try_request().is_some() {
            client.send(answer);
        }
    })
}

/// A service that answers with the request it got, as the body.
pub(crate) fn mirror() -> SocketAddr {
    scripted(|mut client| {
        while let Some(request) = client.try_request() {
            let length = request.len();
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
            client.send(&request);
        }
    })
}

/// A socket with a buffer.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> &mut Self {
        // The other side may have closed; what it said then is what the test looks at.
        let _sent = self.stream.write_all(bytes);
        self
    }

    /// Sends the bytes and gives the answer to them.
    pub(crate) fn call(&mut self, request: &str) -> Answer {
        self.send(request.as_bytes());
        self.answer()
    }

    /// Reads one answer, interim ones skipped.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer(method).expect("a whole answer")
    }

    /// Reads one answer; `None` when the connection ends before it does.
    pub(crate) fn try_answer(&mut self, method: &str) -> Option<Answer> {
        loop {
            let head = self.head()?;
            let status: u16 = head[9..12].parse().unwrap();
            if status == 100 {
                continue;
            }
            let mut answer = Answer { status, head, body: Vec::new(), trailers: String::new() };
            if method != "HEAD" && !matches!(status, 101 | 204 | 304) {
                (answer.body, answer.trailers) = self.body(&answer.head, true)?;
            }
            return Some(answer);
        }
    }

    /// Reads one request, head and decoded body; `None` at the end of the connection.
    pub(crate) fn try_request(&mut self) -> Option<Vec<u8>> {
        let head = self.head()?;
        let (body, trailers) = self.body(&head, false)?;
        let mut request = head.into_bytes();
        request.extend(body);
        request.extend(trailers.into_bytes());
        Some(request)
    }

    /// Reads up to and including the empty line; `None` at the end of the connection.
    pub(crate) fn head(&mut self) -> Option<String> {
        self.until(b"\r\n\r\n").map(|head| String::from_utf8_lossy(&head).into_owned())
    }

    pub(crate) fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.buffer.windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    pub(crate) fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// Everything to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other side has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Whether the other side has closed the connection by now.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        match peeked {
            Ok(length) => length == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    fn fill(&mut self) -> bool {
        let mut space = [0; 16 * 1024];
        match self.stream.read(&mut space) {
            Ok(0) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(&space[..length]);
                true
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => panic!("nothing came"),
            Err(_) => false,
        }
    }

    fn body(&mut self, head: &str, until_close: bool) -> Option<(Vec<u8>, String)> {
        if field(head, "transfer-encoding").is_some() {
            return self.chunks();
        }
        match field(head, "content-length") {
            Some(length) => Some((self.exactly(length.parse().unwrap())?, String::new())),
            None if until_close => Some((self.rest(), String::new())),
            None => Some((Vec::new(), String::new())),
        }
    }

    fn chunks(&mut self) -> Option<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n")?).unwrap();
            let size = usize::from_str_radix(line.trim().split(';').next().unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size)?);
            self.until(b"\r\n")?;
        }
        let mut trailers = String::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n")?).unwrap();
            if line == "\r\n" {
                return Some((body, trailers));
            }
            trailers.push_str(&line);
        }
    }
}

/// An answer as a client read it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: String,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// The value of a header field of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
