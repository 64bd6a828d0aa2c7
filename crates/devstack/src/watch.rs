//! Keeps one process running: when it dies it is started again, later each time if it keeps dying.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use crate::{process::Identity, unit::Unit};

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// Who lived so long starts again with the first delay.
const LONG_LIFE: Duration = Duration::from_secs(5);

/// What became of a process.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Up { identity: Identity, http: Option<String> },
    Down,
}

/// Told of every start and end, from the task that watches.
pub(crate) type Listener = Arc<dyn Fn(&str, News) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Stop,
    Kill,
    Hold,
    Release,
}

/// A process that is watched. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Watched {
    pub name: String,
    orders: mpsc::Sender<(Order, oneshot::Sender<()>)>,
    task: JoinHandle<()>,
}

impl Watched {
    pub fn start(name: &str, unit: Unit, listener: Listener) -> Self {
        let (orders, inbox) = mpsc::channel(4);
        listener(name, News::Up { identity: unit.identity().clone(), http: unit.http() });
        let watch = Watch { name: name.to_owned(), unit, inbox, listener, deaths: 0 };
        Self { name: name.to_owned(), orders, task: tokio::spawn(watch.run()) }
    }

    async fn order(&self, order: Order) {
        let (done, finished) = oneshot::channel();
        if self.orders.send((order, done)).await.is_ok() {
            // An error means that the task is over, and then there is nothing to wait for.
            let _ = finished.await;
        }
    }

    /// Politely, for good.
    pub async fn stop(mut self) {
        self.order(Order::Stop).await;
        // It can only have ended, or been cancelled with the runtime.
        let _ = (&mut self.task).await;
    }

    /// `kill -9`; it comes back by itself.
    pub async fn kill(&self) {
        self.order(Order::Kill).await;
    }

    /// Stopped until released.
    pub async fn hold(&self) {
        self.order(Order::Hold).await;
    }

    /// Returns when it is up again, or when a first attempt failed.
    pub async fn release(&self) {
        self.order(Order::Release).await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watch {
    name: String,
    unit: Unit,
    inbox: mpsc::Receiver<(Order, oneshot::Sender<()>)>,
    listener: Listener,
    /// Early deaths in a row.
    deaths: u32,
}

impl Watch {
    async fn run(mut self) {
        loop {
            let born = Instant::now();
            let order = tokio::select! {
                order = self.inbox.recv() => order,
                ended = self.unit.wait() => {
                    tracing::warn!(process = self.name, pid = self.unit.identity().pid, ok = ended.is_ok(), "it ended");
                    (self.listener)(&self.name, News::Down);
                    self.deaths = if born.elapsed() >= LONG_LIFE { 0 } else { self.deaths.saturating_add(1) };
                    if self.come_back().await { continue } else { return }
                }
            };
            let Some((order, done)) = order else { return };
            if !self.obey(order, done).await {
                return;
            }
        }
    }

    /// Carries an order out on a running process. False when it was the last one.
    async fn obey(&mut self, order: Order, done: oneshot::Sender<()>) -> bool {
        let result = match order {
            Order::Stop | Order::Hold => self.unit.stop().await,
            Order::Kill => self.unit.kill().await,
            Order::Release => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(process = self.name, error = describe(&error), "could not stop it");
        }
        if matches!(order, Order::Stop | Order::Hold) {
            (self.listener)(&self.name, News::Down);
        }
        drop(done);
        match order {
            Order::Stop => false,
            Order::Hold => self.held().await,
            // A killed process is noticed as dead, as any other.
            Order::Kill | Order::Release => true,
        }
    }

    /// Waits for the release. False when it was stopped for good instead.
    async fn held(&mut self) -> bool {
        while let Some((order, done)) = self.inbox.recv().await {
            match order {
                Order::Stop => {
                    drop(done);
                    return false;
                }
                Order::Release => {
                    let is_up = self.restart().await;
                    drop(done);
                    return is_up || self.come_back().await;
                }
                Order::Hold | Order::Kill => drop(done),
            }
        }
        false
    }

    /// Starts it again after its delay, as often as needed. False when it was stopped meanwhile.
    async fn come_back(&mut self) -> bool {
        loop {
            let delay = delay_after(self.deaths);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                order = self.inbox.recv() => match order {
                    None => return false,
                    Some((Order::Stop, done)) => {
                        drop(done);
                        return false;
                    }
                    Some((Order::Hold, done)) => {
                        drop(done);
                        return Box::pin(self.held()).await;
                    }
                    Some((Order::Kill | Order::Release, done)) => drop(done),
                },
            }
            if self.restart().await {
                return true;
            }
            self.deaths = self.deaths.saturating_add(1);
        }
    }

    async fn restart(&mut self) -> bool {
        match self.unit.restart().await {
            Ok(()) => {
                let identity = self.unit.identity().clone();
                tracing::info!(process = self.name, pid = identity.pid, "started again");
                (self.listener)(&self.name, News::Up { identity, http: self.unit.http() });
                true
            }
            Err(error) => {
                tracing::warn!(process = self.name, error = describe(&error), "could not start it again");
                false
            }
        }
    }
}

fn delay_after(deaths: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1 << deaths.min(6)).min(LONGEST_DELAY)
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Mutex};

    use super::*;
    use crate::{process::Spec, unit::Program};

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn watched(folder: &Path) -> (Watched, mpsc::UnboundedReceiver<News>) {
        let ready = folder.join("ready");
        let script = format!("echo http://nowhere > {0}.new; mv {0}.new {0}; exec sleep 600", ready.display());
        let spec = Spec::new("sleeper", "/bin/sh", folder.join("log")).arg("-c").arg(script);
        let program = Program::start(spec, ready).await.expect("starts");
        let (sender, news) = mpsc::unbounded_channel();
        let sender = Mutex::new(sender);
        let listener: Listener = Arc::new(move |_, news| {
            sender.lock().expect("no panic while held").send(news).expect("the test listens");
        });
        (Watched::start("sleeper", Unit::Program(Box::new(program)), listener), news)
    }

    async fn next(news: &mut mpsc::UnboundedReceiver<News>) -> Option<Identity> {
        match tokio::time::timeout(PATIENCE, news.recv()).await.expect("in time").expect("open") {
            News::Up { identity, .. } => Some(identity),
            News::Down => None,
        }
    }

    #[tokio::test]
    async fn who_is_killed_comes_back_and_who_is_stopped_does_not() {
        let folder = tempfile::tempdir().expect("temp dir");
        let (watched, mut news) = watched(folder.path()).await;
        let first = next(&mut news).await.expect("up");
        watched.kill().await;
        assert!(next(&mut news).await.is_none());
        let second = next(&mut news).await.expect("up again");
        assert_ne!(first.pid, second.pid);
        watched.stop().await;
        assert!(next(&mut news).await.is_none());
        assert!(!second.is_alive());
    }

    #[tokio::test]
    async fn who_is_held_stays_down_until_released() {
        let folder = tempfile::tempdir().expect("temp dir");
        let (watched, mut news) = watched(folder.path()).await;
        let first = next(&mut news).await.expect("up");
        watched.hold().await;
        assert!(!first.is_alive());
        assert!(next(&mut news).await.is_none());
        watched.release().await;
        assert!(next(&mut news).await.expect("up again").is_alive());
        watched.stop().await;
    }

    #[test]
    fn delays_grow_and_stay_bounded() {
        assert_eq!(delay_after(0), FIRST_DELAY);
        assert!(delay_after(2) > delay_after(1));
        assert_eq!(delay_after(u32::MAX), LONGEST_DELAY);
    }
}
