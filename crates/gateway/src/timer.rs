//! Timers for waits that hardly ever last.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// What a timer is running for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Idle,
    Head,
    Body,
    Write,
    Answer,
    End,
}

/// A timer that costs nothing to stop and little to start again: the runtime's timer behind it is moved only when it
/// goes off too early or would go off too late.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    deadline: Option<(Waiting, Instant)>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Stops.
    pub(crate) fn stop(&mut self) {
        self.deadline = None;
    }

    /// Starts if it does not run for this already; ready when `limit` has passed since it was started.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, waiting: Waiting, limit: Duration) -> Poll<()> {
        let deadline = match self.deadline {
            Some((running, deadline)) if running == waiting => deadline,
            _ => Instant::now() + limit,
        };
        self.deadline = Some((waiting, deadline));
        let target = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(target)));
        if sleep.deadline() > target {
            sleep.as_mut().reset(target);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                self.deadline = None;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(target);
        }
        Poll::Pending
    }
}
