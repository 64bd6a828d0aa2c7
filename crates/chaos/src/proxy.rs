//! A TCP proxy of our own between two parts, with the cuts that only somebody who reads the protocol can make: after PostgreSQL has
//! answered COMMIT and before the answer is there.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Each piece waits so long, in both directions.
    Slow(Duration),
    /// Connections stay open and nothing passes.
    Silent,
    /// Requests pass, answers do not.
    OneWay,
    /// Connections are closed as soon as they are made.
    Down,
    /// Answers pass up to so many bytes a connection, then it is cut.
    CutAfter(usize),
    /// Every so many answers to COMMIT one is swallowed, with its connection.
    CutAtCommit(u64),
}

/// The command tag with which PostgreSQL says that a transaction is committed: type, length, text.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

#[derive(Debug)]
struct Control {
    mode: Mutex<Mode>,
    /// Raised to end the connections of before.
    cuts: watch::Sender<u64>,
    commits: AtomicU64,
    hits: AtomicU64,
}

impl Control {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where in `bytes`, of which the first `old` were looked at before, the connection must be cut.
    fn cut_at(&self, bytes: &[u8], every: u64) -> Option<usize> {
        let found = bytes.windows(COMMITTED.len()).position(|window| window == COMMITTED)?;
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        number.is_multiple_of(every).then_some(found)
    }
}

/// A proxy that listens on a loopback port until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.control.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Proxy {
    /// In front of `upstream`, passing everything.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(upstream: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (cuts, _) = watch::channel(0);
        let (commits, hits) = (AtomicU64::new(0), AtomicU64::new(0));
        let control = Arc::new(Control { mode: Mutex::new(Mode::Pass), cuts, commits, hits });
        let task = tokio::spawn(accept(listener, upstream, control.clone()));
        Ok(Self { address, control, task })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// For all connections from now on, those that are open too.
    pub fn set(&self, mode: Mode) {
        *self.control.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        if mode == Mode::Down {
            self.cut();
        }
    }

    /// Ends every connection that is open.
    pub fn cut(&self) {
        self.control.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// What happens to the bytes now.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.control.mode()
    }

    /// How often the mode did something to a connection.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.control.hits.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, control: Arc<Control>) {
    while let Ok((client, _)) = listener.accept().await {
        if control.mode() == Mode::Down {
            control.hits.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let control = control.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(upstream).await else { return };
            let mut cuts = control.cuts.subscribe();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            // Whichever side ends takes the other with it.
            tokio::select! {
                () = pump(from_client, to_server, &control, false) => {}
                () = pump(from_server, to_client, &control, true) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, control: &Control, is_answer: bool) {
    let mut buffer = vec![0; 16 * 1024];
    // The end of what has passed: an answer may come in two pieces.
    let mut passed: Vec<u8> = Vec::new();
    let mut total = 0;
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let mut piece = &buffer[..read];
        let mut ends = false;
        match control.mode() {
            Mode::Pass | Mode::Down => {}
            Mode::Slow(delay) => {
                control.hits.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(delay).await;
            }
            held @ (Mode::Silent | Mode::OneWay) if held == Mode::Silent || is_answer => {
                control.hits.fetch_add(1, Ordering::Relaxed);
                while control.mode() == held {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Mode::CutAfter(most) if is_answer && total + read > most => {
                control.hits.fetch_add(1, Ordering::Relaxed);
                piece = &piece[..most.saturating_sub(total)];
                ends = true;
            }
            Mode::CutAtCommit(every) if is_answer => {
                let seen = [&passed[..], piece].concat();
                if let Some(at) = control.cut_at(&seen, every) {
                    control.hits.fetch_add(1, Ordering::Relaxed);
                    piece = &piece[..at.saturating_sub(passed.len()).min(piece.len())];
                    ends = true;
                }
                passed = seen[seen.len().saturating_sub(COMMITTED.len() - 1)..].to_vec();
            }
            Mode::Silent | Mode::OneWay | Mode::CutAfter(_) | Mode::CutAtCommit(_) => {}
        }
        total += piece.len();
        if to.write_all(piece).await.is_err() || ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each line with itself, and `commit` as PostgreSQL would.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        let answer = if &buffer[..read] == b"commit" { COMMITTED } else { &buffer[..read] };
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
        stream.write_all(text).await.ok();
        let mut buffer = [0; 64];
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        buffer[..read].to_vec()
    }

    #[tokio::test]
    async fn the_answer_to_a_commit_is_swallowed_with_its_connection_and_others_pass() {
        let proxy = Proxy::start(echo().await).await.expect("a port");
        proxy.set(Mode::CutAtCommit(2));
        let mut stream = TcpStream::connect(proxy.address()).await.expect("listens");
        assert_eq!(ask(&mut stream, b"hello").await, b"hello");
        assert_eq!(ask(&mut stream, b"commit").await, COMMITTED);
        assert_eq!(ask(&mut stream, b"commit").await, b"", "the second one is cut");
        assert_eq!(proxy.hits(), 1);
        let mut stream = TcpStream::connect(proxy.address()).await.expect("listens");
        assert_eq!(ask(&mut stream, b"commit").await, COMMITTED, "the third passes");
    }

    #[tokio::test]
    async fn what_is_asked_arrives_while_answers_are_held() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
        let proxy = Proxy::start(listener.local_addr().expect("bound")).await.expect("a port");
        proxy.set(Mode::OneWay);
        let mut client = TcpStream::connect(proxy.address()).await.expect("listens");
        let (mut server, _) = listener.accept().await.expect("a connection");
        client.write_all(b"ask").await.expect("written");
        let mut asked = [0; 3];
        server.read_exact(&mut asked).await.expect("the question arrives");
        server.write_all(b"answer").await.expect("written");
        while proxy.hits() == 0 {
            tokio::task::yield_now().await;
        }
        let mut answer = [0; 6];
        assert!(client.try_read(&mut answer).is_err(), "nothing comes back");
        proxy.set(Mode::Pass);
        client.read_exact(&mut answer).await.expect("the answer comes when the way is open");
        assert_eq!((&asked, &answer), (b"ask", b"answer"));
    }

    #[tokio::test]
    async fn who_is_cut_may_come_back_when_the_way_is_open_again() {
        let proxy = Proxy::start(echo().await).await.expect("a port");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("listens");
        assert_eq!(ask(&mut stream, b"hello").await, b"hello");
        proxy.set(Mode::Down);
        assert_eq!(ask(&mut stream, b"hello").await, b"");
        let mut refused = TcpStream::connect(proxy.address()).await.expect("accepted");
        assert_eq!(ask(&mut refused, b"hello").await, b"");
        proxy.set(Mode::CutAfter(3));
        let mut stream = TcpStream::connect(proxy.address()).await.expect("listens");
        assert_eq!(ask(&mut stream, b"hello").await, b"hel");
        proxy.set(Mode::Pass);
        let mut stream = TcpStream::connect(proxy.address()).await.expect("listens");
        assert_eq!(ask(&mut stream, b"hello").await, b"hello");
    }
}
