//! HTTP/2 and TLS on both sides.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_gateway::Settings;
use weir_gateway::settings::Certificate;
use weir_gateway::snapshot::{Route, UpstreamProtocol};
use weir_model::Captured;

use crate::harness::{TestGateway, mirror, route, service_at, settings, snapshot_of, snapshot_with};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(crate::harness::PATIENCE, future).await.unwrap() })
}

/// Says what it got: the version, the address and the fields; then sends the body back, and trailers.
async fn describe(request: Request<Incoming>) -> Result<Response<EchoBody>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(EchoBody { body, trailers: Some(HeaderMap::new()) });
    let headers = response.headers_mut();
    headers.insert("x-version", HeaderValue::from_str(&format!("{:?}", parts.version)).unwrap());
    headers.insert("x-uri", HeaderValue::from_str(&parts.uri.to_string()).unwrap());
    for (name, value) in &parts.headers {
        headers
            .append(http::HeaderName::from_bytes(format!("got-{name}").as_bytes()).unwrap(), value.clone());
    }
    Ok(response)
}

struct EchoBody {
    body: Incoming,
    trailers: Option<HeaderMap>,
}

impl Body for EchoBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => Poll::Ready(self.trailers.take().map(|mut trailers| {
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Ok(Frame::trailers(trailers))
            })),
            frame => Poll::Ready(frame),
        }
    }
}

/// An HTTP/2 service without TLS, or with it and a choice of protocols.
fn http2_service(protocols: Option<&[&[u8]]>) -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = protocols.map(|protocols| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, true).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            serve(stream, http2).await;
                        }
                    }
                });
            }
        });
    });
    address
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, http2: bool) {
    let io = TokioIo::new(stream);
    let _ended = if http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service_fn(describe)).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(describe)).await
    };
}

async fn http2_client<B>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn tls_client(
    address: SocketAddr,
    roots: rustls::RootCertStore,
    protocol: &[u8],
) -> impl AsyncRead + AsyncWrite + Unpin + Send {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Settings with a certificate, and a client's store that trusts it.
fn with_certificate() -> (Settings, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut settings = settings();
    settings.certificate = Some(Certificate {
        chain: made.cert.pem().into_bytes(),
        key: made.signing_key.serialize_pem().into_bytes(),
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
    (settings, roots)
}

fn speaking(address: SocketAddr, protocol: UpstreamProtocol) -> TestGateway {
    let mut service = service_at(address);
    service.protocol = protocol;
    TestGateway::start(settings(), snapshot_of(service))
}

#[test]
fn http2_without_tls_becomes_http1() {
    let route = Route { preserve_host: true, ..route() };
    let gateway = TestGateway::start(settings(), snapshot_with(service_at(mirror()), route, "/"));
    let seen = block_on(async {
        let mut client = http2_client(TcpStream::connect(gateway.address()).await.unwrap()).await;
        let request = Request::post("http://a.test/x?y=1")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(Full::new(Bytes::from("hi")))
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!((response.status(), response.version()), (http::StatusCode::OK, Version::HTTP_2));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    });
    assert!(seen.starts_with("POST /x?y=1 HTTP/1.1\r\n") && seen.ends_with("hi"), "{seen}");
    assert!(seen.contains("host: a.test\r\n") && seen.contains("cookie: a=1; b=2\r\n"), "{seen}");
    let exchange = gateway.exchange();
    assert_eq!((exchange.request.version.as_str(), exchange.request.host.as_str()), ("2", "a.test"));
    assert_eq!((exchange.request.body.size, exchange.error), (Some(2), None));
}

#[test]
fn many_calls_share_one_http2_connection_each_way() {
    let gateway = speaking(http2_service(None), UpstreamProtocol::Grpc);
    block_on(async {
        let client = http2_client(TcpStream::connect(gateway.address()).await.unwrap()).await;
        let calls = (0..100).map(|n| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let body = Full::new(Bytes::from(format!("call {n}")));
                let request = Request::post(format!("http://a.test/{n}")).body(body).unwrap();
                let response = client.send_request(request).await.unwrap();
                assert_eq!(response.headers()["x-version"], "HTTP/2.0");
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, format!("call {n}"));
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
    });
    assert_eq!(gateway.handle.counts().connections_accepted, 1);
    assert!(gateway.exchanges(100).iter().all(|exchange| exchange.error.is_none()));
}

#[test]
fn grpc_streams_both_ways_and_ends_with_trailers() {
    let service = http2_service(None);
    let mut target = service_at(service);
    target.protocol = UpstreamProtocol::Grpc;
    let mut settings = settings();
    settings.capture.response_body_bytes = 100;
    let gateway = TestGateway::start(settings, snapshot_of(target));
    block_on(async {
        let stream = TcpStream::connect(gateway.address()).await.unwrap();
        let (feed, body) = http_body_util::channel::Channel::<Bytes>::new(4);
        let mut feed = feed;
        let mut client = http2_client(stream).await;
        let request = Request::post("http://a.test/pkg.Service/Method")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.headers()["got-te"], "trailers");
        assert_eq!(response.headers()["got-content-type"], "application/grpc");
        assert_eq!(response.headers()["x-uri"], format!("http://{service}/pkg.Service/Method"));
        let mut answer = response.into_body();
        for message in ["one", "two"] {
            // Each comes back before the next is sent.
            feed.send_data(Bytes::from(message)).await.unwrap();
            let frame = answer.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), message);
        }
        drop(feed);
        let trailers = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        assert!(answer.frame().await.is_none());
    });
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error), (Some(200), None));
    let response = exchange.response.unwrap();
    assert_eq!(response.trailers.text("grpc-status").as_deref(), Some("0"));
    assert_eq!(response.body.captured, Captured::Whole("onetwo".into()));
}

