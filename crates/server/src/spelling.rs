//! Header names as old clients need them spelled.
//!
//! HTTP header names have no case, and hyper writes them in lower case. Some senders of reports search the raw answer for
//! `X-Moesif-Config-ETag:` and the like. A receiver gives such a name in the spelling it needs; the collector leaves the
//! spelling here, and the connection restores it in the next head it writes. Only the case changes, never a length.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the next head on a connection must spell in a certain way. Shared by the connection and the request's extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spelling(Arc<Mutex<Vec<&'static str>>>);

impl Spelling {
    /// Asks for these names in the answer that is about to be sent. Answers of one HTTP/1 connection leave in order.
    pub(crate) fn ask(&self, names: Vec<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn is_asked(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take_for(&self, bytes: &[u8]) -> Vec<&'static str> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_empty() || !bytes.starts_with(b"HTTP/1.") {
            return Vec::new();
        }
        std::mem::take(&mut asked)
    }
}

/// A connection that spells as asked.
pub(crate) struct Spelled<S> {
    stream: S,
    spelling: Spelling,
    /// A head in its new spelling that has not been written whole, and how much of it has.
    pending: Option<(Vec<u8>, usize)>,
}

impl<S> Spelled<S> {
    pub(crate) fn new(stream: S, spelling: Spelling) -> Self {
        Self { stream, spelling, pending: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Spelled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Spelled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pending.is_none() {
            let names = self.spelling.take_for(bytes);
            if names.is_empty() {
                return Pin::new(&mut self.stream).poll_write(context, bytes);
            }
            self.pending = Some((respell(bytes, &names), 0));
        }
        let Self { stream, pending, .. } = &mut *self;
        let Some((head, written)) = pending else { return Poll::Ready(Ok(0)) };
        // What the caller did not get written it offers again: the same bytes in their old spelling.
        let count =
            std::task::ready!(Pin::new(stream).poll_write(context, head.get(*written..).unwrap_or(&[])))?;
        *written += count;
        if *written >= head.len() {
            *pending = None;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        match first {
            // A head is written as one slice.
            Some(first) if self.pending.is_some() || self.spelling.is_asked() => {
                self.poll_write(context, first)
            }
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Gives every line of the head that begins with one of the names, in any case, the spelling asked for.
fn respell(bytes: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut start = 0;
    let line_length = |rest: &[u8]| rest.windows(2).position(|pair| pair == b"\r\n");
    while let Some(length) = bytes.get(start..).and_then(line_length) {
        if length == 0 {
            break;
        }
        for name in names {
            let end = start + name.len();
            if bytes.get(end) == Some(&b':')
                && let Some(place) = out.get_mut(start..end)
                && place.eq_ignore_ascii_case(name.as_bytes())
            {
                place.copy_from_slice(name.as_bytes());
            }
        }
        start += length + 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn only_heads_are_respelled() {
        let head = b"HTTP/1.1 200 OK\r\nx-config-etag: x-config-etag: 1\r\nx-config-etags: 2\r\n\r\nx-config-etag: 3\r\n";
        let expected = b"HTTP/1.1 200 OK\r\nX-Config-ETag: x-config-etag: 1\r\nx-config-etags: 2\r\n\r\nx-config-etag: 3\r\n";
        assert_eq!(respell(head, &["X-Config-ETag"]), expected);
        for end in 0..head.len() {
            assert_eq!(respell(&head[..end], &["X-Config-ETag"]).len(), end);
        }
    }

    #[tokio::test]
    async fn a_head_written_in_pieces_keeps_its_spelling() {
        let (near, mut far) = tokio::io::duplex(7);
        let spelling = Spelling::default();
        let mut stream = Spelled::new(near, spelling.clone());
        let writing = tokio::spawn(async move {
            stream.write_all(b"not a head\r\n").await.unwrap();
            spelling.ask(vec!["X-Tag"]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-tag: 1\r\n\r\n").await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-tag: 1\r\n\r\n").await.unwrap();
        });
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        writing.await.unwrap();
        assert_eq!(
            text,
            "not a head\r\nHTTP/1.1 200 OK\r\nX-Tag: 1\r\n\r\nHTTP/1.1 200 OK\r\nx-tag: 1\r\n\r\n"
        );
    }
}
