//! A group consumer on a thread of its own that nothing blocks.
//!
//! * Partitions start paused: nothing of them is delivered before [`Consumer::seek_and_resume`], so a service reads from its
//!   own position and never from Kafka's committed offset, which is only a hint for lag tools.
//! * Records come in batches per partition, counted in bytes until their [`Lease`] is dropped. Above the bound the thread first
//!   waits briefly, then pauses the partitions that hold most; it goes on serving the group in any case.
//! * A revocation is deferred until every clone of its [`Done`] is dropped, at most until its deadline.
//!
//! Call it from one task per slice: clone [`Consumer`] freely, hand each slice its batches and a clone of `Done`.

mod backlog;
pub(crate) mod batch;
mod config;
mod context;
mod events;
mod partitions;
mod poll;
mod thread;

pub use backlog::Lease;
pub use config::{ConsumerConfig, GroupProtocol};
pub use events::{Batch, Done, Event, Progress, TopicPartition};

use crate::{Admin, Error, Result};
use backlog::{Backlog, Waker};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::{mpsc as channel, oneshot};

/// How long [`Consumer::close`] waits, beyond the drain deadline, for the client library to shut down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Handle on a running consumer. When the last clone is dropped the consumer leaves its group without draining.
#[derive(Clone)]
pub struct Consumer {
    shared: Arc<Shared>,
    admin: Arc<tokio::sync::OnceCell<Admin>>,
    config: Arc<ConsumerConfig>,
}

/// Where events arrive, in order. Dropping it closes the consumer.
pub type EventReceiver = channel::UnboundedReceiver<Event>;

type EventSender = channel::UnboundedSender<Event>;

struct Shared {
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
    generation: AtomicU64,
    progress: Arc<Mutex<Vec<Progress>>>,
}

enum Command {
    Seek { partition: TopicPartition, offset: i64, generation: u64 },
    Pause(Vec<TopicPartition>),
    Resume(Vec<TopicPartition>),
    Commit(Vec<(TopicPartition, i64)>),
    Close(oneshot::Sender<()>),
    Abandon(oneshot::Sender<()>),
}

impl Consumer {
    /// Joins the group. Fails only on a wrong configuration; a broker that is away comes as [`Event::Error`] and heals by itself.
    pub fn start(config: ConsumerConfig) -> Result<(Self, EventReceiver)> {
        let native = config.native()?;
        let (commands, inbox) = mpsc::channel();
        let (sender, events) = channel::unbounded_channel();
        let waker = Arc::new(Waker::default());
        let progress = Arc::new(Mutex::new(Vec::new()));
        let config = Arc::new(config);
        let parts = thread::Parts {
            backlog: Arc::new(Backlog::new(waker.clone())),
            config: config.clone(),
            inbox,
            events: sender,
            progress: progress.clone(),
        };
        thread::start(&native, parts)?;
        let shared = Shared { commands, waker, generation: AtomicU64::new(1), progress };
        let admin = Arc::new(tokio::sync::OnceCell::new());
        Ok((Self { shared: Arc::new(shared), admin, config }, events))
    }

    /// Starts delivery of an assigned partition at `offset`, or starts it over. Returns the generation that batches and
    /// ends of this start carry; what carries a lower one was delivered before and should be dropped.
    pub fn seek_and_resume(&self, partition: TopicPartition, offset: i64) -> u64 {
        let generation = self.shared.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.command(Command::Seek { partition, offset, generation });
        generation
    }

    /// Stops fetching these partitions. Batches on their way still arrive.
    pub fn pause(&self, partitions: Vec<TopicPartition>) {
        self.command(Command::Pause(partitions));
    }

    /// Undoes [`Self::pause`].
    pub fn resume(&self, partitions: Vec<TopicPartition>) {
        self.command(Command::Resume(partitions));
    }

    /// Tells the broker the next offset of partitions, for lag tools. Nothing depends on it; failures are logged.
    pub fn commit_hint(&self, positions: Vec<(TopicPartition, i64)>) {
        self.command(Command::Commit(positions));
    }

    /// First offset and end of a partition, asked of the broker over a connection of its own.
    pub async fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
        self.admin().await?.watermarks(&partition.topic, partition.partition).await
    }

    /// The client that answers questions about topics, connected on first use.
    pub async fn admin(&self) -> Result<&Admin> {
        self.admin.get_or_try_init(|| async { Admin::connect(&self.config.client) }).await
    }

    /// Where each partition stands, at most half a second old. Costs no request.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Revokes everything with the usual deadline, leaves the group and waits for the end of the thread.
    pub async fn close(&self) -> Result<()> {
        let (answer, closed) = oneshot::channel();
        self.command(Command::Close(answer));
        let patience = self.config.drain_deadline() + SHUTDOWN_GRACE;
        // An answer that is dropped means that the thread has ended already.
        match tokio::time::timeout(patience, closed).await {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(Error::Unavailable { doing: "close the consumer".to_owned(), reason: "no end in time".to_owned() })
            }
        }
    }

    /// Ends as a crash would: without draining, committing or leaving the group. For tests and demonstrations of crashes.
    pub async fn abandon(&self) {
        let (answer, ended) = oneshot::channel();
        self.command(Command::Abandon(answer));
        drop(tokio::time::timeout(SHUTDOWN_GRACE, ended).await);
    }

    fn command(&self, command: Command) {
        // A closed consumer has nothing left to do.
        drop(self.shared.commands.send(command));
        self.shared.waker.wake();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The thread notices that the last sender went away only when it looks.
        self.commands = mpsc::channel().0;
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests;
