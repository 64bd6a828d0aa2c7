//! docs/operate/dead-letters.md can be followed word for word on the demo.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

const PAGE: &str = include_str!("../../../docs/operate/dead-letters.md");
const READY: Duration = Duration::from_secs(300);

/// A demo in a folder of its own; stopped when dropped.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
}

impl Demo {
    /// As the page starts it, with fewer accounts and without kills.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.args(["demo", "--data", ".throughline", "--accounts", "3", "--kills", "0"]).current_dir(folder.path());
        // A group of its own: what stops it stops nothing else.
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut demo = Self { child, folder };
        demo.until("The stack stays up until Ctrl-C");
        demo
    }

    fn until(&mut self, words: &str) {
        let lines = BufReader::new(self.child.stderr.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        // Goes on reading, so that the demo never waits for a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let (deadline, mut said) = (Instant::now() + READY, String::new());
        while let Ok(line) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return;
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("the demo is not ready: {said}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its stack is inside it: nothing is left behind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The page's commands, block by block, in one shell, so that its variables hold. It ends at the first that fails.
fn script() -> String {
    let blocks = PAGE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| format!("echo '+++ '{line:?}\n{line}\n"));
    format!("set -eu\n{}", lines.collect::<String>())
}

fn path_with(binary: &Path) -> String {
    let own: PathBuf = binary.parent().unwrap().to_owned();
    format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn the_tour_of_dead_letters_can_be_typed_as_it_stands() {
    let demo = Demo::start();
    let shell = Command::new("bash")
        .args(["-c", &script()])
        .current_dir(demo.folder.path())
        .env("PATH", path_with(Path::new(env!("CARGO_BIN_EXE_throughline"))))
        .env_remove("THROUGHLINE_DATA")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&shell.stdout), String::from_utf8_lossy(&shell.stderr));
    assert!(shell.status.success(), "{}\n{out}\n{err}", shell.status);
    for expected in [
        "business exception",
        "technical failure",
        "PERIOD_CLOSED",
        "finished: 1/1 · 1 done",
        "nothing was changed",
        "acknowledged",
        "letter.unmask",
        "every promise holds",
    ] {
        assert!(out.contains(expected), "the tour shows {expected:?}:\n{out}\n{err}");
    }
}
