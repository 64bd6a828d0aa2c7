//! How a service is asked to end: the first signal drains it until a deadline, the second one (or the deadline) hurries it.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// How far a service is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Running,
    /// Take nothing new, finish what is begun, until the deadline.
    Draining {
        until: Instant,
    },
    /// Leave now what is not finished: it is safe to leave.
    Hurrying,
}

/// Asks a service to end. Dropping it asks for nothing.
#[derive(Debug, Clone)]
pub struct Trigger(Arc<watch::Sender<Phase>>);

/// Tells a service that it should end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: watch::Receiver<Phase>,
    /// Keeps the channel open, so that a service whose trigger is gone runs on.
    _open: Trigger,
}

/// A pair of the two, for programs and tests that start a service themselves.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, phase) = watch::channel(Phase::Running);
    let trigger = Trigger(Arc::new(sender));
    (trigger.clone(), Shutdown { phase, _open: trigger })
}

impl Trigger {
    /// Begins to drain, with `deadline` left; no effect once begun.
    pub fn drain(&self, deadline: Duration) {
        self.0.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Draining { until: Instant::now() + deadline };
            }
            running
        });
    }

    /// Ends the drain.
    pub fn hurry(&self) {
        self.0.send_replace(Phase::Hurrying);
    }

    /// Drains at the first SIGTERM or SIGINT and hurries at the second. Signals are taken from this call on; the task ends
    /// with the second one.
    pub fn on_signals(self, deadline: Duration) -> std::io::Result<tokio::task::JoinHandle<()>> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(tokio::spawn(async move {
            let mut next = async || tokio::select! { _ = term.recv() => "SIGTERM", _ = int.recv() => "SIGINT" };
            let first = next().await;
            tracing::info!(signal = first, deadline_s = deadline.as_secs_f64(), "draining; a second signal hurries");
            self.drain(deadline);
            let second = next().await;
            tracing::warn!(signal = second, "hurrying: what is not finished is left for the next owner");
            self.hurry();
        }))
    }
}

impl Shutdown {
    /// The phase now; the deadline counts.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match *self.phase.borrow() {
            Phase::Draining { until } if Instant::now() >= until => Phase::Hurrying,
            phase => phase,
        }
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase() != Phase::Running
    }

    /// Waits until the service should drain; at once if it should already.
    pub async fn draining(&self) {
        let mut phase = self.phase.clone();
        // The sender lives as long as this receiver.
        let _ = phase.wait_for(|phase| *phase != Phase::Running).await;
    }

    /// Waits until the drain is over: by its deadline, or by a second request.
    pub async fn hurrying(&self) {
        let mut phases = self.phase.clone();
        loop {
            let phase = *phases.borrow_and_update();
            let until = match phase {
                Phase::Running => None,
                Phase::Draining { until } => Some(until),
                Phase::Hurrying => return,
            };
            let deadline = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = deadline => return,
                changed = phases.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_request_drains_and_the_second_hurries() {
        let (trigger, shutdown) = channel();
        assert!(!shutdown.is_draining());
        trigger.drain(Duration::from_secs(3_600));
        shutdown.draining().await;
        assert!(matches!(shutdown.phase(), Phase::Draining { .. }));
        trigger.hurry();
        shutdown.hurrying().await;
        assert_eq!(shutdown.phase(), Phase::Hurrying);
    }

    #[tokio::test]
    async fn the_deadline_hurries_by_itself() {
        let (trigger, shutdown) = channel();
        trigger.drain(Duration::ZERO);
        shutdown.hurrying().await;
        assert_eq!(shutdown.phase(), Phase::Hurrying);
    }

    #[tokio::test]
    async fn a_drain_that_has_begun_keeps_its_deadline() {
        let (trigger, shutdown) = channel();
        trigger.drain(Duration::from_secs(3_600));
        let before = shutdown.phase();
        trigger.drain(Duration::ZERO);
        assert_eq!(shutdown.phase(), before);
    }
}
