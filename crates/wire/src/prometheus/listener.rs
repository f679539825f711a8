//! The page that Prometheus asks for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Wait after an address could not be had, say because an earlier run still holds it.
const BIND_DELAY: Duration = Duration::from_secs(1);
/// How long a caller may take to ask.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time; further ones wait.
const MOST_CONNECTIONS: usize = 16;

/// Makes the text of the page.
pub(super) type Page = dyn Fn() -> String + Send + Sync;

/// Listens for as long as it is not dropped.
pub(super) async fn serve(address: String, path: String, page: Arc<Page>) {
    let listener = bind(&address).await;
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (path, page) = (path.clone(), page.clone());
                tokio::spawn(async move {
                    answer(stream, &path, &*page).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection for metrics");
                tokio::time::sleep(BIND_DELAY).await;
            }
        }
    }
}

async fn bind(address: &str) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(address, %error, "cannot listen for Prometheus yet");
                tokio::time::sleep(BIND_DELAY).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, path: &str, page: &Page) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, path, page);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASK_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection for metrics ended");
    }
}

fn respond(request: &Request<Incoming>, path: &str, page: &Page) -> Response<Full<Bytes>> {
    if request.uri().path() != path {
        return plain(StatusCode::NOT_FOUND, "not found\n".to_owned());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    plain(StatusCode::OK, page())
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}
