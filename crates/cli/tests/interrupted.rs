//! Ctrl-C at a job that is watched: the job goes on, and control is asked for nothing but to show it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);
const RUNNING: &str = r#"{"v":1,"job":{"id":"j-1","service":"erp-sync","verb":"retry","state":"running","counts":{"total":9,"pending":9}}}"#;

/// A control whose one job never ends. Answers where it listens, and each request line.
fn control() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || drop(serve(stream, &sender)));
        }
    });
    (url, requests)
}

fn serve(mut stream: TcpStream, requests: &Sender<String>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if lines.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            lines.read_line(&mut header)?;
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if header.trim().is_empty() {
                break;
            }
        }
        lines.read_exact(&mut vec![0; length])?;
        drop(requests.send(first.trim().to_owned()));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        stream.write_all(format!("{head}: {}\r\n\r\n{RUNNING}", RUNNING.len()).as_bytes())?;
    }
}

/// Watches the job, is interrupted so many times, and answers the exit code, what was said, and what control was asked after the look.
fn interrupted(times: usize) -> (Option<i32>, String, Vec<String>) {
    let (url, requests) = control();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(["job", "watch", "j-1", "--control", &url, "--token-file"])
        .arg(&token)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It watches when it has looked again and again.
    let looks = "GET /v1/jobs/j-1 HTTP/1.1";
    (0..3).for_each(|_| assert_eq!(requests.recv_timeout(PATIENCE).unwrap(), looks));
    let (mut said, pid) = (String::new(), child.id().to_string());
    let mut complaint = BufReader::new(child.stderr.take().unwrap());
    for _ in 0..times {
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        complaint.read_line(&mut said).unwrap();
    }
    complaint.read_to_string(&mut said).unwrap();
    let code = child.wait().unwrap().code();
    (code, said, requests.try_iter().filter(|request| request != looks).collect())
}

#[test]
fn ctrl_c_leaves_a_job_that_is_watched_running() {
    let (code, said, asked) = interrupted(1);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("left job j-1, which goes on"), "{said}");
    assert_eq!(asked, Vec::<String>::new(), "nothing but looks");
}

#[test]
fn a_second_ctrl_c_cancels_it() {
    let (code, said, asked) = interrupted(2);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("job j-1 is cancelled"), "{said}");
    assert_eq!(asked, ["POST /v1/jobs/j-1/cancel HTTP/1.1"]);
}