#[test]
fn a_stalled_upload_over_http2_is_given_up() {
    let mut settings = settings();
    settings.body_timeout = std::time::Duration::from_millis(300);
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    block_on(async {
        let (feed, body) = http_body_util::channel::Channel::<Bytes>::new(1);
        let mut client = http2_client(TcpStream::connect(gateway.address()).await.unwrap()).await;
        let request = Request::post("http://a.test/").body(body).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), http::StatusCode::REQUEST_TIMEOUT);
        drop(feed);
    });
    assert_eq!(gateway.exchange().error.as_deref(), Some("client.timeout"));
}

#[test]
fn a_cancelled_stream_is_recorded_and_the_others_go_on() {
    let service = crate::harness::scripted(|mut client| {
        let request = client.try_request().unwrap();
        if request.starts_with(b"GET /slow ") {
            client.is_closed();
        } else {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = TestGateway::before(service);
    block_on(async {
        let mut client = http2_client(TcpStream::connect(gateway.address()).await.unwrap()).await;
        let get = |path| Request::get(format!("http://a.test{path}")).body(Empty::<Bytes>::new()).unwrap();
        let slow = client.send_request(get("/slow"));
        let cancelled = tokio::time::timeout(std::time::Duration::from_millis(300), slow).await;
        assert!(cancelled.is_err());
        let response = client.send_request(get("/fast")).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    });
    let exchanges = gateway.exchanges(2);
    let slow = exchanges.iter().find(|exchange| exchange.request.path == "/slow").unwrap();
    assert_eq!((slow.status(), slow.error.as_deref()), (Some(499), Some("client.aborted")));
}

#[test]
fn tls_offers_both_versions() {
    let (settings, roots) = with_certificate();
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    let address = gateway.handle.tls_addresses()[0];
    block_on(async {
        let mut client = http2_client(tls_client(address, roots.clone(), b"h2").await).await;
        let request = Request::get("https://localhost/x").body(Empty::<Bytes>::new()).unwrap();
        let body = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        let seen = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
        let mut client = tls_client(address, roots, b"http/1.1").await;
        client.write_all(b"GET /y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\nGET /y "), "{answer}");
    });
    for (exchange, version) in gateway.exchanges(2).iter().zip(["2", "1.1"]) {
        assert_eq!(exchange.request.version, version);
        assert_eq!(exchange.request.scheme, "https");
    }
}

#[test]
fn a_gateway_without_a_certificate_makes_one() {
    let gateway = TestGateway::before(mirror());
    let address = gateway.handle.tls_addresses()[0];
    let stream = std::net::TcpStream::connect(address).unwrap();
    // A gateway as client believes any certificate when told so: two of them in a row.
    drop(stream);
    let outer = speaking(address, UpstreamProtocol::Https);
    assert_eq!(outer.connect().call("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(gateway.exchange().request.version, "2");
    assert!(outer.exchange().timings.tls.is_some());
}

#[test]
fn services_with_tls_choose_the_version() {
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    let old: &[&[u8]] = &[b"http/1.1"];
    for (protocols, protocol, version) in [
        (both, UpstreamProtocol::Https, "HTTP/2.0"),
        (old, UpstreamProtocol::Https, "HTTP/1.1"),
        (both, UpstreamProtocol::Grpcs, "HTTP/2.0"),
    ] {
        let gateway = speaking(http2_service(Some(protocols)), protocol);
        let mut client = gateway.connect();
        for _ in 0..3 {
            let answer = client.call("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
            assert_eq!((answer.field("x-version"), answer.text().as_str()), (Some(version), "hi"));
        }
    }
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused_when_it_is_to_be_verified() {
    let mut service = service_at(http2_service(Some(&[b"h2"])));
    service.protocol = UpstreamProtocol::Https;
    service.tls_verify = true;
    service.retries = 0;
    let gateway = TestGateway::start(settings(), snapshot_of(service));
    let answer = gateway.connect().call("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 502);
    assert_eq!(gateway.exchange().error.as_deref(), Some("upstream.tls"));
}
