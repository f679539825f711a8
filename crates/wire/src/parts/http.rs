//! Calls to the services of others: one client for each exporter, answers read up to a limit, and what an answer means for
//! what was sent.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use tokio_rustls::rustls::ClientConfig;
use weir_kit::{Clock, ConfigError, SystemClock, Timestamp};
use weir_pipeline::ExportError;

use super::shortened;

/// How to call.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long to connect, and to wait for each read. How long one attempt may take in all is the queue's matter.
    pub timeout: Duration,
    /// How long an unused connection is kept.
    pub keep_alive: Duration,
    /// Whether to check the other side's certificate.
    pub verify_certificate: bool,
    /// Another side of TLS than the usual one: it decides alone which certificates will do.
    pub tls: Option<Arc<ClientConfig>>,
    /// Most bytes of an answer that are read; the rest is left unread.
    pub max_answer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            verify_certificate: true,
            tls: None,
            max_answer_bytes: 64 * 1024,
        }
    }
}

/// Calls others over HTTP/1.1. Redirects are not followed and proxies of the environment are not used: calls go where
/// settings say and nowhere else.
#[derive(Debug)]
pub struct Caller {
    client: Client,
    max_answer_bytes: usize,
}

impl Caller {
    /// A caller with its own pool of connections. Fails only when there is no TLS.
    pub fn new(options: &Options) -> Result<Self, ConfigError> {
        let mut client = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeout)
            .read_timeout(options.timeout)
            .pool_idle_timeout(options.keep_alive)
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(!options.verify_certificate)
            .http1_only()
            .no_proxy();
        if let Some(tls) = &options.tls {
            client = client.tls_backend_preconfigured(ClientConfig::clone(tls));
        }
        let client =
            client.build().map_err(|error| ConfigError::one("", format!("no TLS client: {error}")))?;
        Ok(Self { client, max_answer_bytes: options.max_answer_bytes })
    }

    /// A request to complete and to give to [`Caller::send`].
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Makes a call and reads the answer, whatever its status. Everything that goes wrong before the answer is complete is
    /// worth another attempt, except a request that cannot be made at all.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, ExportError> {
        // The address may hold a secret.
        let answer = request.send().await.map_err(|error| failure(&error.without_url()))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read_capped(answer, self.max_answer_bytes).await?;
        Ok(Answer { status, headers, body })
    }
}

fn failure(error: &reqwest::Error) -> ExportError {
    let cause = with_causes(error);
    if error.is_builder() {
        ExportError::Refused { cause }
    } else {
        ExportError::Retry { after: None, cause }
    }
}

/// An error with its causes; the first line alone seldom says what happened.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

async fn read_capped(mut answer: Response, max: usize) -> Result<Vec<u8>, ExportError> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error.without_url()))? {
        let room = max - text.len();
        text.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if text.len() == max {
            break;
        }
    }
    Ok(text)
}

/// What the other side said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of any kind.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// As received, up to [`Options::max_answer_bytes`].
    pub body: Vec<u8>,
}

impl Answer {
    /// What the answer means for what was sent, by the rules that most services share; a protocol with rules of its own
    /// looks at the status first.
    pub fn verdict(&self) -> Verdict {
        self.verdict_at(SystemClock.now())
    }

    /// What the answer means for a batch that travels in one call, for services that somebody configures: nothing when it
    /// was taken, the words of a refusal. A missing permission is a failure to repeat, since whoever runs the service can
    /// grant it.
    pub fn settled(&self) -> Result<Option<String>, ExportError> {
        match self.verdict() {
            Verdict::Accepted => Ok(None),
            Verdict::Refused(cause) if matches!(self.status.as_u16(), 401 | 403 | 407) => {
                Err(ExportError::Retry { after: None, cause })
            }
            Verdict::Refused(cause) => Ok(Some(cause)),
            Verdict::Failed { after, cause } => Err(ExportError::Retry { after, cause }),
        }
    }

    fn verdict_at(&self, now: Timestamp) -> Verdict {
        match self.status.as_u16() {
            200..=299 => Verdict::Accepted,
            408 | 425 | 429 | 500..=599 => {
                Verdict::Failed { after: retry_after(&self.headers, now), cause: self.words() }
            }
            _ => Verdict::Refused(self.words()),
        }
    }

    /// The answer in one line, for messages.
    pub fn words(&self) -> String {
        let said = shortened(String::from_utf8_lossy(&self.body).trim(), 200);
        format!("the other side answered {}: {said}", self.status.as_u16())
    }
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Accepted,
    /// It will never be taken, and this is why.
    Refused(String),
    /// It may be taken later.
    Failed {
        /// As the other side asked.
        after: Option<Duration>,
        /// What it said.
        cause: String,
    },
}

/// `Retry-After` in seconds or as a date.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(date.as_microsecond()).since(now))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn judged(status: u16, retry_after: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let now = "2016-04-11T12:00:00Z".parse().unwrap();
        Answer { status, headers, body: b"why\n".to_vec() }.verdict_at(now)
    }

    #[test]
    fn answers_are_judged_by_status() {
        for status in [200, 201, 207] {
            assert_eq!(judged(status, None), Verdict::Accepted, "{status}");
        }
        for status in [301, 304, 400, 401, 404, 413] {
            let cause = format!("the other side answered {status}: why");
            assert_eq!(judged(status, None), Verdict::Refused(cause), "{status}");
        }
        for status in [408, 425, 429, 500, 503, 599] {
            let cause = format!("the other side answered {status}: why");
            assert_eq!(judged(status, None), Verdict::Failed { after: None, cause }, "{status}");
        }
    }

    #[test]
    fn a_named_time_is_honoured() {
        for (text, seconds) in [("7", Some(7)), ("Mon, 11 Apr 2016 12:01:00 GMT", Some(60)), ("soon", None)] {
            let Verdict::Failed { after, .. } = judged(503, Some(text)) else { panic!("{text}") };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }

    /// What comes of a call to a server that writes these bytes and hangs up.
    async fn called(written: &'static [u8], max_answer_bytes: usize) -> Result<Answer, ExportError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(written).await.unwrap();
        });
        let caller = Caller::new(&Options { max_answer_bytes, ..Options::default() }).unwrap();
        let answer = caller.send(caller.request(Method::POST, &url).body("x")).await;
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_are_read_up_to_the_limit() {
        let text = b"HTTP/1.1 500 Oh\r\ncontent-length: 6\r\n\r\nabcdef";
        let whole = called(text, 100).await.unwrap();
        assert_eq!((whole.status.as_u16(), whole.body.as_slice()), (500, &b"abcdef"[..]));
        assert_eq!(called(text, 4).await.unwrap().body, b"abcd");
    }

    #[tokio::test]
    async fn answers_that_break_off_are_failures_to_repeat() {
        for text in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc",
            b"garbage\r\n\r\n",
        ] {
            let outcome = called(text, 100).await;
            assert!(matches!(outcome, Err(ExportError::Retry { after: None, .. })), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_made_is_not_repeated() {
        let caller = Caller::new(&Options::default()).unwrap();
        let outcome = caller.send(caller.request(Method::POST, "no url")).await;
        assert!(matches!(outcome, Err(ExportError::Refused { .. })), "{outcome:?}");
    }
}
